//! What an application keeps with a session: JSON by key.
//!
//! Promises: what one account's sessions carry together stays below the configured size, however many
//! write at once; nothing is attached to a session that has ended; what the configuration keeps beyond the
//! end can be read by its owner, and goes with the account.
//! Refuses: keys that an address would not carry unchanged, and JSON too deep for careful readers.

use super::store::data as store;
use crate::accounts;
use crate::config::{Retain, Retention};
use crate::cx::Cx;
use crate::id::{AccountId, SessionId};
use crate::json;
use crate::time::Time;
use std::time::Duration;
use usher_db::Error;

/// The longest key, in bytes.
pub const KEY_BYTES: usize = 128;
/// The deepest nesting of arrays and objects.
pub const DEPTH: usize = 32;
/// The most keys that one account's sessions have together.
pub const MOST_KEYS: i64 = 1_024;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows looked at, and rows deleted, at once: far below what one statement or one write may take.
const PAGE: u32 = 200;

/// Why data is not kept or not found.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The key is none.
    #[error("A key has 1 to 128 letters, digits or `._-`, in parts separated by `/`; no part is empty, `.` or `..`.")]
    BadKey,
    /// The JSON nests too deep.
    #[error("The JSON is nested deeper than 32 levels.")]
    TooDeep,
    /// Nothing by that key, or no such session of this account.
    #[error("there is nothing by that name")]
    NotFound,
    /// The session has ended meanwhile.
    #[error("the session has ended")]
    Ended,
    /// It would be more than the account may keep.
    #[error("Your sessions hold as much data as they may. Remove some first.")]
    Full,
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// A key that is in order.
#[derive(Clone, Debug)]
pub struct Key(String);

