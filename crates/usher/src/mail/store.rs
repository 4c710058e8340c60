//! The statements of the outbox.

use super::{Due, MOST_IN_ALL, MOST_WAITING, Outgoing};
use crate::id::{AccountId, LetterId};
use crate::seal::Resealed;
use crate::time::Time;
use usher_db::{Db, Error, Tx, args, statements};

statements! {
    // The bounds in the statement: of many letters at once, those beyond are not written. A letter without a recipient
    // of its own goes to the proven address as it stands in this transaction.
    INSERT: Write = "INSERT INTO outbox (id, account_id, recipient, sealed, made_at, due_at, tries, expires_at) \
        SELECT CAST($1 AS TEXT), a.id, COALESCE(CAST($3 AS TEXT), a.email), CAST($4 AS TEXT), CAST($5 AS BIGINT), \
        CAST($5 AS BIGINT), 0, CAST($6 AS BIGINT) FROM accounts a WHERE a.id = $2 \
        AND (CAST($3 AS TEXT) IS NOT NULL OR (a.email IS NOT NULL AND a.verified_at IS NOT NULL)) \
        AND (SELECT count(*) FROM outbox o WHERE o.account_id = $2) < $7 AND (SELECT count(*) FROM outbox o) < $8";
    DUE: Scan = "SELECT id FROM outbox WHERE due_at <= $1 AND expires_at > $1 ORDER BY due_at LIMIT $2";
    // The guard lets one of several nodes have it.
    TAKE: Write = "UPDATE outbox SET tries = tries + 1 WHERE id = $1 AND due_at <= $2 AND expires_at > $2 \
        RETURNING recipient, sealed, made_at, tries";
    POSTPONE: Write = "UPDATE outbox SET due_at = $2 WHERE id = $1";
    DELETE: Write = "DELETE FROM outbox WHERE id = $1";
    SWEEP: Write = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE expires_at <= $1 LIMIT $2)";
    FORGET: Write = "DELETE FROM outbox";
    ALL: Scan = "SELECT id, sealed FROM outbox ORDER BY id";
    RESEAL: Write = "UPDATE outbox SET sealed = $2 WHERE id = $1";
}

pub(super) async fn insert(tx: &mut Tx, letter: &Outgoing, account: AccountId, now: Time) -> Result<bool, Error> {
    let (recipient, sealed) = (letter.recipient.as_deref(), letter.sealed.as_str());
    let bounds = (MOST_WAITING, MOST_IN_ALL);
    let args = args![letter.id, account, recipient, sealed, now, letter.expires_at, bounds.0, bounds.1];
    Ok(tx.execute(&INSERT, args).await? == 1)
}

pub(super) async fn due(db: &Db, now: Time, limit: u32) -> Result<Vec<LetterId>, Error> {
    db.all(&DUE, args![now, limit]).await?.iter().map(|row| row.get(0)).collect()
}

pub(super) async fn take(tx: &mut Tx, id: LetterId, now: Time) -> Result<Option<Due>, Error> {
    let Some(row) = tx.one(&TAKE, args![id, now]).await? else { return Ok(None) };
    Ok(Some(Due { id, recipient: row.get(0)?, sealed: row.get(1)?, made_at: row.get(2)?, tries: row.get(3)? }))
}

pub(super) async fn postpone(tx: &mut Tx, id: LetterId, until: Time) -> Result<(), Error> {
    tx.execute(&POSTPONE, args![id, until]).await.map(|_| ())
}

pub(super) async fn delete(tx: &mut Tx, id: LetterId) -> Result<(), Error> {
    tx.execute(&DELETE, args![id]).await.map(|_| ())
}

pub(super) async fn sweep(tx: &mut Tx, now: Time, limit: u32) -> Result<u64, Error> {
    tx.execute(&SWEEP, args![now, limit]).await
}

pub(super) async fn forget(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(&FORGET, args![]).await.map(|_| ())
}

pub(super) async fn all(db: &Db) -> Result<Vec<(LetterId, String)>, Error> {
    db.all(&ALL, args![]).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// The texts that are written to their rows.
pub(super) fn resealed(rows: Vec<(String, String)>) -> Resealed {
    Resealed::new(&RESEAL, rows)
}
