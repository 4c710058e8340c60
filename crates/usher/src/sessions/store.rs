//! The statements of sessions.

pub mod data;
pub mod known;

use super::{EndReason, Ended, Kind, NewSession, Session, State, Which};
use crate::id::{AccountId, SessionId};
use crate::secret::Digest;
use crate::time::Time;
use std::time::Duration;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    DEVICES: Point = "SELECT CAST(count(*) AS BIGINT), CAST(COALESCE(sum(CASE WHEN label = $2 THEN 1 ELSE 0 END), 0) AS BIGINT) \
        FROM sessions WHERE account_id = $1";
    INSERT: Write = "INSERT INTO sessions (id, account_id, kind, amr, secret_digest, ver, created_at, auth_at, last_used_at, \
        idle_for, expires_at, label, address, agent, grant_id, refresh_generation, refresh_digest, refresh_nonce, rotations) \
        VALUES ($1, $2, $3, $4, $5, 1, $6, $6, $6, $7, $8, $9, $10, $11, $12, 1, $13, $14, '')";
    LIVE: Point = "SELECT id, account_id, kind, amr, secret_digest, ver, auth_at, last_used_at, idle_for, expires_at, grant_id, \
        created_at FROM sessions WHERE id = $1 AND ended_at IS NULL";
    ID_OF_GRANT: Point = "SELECT id FROM sessions WHERE grant_id = $1 AND ended_at IS NULL";
    FIND: Point = "SELECT id, account_id, kind, amr, created_at, auth_at, last_used_at, idle_for, expires_at, label, address, \
        agent, ended_at, end_reason FROM sessions WHERE id = $1";
    LIST_LIVE: Scan = "SELECT id, account_id, kind, amr, created_at, auth_at, last_used_at, idle_for, expires_at, label, address, \
        agent, ended_at, end_reason FROM sessions WHERE account_id = $1 AND ended_at IS NULL ORDER BY last_used_at DESC, id DESC";
    NEWEST: Scan = "SELECT id, account_id, kind, amr, created_at, auth_at, last_used_at, idle_for, expires_at, label, address, \
        agent, ended_at, end_reason FROM sessions WHERE id < $1 AND ended_at IS NULL ORDER BY id DESC LIMIT $2";
    BEYOND_LIMIT: Scan = "SELECT id, grant_id FROM sessions WHERE account_id = $1 AND ended_at IS NULL \
        ORDER BY last_used_at DESC, id DESC LIMIT 1000 OFFSET $2";
    // Each of these decides by its guard: of several that come at once, one sees the row still live.
    END: Write = "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL RETURNING id, account_id, grant_id";
    END_OF: Write = "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND account_id = $4 AND ended_at IS NULL \
        RETURNING id, account_id, grant_id";
    END_ALL: Write = "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE account_id = $1 AND ended_at IS NULL \
        RETURNING id, account_id, grant_id";
    END_OTHERS: Write = "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE account_id = $1 AND id <> $4 AND ended_at IS NULL \
        RETURNING id, account_id, grant_id";
    END_EVERYONE: Write = "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE ended_at IS NULL RETURNING id, account_id, grant_id";
    END_SOME: Write = "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE id IN (SELECT id FROM sessions \
        WHERE ended_at IS NULL LIMIT $3) RETURNING id, account_id, grant_id";
    // Visits every live session, so it runs apart from writes; the update judges again what was used meanwhile.
    EXPIRED: Scan = "SELECT id FROM sessions WHERE ended_at IS NULL AND (expires_at <= $1 OR last_used_at + idle_for <= $3) \
        LIMIT $2";
    END_EXPIRED: Write = "UPDATE sessions SET ended_at = $2, end_reason = 'expired' WHERE id = $1 AND ended_at IS NULL \
        AND (expires_at <= $2 OR last_used_at + idle_for <= $3) RETURNING id, account_id, grant_id";
    FORGET: Write = "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s WHERE s.ended_at < $1 AND NOT EXISTS \
        (SELECT 1 FROM session_data d WHERE d.session_id = s.id) LIMIT $2)";
    // Never backwards: a late flush does not shorten what a newer one extended.
    TOUCH: Write = "UPDATE sessions SET last_used_at = $2 WHERE id = $1 AND ended_at IS NULL AND last_used_at < $2";
    RENEW_SECRET: Write = "UPDATE sessions SET secret_digest = $2, auth_at = $3, amr = $4, ver = ver + 1 \
        WHERE id = $1 AND ended_at IS NULL RETURNING ver";
    REFRESH_STATE: Point = "SELECT account_id, refresh_generation, refresh_digest, refresh_nonce, rotations, last_used_at, idle_for, \
        expires_at, kind, refresh_fixed_at FROM sessions WHERE id = $1 AND ended_at IS NULL";
    FIX_REFRESH: Write = "UPDATE sessions SET refresh_fixed_at = $2 WHERE id = $1";
    // The old digest in the guard lets one of several simultaneous refreshes through; the others meet the grace rule.
    ROTATE: Write = "UPDATE sessions SET refresh_generation = refresh_generation + 1, refresh_digest = $3, refresh_nonce = $4, \
        rotations = $5, last_used_at = $6 WHERE id = $1 AND ended_at IS NULL AND refresh_digest = $2 RETURNING refresh_generation";
}

