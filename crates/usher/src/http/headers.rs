//! Headers that every answer carries, unless a handler set its own.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response};

/// What a page may load: its own files, nothing inline, nothing foreign. It cannot be framed.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; \
    connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'";

/// The name of a request, told to whoever asks about it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Adds the protective headers.
pub fn add<B>(response: &mut Response<B>, secure: bool) {
    let headers = response.headers_mut();
    headers.reserve(10);
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not `no-referrer`: with it a browser sends `Origin: null` with our own forms. Nothing leaves this origin either way.
    default(REFERRER_POLICY, "same-origin");
    default(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    default(OPENER_POLICY, "same-origin");
    default(RESOURCE_POLICY, "same-origin");
    default(PERMISSIONS_POLICY, "camera=(), microphone=(), geolocation=()");
    // An answer that says nothing of caching may hold something private.
    default(CACHE_CONTROL, "no-store");
    if secure {
        default(STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
}
