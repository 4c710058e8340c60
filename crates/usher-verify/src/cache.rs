//! Remembering good tokens, so that a token used again costs one hash and one look-up.

use crate::algorithm::TokenType;
use crate::claims::Claims;
use crate::compact::MAX_TOKEN;
use crate::verify::{Refusal, Verifier, in_time};
use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// A verifier that remembers the tokens it found good, up to a number of them.
///
/// It remembers by the token's SHA-256, never the token, and only tokens that passed every check; time
/// and kind are checked again at each use. What it remembers belongs to its keys, issuer and audience:
/// it keeps one [`Verifier`] for life, and new keys mean a new `CachedVerifier`, so that no answer
/// found with old keys survives them.
pub struct CachedVerifier {
    verifier: Verifier,
    good: Cache<[u8; 32], Good>,
}

#[derive(Clone)]
struct Good {
    kind: TokenType,
    claims: Arc<Claims>,
}

impl CachedVerifier {
    /// Remembers at most about `capacity` tokens; the least used are forgotten first.
    pub fn new(verifier: Verifier, capacity: usize) -> CachedVerifier {
        CachedVerifier { verifier, good: Cache::new(capacity) }
    }

    /// The same answers as [`Verifier::verify`].
    pub fn verify(&self, token: &str, expected: TokenType, now_seconds: i64) -> Result<Arc<Claims>, Refusal> {
        // Refused before it is hashed, or a giant would cost more than it is worth.
        if token.len() > MAX_TOKEN {
            return Err(Refusal::Malformed);
        }
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(Good { kind, claims }) = self.good.get(&name) {
            if kind != expected {
                return Err(Refusal::WrongType);
            }
            return match in_time(&claims, now_seconds) {
                Ok(()) => Ok(claims),
                Err(refusal) => {
                    self.good.remove(&name);
                    Err(refusal)
                }
            };
        }
        let claims = Arc::new(self.verifier.verify(token, expected, now_seconds)?);
        self.good.insert(name, Good { kind: expected, claims: claims.clone() });
        Ok(claims)
    }

    /// What it verifies with.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        self.good.len()
    }

    /// Whether no token is remembered.
    pub fn is_empty(&self) -> bool {
        self.good.is_empty()
    }
}
