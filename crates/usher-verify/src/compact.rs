//! The compact form of RFC 7515 section 3.1, read strictly: three parts, each base64url without
//! padding, without stray bits at the end, without anything else.

use crate::claims::is_plain_object;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 8 * 1024;
/// The longest header that is looked at, in bytes after decoding.
pub const MAX_HEADER: usize = 1024;

/// A token cut into its parts; nothing in it is believed yet.
pub(crate) struct Compact<'a> {
    pub header: Header,
    payload: &'a str,
    signature: &'a str,
    /// The bytes that the signature covers: both first parts with the dot between them.
    pub signed: &'a [u8],
}

/// The header members that are read. All others (`jwk`, `jku`, `x5u`, `x5c`, `cty` ...) are ignored:
/// a token does not choose the key it is checked with (RFC 8725 section 3.10).
#[derive(Deserialize)]
pub(crate) struct Header {
    pub alg: String,
    pub typ: Option<String>,
    pub kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// A member that counts by being there at all, even as `null`.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(from).map(|_| true)
}

impl<'a> Compact<'a> {
    /// Cuts the token. `None` when it is not in compact form, too long, or has a `crit` header: we
    /// understand no extension, so none may be critical (RFC 7515 section 4.1.11).
    pub fn parse(token: &'a str) -> Option<Compact<'a>> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if payload.contains('.') || header.len() > MAX_HEADER.div_ceil(3) * 4 {
            return None;
        }
        let header = decode(header)?;
        if header.len() > MAX_HEADER || !is_plain_object(&header) {
            return None;
        }
        let header: Header = serde_json::from_slice(&header).ok()?;
        if header.crit {
            return None;
        }
        Some(Compact { header, payload, signature, signed: signed.as_bytes() })
    }

    pub fn signature(&self) -> Option<Vec<u8>> {
        decode(self.signature)
    }

    /// The payload's bytes. Decoded only after the signature was found good.
    pub fn payload(&self) -> Option<Vec<u8>> {
        decode(self.payload)
    }
}

/// Strict base64url: no padding, and unused bits must be zero, so that bytes have one spelling.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.e30.AAAA", encode(header.as_bytes()))
    }

    #[test]
    fn a_token_has_three_parts_and_no_more() {
        let good = token(r#"{"alg":"ES256"}"#);
        assert!(Compact::parse(&good).is_some());
        assert!(Compact::parse(&format!("{good}.AAAA")).is_none());
        assert!(Compact::parse(&format!("{good}.AAAA.AAAA")).is_none(), "the five parts of an encrypted token");
        assert!(Compact::parse(good.trim_end_matches(".AAAA")).is_none());
        assert!(Compact::parse(&format!(".{good}")).is_none());
    }

    #[test]
    fn bytes_have_one_spelling() {
        assert_eq!(decode("AQ"), Some(vec![1]));
        for other in ["AQ==", "AQ=", "AR", "A", "AQ\n", " AQ", "A Q", "+w", "/w"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_critical_extension_is_refused_even_when_empty() {
        for crit in [r#"["b64"]"#, "[]", "null", r#""exp""#] {
            assert!(Compact::parse(&token(&format!(r#"{{"alg":"ES256","crit":{crit}}}"#))).is_none(), "{crit}");
        }
    }

    #[test]
    fn a_header_has_a_limit() {
        let of = |length: usize| {
            let empty = r#"{"alg":"ES256","x":""}"#.len();
            token(&format!(r#"{{"alg":"ES256","x":"{}"}}"#, "a".repeat(length - empty)))
        };
        assert!(Compact::parse(&of(MAX_HEADER)).is_some());
        assert!(Compact::parse(&of(MAX_HEADER + 1)).is_none());
        assert!(Compact::parse(&of(MAX_HEADER * 2)).is_none());
    }

    #[test]
    fn a_header_is_one_object_without_duplicates() {
        for header in [r#"{"alg":"none","alg":"ES256"}"#, r#"["ES256",null,null]"#, r#"{"alg":7}"#, "{}", "", "null"] {
            assert!(Compact::parse(&token(header)).is_none(), "{header}");
        }
    }
}
