//! The statements of second factors: passcodes, recovery codes, who must have one, and what its owner is told.

use crate::id::{AccountId, NoticeId, TotpId};
use crate::login::factors::{Recovery, Secret, State};
use crate::login::notices::{News, What};
use crate::login::totp::Shape;
use crate::seal::Resealed;
use crate::secret::Digest;
use crate::time::Time;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    STATE: Point = "SELECT t.id, t.sealed, t.algorithm, t.digits, t.made_at, t.last_step, \
        CAST((SELECT count(*) FROM recovery_codes r WHERE r.account_id = a.id AND r.used_at IS NULL) AS BIGINT), \
        (SELECT max(r.made_at) FROM recovery_codes r WHERE r.account_id = a.id), \
        (SELECT p.required_at FROM factor_policy p WHERE p.holder_id = a.id), \
        CAST((SELECT count(*) FROM passkeys k WHERE k.account_id = a.id) AS BIGINT) \
        FROM accounts a LEFT JOIN totp t ON t.account_id = a.id AND t.state = 'active' WHERE a.id = $1";
    WAITING: Point = "SELECT id, sealed, algorithm, digits, made_at, last_step FROM totp \
        WHERE account_id = $1 AND state = 'pending' AND made_at > $2";
    ANY: Point = "SELECT CAST((SELECT count(*) FROM totp t WHERE t.account_id = $1 AND t.state = 'active') \
        + (SELECT count(*) FROM passkeys k WHERE k.account_id = $1) AS BIGINT)";
    HAS_TOTP: Point = "SELECT CAST(count(*) AS BIGINT) FROM totp WHERE account_id = $1 AND state = 'active'";
    FORGET_WAITING: Write = "DELETE FROM totp WHERE account_id = $1 AND state = 'pending'";
    FORGET_ACTIVE: Write = "DELETE FROM totp WHERE account_id = $1 AND state = 'active'";
    INSERT: Write = "INSERT INTO totp (id, account_id, state, sealed, algorithm, digits, made_at, last_step) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    // Of several that confirm one secret at once, one finds it waiting.
    ACTIVATE: Write = "UPDATE totp SET state = 'active', last_step = $3, made_at = $4 \
        WHERE id = $1 AND account_id = $2 AND state = 'pending'";
    // The guard accepts a step once: of several that show one code at once, one finds the step unused.
    ACCEPT: Write = "UPDATE totp SET last_step = $3 WHERE id = $1 AND account_id = $2 AND state = 'active' AND last_step < $3";
    CLOSE_STEPS: Write = "UPDATE totp SET last_step = $1 WHERE last_step < $1";
    SWEEP_WAITING: Write = "DELETE FROM totp WHERE id IN (SELECT id FROM totp WHERE state = 'pending' AND made_at < $1 LIMIT $2)";
    SEALED: Scan = "SELECT id, account_id, sealed FROM totp ORDER BY id";
    RESEAL: Write = "UPDATE totp SET sealed = $2 WHERE id = $1";
    INSERT_CODE: Write = "INSERT INTO recovery_codes (account_id, digest, made_at) VALUES ($1, $2, $3)";
    FORGET_CODES: Write = "DELETE FROM recovery_codes WHERE account_id = $1";
    // Good once: of several that show one code at once, one finds it unused.
    USE_CODE: Write = "UPDATE recovery_codes SET used_at = $3 WHERE account_id = $1 AND digest = $2 AND used_at IS NULL";
    FIND_CODE: Point = "SELECT made_at FROM recovery_codes WHERE account_id = $1 AND digest = $2 AND used_at IS NULL";
    INSERT_NOTICE: Write = "INSERT INTO notices (id, account_id, at, what, detail, own, address) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    NEWS: Scan = "SELECT id, at, what, detail, own, address FROM notices WHERE account_id = $1 AND seen_at IS NULL \
        ORDER BY id DESC LIMIT $2";
    NEWS_THERE: Point = "SELECT id FROM notices WHERE account_id = $1 AND seen_at IS NULL LIMIT 1";
    SEEN: Write = "UPDATE notices SET seen_at = $3 WHERE account_id = $1 AND id <= $2 AND seen_at IS NULL";
    SWEEP_NOTICES: Write = "DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE at < $1 LIMIT $2)";
    // Good once: of several that take one step at once, one inserts.
    SPEND_STEP: Write = "INSERT INTO spent_steps (digest, until) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    STEP_SPENT: Point = "SELECT until FROM spent_steps WHERE digest = $1";
    SWEEP_STEPS: Write = "DELETE FROM spent_steps WHERE digest IN (SELECT digest FROM spent_steps WHERE until < $1 LIMIT $2)";
}

