//! Takeout's `auth.db`: one table of users, as its own library keeps it.
//!
//! The password is scrypt (N = 32768, r = 8, p = 1) over a salt of 8 bytes; the media list is text with commas; the
//! passcode is a whole otpauth URL, in clear, and goes on being asked for. Removed users are rows with `deleted_at`, and are left out. Takeout tells
//! names apart by case and this house does not, so the second of two such users is refused.

use super::{Found, ReadRow, Unread};
use crate::accounts::hash::Encoded;
use crate::accounts::import::{Candidate, Proof};
use crate::cli::stop::Stop;
use crate::login::totp::Otpauth;
use std::path::Path;
use usher_db::{Value, read_foreign};
use zeroize::Zeroizing;

pub fn read(file: &Path) -> Result<Found, Stop> {
    let rows = read_foreign(file, "users", &["name", "key", "salt"], &["deleted_at", "media", "totp"])
        .map_err(|error| Stop::refused(format!("{} is not Takeout's auth.db: {error}", file.display())))?;
    let mut found = Found::default();
    for (at, row) in (1..).zip(rows) {
        if let Some(row) = candidate(at, row) {
            found.rows.push(row);
        }
    }
    Ok(found)
}

/// The user in a row; none when it was removed there.
fn candidate(row: u64, values: Vec<Value>) -> Option<ReadRow> {
    let [name, key, salt, deleted, media, totp] = <[Value; 6]>::try_from(values).unwrap_or_default();
    if deleted != Value::Null {
        return None;
    }
    let (Value::Text(username), Value::Bytes(key), Value::Bytes(salt)) = (name, key, salt) else {
        let why = "its name, key or salt has not the form that Takeout gives it".to_owned();
        return Some(Err(Unread { row, username: String::new(), why }));
    };
    let text = |value: Value| if let Value::Text(text) = value { text } else { String::new() };
    let buckets = text(media).split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let refused = |username: String, why: String| Some(Err(Unread { row, username, why }));
    let hash = match Encoded::takeout(&salt, &key) {
        Ok(hash) => Zeroizing::new(hash.to_string()),
        Err(error) => return refused(username, error.to_string()),
    };
    let otpauth = Zeroizing::new(text(totp));
    if !otpauth.is_empty()
        && let Err(error) = Otpauth::parse(&otpauth)
    {
        return refused(username, format!("its passcode cannot be taken over: {error}"));
    }
    Some(Ok(Candidate { row, username, proof: Proof::Hash(hash), buckets, otpauth, ..Candidate::default() }))
}
