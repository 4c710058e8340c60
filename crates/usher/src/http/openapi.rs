//! The documents programs read: the API description, its page, the key set and the server's metadata.

use super::extract;
use super::failure::Failure;
use crate::cx::Cx;
use crate::gate::Door;
use crate::tokens::live::CACHE_FOR;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use std::sync::{Arc, LazyLock};
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa_swagger_ui::Config;

/// The page sets its styles from its script; everything else stays as strict as elsewhere.
const DOCS_POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'";

static DOCS: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").try_it_out_enabled(true).persist_authorization(false)));

/// Completes the document that the routes made: what it describes and how calls are authorized.
pub fn complete(mut document: OpenApi) -> OpenApi {
    document.info.title = "Usher".to_owned();
    document.info.description = Some(
        "Log in, stay in, get out, and reach what you may. Failures are problem documents (RFC 9457) with a stable `code`."
            .to_owned(),
    );
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token, or a personal token where its scope allows."))
        .build();
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description("__Host-usher", "The session cookie of a browser."));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    document.paths.paths.values_mut().for_each(at_any_address);
    // The router's sign for "the rest of the path" is none of the description's.
    document.paths.paths = std::mem::take(&mut document.paths.paths)
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    document.security = Some(vec![
        SecurityRequirement::new("bearer", Vec::<String>::new()),
        SecurityRequirement::new("cookie", Vec::<String>::new()),
    ]);
    document
}

/// What any operation may answer before it is reached: to an address or a field that two readers could read differently.
fn at_any_address(item: &mut PathItem) {
    let PathItem { get, put, post, delete, patch, .. } = item;
    for operation in [get, put, post, delete, patch].into_iter().flatten() {
        let problem = Content::builder().schema(Some(Ref::from_schema_name("Problem"))).build();
        let unreadable = ResponseBuilder::new()
            .description("The request could be read in several ways, or not at all")
            .content("application/problem+json", problem)
            .build();
        operation.responses.responses.entry("400".to_owned()).or_insert(RefOr::T(unreadable));
    }
}

/// The routes of these documents.
pub fn routes(document: OpenApi) -> Router {
    let document = Arc::new(complete(document));
    let served = get(async move || Json(document.as_ref().clone()));
    Router::new()
        .route("/openapi.json", served)
        .route("/docs", get(async || super::page::onward("/docs/")))
        .route("/docs/", get(async |cx: Cx, headers: HeaderMap| docs(cx, headers, String::new()).await))
        .route(
            "/docs/{*file}",
            get(async |cx: Cx, headers: HeaderMap, Path(file): Path<String>| docs(cx, headers, file).await),
        )
        .layer(axum::middleware::from_fn(super::page::failures))
        .merge(
            Router::new()
                .route("/oauth/jwks", get(jwks))
                .route("/.well-known/oauth-authorization-server", get(metadata)),
        )
}

async fn docs(cx: Cx, headers: HeaderMap, file: String) -> Result<Response, Failure> {
    if !cx.app.config.docs.public {
        extract::admit(&cx, &headers, Door::AdminPage).await?;
    }
    let found = utoipa_swagger_ui::serve(&file, DOCS.clone()).ok().flatten().ok_or_else(Failure::not_found)?;
    let mut response = (StatusCode::OK, found.bytes.into_owned()).into_response();
    if let Ok(kind) = HeaderValue::from_str(&found.content_type) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    Ok(response)
}

/// The public key set, for whoever verifies our tokens. Public by nature, so any origin may read it.
async fn jwks(cx: Cx) -> Response {
    let mut response = cx.app.keys.jwks().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={}", CACHE_FOR.as_secs())) {
        headers.insert(CACHE_CONTROL, value);
    }
    response
}

/// The server's metadata (RFC 8414): only what works.
async fn metadata(cx: Cx) -> Response {
    let issuer = cx.app.keys.issuer();
    let body = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/oauth/jwks"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "token_endpoint_auth_methods_supported": ["none"],
        "device_authorization_endpoint": format!("{issuer}/oauth/device_authorization"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        // A name of the registry of access token types (RFC 8414 section 2): the caller shows a token of its own.
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"],
        "response_types_supported": [],
    });
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Json(body)).into_response()
}
