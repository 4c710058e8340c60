//! What a new password must be: hard to guess. Nothing else.
//!
//! A password is judged in NFC, by its length in code points, by the bits an estimator gives it
//! (`entropy`), and against lists: common passwords and words as a whole, doubled, or joined in pairs
//! (`common`), the words of its own account and service (`context`), and optionally a file of
//! breached passwords (`breach`). All findings are reported at once, each as a sentence.
//!
//! Absent on purpose (NIST SP 800-63B section 3.1.1.2): rules about kinds of characters, expiry, hints.
//! A listed word inside a longer phrase is no fault. Imported passwords are never judged at login.

mod breach;
mod common;
mod context;
mod entropy;
mod hint;

use crate::accounts::hash::nfc;
use std::fmt;
use std::io;
use std::path::Path;

pub use breach::BreachFile;
pub use entropy::entropy_bits;
pub use hint::{Hint, strength_hint};

/// The longest password, in bytes of UTF-8 as sent. Checked before anything that costs time.
pub const MAX_BYTES: usize = 1024;
/// Code points a password must have.
pub const MIN_LENGTH: usize = 12;
/// The same where passwords stand alone and the operator wants NIST's figure.
pub const MIN_LENGTH_STRICT: usize = 15;
/// Bits that [`entropy_bits`] must give.
pub const MIN_BITS: f64 = 60.0;

/// The rules for new passwords.
#[derive(Debug, Default)]
pub struct Policy {
    min_length: MinLength,
    breached: Option<BreachFile>,
}

#[derive(Debug, Clone, Copy)]
struct MinLength(usize);

impl Default for MinLength {
    fn default() -> Self {
        MinLength(MIN_LENGTH)
    }
}

/// One thing wrong with a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Fewer code points than the policy asks.
    TooShort {
        /// What the policy asks.
        min: usize,
    },
    /// More than [`MAX_BYTES`].
    TooLong,
    /// The estimator gives it fewer than [`MIN_BITS`]; holds whole bits, rounded down.
    Guessable {
        /// What the estimator gives.
        bits: u32,
    },
    /// A common password or word, alone, doubled, or two of them joined.
    Common,
    /// Little more than the account's or the service's own words.
    Context,
    /// In the operator's file of breached passwords.
    Breached,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weakness::TooShort { min } => write!(f, "Use at least {min} characters."),
            Weakness::TooLong => write!(f, "Use at most {MAX_BYTES} bytes; that is room for several sentences."),
            Weakness::Guessable { .. } => {
                f.write_str("This is too easy to guess. Make it longer: four or five unrelated words do well.")
            }
            Weakness::Common => {
                f.write_str("This is a common password, or made of common ones, which are guessed first.")
            }
            Weakness::Context => {
                f.write_str("This is made of your name or the name of this service, which are guessed first.")
            }
            Weakness::Breached => {
                f.write_str("This password has appeared in a data breach, so others know it. Choose another.")
            }
        }
    }
}

impl Policy {
    /// The rules with `min_length` code points; see [`MIN_LENGTH`] and [`MIN_LENGTH_STRICT`].
    pub fn new(min_length: usize) -> Policy {
        Policy { min_length: MinLength(min_length), breached: None }
    }

    /// Adds a file of breached passwords; see [`BreachFile`] for its forms.
    ///
    /// # Errors
    /// The file cannot be read or has neither form.
    pub fn with_breached(mut self, path: &Path) -> io::Result<Policy> {
        self.breached = Some(BreachFile::open(path)?);
        Ok(self)
    }

    /// Judges a new password. `context` holds words that belong to the account or the service:
    /// username, display name, email, service name, host.
    ///
    /// Takes some tens of milliseconds for passwords that are close to listed ones, and reads the breach
    /// file; call it off the runtime threads.
    ///
    /// # Errors
    /// Everything that is wrong with it, the plainest first.
    pub fn check(&self, password: &str, context: &[&str]) -> Result<(), Vec<Weakness>> {
        if password.len() > MAX_BYTES {
            return Err(vec![Weakness::TooLong]);
        }
        let password = nfc(password);
        let mut found = Vec::new();
        if password.chars().count() < self.min_length.0 {
            found.push(Weakness::TooShort { min: self.min_length.0 });
        }
        let bits = entropy_bits(&password);
        if bits < MIN_BITS {
            found.push(Weakness::Guessable { bits: whole(bits) });
        }
        if common::is_common(&password) {
            found.push(Weakness::Common);
        }
        if context::is_made_of(&password, context) {
            found.push(Weakness::Context);
        }
        if self.breached.as_ref().is_some_and(|file| is_breached(file, &password)) {
            found.push(Weakness::Breached);
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

/// A file that stops being readable must not stop people from choosing passwords; the log says so.
fn is_breached(file: &BreachFile, password: &str) -> bool {
    file.contains(password).unwrap_or_else(|why| {
        tracing::error!(%why, "the file of breached passwords cannot be read; passwords are not checked against it");
        false
    })
}

/// Whole bits. The estimator stays below 10,000 for the longest password.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn whole(bits: f64) -> u32 {
    bits.clamp(0.0, 100_000.0) as u32
}

#[cfg(test)]
mod tests;
