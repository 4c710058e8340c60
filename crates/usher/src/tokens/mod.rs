//! Tokens: what is derived from a session, or proves a thing once.
//!
//! This part owns the signing keys. It promises that every signed token names its key by a random id,
//! that its algorithm is the key's, that its kind is in its `typ`, and that no token is issued which the
//! verifier would refuse for its form. The public half of a key is published before the first token it
//! signs and until the last one it signed is dead, so that rotation fails no verification (RFC 7517;
//! RFC 8725 section 3.1).
//!
//! What you will not find: symmetric signatures, encryption, a private key outside this process in any
//! form but sealed, or a second verifier. Signatures are checked by `usher-verify`, here as elsewhere.

pub mod api;
pub mod issue;
pub mod keys;
pub mod live;
pub mod macs;
pub mod mint;
pub mod personal;
pub mod ring;
mod sign;
mod store;
pub use store::STATEMENTS;

pub use keys::{KeyFailure, SigningKey};
pub use mint::{Audience, OWN_CLIENT, access, media};
pub use ring::{BrokenRing, KeyRing, KeyState, RotationRules, TooSoon};
pub use sign::SigningFailed;
