//! Names of things: UUIDv7 ids, one type per kind of thing.
//!
//! An id is public. It names a row, sorts by the time it was made, and proves nothing: what proves
//! something is a secret (`secret.rs`). Ids are never reused, so a deleted account's name can be
//! given to somebody new without the newcomer inheriting anything.

use crate::secret::Rng;
use crate::time::Time;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The text is no id: not the 36-character lower-case form of a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id made at `now` (RFC 9562 section 5.7).
            pub fn new(now: Time, rng: &Rng) -> Self {
                $name(v7(now, rng))
            }

            /// The 16 bytes, for compact tokens.
            pub fn bytes(self) -> [u8; 16] {
                *self.0.as_bytes()
            }

            /// The id as two numbers, high half first.
            pub fn halves(self) -> (u64, u64) {
                self.0.as_u64_pair()
            }

            /// The id with these 16 bytes. Any bytes name something; most name nothing that exists.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.as_hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse(text).map($name)
            }
        }

        impl From<$name> for usher_db::Value {
            fn from(id: $name) -> Self {
                usher_db::Value::Text(id.to_string())
            }
        }

        impl usher_db::FromValue for $name {
            fn from_value(value: usher_db::Value) -> Option<Self> {
                match value {
                    usher_db::Value::Text(text) => text.parse().ok(),
                    _ => None,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An account.
    AccountId,
    /// A group of accounts.
    GroupId,
    /// A session: one login on one device. Public; the cookie's secret is what proves it.
    SessionId,
    /// A personal token's row.
    PersonalTokenId,
    /// A single-use link: setup, invite, reset.
    LinkId,
    /// A device that asks to be linked.
    LinkCodeId,
    /// An audit event.
    EventId,
}

fn v7(now: Time, rng: &Rng) -> Uuid {
    let random: [u8; 10] = rng.bytes();
    let millis = u64::try_from(now.0).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// One spelling only: a second spelling of the same id would slip past comparisons of text.
fn parse(text: &str) -> Result<Uuid, NotAnId> {
    let id = Uuid::try_parse(text).map_err(|_| NotAnId)?;
    let mut canonical = [0; uuid::fmt::Hyphenated::LENGTH];
    if id.as_hyphenated().encode_lower(&mut canonical) == text { Ok(id) } else { Err(NotAnId) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let rng = Rng::seeded(1);
        let earlier = SessionId::new(Time(1_000), &rng).to_string();
        let later = SessionId::new(Time(1_001), &rng).to_string();
        assert!(earlier < later);
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = AccountId::new(Time(1_000), &Rng::seeded(2)).to_string();
        assert!(id.parse::<AccountId>().is_ok());
        assert_eq!(id.to_uppercase().parse::<AccountId>(), Err(NotAnId));
        assert_eq!(id.replace('-', "").parse::<AccountId>(), Err(NotAnId));
        assert_eq!(format!("{{{id}}}").parse::<AccountId>(), Err(NotAnId));
    }
}
