//! The verifier from outside: forged tokens, an independent implementation, and arbitrary text.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene should stop")]

mod cached;
mod crosscheck;
mod forged;
mod properties;
mod support;
