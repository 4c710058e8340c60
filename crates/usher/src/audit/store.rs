//! The statements of the audit log.

use super::{Entry, Filter, Recorded, smallest_at};
use crate::id::EventId;
use crate::time::Time;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    INSERT: Write = "INSERT INTO audit_events (id, at, event, result, account_id, actor_id, session_id, target, address, \
        request_id, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    // One for each filter, so that each is answered in the order of an index: with the filter in one statement, a rare
    // event would be searched for in the whole log.
    NEWEST: Scan = "SELECT id, at, event, result, account_id, actor_id, session_id, target, address, request_id, detail \
        FROM audit_events WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    OF_EVENT: Scan = "SELECT id, at, event, result, account_id, actor_id, session_id, target, address, request_id, detail \
        FROM audit_events WHERE event = $4 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    OF_ACCOUNT: Scan = "SELECT id, at, event, result, account_id, actor_id, session_id, target, address, request_id, detail \
        FROM audit_events WHERE account_id = $4 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    // What one account did is little beside the log.
    OF_BOTH: Scan = "SELECT id, at, event, result, account_id, actor_id, session_id, target, address, request_id, detail \
        FROM audit_events WHERE account_id = $4 AND event = $5 AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3";
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
    // An id begins with the instant, so that both bounds are bounds of the index.
    let from = smallest_at(filter.since.unwrap_or(Time(0)));
    let to = filter.before.unwrap_or(EventId::from_bytes([u8::MAX; 16]));
    let rows = match (&filter.event, filter.account) {
        (None, None) => db.all(&NEWEST, args![from, to, limit]).await?,
        (Some(event), None) => db.all(&OF_EVENT, args![from, to, limit, event]).await?,
        (None, Some(account)) => db.all(&OF_ACCOUNT, args![from, to, limit, account]).await?,
        (Some(event), Some(account)) => db.all(&OF_BOTH, args![from, to, limit, account, event]).await?,
    };
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
