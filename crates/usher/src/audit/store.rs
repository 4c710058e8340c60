//! The statements of the audit log.

use super::{Entry, Filter, Recorded};
use crate::id::EventId;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    INSERT: Write = "INSERT INTO audit_events (id, at, event, result, account_id, actor_id, session_id, target, address, \
        request_id, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    LIST: Scan = "SELECT id, at, event, result, account_id, actor_id, session_id, target, address, request_id, detail \
        FROM audit_events WHERE (CAST($1 AS TEXT) IS NULL OR event = $1) AND (CAST($2 AS TEXT) IS NULL OR account_id = $2) \
        AND (CAST($3 AS BIGINT) IS NULL OR at >= $3) AND (CAST($4 AS TEXT) IS NULL OR id < $4) ORDER BY id DESC LIMIT $5";
    OF_REQUEST: Scan = "SELECT id, at, event, result, account_id, actor_id, session_id, target, address, request_id, detail \
        FROM audit_events WHERE request_id = $1 ORDER BY id LIMIT 100";
    // By id, which begins with the instant: there is no index on `at`, and a scan would grow with the log.
    FORGET: Write = "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events WHERE id < $1 ORDER BY id LIMIT $2)";
}

pub(super) async fn insert(tx: &mut Tx, entry: &Entry) -> Result<(), Error> {
    tx.execute(
        &INSERT,
        args![
            entry.id,
            entry.at,
            entry.event.word(),
            entry.outcome.word(),
            entry.account,
            entry.actor,
            entry.session,
            entry.target.as_str(),
            entry.address.as_str(),
            entry.request.as_str(),
            entry.detail.as_str()
        ],
    )
    .await
    .map(|_| ())
}

fn recorded(row: &Row) -> Result<Recorded, Error> {
    Ok(Recorded {
        id: row.get(0)?,
        at: row.get(1)?,
        event: row.get(2)?,
        result: row.get(3)?,
        account: row.get(4)?,
        actor: row.get(5)?,
        session: row.get(6)?,
        target: row.get(7)?,
        address: row.get(8)?,
        request: row.get(9)?,
        detail: row.get(10)?,
    })
}

/// Events that match, newest first.
pub async fn list(db: &Db, filter: &Filter, limit: u32) -> Result<Vec<Recorded>, Error> {
    let rows = db.all(&LIST, args![filter.event.clone(), filter.account, filter.since, filter.before, limit]).await?;
    rows.iter().map(recorded).collect()
}

/// The events of one request, in their order; a hundred at most.
pub async fn of_request(db: &Db, request: &str) -> Result<Vec<Recorded>, Error> {
    db.all(&OF_REQUEST, args![request]).await?.iter().map(recorded).collect()
}

/// Removes events with smaller ids than `before`, at most `limit` at a time.
pub(super) async fn forget(tx: &mut Tx, before: EventId, limit: u32) -> Result<u64, Error> {
    tx.execute(&FORGET, args![before, limit]).await
}