fn secret(row: &Row) -> Result<Option<Secret>, Error> {
    let Some(id) = row.get::<Option<TotpId>>(0)? else { return Ok(None) };
    let algorithm = row.get::<String>(2)?.parse().map_err(|()| row.impossible(2))?;
    Ok(Some(Secret {
        id,
        sealed: row.get(1)?,
        shape: Shape::new(algorithm, row.get(3)?).ok_or_else(|| row.impossible(3))?,
        since: row.get(4)?,
        last_step: row.get(5)?,
    }))
}

/// The factors of an account; nothing for one that does not exist.
pub(in crate::login) async fn state(db: &Db, account: AccountId) -> Result<State, Error> {
    let Some(row) = db.one(&STATE, args![account]).await? else { return Ok(State::default()) };
    Ok(State {
        totp: secret(&row)?,
        recovery: Recovery { left: row.get(6)?, made_at: row.get(7)? },
        demanded_at: row.get(8)?,
        passkeys: row.get(9)?,
    })
}

/// The secret that waits for its first good code, if it was made after `since`.
pub(in crate::login) async fn waiting(db: &Db, account: AccountId, since: Time) -> Result<Option<Secret>, Error> {
    match db.one(&WAITING, args![account, since]).await? {
        Some(row) => secret(&row),
        None => Ok(None),
    }
}

/// Whether the account has a factor, as it stands in this transaction.
pub(in crate::login) async fn any(tx: &mut Tx, account: AccountId) -> Result<bool, Error> {
    match tx.one(&ANY, args![account]).await? {
        Some(row) => Ok(row.get::<i64>(0)? > 0),
        None => Ok(false),
    }
}

async fn insert(tx: &mut Tx, account: AccountId, state: &str, secret: &Secret) -> Result<(), Error> {
    let (algorithm, digits) = (secret.shape.algorithm.word(), secret.shape.digits);
    let args =
        args![secret.id, account, state, secret.sealed.as_str(), algorithm, digits, secret.since, secret.last_step];
    tx.execute(&INSERT, args).await.map(|_| ())
}

/// Writes a secret that waits, in place of the one that waited.
pub(in crate::login) async fn put_waiting(tx: &mut Tx, account: AccountId, secret: &Secret) -> Result<(), Error> {
    tx.execute(&FORGET_WAITING, args![account]).await?;
    insert(tx, account, "pending", secret).await
}

/// Writes a secret that is asked for from now on, as from another server. `false` when there is one.
pub(in crate::login) async fn put_active(tx: &mut Tx, account: AccountId, secret: &Secret) -> Result<bool, Error> {
    let has = tx.one(&HAS_TOTP, args![account]).await?.map(|row| row.get::<i64>(0)).transpose()?;
    if has.unwrap_or(0) > 0 {
        return Ok(false);
    }
    insert(tx, account, "active", secret).await?;
    Ok(true)
}

/// Makes the waiting secret the one that is asked for, in place of an older one. `false` when it waits no more.
pub(in crate::login) async fn activate(
    tx: &mut Tx,
    account: AccountId,
    id: TotpId,
    step: i64,
    now: Time,
) -> Result<bool, Error> {
    tx.execute(&FORGET_ACTIVE, args![account]).await?;
    Ok(tx.execute(&ACTIVATE, args![id, account, step, now]).await? == 1)
}

/// Accepts a step, and closes it and those before. `false` when it was closed.
pub(in crate::login) async fn accept(tx: &mut Tx, account: AccountId, id: TotpId, step: i64) -> Result<bool, Error> {
    Ok(tx.execute(&ACCEPT, args![id, account, step]).await? == 1)
}

/// Closes every step up to this one for everybody.
pub(in crate::login) async fn close_steps(tx: &mut Tx, step: i64) -> Result<(), Error> {
    tx.execute(&CLOSE_STEPS, args![step]).await.map(|_| ())
}

