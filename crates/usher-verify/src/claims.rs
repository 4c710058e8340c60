//! What a token says, and how strictly it must say it.

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// The last second of the year 9999. A later date is a mistake or an attack on somebody's arithmetic.
const LAST_SECOND: u64 = 253_402_300_799;

/// The claims of every kind of token (RFC 9068 section 2.2, and Usher's own `sid` and `ver`).
///
/// Dates are whole seconds since the Unix epoch; text, fractions and negative numbers are refused.
/// Members that are not listed here are allowed and ignored; a member written twice is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued the token: the server's public address.
    pub iss: String,
    /// Whose account, by id.
    pub sub: String,
    /// For whom it is. Written as one string when there is one (RFC 7519 section 4.1.3).
    #[serde(serialize_with = "write_audience", deserialize_with = "read_audience")]
    pub aud: Vec<String>,
    /// Expiry: at this second the token is dead.
    #[serde(deserialize_with = "read_date")]
    pub exp: i64,
    /// When it was issued.
    #[serde(deserialize_with = "read_date")]
    pub iat: i64,
    /// The token's own id.
    pub jti: String,
    /// Which app or client asked for it.
    pub client_id: String,
    /// The session it hangs from, and dies with. Absent when a client speaks for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// When somebody last proved who they are, for the session behind the token (RFC 9068 section 2.2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How strongly: `aal1` or `aal2`, as in NIST SP 800-63B-4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// By what: `pwd`, `otp`, `mfa`, .. (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// What it allows: names parted by single spaces (RFC 8693 section 4.2). Absent means nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The account's roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The account's groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The account's rights version when the token was issued. Absent reads as 0, older than any.
    #[serde(default)]
    pub ver: u64,
}

impl Claims {
    /// Whether `scope` is among the scopes granted.
    pub fn has_scope(&self, scope: &str) -> bool {
        !scope.is_empty() && self.scope.split(' ').any(|granted| granted == scope)
    }

    /// The claims in this JSON text, or nothing when anything about it is not as it should be.
    pub(crate) fn parse(json: &[u8]) -> Option<Claims> {
        if !is_plain_object(json) {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

fn write_audience<S: Serializer>(audience: &[String], to: S) -> Result<S::Ok, S::Error> {
    match audience {
        [one] => to.serialize_str(one),
        many => many.serialize(to),
    }
}

fn read_audience<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Audience::deserialize(from)? {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    })
}

fn read_date<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let seconds = u64::deserialize(from)?;
    if seconds > LAST_SECOND {
        return Err(D::Error::custom("a date beyond the year 9999"));
    }
    i64::try_from(seconds).map_err(D::Error::custom)
}

/// Whether the text is one JSON object in which no object, at any depth, has a member twice.
///
/// Two readers may disagree about which of two equal members counts (RFC 8725 section 2.4), and serde
/// would also read a struct from an array; so both are refused before any value is taken.
pub(crate) fn is_plain_object(json: &[u8]) -> bool {
    if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return false;
    }
    let mut from = serde_json::Deserializer::from_slice(json);
    Unique.deserialize(&mut from).is_ok() && from.end().is_ok()
}

/// Walks any JSON value and fails at the first member that its object already has.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(Unique)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(Name(name)) = map.next_key()? {
            map.next_value_seed(Unique)?;
            if !seen.insert(name) {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Unique)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        IgnoredAny::deserialize(from).map(drop)
    }
}

/// A member's name after its escapes are read, borrowed when it has none.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"iss":"i","sub":"s","aud":"a","exp":20,"iat":10,"jti":"j","client_id":"c","ver":3}"#;

    fn with(from: &str, to: &str) -> Option<Claims> {
        assert!(GOOD.contains(from), "{from} is not part of the good claims");
        Claims::parse(GOOD.replace(from, to).as_bytes())
    }

    #[test]
    fn plain_claims_are_read() {
        let claims = Claims::parse(GOOD.as_bytes());
        assert_eq!(claims.as_ref().map(|c| (c.exp, c.ver)), Some((20, 3)));
        assert_eq!(claims.and_then(|c| c.sid), None);
    }

    #[test]
    fn an_audience_is_one_name_or_a_list() {
        assert_eq!(with(r#""aud":"a""#, r#""aud":["a","b"]"#).map(|c| c.aud.len()), Some(2));
        assert_eq!(with(r#""aud":"a""#, r#""aud":7"#), None);
        assert_eq!(with(r#""aud":"a""#, r#""aud":[["a"]]"#), None);
    }

    #[test]
    fn dates_are_whole_seconds_and_nothing_else() {
        for date in ["\"20\"", "20.0", "20.5", "2e1", "-20", "-0.0", "null", "true", "[20]", "253402300800", "1e400"] {
            assert_eq!(with(r#""exp":20"#, &format!(r#""exp":{date}"#)), None, "exp {date}");
            assert_eq!(with(r#""iat":10"#, &format!(r#""iat":{date}"#)), None, "iat {date}");
        }
        assert!(with(r#""exp":20"#, r#""exp":253402300799"#).is_some());
    }

    #[test]
    fn every_member_that_rfc_9068_asks_for_must_be_there() {
        for member in
            [r#""iss":"i","#, r#""sub":"s","#, r#""aud":"a","#, r#""exp":20,"#, r#""iat":10,"#, r#""jti":"j","#]
        {
            assert_eq!(with(member, ""), None, "without {member}");
        }
        assert_eq!(with(r#","client_id":"c""#, ""), None);
    }

    #[test]
    fn a_member_written_twice_is_refused_however_it_is_spelled() {
        assert_eq!(with(r#""exp":20"#, r#""exp":20,"exp":99"#), None);
        assert_eq!(with(r#""exp":20"#, r#""exp":20,"\u0065xp":99"#), None);
        assert_eq!(with(r#""exp":20"#, r#""exp":20,"other":1,"other":1"#), None);
        assert_eq!(with(r#""exp":20"#, r#""exp":20,"other":[{"a":1,"a":1}]"#), None);
        assert!(with(r#""exp":20"#, r#""exp":20,"other":[{"a":1},{"a":1}]"#).is_some(), "two objects, one name each");
    }

    #[test]
    fn claims_are_an_object_not_a_list_and_nothing_follows_them() {
        assert_eq!(Claims::parse(br#"["i","s","a",20,10,"j","c",null,"",[],[],3]"#), None);
        assert_eq!(Claims::parse(format!("{GOOD} {{}}").as_bytes()), None);
        assert_eq!(Claims::parse(b""), None);
    }

    #[test]
    fn a_scope_matches_only_as_a_whole_word() {
        let claims = with(r#""ver":3"#, r#""scope":"media profile""#);
        assert_eq!(
            claims.map(|c| ["media", "profile", "med", "", "media profile"].map(|s| c.has_scope(s))),
            Some([true, true, false, false, false])
        );
    }
}