/// The part of a live session that admission needs.
#[derive(Clone, Debug)]
pub struct LiveRow {
    /// The id.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// What holds it.
    pub kind: Kind,
    /// How it was proven.
    pub amr: String,
    /// What the cookie's secret must digest to.
    pub secret: Digest,
    /// Rises when the secret is renewed.
    pub ver: i64,
    /// The last proof.
    pub auth_at: Time,
    /// The last use on record.
    pub last_used_at: Time,
    /// How long it may be idle.
    pub idle_for: Duration,
    /// The absolute end.
    pub expires_at: Time,
    /// The media grant.
    pub grant: u64,
    /// The login.
    pub created_at: Time,
}

fn kind(row: &Row, column: usize) -> Result<Kind, Error> {
    row.get::<String>(column)?.parse().map_err(|()| row.impossible(column))
}

fn length(row: &Row, column: usize) -> Result<Duration, Error> {
    let millis = row.get::<i64>(column)?;
    Ok(Duration::from_millis(u64::try_from(millis).map_err(|_| row.impossible(column))?))
}

fn grant(row: &Row, column: usize) -> Result<u64, Error> {
    u64::try_from(row.get::<i64>(column)?).map_err(|_| row.impossible(column))
}

fn stored_grant(grant: u64) -> i64 {
    i64::try_from(grant).unwrap_or(i64::MAX)
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

fn session(row: &Row) -> Result<Session, Error> {
    let state = match row.get::<Option<Time>>(12)? {
        None => State::Live,
        Some(at) => State::Ended { at, reason: row.get::<Option<String>>(13)?.unwrap_or_default() },
    };
    Ok(Session {
        id: row.get(0)?,
        account: row.get(1)?,
        kind: kind(row, 2)?,
        amr: row.get(3)?,
        created_at: row.get(4)?,
        auth_at: row.get(5)?,
        last_used_at: row.get(6)?,
        idle_for: length(row, 7)?,
        expires_at: row.get(8)?,
        label: row.get(9)?,
        address: row.get(10)?,
        agent: row.get(11)?,
        state,
    })
}

fn ended(row: &Row) -> Result<Ended, Error> {
    Ok(Ended { id: row.get(0)?, account: row.get(1)?, grant: grant(row, 2)? })
}

pub(super) async fn insert(tx: &mut Tx, new: &NewSession, now: Time) -> Result<(), Error> {
    let refresh_digest = new.refresh.as_ref().map(|first| first.digest());
    let refresh_nonce = new.refresh.as_ref().map(|first| first.nonce_text());
    tx.execute(
        &INSERT,
        args![
            new.id,
            new.account,
            new.kind.word(),
            new.amr.as_str(),
            new.secret_digest(),
            now,
            millis(new.idle_for),
            now + new.absolute,
            new.label.as_str(),
            new.address.as_str(),
            new.agent.as_str(),
            stored_grant(new.grant),
            refresh_digest,
            refresh_nonce
        ],
    )
    .await
    .map(|_| ())
}

/// The live session with this id, as admission needs it.
pub(super) async fn find_live(db: &Db, id: SessionId) -> Result<Option<LiveRow>, Error> {
    let Some(row) = db.one(&LIVE, args![id]).await? else { return Ok(None) };
    Ok(Some(LiveRow {
        id: row.get(0)?,
        account: row.get(1)?,
        kind: kind(&row, 2)?,
        amr: row.get(3)?,
        secret: row.get(4)?,
        ver: row.get(5)?,
        auth_at: row.get(6)?,
        last_used_at: row.get(7)?,
        idle_for: length(&row, 8)?,
        expires_at: row.get(9)?,
        grant: grant(&row, 10)?,
        created_at: row.get(11)?,
    }))
}

/// The live session that a media grant belongs to.
pub(super) async fn find_by_grant(db: &Db, grant: u64) -> Result<Option<SessionId>, Error> {
    db.one(&ID_OF_GRANT, args![stored_grant(grant)]).await?.map(|row| row.get(0)).transpose()
}

/// The session, live or ended.
pub async fn find(db: &Db, id: SessionId) -> Result<Option<Session>, Error> {
    db.one(&FIND, args![id]).await?.as_ref().map(session).transpose()
}

/// An account's sessions that were not ended, last used first.
pub async fn list_live(db: &Db, account: AccountId) -> Result<Vec<Session>, Error> {
    db.all(&LIST_LIVE, args![account]).await?.iter().map(session).collect()
}

/// Everybody's sessions that were not ended and began before this one, newest first.
pub(super) async fn newest(db: &Db, before: SessionId, limit: u32) -> Result<Vec<Session>, Error> {
    db.all(&NEWEST, args![before, limit]).await?.iter().map(session).collect()
}

pub(super) async fn beyond_limit(tx: &mut Tx, account: AccountId, keep: u32) -> Result<Vec<(SessionId, u64)>, Error> {
    let rows = tx.all(&BEYOND_LIMIT, args![account, keep]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, grant(row, 1)?))).collect()
}

