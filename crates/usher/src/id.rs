//! Names of things: UUIDv7 ids, one type per kind of thing.
//!
//! An id is public. It names a row, sorts by the time it was made, and proves nothing: what proves
//! something is a secret (`secret.rs`). Ids are never reused, so a deleted account's name can be
//! given to somebody new without the newcomer inheriting anything.

use crate::secret::Rng;
use crate::time::Time;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// The secret of an authenticator app.
    TotpId,
    /// A passkey's row.
    PasskeyId,
    /// Something that an account's owner is told.
    NoticeId,
    /// A letter that waits to be sent.
    LetterId,
}

/// Counts what has to keep its order within a millisecond (RFC 9562 section 6.2, method 1). One for each process.
#[derive(Default)]
pub struct Sequence(AtomicU64);

impl EventId {
    /// The id of the next event: of two that this process drew at the same instant, the later one is greater.
    pub fn next(now: Time, sequence: &Sequence, rng: &Rng) -> EventId {
        // 42 bits that only ever rise stand right behind the instant; the 32 below them tell nodes apart.
        let count = sequence.0.fetch_add(1, Ordering::Relaxed) & ((1 << 42) - 1);
        let mut tail: [u8; 10] = rng.bytes();
        tail[..2].copy_from_slice(&u16::try_from(count >> 30).unwrap_or(0).to_be_bytes());
        let low = u32::try_from(count & ((1 << 30) - 1)).unwrap_or(0);
        tail[2..6].copy_from_slice(&low.to_be_bytes());
        EventId(of_parts(now, &tail))
    }
}

fn v7(now: Time, rng: &Rng) -> Uuid {
    of_parts(now, &rng.bytes())
}

/// The version takes the place of the first four bits of `tail`, and the variant of the first two of its third byte.
fn of_parts(now: Time, tail: &[u8; 10]) -> Uuid {
    let millis = u64::try_from(now.0).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, tail).into_uuid()
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
    fn events_of_one_millisecond_keep_their_order() {
        let (sequence, rng) = (Sequence::default(), Rng::seeded(1));
        // The count crosses from the lower to the upper part of what stands behind the instant.
        for start in [0, (1 << 30) - 500] {
            sequence.0.store(start, Ordering::Relaxed);
            let drawn: Vec<String> =
                (0..1_000).map(|_| EventId::next(Time(1_000), &sequence, &rng).to_string()).collect();
            assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]), "after {start}");
        }
        let later = EventId::next(Time(1_001), &Sequence::default(), &rng).to_string();
        assert!(later > EventId::next(Time(1_000), &sequence, &rng).to_string(), "time counts first");
        assert!(later.parse::<EventId>().is_ok_and(|id| id.0.get_version_num() == 7));
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
