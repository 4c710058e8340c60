//! Registered apps' origins: exact, with credentials, on the routes made for apps only (Fetch standard, CORS protocol).

use crate::cx::Cx;
use crate::declared::live::AppInUse;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN, VARY,
};
use http::{HeaderValue, Method, StatusCode};

/// The registered app whose page sent the request, in the request's extensions.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name.
    pub name: String,
    /// The audience of its access tokens.
    pub audience: String,
}

/// The app that an origin belongs to.
pub fn app_of(server: &crate::App, origin: &str) -> Option<App> {
    let named = |known: &AppInUse| App { name: known.app.name.clone(), audience: known.audience().to_owned() };
    if let Some(known) = server.apps.at(origin) {
        return Some(named(&known));
    }
    // `--dev`: any port of this machine, for an app that is being written.
    let local = origin.strip_prefix("http://localhost").or_else(|| origin.strip_prefix("http://127.0.0.1"))?;
    let port_only = local.is_empty() || local.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    server.apps.all().first().filter(|_| server.config.server.dev && port_only).map(named)
}

/// Answers preflights and marks requests of registered origins. Mounted on the routes made for apps.
pub async fn share(mut request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let app = origin.as_ref().and_then(|origin| {
        let cx = request.extensions().get::<Cx>()?;
        app_of(&cx.app, origin.to_str().ok()?)
    });
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&app, preflight) {
        (_, true) => StatusCode::NO_CONTENT.into_response(),
        (Some(app), false) => {
            request.extensions_mut().insert(app.clone());
            next.run(request).await
        }
        (None, false) => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let (Some(_), Some(origin)) = (app, origin) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After, X-Request-Id"));
        if preflight {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Authorization, Content-Type"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
    }
    response
}
