//! The statements of keys and personal tokens.

use super::personal::{PersonalToken, Scope};
use crate::id::{AccountId, PersonalTokenId};
use crate::secret::Digest;
use crate::time::Time;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    SIGNING_KEYS: Scan = "SELECT kid, algorithm, sealed, state, made_at, state_at, until FROM signing_keys ORDER BY made_at, kid";
    PUT_SIGNING_KEY: Write = "INSERT INTO signing_keys (kid, algorithm, sealed, state, made_at, state_at, until) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kid) DO UPDATE SET state = excluded.state, \
        state_at = excluded.state_at, until = excluded.until";
    // Locks until the commit, so that whoever comes second sees the keys that the first one made.
    HOLD_KEYS: Write = "INSERT INTO guards (name, v) VALUES ('keys', 1) ON CONFLICT (name) DO UPDATE SET v = guards.v + 1";
    HAS_SIGNING_KEY: Scan = "SELECT kid FROM signing_keys WHERE algorithm = $1 LIMIT 1";
    // The guard lets one of several rotations through: for the others the key waits no more.
    PROMOTE_SIGNING_KEY: Write = "UPDATE signing_keys SET state = 'current', state_at = $2 WHERE kid = $1 AND state = 'next'";
    DROP_SIGNING_KEY: Write = "DELETE FROM signing_keys WHERE kid = $1";
    MAC_KEYS: Scan = "SELECT purpose, kid, sealed FROM mac_keys ORDER BY purpose, made_at DESC, kid DESC";
    RESEAL_SIGNING_KEY: Write = "UPDATE signing_keys SET sealed = $2 WHERE kid = $1";
    RESEAL_MAC_KEY: Write = "UPDATE mac_keys SET sealed = $3 WHERE purpose = $1 AND kid = $2";
    PUT_MAC_KEY: Write = "INSERT INTO mac_keys (purpose, kid, sealed, made_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    INSERT_PERSONAL: Write = "INSERT INTO personal_tokens (id, account_id, name, digest, scopes, grant_id, made_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    FIND_PERSONAL: Point = "SELECT id, account_id, name, scopes, grant_id, made_at, expires_at, last_used_at FROM personal_tokens \
        WHERE digest = $1 AND revoked_at IS NULL";
    FIND_PERSONAL_BY_GRANT: Point = "SELECT id, account_id, name, scopes, grant_id, made_at, expires_at, last_used_at \
        FROM personal_tokens WHERE grant_id = $1 AND revoked_at IS NULL";
    LIST_PERSONAL: Scan = "SELECT id, account_id, name, scopes, grant_id, made_at, expires_at, last_used_at FROM personal_tokens \
        WHERE account_id = $1 AND revoked_at IS NULL ORDER BY id DESC";
    NEWEST_PERSONAL: Scan = "SELECT id, account_id, name, scopes, grant_id, made_at, expires_at, last_used_at FROM personal_tokens \
        WHERE id < $1 AND revoked_at IS NULL ORDER BY id DESC LIMIT $2";
    OWNER_OF_PERSONAL: Point = "SELECT account_id FROM personal_tokens WHERE id = $1 AND revoked_at IS NULL";
    COUNT_PERSONAL: Point = "SELECT CAST(count(*) AS BIGINT) FROM personal_tokens WHERE account_id = $1 AND revoked_at IS NULL \
        AND (expires_at IS NULL OR expires_at > $2)";
    SWEEP_PERSONAL: Write = "DELETE FROM personal_tokens WHERE id IN (SELECT id FROM personal_tokens \
        WHERE revoked_at < $1 OR expires_at < $1 LIMIT $2)";
    REVOKE_PERSONAL: Write = "UPDATE personal_tokens SET revoked_at = $3 WHERE id = $2 AND account_id = $1 AND revoked_at IS NULL \
        RETURNING grant_id";
    REVOKE_ALL_PERSONAL: Write = "UPDATE personal_tokens SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL \
        RETURNING id, grant_id";
    REVOKE_SOME_PERSONAL: Write = "UPDATE personal_tokens SET revoked_at = $1 WHERE id IN \
        (SELECT id FROM personal_tokens WHERE revoked_at IS NULL LIMIT $2) RETURNING id, grant_id";
    // Never backwards: a late flush does not undo a newer one.
    TOUCH_PERSONAL: Write = "UPDATE personal_tokens SET last_used_at = $2 WHERE id = $1 \
        AND (last_used_at IS NULL OR last_used_at < $2)";
}