/// Whether the account has sessions, of now or of lately, and none on a device of this name.
pub(super) async fn is_new_device(tx: &mut Tx, account: AccountId, label: &str) -> Result<bool, Error> {
    let Some(row) = tx.one(&DEVICES, args![account, label]).await? else { return Ok(false) };
    Ok(row.get::<i64>(0)? > 0 && row.get::<i64>(1)? == 0)
}

pub(super) async fn end(tx: &mut Tx, id: SessionId, reason: EndReason, now: Time) -> Result<bool, Error> {
    Ok(tx.one(&END, args![id, now, reason.word()]).await?.is_some())
}

pub(super) async fn end_which(tx: &mut Tx, which: Which, reason: EndReason, now: Time) -> Result<Vec<Ended>, Error> {
    let reason = reason.word();
    let rows = match which {
        Which::One(id) => tx.all(&END, args![id, now, reason]).await?,
        Which::OneOf(account, id) => tx.all(&END_OF, args![id, now, reason, account]).await?,
        Which::All(account) => tx.all(&END_ALL, args![account, now, reason]).await?,
        Which::Others(account, id) => tx.all(&END_OTHERS, args![account, now, reason, id]).await?,
        Which::Everyone => tx.all(&END_EVERYONE, args![now, reason]).await?,
    };
    rows.iter().map(ended).collect()
}

pub(super) async fn end_some(tx: &mut Tx, reason: EndReason, limit: u32, now: Time) -> Result<Vec<Ended>, Error> {
    tx.all(&END_SOME, args![now, reason.word(), limit]).await?.iter().map(ended).collect()
}

pub(super) async fn expired(db: &Db, limit: u32, now: Time, idle_since: Time) -> Result<Vec<SessionId>, Error> {
    db.all(&EXPIRED, args![now, limit, idle_since]).await?.iter().map(|row| row.get(0)).collect()
}

