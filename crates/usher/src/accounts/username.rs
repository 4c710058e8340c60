//! Usernames: a name, an email address or any other unique identifier.
//!
//! A name has three forms. The *display* form is what its owner chose, in one normal form (NFKC), case kept.
//! The *key* is what makes it unique: width-mapped, case-folded, so that `ADMIN` and `ａｄｍｉｎ` are
//! `admin` (RFC 8265 section 3.3, `UsernameCaseMapped`, with NFKC in place of NFC and inner spaces
//! allowed). The *skeleton* is what it looks like (UTS 39 section 4): a new name whose skeleton is
//! taken would be mistaken for the one that has it, and is refused by whoever stores names.
//!
//! Refused outright: control, zero-width and bidirectional characters, scripts mixed in one word
//! (UTS 39 section 5.1), and anything outside letters, marks, digits and printable ASCII
//! (RFC 8264 section 4.2).

mod text;

use std::fmt;
use unicode_normalization::UnicodeNormalization;
use unicode_security::MixedScript;

/// The longest name, in bytes of UTF-8, in its display form and in its key.
pub const MAX_BYTES: usize = 128;

/// Normal forms grow and shrink text; what is longer than this before them is not looked at.
const MAX_RAW_BYTES: usize = 4 * MAX_BYTES;

/// A name that an account may have.
#[derive(Clone, PartialEq, Eq)]
pub struct Username {
    display: String,
    key: String,
    skeleton: String,
}

/// Why a name cannot be had. Each is a sentence for the person who chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// Nothing, or nothing but spaces.
    #[error("Enter a username.")]
    Empty,
    /// Longer than [`MAX_BYTES`].
    #[error("A username can be at most 128 bytes long.")]
    TooLong,
    /// A space at either end, or two in a row.
    #[error("A username cannot begin or end with a space, or have two spaces in a row.")]
    Spaces,
    /// A character that cannot be seen, or that changes the order of what is seen.
    #[error("The username contains an invisible character. Type it instead of pasting it.")]
    Invisible,
    /// A character of no use in names: symbols, emoji, punctuation outside ASCII, stacked marks.
    #[error("The username contains “{0}”, which cannot be used. Use letters, digits and plain punctuation.")]
    Character(char),
    /// Letters of several scripts that are never written together.
    #[error("The username mixes letters of different alphabets. Use one alphabet.")]
    MixedScript,
    /// Right-to-left text that would be displayed in another order than it is stored.
    #[error("A right-to-left username must begin with a letter and end with a letter or a digit.")]
    Direction,
    /// An `@`, but no single mailbox around it.
    #[error("The username looks like an email address but is not one. It needs one “@” between a name and a domain.")]
    Email,
}

impl Username {
    /// Reads a name as a person typed it.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn parse(text: &str) -> Result<Username, UsernameError> {
        if text.len() > MAX_RAW_BYTES {
            return Err(UsernameError::TooLong);
        }
        // Judged before normalising as well: NFKC turns some spaces and fillers into innocent ones.
        if text.chars().any(text::is_invisible) {
            return Err(UsernameError::Invisible);
        }
        let display: String = text.nfkc().collect();
        if display.trim().is_empty() {
            return Err(UsernameError::Empty);
        }
        if display.len() > MAX_BYTES {
            return Err(UsernameError::TooLong);
        }
        text::check_spaces(&display)?;
        text::check_characters(&display)?;
        text::check_direction(&display)?;
        let key = text::fold(&display);
        if key.len() > MAX_BYTES {
            return Err(UsernameError::TooLong);
        }
        match split_email(&key)? {
            // A mailbox in one script at a domain in another is common; a mixed label is not.
            Some((local, domain)) => {
                check_scripts(local).and_then(|()| domain.split('.').try_for_each(check_scripts))?
            }
            None => check_scripts(&display)?,
        }
        let skeleton = text::skeleton(&display);
        Ok(Username { display, key, skeleton })
    }

    /// The name as its owner wrote it, in NFKC.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// What two spellings of one name have in common; unique among accounts.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What the name looks like. Two accounts with one skeleton could be mistaken for each other.
    ///
    /// Taken from the display form, because that is what people see: `PauI` with a capital i has the
    /// skeleton of `Paul`. It is only ever compared, never shown.
    pub fn skeleton_key(&self) -> &str {
        &self.skeleton
    }

    /// Mailbox and domain, folded, when the name is an email address.
    pub fn email(&self) -> Option<(&str, &str)> {
        split_email(&self.key).ok().flatten()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Username({:?})", self.display)
    }
}

/// The key to look an account up by, from whatever was typed at login.
///
/// It judges nothing: a name that could not be had has a key too, which simply belongs to nobody, so
/// that a login tells nothing about the rules. Spaces at the ends, which phones add, are left out.
/// `None` when nothing was typed or it cannot be anybody's (too long, or with a NUL); treat it as an unknown name.
pub fn lookup_key(text: &str) -> Option<String> {
    if text.len() > MAX_RAW_BYTES {
        return None;
    }
    let key = text::fold(text.trim());
    // No name holds a NUL, and databases disagree on what one means: the end of the text, a character, an error.
    (!key.is_empty() && key.len() <= MAX_BYTES && !key.contains('\0')).then_some(key)
}

fn check_scripts(part: &str) -> Result<(), UsernameError> {
    if part.is_single_script() { Ok(()) } else { Err(UsernameError::MixedScript) }
}

/// Splits an address once, here, so that nothing later can find another domain in it
/// (`a@b@c` was delivered to one host and judged by the other in systems that split twice).
fn split_email(key: &str) -> Result<Option<(&str, &str)>, UsernameError> {
    let Some((local, domain)) = key.split_once('@') else { return Ok(None) };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || (!c.is_ascii_punctuation() && c != ' '))
    };
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    let odd = |c: char| matches!(c, ' ' | '"' | '(' | ')' | ',' | ':' | ';' | '<' | '>' | '[' | '\\' | ']');
    if local.is_empty() || dots || local.chars().any(odd) || !domain.split('.').all(label) {
        return Err(UsernameError::Email);
    }
    Ok(Some((local, domain)))
}

#[cfg(test)]
mod tests;
