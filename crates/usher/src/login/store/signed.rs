//! The statements of signed-header login.

use crate::id::AccountId;
use crate::seal::Resealed;
use crate::secret::Digest;
use crate::time::Time;
use usher_db::{Db, Error, Tx, args, statements};

statements! {
    FIND: Point = "SELECT sealed, version, changed_at FROM header_secrets WHERE account_id = $1";
    PUT: Write = "INSERT INTO header_secrets (account_id, sealed, version, changed_at) VALUES ($1, $2, 1, $3) \
        ON CONFLICT (account_id) DO UPDATE SET sealed = excluded.sealed, version = header_secrets.version + 1, \
        changed_at = excluded.changed_at";
    REMOVE: Write = "DELETE FROM header_secrets WHERE account_id = $1 RETURNING account_id";
    // Closes the race of a login with a change of the secret it was checked against.
    STILL: Write = "UPDATE header_secrets SET version = version WHERE account_id = $1 AND version = $2 RETURNING version";
    // Of several uses of one signature, one finds it unused.
    SPEND: Write = "INSERT INTO header_signatures (digest, used_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    SWEEP: Write = "DELETE FROM header_signatures WHERE digest IN \
        (SELECT digest FROM header_signatures WHERE used_at < $1 LIMIT $2)";
    ALL: Scan = "SELECT account_id, sealed FROM header_secrets";
    RESEAL: Write = "UPDATE header_secrets SET sealed = $2 WHERE account_id = $1";
}

/// A sealed secret.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The text, as the vault made it.
    pub sealed: String,
    /// Rises with every change.
    pub version: i64,
    /// When it was set.
    pub changed_at: Time,
}

/// The account's secret, if it has one.
pub async fn find(db: &Db, account: AccountId) -> Result<Option<Sealed>, Error> {
    let Some(row) = db.one(&FIND, args![account]).await? else { return Ok(None) };
    Ok(Some(Sealed { sealed: row.get(0)?, version: row.get(1)?, changed_at: row.get(2)? }))
}

/// Sets the account's secret.
pub async fn put(tx: &mut Tx, account: AccountId, sealed: &str, now: Time) -> Result<(), Error> {
    tx.execute(&PUT, args![account, sealed, now]).await.map(|_| ())
}

/// Removes it. `false` when there was none.
pub async fn remove(tx: &mut Tx, account: AccountId) -> Result<bool, Error> {
    Ok(tx.one(&REMOVE, args![account]).await?.is_some())
}

/// Whether the secret is still the one of this version.
pub async fn still(tx: &mut Tx, account: AccountId, version: i64) -> Result<bool, Error> {
    Ok(tx.one(&STILL, args![account, version]).await?.is_some())
}

/// Uses a signature up. `false` when it was used before.
pub async fn spend(tx: &mut Tx, signature: &Digest, now: Time) -> Result<bool, Error> {
    Ok(tx.execute(&SPEND, args![*signature, now]).await? == 1)
}

/// Forgets signatures that were used before `before`.
pub async fn sweep(tx: &mut Tx, before: Time, limit: u32) -> Result<u64, Error> {
    tx.execute(&SWEEP, args![before, limit]).await
}

/// Every sealed secret, to be sealed again.
pub async fn all(db: &Db) -> Result<Vec<(AccountId, String)>, Error> {
    db.all(&ALL, args![]).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// The texts that are written to their rows.
pub fn resealed(rows: Vec<(String, String)>) -> Resealed {
    Resealed::new(&RESEAL, rows)
}
