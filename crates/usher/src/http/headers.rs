//! Headers that every answer carries, unless a handler set its own.

use crate::cx::Cx;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};

/// What a page may load: its own files, nothing inline, nothing foreign. It cannot be framed.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; \
    connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'";

/// Adds the protective headers.
pub async fn protect(request: Request, next: Next) -> Response {
    let secure = request.extensions().get::<Cx>().is_some_and(|cx| cx.request.secure());
    let mut response = next.run(request).await;
    add(&mut response, secure);
    response
}

/// The headers themselves, for answers that never came that far.
pub fn add(response: &mut Response, secure: bool) {
    let headers = response.headers_mut();
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not `no-referrer`: with it a browser sends `Origin: null` with our own forms. Nothing leaves this origin either way.
    default(REFERRER_POLICY, "same-origin");
    default(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    default(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    default(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    default(HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()");
    // An answer that says nothing of caching may hold something private.
    default(CACHE_CONTROL, "no-store");
    if secure {
        default(STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
}