/// Removes the secret that is asked for, and the one that waits. `false` when none was asked for.
pub(in crate::login) async fn forget_totp(tx: &mut Tx, account: AccountId) -> Result<bool, Error> {
    tx.execute(&FORGET_WAITING, args![account]).await?;
    Ok(tx.execute(&FORGET_ACTIVE, args![account]).await? == 1)
}

/// Every sealed secret: its id, its account, the sealed text.
pub(in crate::login) async fn sealed(db: &Db) -> Result<Vec<(TotpId, AccountId, String)>, Error> {
    db.all(&SEALED, args![]).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}

/// The texts that are written to their rows.
pub(in crate::login) fn resealed(rows: Vec<(String, String)>) -> Resealed {
    Resealed::new(&RESEAL, rows)
}

/// Replaces the account's recovery codes.
pub(in crate::login) async fn put_codes(
    tx: &mut Tx,
    account: AccountId,
    codes: &[Digest],
    now: Time,
) -> Result<(), Error> {
    forget_codes(tx, account).await?;
    for digest in codes {
        tx.execute(&INSERT_CODE, args![account, *digest, now]).await?;
    }
    Ok(())
}

pub(in crate::login) async fn forget_codes(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    tx.execute(&FORGET_CODES, args![account]).await.map(|_| ())
}

/// Whether the account has this code and it is unused.
pub(in crate::login) async fn has_code(db: &Db, account: AccountId, digest: &Digest) -> Result<bool, Error> {
    Ok(db.one(&FIND_CODE, args![account, *digest]).await?.is_some())
}

/// Uses a code up. `false` when it was used meanwhile.
pub(in crate::login) async fn use_code(
    tx: &mut Tx,
    account: AccountId,
    digest: &Digest,
    now: Time,
) -> Result<bool, Error> {
    Ok(tx.execute(&USE_CODE, args![account, *digest, now]).await? == 1)
}

pub(in crate::login) async fn insert_notice(tx: &mut Tx, account: AccountId, news: &News) -> Result<(), Error> {
    let own = i64::from(news.own);
    let args = args![news.id, account, news.at, news.what.word(), news.detail.as_str(), own, news.address.as_str()];
    tx.execute(&INSERT_NOTICE, args).await.map(|_| ())
}

/// What the account's owner has not been shown, newest first.
pub(in crate::login) async fn news(db: &Db, account: AccountId, limit: u32) -> Result<Vec<News>, Error> {
    let read = |row: &Row| {
        let what: What = row.get::<String>(2)?.parse().map_err(|()| row.impossible(2))?;
        Ok(News {
            id: row.get(0)?,
            at: row.get(1)?,
            what,
            detail: row.get(3)?,
            own: row.get::<i64>(4)? != 0,
            address: row.get(5)?,
        })
    };
    db.all(&NEWS, args![account, limit]).await?.iter().map(read).collect()
}

pub(in crate::login) async fn has_news(db: &Db, account: AccountId) -> Result<bool, Error> {
    Ok(db.one(&NEWS_THERE, args![account]).await?.is_some())
}

/// Notes that the owner was shown everything up to this notice.
pub(in crate::login) async fn seen(tx: &mut Tx, account: AccountId, last: NoticeId, now: Time) -> Result<(), Error> {
    tx.execute(&SEEN, args![account, last, now]).await.map(|_| ())
}

/// Uses a step of a login up. `false` when it was used before.
pub(in crate::login) async fn spend_step(tx: &mut Tx, digest: &Digest, until: Time) -> Result<bool, Error> {
    Ok(tx.execute(&SPEND_STEP, args![*digest, until]).await? == 1)
}

pub(in crate::login) async fn step_spent(db: &Db, digest: &Digest) -> Result<bool, Error> {
    Ok(db.one(&STEP_SPENT, args![*digest]).await?.is_some())
}

/// Removes what nobody needs any more: secrets that waited in vain, notices that are old, steps that expired.
pub(in crate::login) async fn sweep(
    tx: &mut Tx,
    waiting: Time,
    notices: Time,
    now: Time,
    limit: u32,
) -> Result<u64, Error> {
    let waiting = tx.execute(&SWEEP_WAITING, args![waiting, limit]).await?;
    let notices = tx.execute(&SWEEP_NOTICES, args![notices, limit]).await?;
    Ok(waiting.max(notices).max(tx.execute(&SWEEP_STEPS, args![now, limit]).await?))
}
