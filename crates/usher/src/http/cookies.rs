//! Cookies: the session's, and the short-lived one that holds a link between its first GET and its POST.

use crate::cx::Cx;
use crate::login::links::Kind;
use crate::secret::{self, Plain};
use crate::sessions::{Proof, known};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// The session cookie's name. Only a secure origin can have the `__Host-` prefix (RFC 6265bis section 4.1.3).
pub fn session_name(cx: &Cx) -> &'static str {
    if cx.request.secure() { "__Host-usher" } else { "usher" }
}

/// The name of what a browser keeps in which a password was proven before.
fn device_name(secure: bool) -> &'static str {
    if secure { "__Host-usher-device" } else { "usher-device" }
}

/// What such a browser shows.
pub fn find_device(headers: &HeaderMap, secure: bool) -> Option<Plain> {
    find(headers, device_name(secure)).and_then(|value| Plain::parse(secret::Kind::Known, value).ok())
}

/// Lets a browser keep what makes it known.
pub fn set_device(cx: &Cx, device: &Plain) -> Option<HeaderValue> {
    build(cx, device_name(cx.request.secure()), device.expose(), "/", "Lax", known::KEPT)
}

fn link_name(cx: &Cx, kind: Kind) -> String {
    let prefix = if cx.request.secure() { "__Secure-" } else { "" };
    format!("{prefix}usher-{}", kind.word())
}

/// The value of the cookie `name`. Two cookies of one name are none: somebody planted the second.
pub fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

/// The link that a browser carries for the page of `kind`.
pub fn find_link(cx: &Cx, headers: &HeaderMap, kind: Kind) -> Option<String> {
    find(headers, &link_name(cx, kind)).map(str::to_owned)
}

/// Sets the session cookie for at most `life`.
pub fn set_session(cx: &Cx, value: &str, life: Duration) -> Option<HeaderValue> {
    build(cx, session_name(cx), value, "/", "Lax", life)
}

/// The cookie a browser needs after a new proof, if the proof renewed it.
pub fn renewed(cx: &Cx, proof: &Proof) -> Option<HeaderValue> {
    let (value, life) = proof.cookie(cx)?;
    set_session(cx, &value, life)
}

/// Removes the session cookie.
pub fn clear_session(cx: &Cx) -> Option<HeaderValue> {
    build(cx, session_name(cx), "", "/", "Lax", Duration::ZERO)
}

/// Keeps a link for ten minutes, for its own page only.
pub fn set_link(cx: &Cx, kind: Kind, token: &str) -> Option<HeaderValue> {
    // Lax, not Strict: the link is often opened from a mail, and the redirect after it must carry the cookie.
    build(cx, &link_name(cx, kind), token, kind.page(), "Lax", Duration::from_secs(600))
}

/// Removes a link.
pub fn clear_link(cx: &Cx, kind: Kind) -> Option<HeaderValue> {
    build(cx, &link_name(cx, kind), "", kind.page(), "Lax", Duration::ZERO)
}

fn waiting_name(cx: &Cx) -> &'static str {
    if cx.request.secure() { "__Host-usher-tv" } else { "usher-tv" }
}

/// The session cookies of those who wait on a television while another one watches. Good for changing to them at
/// `/tv`, and read nowhere else.
pub fn find_waiting<'h>(cx: &Cx, headers: &'h HeaderMap) -> Vec<&'h str> {
    let value = find(headers, waiting_name(cx)).unwrap_or_default();
    value.split('.').filter(|one| !one.is_empty()).collect()
}

/// Keeps those cookies for at most `life`; without any, removes the cookie that held them.
pub fn set_waiting(cx: &Cx, values: &[&str], life: Duration) -> Option<HeaderValue> {
    let life = if values.is_empty() { Duration::ZERO } else { life };
    build(cx, waiting_name(cx), &values.join("."), "/", "Lax", life)
}

fn step_name(cx: &Cx) -> &'static str {
    if cx.request.secure() { "__Host-usher-step" } else { "usher-step" }
}

/// The step of a login that this browser carries.
pub fn find_step<'h>(cx: &Cx, headers: &'h HeaderMap) -> Option<&'h str> {
    find(headers, step_name(cx))
}

/// Keeps a step of a login as long as it may be taken. The page takes it by a form; a passkey answers it through the
/// API, so that its path is the whole house.
pub fn set_step(cx: &Cx, step: &str) -> Option<HeaderValue> {
    build(cx, step_name(cx), step, "/", "Strict", crate::login::step::LIFE)
}

/// Removes a step.
pub fn clear_step(cx: &Cx) -> Option<HeaderValue> {
    build(cx, step_name(cx), "", "/", "Strict", Duration::ZERO)
}

fn build(cx: &Cx, name: &str, value: &str, path: &str, same_site: &str, life: Duration) -> Option<HeaderValue> {
    let secure = if cx.request.secure() { "; Secure" } else { "" };
    let age = life.as_secs();
    HeaderValue::try_from(format!("{name}={value}; Path={path}; HttpOnly; SameSite={same_site}; Max-Age={age}{secure}"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_a_doubled_one_is_not() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=1; usher=x; b=2"));
        assert_eq!(find(&headers, "usher"), Some("x"));
        headers.append(COOKIE, HeaderValue::from_static("usher=y"));
        assert_eq!(find(&headers, "usher"), None);
    }
}
