//! The statements of known devices.

use crate::id::AccountId;
use crate::secret::Digest;
use crate::sessions::known::Tries;
use crate::time::Time;
use usher_db::{Db, Error, Tx, args, statements};

statements! {
    FIND: Point = "SELECT failures, blocked_until FROM known_devices WHERE account_id = $1 AND digest = $2 AND last_used_at > $3";
    // Whether it is known is decided by the row that is touched, in the login's own transaction.
    SEEN: Write = "UPDATE known_devices SET last_used_at = $3, failures = 0, blocked_until = 0 \
        WHERE account_id = $1 AND digest = $2";
    MOVE: Write = "UPDATE known_devices SET digest = $2 WHERE digest = $1";
    INSERT: Write = "INSERT INTO known_devices (account_id, digest, made_at, last_used_at, failures, blocked_until) \
        VALUES ($1, $2, $3, $3, 0, 0)";
    BEYOND_LIMIT: Write = "DELETE FROM known_devices WHERE account_id = $1 AND digest IN (SELECT digest FROM known_devices \
        WHERE account_id = $1 ORDER BY last_used_at DESC, digest DESC LIMIT 1000 OFFSET $2)";
    FAILED: Write = "UPDATE known_devices SET failures = failures + 1 WHERE account_id = $1 AND digest = $2 RETURNING failures";
    BLOCK: Write = "UPDATE known_devices SET blocked_until = $3 WHERE account_id = $1 AND digest = $2";
    FORGIVE: Write = "UPDATE known_devices SET failures = 0, blocked_until = 0 WHERE account_id = $1";
    FORGET: Write = "DELETE FROM known_devices WHERE account_id = $1 AND digest = $2";
    FORGET_OTHERS: Write = "DELETE FROM known_devices WHERE account_id = $1 AND digest <> $2";
    FORGET_ALL: Write = "DELETE FROM known_devices WHERE account_id = $1";
    FORGET_EVERYONE: Write = "DELETE FROM known_devices";
    SWEEP: Write = "DELETE FROM known_devices WHERE last_used_at < $1 AND digest IN \
        (SELECT digest FROM known_devices WHERE last_used_at < $1 LIMIT $2)";
}

/// What was tried at the device of late, if it is known to the account and was used after `since`.
pub(in crate::sessions) async fn find(
    db: &Db,
    account: AccountId,
    digest: &Digest,
    since: Time,
) -> Result<Option<Tries>, Error> {
    let Some(row) = db.one(&FIND, args![account, *digest, since]).await? else { return Ok(None) };
    Ok(Some(Tries { failures: row.get(0)?, blocked_until: row.get(1)? }))
}

/// Notes a proof at a device. `false` when it is not known to the account.
pub(in crate::sessions) async fn seen(
    tx: &mut Tx,
    account: AccountId,
    digest: &Digest,
    now: Time,
) -> Result<bool, Error> {
    Ok(tx.execute(&SEEN, args![account, *digest, now]).await? == 1)
}

/// Lets a device go on under another secret, for every account that knows it.
pub(in crate::sessions) async fn rename(tx: &mut Tx, old: &Digest, new: &Digest) -> Result<(), Error> {
    tx.execute(&MOVE, args![*old, *new]).await.map(|_| ())
}

pub(in crate::sessions) async fn insert(
    tx: &mut Tx,
    account: AccountId,
    digest: &Digest,
    now: Time,
) -> Result<(), Error> {
    tx.execute(&INSERT, args![account, *digest, now]).await.map(|_| ())
}

/// Forgets those of the account's devices that were not used for longest, beyond the newest `keep`.
pub(in crate::sessions) async fn beyond_limit(tx: &mut Tx, account: AccountId, keep: u32) -> Result<(), Error> {
    tx.execute(&BEYOND_LIMIT, args![account, keep]).await.map(|_| ())
}

/// How many wrong passwords there were at the device in a row, this one included; `None` when it is known no more.
pub(in crate::sessions) async fn failed(
    tx: &mut Tx,
    account: AccountId,
    digest: &Digest,
) -> Result<Option<i64>, Error> {
    tx.one(&FAILED, args![account, *digest]).await?.map(|row| row.get(0)).transpose()
}

pub(in crate::sessions) async fn block(
    tx: &mut Tx,
    account: AccountId,
    digest: &Digest,
    until: Time,
) -> Result<(), Error> {
    tx.execute(&BLOCK, args![account, *digest, until]).await.map(|_| ())
}

pub(in crate::sessions) async fn forgive(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(&FORGIVE, args![account]).await.map(|_| ())
}

pub(in crate::sessions) async fn forget(tx: &mut Tx, account: AccountId, digest: &Digest) -> Result<(), Error> {
    tx.execute(&FORGET, args![account, *digest]).await.map(|_| ())
}

pub(in crate::sessions) async fn forget_others(tx: &mut Tx, account: AccountId, keep: &Digest) -> Result<(), Error> {
    tx.execute(&FORGET_OTHERS, args![account, *keep]).await.map(|_| ())
}

pub(in crate::sessions) async fn forget_all(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(&FORGET_ALL, args![account]).await.map(|_| ())
}

pub(in crate::sessions) async fn forget_everyone(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(&FORGET_EVERYONE, args![]).await.map(|_| ())
}

pub(in crate::sessions) async fn sweep(tx: &mut Tx, before: Time, limit: u32) -> Result<u64, Error> {
    tx.execute(&SWEEP, args![before, limit]).await
}