/// A signing key's row.
#[derive(Clone, Debug)]
pub struct SigningKeyRow {
    /// The random key id.
    pub kid: String,
    /// Its JOSE algorithm.
    pub algorithm: String,
    /// The private key, sealed.
    pub sealed: String,
    /// `next`, `current` or `retired`.
    pub state: String,
    /// When it was made.
    pub made_at: Time,
    /// Since when it is in that state.
    pub state_at: Time,
    /// Until when a retired key verifies.
    pub until: Option<Time>,
}

/// All signing keys.
pub async fn signing_keys(db: &Db) -> Result<Vec<SigningKeyRow>, Error> {
    let rows = db.all(&SIGNING_KEYS, args![]).await?;
    rows.iter()
        .map(|row| {
            Ok(SigningKeyRow {
                kid: row.get(0)?,
                algorithm: row.get(1)?,
                sealed: row.get(2)?,
                state: row.get(3)?,
                made_at: row.get(4)?,
                state_at: row.get(5)?,
                until: row.get(6)?,
            })
        })
        .collect()
}

/// Keeps others from making the first keys until the commit.
pub(super) async fn hold_keys(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(&HOLD_KEYS, args![]).await.map(|_| ())
}

/// Whether there is a signing key of this algorithm.
pub(super) async fn has_signing_key(tx: &mut Tx, algorithm: &str) -> Result<bool, Error> {
    Ok(!tx.all(&HAS_SIGNING_KEY, args![algorithm]).await?.is_empty())
}

/// Writes a new key, or a known key's new state.
pub async fn put_signing_key(tx: &mut Tx, key: &SigningKeyRow) -> Result<(), Error> {
    tx.execute(
        &PUT_SIGNING_KEY,
        args![
            key.kid.as_str(),
            key.algorithm.as_str(),
            key.sealed.as_str(),
            key.state.as_str(),
            key.made_at,
            key.state_at,
            key.until
        ],
    )
    .await
    .map(|_| ())
}

/// Makes the waiting key the one that signs. `false` when it waits no more.
pub async fn promote_signing_key(tx: &mut Tx, kid: &str, now: Time) -> Result<bool, Error> {
    Ok(tx.execute(&PROMOTE_SIGNING_KEY, args![kid, now]).await? == 1)
}

/// Writes a signing key sealed anew.
pub(super) async fn reseal_signing_key(tx: &mut Tx, kid: &str, sealed: &str) -> Result<(), Error> {
    tx.execute(&RESEAL_SIGNING_KEY, args![kid, sealed]).await.map(|_| ())
}

/// Writes a MAC key sealed anew.
pub(super) async fn reseal_mac_key(tx: &mut Tx, purpose: &str, kid: u8, sealed: &str) -> Result<(), Error> {
    tx.execute(&RESEAL_MAC_KEY, args![purpose, i64::from(kid), sealed]).await.map(|_| ())
}

/// Forgets a key whose last token has expired.
pub async fn drop_signing_key(tx: &mut Tx, kid: &str) -> Result<(), Error> {
    tx.execute(&DROP_SIGNING_KEY, args![kid]).await.map(|_| ())
}

/// The MAC keys: purpose, number, sealed key; newest first within a purpose.
pub async fn mac_keys(db: &Db) -> Result<Vec<(String, u8, String)>, Error> {
    let rows = db.all(&MAC_KEYS, args![]).await?;
    rows.iter()
        .map(|row| {
            let kid = u8::try_from(row.get::<i64>(1)?).map_err(|_| row.impossible(1))?;
            Ok((row.get(0)?, kid, row.get(2)?))
        })
        .collect()
}

/// Writes a MAC key, unless that number is taken.
pub async fn put_mac_key(tx: &mut Tx, purpose: &str, kid: u8, sealed: &str, now: Time) -> Result<(), Error> {
    tx.execute(&PUT_MAC_KEY, args![purpose, i64::from(kid), sealed, now]).await.map(|_| ())
}

