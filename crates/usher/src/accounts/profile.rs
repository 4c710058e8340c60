//! What people say of themselves: a display name and an email address.

use super::{raise, store};
use crate::id::AccountId;
use crate::time::Time;
use usher_db::{Error, Tx};

/// The longest display name, in characters.
const NAME_CHARS: usize = 100;
/// The longest address (RFC 5321 section 4.5.3.1, as errata 1690 counts it).
const EMAIL_BYTES: usize = 254;

/// Why a profile is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The display name is too long or holds control characters.
    #[error("A display name has at most 100 characters, on one line.")]
    BadName,
    /// The address cannot be one.
    #[error("This is not an email address.")]
    BadEmail,
    /// The address belongs to another account.
    #[error("another account has this email address")]
    EmailTaken,
    /// There is no such account.
    #[error("there is no such account")]
    NotFound,
}

/// How an account's owner wants to be addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Reads a name. Nothing but spaces is no name.
    pub fn parse(text: &str) -> Result<Option<DisplayName>, ProfileError> {
        let text = text.trim();
        if text.chars().any(char::is_control) || text.chars().count() > NAME_CHARS {
            return Err(ProfileError::BadName);
        }
        Ok((!text.is_empty()).then(|| DisplayName(text.to_owned())))
    }

    /// The name.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// An email address by its form. Whether it is anybody's is proven by a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    display: String,
    key: String,
}

impl Email {
    /// Reads an address: one `@`, a local part without spaces, a domain of names and dots.
    pub fn parse(text: &str) -> Result<Email, ProfileError> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(ProfileError::BadEmail)?;
        let local_good = (1..=64).contains(&local.len())
            && local.chars().all(|c| !c.is_control() && !c.is_whitespace() && !"@<>\"(),:;[]\\".contains(c))
            && local.split('.').all(|part| !part.is_empty());
        let label = |part: &str| {
            (1..=63).contains(&part.len())
                && part.chars().all(|c| c.is_alphanumeric() || c == '-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        if text.len() > EMAIL_BYTES || !local_good || !domain.split('.').all(label) {
            return Err(ProfileError::BadEmail);
        }
        Ok(Email { display: text.to_owned(), key: text.to_lowercase() })
    }

    /// As its owner spells it.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// What spellings that differ in case have in common; unique among accounts.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A change of one's own facts: `None` leaves a fact, `Some(None)` removes it.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The display name.
    pub display_name: Option<Option<DisplayName>>,
    /// The email address. A new one is unproven, so that `verified` falls with it.
    pub email: Option<Option<Email>>,
}

/// Writes a change.
pub async fn change(tx: &mut Tx, id: AccountId, change: &Change, now: Time) -> Result<Result<(), ProfileError>, Error> {
    if store::hold(tx, id).await?.is_none() {
        return Ok(Err(ProfileError::NotFound));
    }
    if let Some(name) = &change.display_name {
        store::set_display_name(tx, id, name.as_ref().map(|name| name.0.as_str())).await?;
    }
    if let Some(email) = &change.email {
        let (display, key) = (email.as_ref().map(|it| it.display.as_str()), email.as_ref().map(|it| it.key.as_str()));
        if !store::set_email(tx, id, display, key).await? {
            return Ok(tx.undo(Err(ProfileError::EmailTaken)));
        }
        raise(tx, id, now).await?;
    }
    Ok(Ok(()))
}

/// Notes that the address an account has is its owner's. `false` when it has another one by now, or none.
pub async fn prove_email(tx: &mut Tx, id: AccountId, email: &Email, now: Time) -> Result<bool, Error> {
    if !store::prove_email(tx, id, &email.key, now).await? {
        return Ok(false);
    }
    raise(tx, id, now).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_local_part_and_a_domain() {
        for good in ["a@b", "anna.b+films@mail.example.org", " Anna@Example.ORG ", "jürgen@bücher.example"] {
            assert!(Email::parse(good).is_ok(), "{good:?}");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        for bad in
            ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b..c", "a@-b", "a..b@c", "a@b\r\nBcc: x@y", "<a@b>", &long]
        {
            assert_eq!(Email::parse(bad), Err(ProfileError::BadEmail), "{bad:?}");
        }
    }

    #[test]
    fn spellings_of_an_address_that_differ_in_case_are_one() {
        let keys = ["Anna@Example.org", "anna@example.ORG"].map(|text| Email::parse(text).map(|email| email.key));
        assert_eq!(keys[0], keys[1]);
    }

    #[test]
    fn a_display_name_is_one_line() {
        assert_eq!(DisplayName::parse("  Anna B.  "), Ok(Some(DisplayName("Anna B.".to_owned()))));
        assert_eq!(DisplayName::parse("   "), Ok(None));
        assert_eq!(DisplayName::parse("a\nb"), Err(ProfileError::BadName));
        assert_eq!(DisplayName::parse(&"a".repeat(101)), Err(ProfileError::BadName));
    }
}