pub(super) async fn end_expired(
    tx: &mut Tx,
    id: SessionId,
    now: Time,
    idle_since: Time,
) -> Result<Option<Ended>, Error> {
    tx.one(&END_EXPIRED, args![id, now, idle_since]).await?.as_ref().map(ended).transpose()
}

/// Removes sessions that ended before `before` and keep no data.
pub async fn forget(tx: &mut Tx, before: Time, limit: u32) -> Result<u64, Error> {
    tx.execute(&FORGET, args![before, limit]).await
}

pub(super) async fn touch(tx: &mut Tx, id: SessionId, at: Time) -> Result<(), Error> {
    tx.execute(&TOUCH, args![id, at]).await.map(|_| ())
}

/// Gives the session a new cookie secret; the old one is refused from this commit on.
pub(super) async fn renew_secret(
    tx: &mut Tx,
    id: SessionId,
    secret: &Digest,
    amr: &str,
    now: Time,
) -> Result<Option<i64>, Error> {
    tx.one(&RENEW_SECRET, args![id, *secret, now, amr]).await?.map(|row| row.get(0)).transpose()
}

/// Where a session's refresh token stands.
#[derive(Clone, Debug)]
pub struct RefreshState {
    /// Whose session.
    pub account: AccountId,
    /// The generation that rotates.
    pub generation: u32,
    /// Its digest; none when the session has no refresh token.
    pub digest: Option<Digest>,
    /// What the current generation was derived with.
    pub nonce: String,
    /// When the last generations were used up.
    pub rotations: String,
    /// Until when the session may be used, at the time of the read.
    pub usable_until: Time,
    /// Whether the token stays the only one.
    pub fixed: bool,
}

/// Where the refresh token of a live session stands. `used` is the last use that memory knows of: the row may lag.
pub(super) async fn refresh_state(
    tx: &mut Tx,
    id: SessionId,
    used: Option<Time>,
) -> Result<Option<RefreshState>, Error> {
    tx.one(&REFRESH_STATE, args![id]).await?.map(|row| refresh_row(&row, used)).transpose()
}

/// As [`refresh_state`], for somebody who changes nothing.
pub(super) async fn look_at_refresh(db: &Db, id: SessionId, used: Option<Time>) -> Result<Option<RefreshState>, Error> {
    db.one(&REFRESH_STATE, args![id]).await?.map(|row| refresh_row(&row, used)).transpose()
}

fn refresh_row(row: &Row, used: Option<Time>) -> Result<RefreshState, Error> {
    let used = used.max(Some(row.get::<Time>(5)?)).unwrap_or(Time(0));
    let idle_end = used + length(row, 6)?;
    Ok(RefreshState {
        account: row.get(0)?,
        generation: row.get(1)?,
        digest: row.get(2)?,
        nonce: row.get::<Option<String>>(3)?.unwrap_or_default(),
        rotations: row.get(4)?,
        usable_until: idle_end.min(row.get(7)?),
        fixed: row.get::<Option<Time>>(9)?.is_some(),
    })
}

/// Keeps the session's first refresh token for good.
pub(super) async fn fix_refresh(tx: &mut Tx, id: SessionId, now: Time) -> Result<(), Error> {
    tx.execute(&FIX_REFRESH, args![id, now]).await.map(|_| ())
}

/// The step from one refresh token to the next.
pub(super) struct Rotation<'a> {
    /// The digest of the token that was shown; the guard.
    pub old: &'a Digest,
    /// The digest of its successor.
    pub new: &'a Digest,
    /// What the successor was derived with.
    pub nonce: &'a str,
    /// When the last generations were used up, this one included.
    pub rotations: &'a str,
}

/// Replaces a refresh token by its successor; `None` when another request did so first.
pub(super) async fn rotate(tx: &mut Tx, id: SessionId, step: Rotation<'_>, now: Time) -> Result<Option<u32>, Error> {
    let args = args![id, *step.old, *step.new, step.nonce, step.rotations, now];
    tx.one(&ROTATE, args).await?.map(|row| row.get(0)).transpose()
}
