//! Verifies Usher's tokens locally: what a relying application links, and what the server itself uses.
//!
//! There is one verifier in the world, and this is it. It promises that a token it admits was signed by
//! a key of the given [`KeySet`], by that key's one algorithm, as the expected [`TokenType`], by the
//! expected issuer, for the expected audience, and is inside its life. It refuses everything else with
//! one small [`Refusal`] and never panics, whatever the text.
//!
//! What is absent on purpose (RFC 8725): no `none`, no symmetric algorithm, no encryption, no
//! compression, no key taken or fetched from a token (`jwk`, `jku`, `x5u` are ignored), no critical
//! extension (`crit` is refused), no leeway on `exp`, and no network.
//!
//! A signature says what was true when the token was issued. Whether the session behind it still stands
//! is another question; the server answers it from memory, an application by following the change feed.
//!
//! ```
//! use usher_verify::{KeySet, Refusal, TokenType, Verifier};
//!
//! # fn main() -> Result<(), usher_verify::BadKeySet> {
//! let keys = KeySet::from_jwks(r#"{"keys":[]}"#)?;
//! let verifier = Verifier::new(keys, "https://usher.example", "https://api.example");
//! let now = 1_700_000_000;
//! assert_eq!(verifier.verify("not a token", TokenType::Access, now).err(), Some(Refusal::Malformed));
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod algorithm;
mod cache;
mod claims;
mod compact;
mod keys;
mod verify;

pub use algorithm::{Algorithm, TokenType};
pub use cache::CachedVerifier;
pub use claims::Claims;
pub use compact::{MAX_HEADER, MAX_TOKEN};
pub use keys::{BadKeySet, KeySet, MAX_KID, PublicKey};
pub use verify::{MAX_CLOCK_SKEW, Refusal, Verifier};
