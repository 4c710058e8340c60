//! Accounts that come from another system: what such a row may say, and whether an account can be made of it.
//!
//! Promises: a password is taken over as it was hashed there, and whoever had it goes on logging in with it; a row is
//! judged by the rules of this house for names, addresses and hashes, and a refusal says which; two rows that would be
//! one account, or could be mistaken for each other, are noticed before either is made.
//! Refuses: hashes that are too cheap to keep or too costly to check (`hash.rs`). A password itself is never judged:
//! its owner chose it under other rules, and is asked for a better one when it is changed.

use super::hash::{Encoded, NotAHash};
use super::policy::MAX_BYTES;
use super::profile::{DisplayName, Email, ProfileError};
use super::username::{Username, UsernameError};
use crate::secret::carried;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use zeroize::Zeroizing;

/// What a row proves its owner with.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Nothing: the account waits for a link by which its owner chooses a password.
    #[default]
    None,
    /// A hash, in a text that `hash.rs` knows.
    Hash(#[serde(with = "carried")] Zeroizing<String>),
    /// The password itself, from systems that kept it so. It is hashed here.
    Plain(#[serde(with = "carried")] Zeroizing<String>),
}

/// A row, in the words of this house but with nothing checked yet.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Where it stood, counted from 1.
    pub row: u64,
    /// The name.
    pub username: String,
    /// The password.
    pub proof: Proof,
    /// The address.
    pub email: Option<String>,
    /// How pages address its owner.
    pub display_name: Option<String>,
    /// Whether it may manage others.
    pub admin: bool,
    /// Whether the address was proven there.
    pub verified: bool,
    /// Whether it was shut out there.
    pub disabled: bool,
    /// Names of groups, which must exist.
    pub groups: Vec<String>,
    /// Names of buckets; `all` is every bucket.
    pub buckets: Vec<String>,
    /// The otpauth address of the passcodes that its owner shows beside the password; empty for none.
    #[serde(with = "carried")]
    pub otpauth: Zeroizing<String>,
}

/// Half of it is secret, so only the name is shown.
impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Candidate({}, {:?})", self.row, self.username)
    }
}

/// Why no account can be made of a row. Each is a sentence for whoever imports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The name.
    #[error("{0}")]
    Username(#[from] UsernameError),
    /// The hash.
    #[error("{0}")]
    Hash(#[from] NotAHash),
    /// The address or the display name.
    #[error("{0}")]
    Profile(#[from] ProfileError),
    /// A password that no form would take.
    #[error("the password is longer than 1024 bytes")]
    PasswordTooLong,
    /// The same name stood in an earlier row, in some spelling.
    #[error("it is the same account as row {0}")]
    SameAs(u64),
    /// The name looks like the one of an earlier row.
    #[error("the name could be mistaken for the one in row {0}")]
    LooksLike(u64),
    /// The address stood in an earlier row.
    #[error("row {0} has the same email address")]
    SameEmail(u64),
}

/// A row of which an account can be made, if nobody has its name yet.
#[derive(Clone)]
pub struct Fit {
    /// The name.
    pub username: Username,
    /// The hash or the password; the hash in the form that is stored.
    pub proof: Proof,
    /// The address.
    pub email: Option<Email>,
    /// How pages address its owner.
    pub display_name: Option<DisplayName>,
}

/// Judges what a row says by itself.
pub fn judge(candidate: &Candidate) -> Result<Fit, Unfit> {
    let username = Username::parse(&candidate.username)?;
    let proof = match &candidate.proof {
        Proof::None => Proof::None,
        Proof::Plain(text) if text.len() > MAX_BYTES => return Err(Unfit::PasswordTooLong),
        Proof::Plain(text) if text.is_empty() => Proof::None,
        Proof::Plain(text) => Proof::Plain(text.clone()),
        // Django marks an account without a password by a text that begins so.
        Proof::Hash(text) if text.is_empty() || text.starts_with('!') => Proof::None,
        Proof::Hash(text) => Proof::Hash(Zeroizing::new(Encoded::parse(text)?.to_string())),
    };
    let email = candidate.email.as_deref().map(Email::parse).transpose()?;
    let display_name = candidate.display_name.as_deref().map(DisplayName::parse).transpose()?.flatten();
    Ok(Fit { username, proof, email, display_name })
}

/// The rows that were seen: a name or an address of an earlier row cannot be had again.
#[derive(Default)]
pub struct Seen {
    names: HashMap<String, u64>,
    skeletons: HashMap<String, u64>,
    emails: HashMap<String, u64>,
}

impl Seen {
    /// Judges a row by itself and beside the rows before it.
    pub fn judge(&mut self, candidate: &Candidate) -> Result<Fit, Unfit> {
        let fit = judge(candidate)?;
        if let Some(row) = self.names.get(fit.username.key()) {
            return Err(Unfit::SameAs(*row));
        }
        if let Some(row) = self.skeletons.get(fit.username.skeleton_key()) {
            return Err(Unfit::LooksLike(*row));
        }
        if let Some(row) = fit.email.as_ref().and_then(|email| self.emails.get(email.key())) {
            return Err(Unfit::SameEmail(*row));
        }
        self.names.insert(fit.username.key().to_owned(), candidate.row);
        self.skeletons.insert(fit.username.skeleton_key().to_owned(), candidate.row);
        if let Some(email) = &fit.email {
            self.emails.insert(email.key().to_owned(), candidate.row);
        }
        Ok(fit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: u64, username: &str) -> Candidate {
        Candidate { row, username: username.to_owned(), ..Candidate::default() }
    }

    #[test]
    fn a_row_that_would_be_an_earlier_account_again_is_noticed_before_either_is_made() {
        let mut seen = Seen::default();
        assert!(seen.judge(&row(1, "Paul")).is_ok());
        assert_eq!(seen.judge(&row(2, "PAUL")).err(), Some(Unfit::SameAs(1)));
        assert_eq!(seen.judge(&row(3, "PauI")).err(), Some(Unfit::LooksLike(1)));
        let with = |at, name: &str| Candidate { email: Some("A@example.org".to_owned()), ..row(at, name) };
        assert!(seen.judge(&with(4, "anna")).is_ok());
        assert_eq!(seen.judge(&with(5, "bert")).err(), Some(Unfit::SameEmail(4)));
        assert!(seen.judge(&row(6, "bert")).is_ok(), "a refused row takes nothing");
    }

    #[test]
    fn a_hash_that_is_too_cheap_or_unknown_is_refused_and_none_is_no_password() {
        let judged = |text: &str| {
            let proof = Proof::Hash(Zeroizing::new(text.to_owned()));
            judge(&Candidate { proof, ..row(1, "anna") }).map(|fit| fit.proof == Proof::None)
        };
        assert_eq!(judged("plum-anchor"), Err(Unfit::Hash(NotAHash::Scheme)));
        assert_eq!(judged("$scrypt$ln=10,r=8,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"), Err(NotAHash::TooCheap.into()));
        assert_eq!(judged("!unusable"), Ok(true));
        assert_eq!(judged(""), Ok(true));
    }

    #[test]
    fn a_candidate_shows_its_name_only() {
        let secret = Candidate {
            proof: Proof::Plain(Zeroizing::new("plum".to_owned())),
            email: Some("a@example.org".to_owned()),
            ..row(7, "anna")
        };
        assert_eq!(format!("{secret:?}"), "Candidate(7, \"anna\")");
    }
}