fn personal(row: &Row) -> Result<PersonalToken, Error> {
    let scopes: String = row.get(3)?;
    Ok(PersonalToken {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        scopes: scopes
            .split_whitespace()
            .map(|word| word.parse::<Scope>().map_err(|()| row.impossible(3)))
            .collect::<Result<_, _>>()?,
        grant: u64::try_from(row.get::<i64>(4)?).map_err(|_| row.impossible(4))?,
        made_at: row.get(5)?,
        expires_at: row.get(6)?,
        last_used_at: row.get(7)?,
    })
}

pub(super) async fn insert_personal(tx: &mut Tx, token: &PersonalToken, digest: &Digest) -> Result<(), Error> {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.word()).collect();
    tx.execute(
        &INSERT_PERSONAL,
        args![
            token.id,
            token.account,
            token.name.as_str(),
            *digest,
            scopes.join(" "),
            i64::try_from(token.grant).unwrap_or(i64::MAX),
            token.made_at,
            token.expires_at
        ],
    )
    .await
    .map(|_| ())
}

pub(super) async fn find_personal(db: &Db, digest: &Digest) -> Result<Option<PersonalToken>, Error> {
    db.one(&FIND_PERSONAL, args![*digest]).await?.as_ref().map(personal).transpose()
}

pub(super) async fn find_personal_by_grant(db: &Db, grant: u64) -> Result<Option<PersonalToken>, Error> {
    let grant = i64::try_from(grant).unwrap_or(-1);
    db.one(&FIND_PERSONAL_BY_GRANT, args![grant]).await?.as_ref().map(personal).transpose()
}

/// An account's live personal tokens, newest first.
pub async fn list_personal(db: &Db, account: AccountId) -> Result<Vec<PersonalToken>, Error> {
    db.all(&LIST_PERSONAL, args![account]).await?.iter().map(personal).collect()
}

/// Everybody's live personal tokens that were made before this one, newest first.
pub(super) async fn newest_personal(db: &Db, before: PersonalTokenId, limit: u32) -> Result<Vec<PersonalToken>, Error> {
    db.all(&NEWEST_PERSONAL, args![before, limit]).await?.iter().map(personal).collect()
}

/// Whose live token this is.
pub(super) async fn owner_of_personal(db: &Db, id: PersonalTokenId) -> Result<Option<AccountId>, Error> {
    db.one(&OWNER_OF_PERSONAL, args![id]).await?.map(|row| row.get(0)).transpose()
}

pub(super) async fn count_personal(tx: &mut Tx, account: AccountId, now: Time) -> Result<i64, Error> {
    match tx.one(&COUNT_PERSONAL, args![account, now]).await? {
        Some(row) => row.get(0),
        None => Ok(0),
    }
}

pub(super) async fn sweep_personal(tx: &mut Tx, before: Time, limit: u32) -> Result<u64, Error> {
    tx.execute(&SWEEP_PERSONAL, args![before, limit]).await
}

pub(super) async fn revoke_personal(
    tx: &mut Tx,
    account: AccountId,
    id: PersonalTokenId,
    now: Time,
) -> Result<Option<i64>, Error> {
    tx.one(&REVOKE_PERSONAL, args![account, id, now]).await?.map(|row| row.get(0)).transpose()
}

pub(super) async fn revoke_all_personal(
    tx: &mut Tx,
    account: AccountId,
    now: Time,
) -> Result<Vec<(PersonalTokenId, i64)>, Error> {
    let rows = tx.all(&REVOKE_ALL_PERSONAL, args![account, now]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

pub(super) async fn revoke_some_personal(
    tx: &mut Tx,
    limit: u32,
    now: Time,
) -> Result<Vec<(PersonalTokenId, i64)>, Error> {
    let rows = tx.all(&REVOKE_SOME_PERSONAL, args![now, limit]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

pub(super) async fn touch_personal(tx: &mut Tx, id: PersonalTokenId, at: Time) -> Result<(), Error> {
    tx.execute(&TOUCH_PERSONAL, args![id, at]).await.map(|_| ())
}
