//! State changes that another site caused.
//!
//! A browser says where a request comes from: `Sec-Fetch-Site`, and `Origin` on every POST. A state change
//! is taken from this origin only, or from a registered app's origin on the routes that are made for apps.
//! Programs send neither header, and are taken without a cookie only: a cookie without a word on where the
//! request comes from is refused.

use super::cors::App as CorsApp;
use super::failure::Failure;
use crate::cx::Cx;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{COOKIE, ORIGIN};
use http::{Method, StatusCode};

/// Refuses what another site caused.
pub async fn protect(request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || same_site(&request) {
        return next.run(request).await;
    }
    if let Some(cx) = request.extensions().get::<Cx>() {
        let said = |name: &str| request.headers().get(name).map_or("nothing", |value| value.to_str().unwrap_or("?"));
        let (site, origin) = (said("sec-fetch-site"), said(ORIGIN.as_str()));
        cx.because(format_args!("Sec-Fetch-Site says {site}, Origin {origin}; this is {}", cx.request.origin));
    }
    Failure::new(
        StatusCode::FORBIDDEN,
        "cross_site",
        "This request came from another site, or does not say where it comes from. Nothing was changed.",
    )
    .into_response()
}

fn same_site(request: &Request) -> bool {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    let own = request.extensions().get::<Cx>().map(|cx| cx.request.origin.as_str());
    if request.extensions().get::<CorsApp>().is_some() {
        return true;
    }
    match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        // A page cannot set this header, so its word is final where a browser sends it.
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => own == Some(origin),
        (None, None) => !request.headers().contains_key(COOKIE),
    }
}
