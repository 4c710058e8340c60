//! The statements of link codes.

use super::{Client, LinkCode, NewLinkCode, State};
use crate::id::{AccountId, LinkCodeId, SessionId};
use crate::secret::Digest;
use crate::time::Time;
use std::time::Duration;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    LIVE: Scan = "SELECT CAST(count(*) AS BIGINT) FROM \
        (SELECT 1 FROM link_codes WHERE expires_at > $1 LIMIT $2) AS live";
    INSERT: Write = "INSERT INTO link_codes (id, client, user_key, device_digest, label, address, agent, made_at, expires_at, \
        poll_every, polled_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) ON CONFLICT DO NOTHING";
    BY_DEVICE: Point = "SELECT id, client, label, address, agent, made_at, expires_at, poll_every, polled_at, account_id, \
        approved_at, approved_ver, refused_at, redeemed_at, user_key FROM link_codes WHERE device_digest = $1";
    BY_USER: Point = "SELECT id, client, label, address, agent, made_at, expires_at, poll_every, polled_at, account_id, \
        approved_at, approved_ver, refused_at, redeemed_at, user_key FROM link_codes WHERE user_key = $1";
    // Of several people who type one code at once, one finds it nobody's; the others find it taken.
    CLAIM: Write = "UPDATE link_codes SET account_id = $2 WHERE user_key = $1 AND expires_at > $3 AND approved_at IS NULL \
        AND refused_at IS NULL AND (account_id IS NULL OR account_id = $2) RETURNING id";
    APPROVE: Write = "UPDATE link_codes SET approved_at = $3, approved_ver = $4 WHERE user_key = $1 AND account_id = $2 \
        AND expires_at > $3 AND approved_at IS NULL AND refused_at IS NULL RETURNING id";
    REFUSE: Write = "UPDATE link_codes SET refused_at = $3 WHERE user_key = $1 AND account_id = $2 AND expires_at > $3 \
        AND approved_at IS NULL AND refused_at IS NULL RETURNING id";
    TAKE_BACK: Write = "UPDATE link_codes SET refused_at = $2 WHERE id = $1 AND refused_at IS NULL AND redeemed_at IS NULL \
        RETURNING id";
    // The instant of the last poll in the guard: of several polls at once, one moves it and is judged by it.
    POLLED: Write = "UPDATE link_codes SET polled_at = $3, poll_every = $4 WHERE id = $1 AND polled_at = $2";
    // Single-use: of several polls that find the approval, one redeems it.
    REDEEM: Write = "UPDATE link_codes SET redeemed_at = $3 WHERE id = $1 AND account_id = $2 AND approved_at IS NOT NULL \
        AND refused_at IS NULL AND redeemed_at IS NULL AND expires_at > $3 RETURNING id";
    SWEEP: Write = "DELETE FROM link_codes WHERE id IN (SELECT id FROM link_codes WHERE expires_at < $1 LIMIT $2)";
    FIND_PIN: Point = "SELECT encoded FROM tv_pins WHERE session_id = $1";
    PUT_PIN: Write = "INSERT INTO tv_pins (session_id, encoded, attempts, set_at) VALUES ($1, $2, 0, $3) \
        ON CONFLICT (session_id) DO UPDATE SET encoded = excluded.encoded, attempts = 0, set_at = excluded.set_at";
    REMOVE_PIN: Write = "DELETE FROM tv_pins WHERE session_id = $1";
    // Of many attempts at once each has a number of its own, and none comes after the last.
    COUNT_PIN: Write = "UPDATE tv_pins SET attempts = attempts + 1 WHERE session_id = $1 AND attempts < $2 RETURNING attempts";
    FORGIVE_PIN: Write = "UPDATE tv_pins SET attempts = 0 WHERE session_id = $1";
    FORGET_ALL: Write = "DELETE FROM link_codes";
}