impl Key {
    /// Reads a key. Dot segments and empty ones are refused because clients and proxies rewrite addresses
    /// that hold them (RFC 3986 section 5.2.4).
    pub fn parse(text: &str) -> Result<Key, DataError> {
        let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let good = |part: &str| !matches!(part, "" | "." | "..") && letters(part);
        if text.len() <= KEY_BYTES && text.split('/').all(good) {
            Ok(Key(text.to_owned()))
        } else {
            Err(DataError::BadKey)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How much an account's sessions hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Use {
    /// Keys and values, in bytes.
    pub bytes: i64,
    /// How many.
    pub items: i64,
}

/// A key and its size.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// Key and value, in bytes.
    pub size: i64,
    /// The last write.
    pub updated_at: Time,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Item {
    /// The key.
    pub key: String,
    /// JSON, as it was sent.
    pub value: String,
    /// The last write.
    pub updated_at: Time,
}

/// Keeps `value`, which is JSON, under `key`.
///
/// The account's row is taken first, so that writes of all its sessions are added up one after the other.
pub async fn put(cx: &Cx, account: AccountId, session: SessionId, key: Key, value: String) -> Result<(), DataError> {
    if json::depth(value.as_bytes()) > DEPTH {
        return Err(DataError::TooDeep);
    }
    let size = i64::try_from(key.0.len() + value.len()).unwrap_or(i64::MAX);
    let limit = i64::try_from(cx.app.config.sessions.data_limit).unwrap_or(i64::MAX);
    let now = cx.now;
    cx.write("session_data.put", async move |tx| {
        if accounts::hold(tx, account).await?.is_none() || !store::put(tx, session, &key.0, &value, size, now).await? {
            return Ok(tx.undo(Err(DataError::Ended)));
        }
        let used = store::used(tx, account).await?;
        if used.bytes > limit || used.items > MOST_KEYS {
            return Ok(tx.undo(Err(DataError::Full)));
        }
        Ok(Ok(()))
    })
    .await?
}

/// The value under `key`.
pub async fn get(cx: &Cx, session: SessionId, key: &Key) -> Result<String, DataError> {
    store::get(&cx.app.db, session, &key.0).await?.ok_or(DataError::NotFound)
}

/// Removes `key`.
pub async fn remove(cx: &Cx, session: SessionId, key: Key) -> Result<(), DataError> {
    let removed = cx.write("session_data.remove", async move |tx| store::remove(tx, session, &key.0).await).await?;
    if removed { Ok(()) } else { Err(DataError::NotFound) }
}

/// The session's keys, and what all of the account's sessions hold together.
pub async fn list(cx: &Cx, account: AccountId, session: SessionId) -> Result<(Vec<Listed>, Use), DataError> {
    Ok((store::list(&cx.app.db, session).await?, store::used_now(&cx.app.db, account).await?))
}

/// Everything kept with a session, live or ended. `owner` limits it to the sessions of one account.
pub async fn of_session(cx: &Cx, owner: Option<AccountId>, id: SessionId) -> Result<Vec<Item>, DataError> {
    let session = super::store::find(&cx.app.db, id).await?.ok_or(DataError::NotFound)?;
    if owner.is_some_and(|owner| owner != session.account) {
        return Err(DataError::NotFound);
    }
    let mut items = store::values(&cx.app.db, id).await?;
    if let super::State::Ended { at, .. } = session.state {
        // What is past its time is gone for readers, whether or not it was swept yet.
        items.retain(|item| kept(&cx.app.config.sessions.data, &item.key, at, cx.now));
    }
    Ok(items)
}

/// Removes everything kept with a session of the account.
pub async fn clear(cx: &Cx, account: AccountId, id: SessionId) -> Result<(), DataError> {
    let session = super::store::find(&cx.app.db, id).await?.ok_or(DataError::NotFound)?;
    if session.account != account {
        return Err(DataError::NotFound);
    }
    cx.write("session_data.clear", async move |tx| store::remove_all(tx, id, account).await).await?;
    Ok(())
}

/// Whether `key` is still kept at `now`, its session having ended at `ended_at`. The longest prefix that
/// fits decides; without one, data ends with its session.
fn kept(rules: &[Retention], key: &str, ended_at: Time, now: Time) -> bool {
    let rule = rules.iter().filter(|rule| key.starts_with(&rule.prefix)).max_by_key(|rule| rule.prefix.len());
    match rule.map(|rule| rule.retain).unwrap_or_default() {
        Retain::Session => false,
        Retain::Days(days) => now < ended_at + DAY * days,
        Retain::Forever => true,
    }
}

/// Removes data of ended sessions whose time is over, about `limit` rows of it. Returns how many.
///
/// An ended session takes no more data and never comes back, so reading first and deleting then is safe.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let (mut place, mut removed) = ((String::new(), String::new()), 0);
    while removed < u64::from(limit) {
        let rows = store::ended_after(&cx.app.db, &place.0, &place.1, PAGE).await?;
        let Some((session, key, _)) = rows.last() else { break };
        place = (session.to_string(), key.clone());
        let rules = &cx.app.config.sessions.data;
        let over: Vec<(SessionId, String)> = rows
            .into_iter()
            .filter(|(_, key, ended_at)| !kept(rules, key, *ended_at, cx.now))
            .map(|(session, key, _)| (session, key))
            .collect();
        if over.is_empty() {
            continue;
        }
        removed += u64::try_from(over.len()).unwrap_or(u64::MAX);
        cx.write("session_data.sweep", async move |tx| {
            for (session, key) in &over {
                store::remove(tx, *session, key).await?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_an_address_carries_unchanged() {
        for good in ["a", "player/position.1", "A-b_c/0", &"k".repeat(128)] {
            assert!(Key::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "/a", "a/", "a//b", ".", "a/../b", "a/.", "a b", "ä", "a?b", "a%2fb", &"k".repeat(129)] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_longest_prefix_decides_how_long_data_is_kept() {
        let rule = |prefix: &str, retain| Retention { prefix: prefix.to_owned(), retain };
        let rules = [
            rule("notes/", Retain::Forever),
            rule("notes/draft", Retain::Days(2)),
            rule("notes/draft/x", Retain::Session),
        ];
        let after = |key: &str, days: u32| kept(&rules, key, Time(0), Time(0) + DAY * days);
        assert!(after("notes/a", 4_000));
        assert!(after("notes/draft", 1) && !after("notes/draft", 2));
        assert!(!after("notes/draft/x", 0) && !after("other", 0));
    }
}
