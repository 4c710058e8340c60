//! Peppers: keys outside the database, without which a stolen table of hashes cannot be guessed at.
//!
//! The key is applied after argon2id, as HMAC-SHA-256 over its output, and each hash names its key. A
//! new key is made current, the old one stays to verify with, and hashes move over at the next login.

use super::HashFault;
use aws_lc_rs::hmac;
use std::collections::BTreeMap;
use std::fmt;

/// The keys at hand, and which of them new hashes use.
#[derive(Default, Clone)]
pub struct Peppers {
    current: Option<String>,
    keys: BTreeMap<String, hmac::Key>,
}

/// A pepper that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPepper {
    /// The id must fit into the text of a hash.
    #[error("a pepper's id is 1 to 16 lower-case letters or digits")]
    Id,
    /// Less than the strength of the hash itself.
    #[error("a pepper has at least 32 random bytes")]
    Short,
    /// Two keys under one id: hashes made with the first could no longer be checked.
    #[error("a pepper with this id exists already")]
    Taken,
}

impl Peppers {
    /// No pepper: new hashes are plain argon2id.
    pub fn none() -> Peppers {
        Peppers::default()
    }

    /// Adds a key. The one added last is used for new hashes.
    ///
    /// # Errors
    /// See [`BadPepper`].
    pub fn add(&mut self, id: &str, key: &[u8]) -> Result<(), BadPepper> {
        if !is_id(id) {
            return Err(BadPepper::Id);
        }
        if key.len() < 32 {
            return Err(BadPepper::Short);
        }
        if self.keys.contains_key(id) {
            return Err(BadPepper::Taken);
        }
        self.keys.insert(id.to_owned(), hmac::Key::new(hmac::HMAC_SHA256, key));
        self.current = Some(id.to_owned());
        Ok(())
    }

    /// The id of the key that new hashes use.
    pub fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// The stored form of an argon2id output: itself without an id, keyed with one.
    pub(super) fn apply(&self, id: Option<&str>, raw: &[u8]) -> Result<Vec<u8>, HashFault> {
        let Some(id) = id else { return Ok(raw.to_vec()) };
        let key = self.keys.get(id).ok_or_else(|| HashFault::PepperMissing(id.to_owned()))?;
        Ok(hmac::sign(key, raw).as_ref().to_vec())
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peppers").field("current", &self.current).field("ids", &self.keys.keys()).finish()
    }
}

/// What may stand in a hash as `k=`.
pub(super) fn is_id(id: &str) -> bool {
    (1..=16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}
