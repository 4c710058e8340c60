//! TakeoutFM's apps, unmodified: how they log in, link, and refresh.
//!
//! Promises: the addresses, names, statuses and bodies that its mobile, watch and `playout` clients depend on, behind
//! which are this server's own sessions, link codes and tokens. Where the original was unsafe the clients go on
//! working and the hole is closed: one text for every failed login, a code that is bound to its token and redeemed
//! once, a passcode that is asked for with 401.
//! Refuses: to be there at all unless its owner says so; and to weaken anything for other programs. One client,
//! `playout`, forgets the refresh tokens it is given later; its sessions, and no others, keep the first one for good.

pub mod api;

/// Addresses that a client may write with a doubled slash in front, because somebody typed one behind the host.
pub const PATHS: [&str; 3] = ["/api/token", "/api/code", "/api/link"];

/// The path without the doubled slash in front, where it is one of [`PATHS`]; else as it is.
pub fn folded(path: &str) -> &str {
    match path.strip_prefix('/') {
        Some(single) if PATHS.contains(&single) => single,
        _ => path,
    }
}

/// What a client's own name says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// `playout`, which keeps the first refresh token and drops every later one.
    Playout,
    /// Every other.
    Other,
}

impl App {
    /// The client behind this `User-Agent`.
    pub fn of(agent: &str) -> App {
        if agent.starts_with("Playout/") { App::Playout } else { App::Other }
    }
}

/// A JSON body as Go's decoder reads it: the letters of a name may have any case.
#[derive(Debug)]
pub struct Body(serde_json::Map<String, serde_json::Value>);

/// The body is no JSON object, or a value in it is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an object of texts")]
pub struct NotABody;

impl Body {
    /// Reads a body.
    pub fn parse(bytes: &[u8]) -> Result<Body, NotABody> {
        serde_json::from_slice(bytes).map(Body).map_err(|_| NotABody)
    }

    /// The text by this name; empty when it is absent.
    ///
    /// # Errors
    /// When it is there and no text.
    pub fn text(&self, name: &str) -> Result<&str, NotABody> {
        match self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            None | Some((_, serde_json::Value::Null)) => Ok(""),
            Some((_, serde_json::Value::String(text))) => Ok(text),
            Some(_) => Err(NotABody),
        }
    }
}

/// The token of an `Authorization` value: behind `Bearer`, or bare.
pub fn bearer(value: &str) -> &str {
    match value.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => value.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_slash_is_folded_before_the_known_addresses_only() {
        for path in ["/api/token", "//api/token"] {
            assert_eq!(folded(path), "/api/token");
        }
        for path in
            ["///api/token", "//api/tokens", "//api//token", "//login", "/api/code/", "//api/v1/login", "/", "//"]
        {
            assert_eq!(folded(path), path);
        }
    }

    #[test]
    fn names_have_any_case_and_values_are_texts() {
        let body = Body::parse(br#"{"USER":"alice","pass":"x","Passcode":null,"n":1}"#);
        assert!(body.is_ok_and(|body| {
            (body.text("User"), body.text("Pass"), body.text("Passcode"), body.text("Code"), body.text("N"))
                == (Ok("alice"), Ok("x"), Ok(""), Ok(""), Err(NotABody))
        }));
        for bad in ["", "[]", "\"x\"", "{", "{}x"] {
            assert!(Body::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bearer_token_may_stand_bare() {
        assert_eq!(["Bearer x", "bearer  x", "x", " x "].map(bearer), ["x"; 4]);
        assert_eq!(bearer("Basic x"), "Basic x");
    }

    #[test]
    fn one_client_is_known_by_its_name() {
        assert_eq!(App::of("Playout/0.9 (takeoutfm.com)"), App::Playout);
        assert_eq!(App::of("TakeoutFM-Mobile/0.25.2 (takeoutfm.com; android)"), App::Other);
        assert_eq!(App::of("x Playout/1"), App::Other);
    }
}