fn code(row: &Row) -> Result<LinkCode, Error> {
    let every = u64::try_from(row.get::<i64>(7)?).map_err(|_| row.impossible(7))?;
    let account: Option<AccountId> = row.get(9)?;
    let approved = (row.get::<Option<Time>>(10)?, row.get::<Option<i64>>(11)?);
    let state = match (row.get::<Option<Time>>(13)?, row.get::<Option<Time>>(12)?, approved, account) {
        (Some(_), ..) => State::Redeemed { by: account },
        (None, Some(_), ..) => State::Refused,
        (None, None, (Some(_), Some(ver)), Some(by)) => State::Approved { by, ver },
        (None, None, (None, None), by) => State::Waiting { claimed_by: by },
        (None, None, ..) => return Err(row.impossible(10)),
    };
    Ok(LinkCode {
        id: row.get(0)?,
        user_key: row.get(14)?,
        client: row.get::<String>(1)?.parse().map_err(|()| row.impossible(1))?,
        label: row.get(2)?,
        address: row.get(3)?,
        agent: row.get(4)?,
        made_at: row.get(5)?,
        expires_at: row.get(6)?,
        poll_every: Duration::from_millis(every),
        polled_at: row.get(8)?,
        state,
    })
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// How many codes are live, counted up to `most`.
pub(super) async fn count_live(tx: &mut Tx, most: i64, now: Time) -> Result<i64, Error> {
    match tx.all(&LIVE, args![now, most]).await?.first() {
        Some(row) => row.get(0),
        None => Ok(0),
    }
}

/// `false` when a code like this one is there already.
pub(super) async fn insert(tx: &mut Tx, new: &NewLinkCode, user_key: &Digest) -> Result<bool, Error> {
    let client: Client = new.client;
    let args = args![
        new.id,
        client.id(),
        *user_key,
        new.device,
        new.label.as_str(),
        new.address.as_str(),
        new.agent.as_str(),
        new.made_at,
        new.expires_at,
        millis(client.interval())
    ];
    Ok(tx.execute(&INSERT, args).await? == 1)
}

pub(super) async fn find_by_device(db: &Db, device: &Digest) -> Result<Option<LinkCode>, Error> {
    db.one(&BY_DEVICE, args![*device]).await?.as_ref().map(code).transpose()
}

pub(super) async fn find_by_user(tx: &mut Tx, user_key: &Digest) -> Result<Option<LinkCode>, Error> {
    tx.one(&BY_USER, args![*user_key]).await?.as_ref().map(code).transpose()
}

pub(super) async fn claim(tx: &mut Tx, user_key: &Digest, by: AccountId, now: Time) -> Result<bool, Error> {
    Ok(tx.one(&CLAIM, args![*user_key, by, now]).await?.is_some())
}

pub(super) async fn approve(tx: &mut Tx, user_key: &Digest, by: AccountId, ver: i64, now: Time) -> Result<bool, Error> {
    Ok(tx.one(&APPROVE, args![*user_key, by, now, ver]).await?.is_some())
}

pub(super) async fn refuse(tx: &mut Tx, user_key: &Digest, by: AccountId, now: Time) -> Result<bool, Error> {
    Ok(tx.one(&REFUSE, args![*user_key, by, now]).await?.is_some())
}

pub(super) async fn take_back(tx: &mut Tx, id: LinkCodeId, now: Time) -> Result<bool, Error> {
    Ok(tx.one(&TAKE_BACK, args![id, now]).await?.is_some())
}

/// Notes a poll; `false` when another one came first.
pub(super) async fn polled(tx: &mut Tx, code: &LinkCode, every: Duration, now: Time) -> Result<bool, Error> {
    Ok(tx.execute(&POLLED, args![code.id, code.polled_at, now, millis(every)]).await? == 1)
}

pub(super) async fn redeem(tx: &mut Tx, id: LinkCodeId, of: AccountId, now: Time) -> Result<bool, Error> {
    Ok(tx.one(&REDEEM, args![id, of, now]).await?.is_some())
}

pub(super) async fn sweep(tx: &mut Tx, before: Time, limit: u32) -> Result<u64, Error> {
    tx.execute(&SWEEP, args![before, limit]).await
}

pub(super) async fn forget_all(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(&FORGET_ALL, args![]).await.map(|_| ())
}

/// The hash of the PIN before a session.
pub(super) async fn find_pin(db: &Db, session: SessionId) -> Result<Option<String>, Error> {
    db.one(&FIND_PIN, args![session]).await?.map(|row| row.get(0)).transpose()
}

pub(super) async fn put_pin(tx: &mut Tx, session: SessionId, encoded: &str, now: Time) -> Result<(), Error> {
    tx.execute(&PUT_PIN, args![session, encoded, now]).await.map(|_| ())
}

pub(super) async fn remove_pin(tx: &mut Tx, session: SessionId) -> Result<(), Error> {
    tx.execute(&REMOVE_PIN, args![session]).await.map(|_| ())
}

/// Counts an attempt and says which one in a row it is; `None` when there were `most` already.
pub(super) async fn count_pin(tx: &mut Tx, session: SessionId, most: i64) -> Result<Option<i64>, Error> {
    tx.one(&COUNT_PIN, args![session, most]).await?.map(|row| row.get(0)).transpose()
}

pub(super) async fn forgive_pin(tx: &mut Tx, session: SessionId) -> Result<(), Error> {
    tx.execute(&FORGIVE_PIN, args![session]).await.map(|_| ())
}
