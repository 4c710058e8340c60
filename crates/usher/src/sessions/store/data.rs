//! The statements of the data that applications keep with sessions.

use crate::id::{AccountId, SessionId};
use crate::sessions::data::{Item, Listed, Use};
use crate::time::Time;
use usher_db::{Db, Error, Tx, args, statements};

statements! {
    // The guard in the SELECT: nothing is attached to a session that has ended.
    PUT: Write = "INSERT INTO session_data (session_id, key, account_id, value, size, updated_at) \
        SELECT s.id, CAST($2 AS TEXT), s.account_id, CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS BIGINT) FROM sessions s \
        WHERE s.id = $1 AND s.ended_at IS NULL ON CONFLICT (session_id, key) DO UPDATE SET value = excluded.value, \
        size = excluded.size, updated_at = excluded.updated_at";
    USED: Point = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT), CAST(count(*) AS BIGINT) FROM session_data WHERE account_id = $1";
    GET: Point = "SELECT value FROM session_data WHERE session_id = $1 AND key = $2";
    LIST: Scan = "SELECT key, size, updated_at FROM session_data WHERE session_id = $1 ORDER BY key";
    VALUES: Scan = "SELECT key, value, updated_at FROM session_data WHERE session_id = $1 ORDER BY key";
    REMOVE: Write = "DELETE FROM session_data WHERE session_id = $1 AND key = $2";
    REMOVE_ALL: Write = "DELETE FROM session_data WHERE session_id = $1 AND account_id = $2";
    ENDED_AFTER: Scan = "SELECT d.session_id, d.key, s.ended_at FROM session_data d JOIN sessions s ON s.id = d.session_id \
        WHERE s.ended_at IS NOT NULL AND (d.session_id > $1 OR (d.session_id = $1 AND d.key > $2)) \
        ORDER BY d.session_id, d.key LIMIT $3";
}

/// Whether it was written; it is not when the session has ended.
pub(in crate::sessions) async fn put(
    tx: &mut Tx,
    session: SessionId,
    key: &str,
    value: &str,
    size: i64,
    now: Time,
) -> Result<bool, Error> {
    Ok(tx.execute(&PUT, args![session, key, value, size, now]).await? == 1)
}

pub(in crate::sessions) async fn used(tx: &mut Tx, account: AccountId) -> Result<Use, Error> {
    match tx.one(&USED, args![account]).await? {
        Some(row) => Ok(Use { bytes: row.get(0)?, items: row.get(1)? }),
        None => Ok(Use::default()),
    }
}

pub(in crate::sessions) async fn used_now(db: &Db, account: AccountId) -> Result<Use, Error> {
    match db.one(&USED, args![account]).await? {
        Some(row) => Ok(Use { bytes: row.get(0)?, items: row.get(1)? }),
        None => Ok(Use::default()),
    }
}

pub(in crate::sessions) async fn get(db: &Db, session: SessionId, key: &str) -> Result<Option<String>, Error> {
    db.one(&GET, args![session, key]).await?.map(|row| row.get(0)).transpose()
}

pub(in crate::sessions) async fn list(db: &Db, session: SessionId) -> Result<Vec<Listed>, Error> {
    let rows = db.all(&LIST, args![session]).await?;
    rows.iter().map(|row| Ok(Listed { key: row.get(0)?, size: row.get(1)?, updated_at: row.get(2)? })).collect()
}

pub(in crate::sessions) async fn values(db: &Db, session: SessionId) -> Result<Vec<Item>, Error> {
    let rows = db.all(&VALUES, args![session]).await?;
    rows.iter().map(|row| Ok(Item { key: row.get(0)?, value: row.get(1)?, updated_at: row.get(2)? })).collect()
}

pub(in crate::sessions) async fn remove(tx: &mut Tx, session: SessionId, key: &str) -> Result<bool, Error> {
    Ok(tx.execute(&REMOVE, args![session, key]).await? == 1)
}

pub(in crate::sessions) async fn remove_all(tx: &mut Tx, session: SessionId, account: AccountId) -> Result<u64, Error> {
    tx.execute(&REMOVE_ALL, args![session, account]).await
}

/// What belongs to ended sessions, in the order of session and key, after a place in it; with the end.
pub(in crate::sessions) async fn ended_after(
    db: &Db,
    session: &str,
    key: &str,
    limit: u32,
) -> Result<Vec<(SessionId, String, Time)>, Error> {
    let rows = db.all(&ENDED_AFTER, args![session, key, limit]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}
