//! The statements of passkeys.

use crate::id::{AccountId, PasskeyId};
use crate::login::passkeys::Passkey;
use crate::time::Time;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    LIST: Scan = "SELECT id, account_id, credential_id, credential, counter, rp_id, name, made_at, last_used_at FROM passkeys \
        WHERE account_id = $1 ORDER BY id";
    BY_CREDENTIAL: Point = "SELECT id, account_id, credential_id, credential, counter, rp_id, name, made_at, last_used_at FROM passkeys \
        WHERE credential_id = $1";
    COUNT: Point = "SELECT CAST(count(*) AS BIGINT) FROM passkeys WHERE account_id = $1";
    BY_PARTY: Scan = "SELECT rp_id, CAST(count(*) AS BIGINT) FROM passkeys GROUP BY rp_id ORDER BY rp_id LIMIT 100";
    // A credential that somebody has is registered for nobody else.
    INSERT: Write = "INSERT INTO passkeys (id, account_id, credential_id, credential, counter, rp_id, name, made_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    // The guard refuses a counter that did not rise since we looked: of two copies that answer at once, one does.
    USED: Write = "UPDATE passkeys SET credential = $3, counter = $4, last_used_at = $5 WHERE id = $1 AND account_id = $2 \
        AND (counter < $4 OR counter = 0 AND $4 = 0)";
    RENAME: Write = "UPDATE passkeys SET name = $3 WHERE id = $1 AND account_id = $2";
    DELETE: Write = "DELETE FROM passkeys WHERE id = $1 AND account_id = $2 RETURNING name";
    DELETE_ALL: Write = "DELETE FROM passkeys WHERE account_id = $1";
}

fn passkey(row: &Row) -> Result<Passkey, Error> {
    Ok(Passkey {
        id: row.get(0)?,
        account: row.get(1)?,
        credential_id: row.get(2)?,
        credential: row.get(3)?,
        counter: row.get(4)?,
        party: row.get(5)?,
        name: row.get(6)?,
        made_at: row.get(7)?,
        last_used_at: row.get(8)?,
    })
}

/// The account's passkeys, oldest first.
pub(in crate::login) async fn list(db: &Db, account: AccountId) -> Result<Vec<Passkey>, Error> {
    db.all(&LIST, args![account]).await?.iter().map(passkey).collect()
}

/// The passkey with this credential id, whoever has it.
pub(in crate::login) async fn by_credential(db: &Db, credential_id: &str) -> Result<Option<Passkey>, Error> {
    db.one(&BY_CREDENTIAL, args![credential_id]).await?.as_ref().map(passkey).transpose()
}

/// The names of the server under which passkeys were made, and how many under each.
pub(in crate::login) async fn by_party(db: &Db) -> Result<Vec<(String, i64)>, Error> {
    db.all(&BY_PARTY, args![]).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// How many the account has, as it stands in this transaction.
pub(in crate::login) async fn count(tx: &mut Tx, account: AccountId) -> Result<i64, Error> {
    match tx.one(&COUNT, args![account]).await? {
        Some(row) => row.get(0),
        None => Ok(0),
    }
}

/// Writes a new passkey. `false` when somebody has its credential.
pub(in crate::login) async fn insert(tx: &mut Tx, new: &Passkey) -> Result<bool, Error> {
    let args = args![
        new.id,
        new.account,
        new.credential_id.as_str(),
        new.credential.as_str(),
        new.counter,
        new.party.as_str(),
        new.name.as_str(),
        new.made_at
    ];
    Ok(tx.execute(&INSERT, args).await? == 1)
}

/// Notes a use. `false` when the passkey is gone, or its counter is not beyond the one on record.
pub(in crate::login) async fn used(
    tx: &mut Tx,
    account: AccountId,
    id: PasskeyId,
    credential: &str,
    counter: i64,
    now: Time,
) -> Result<bool, Error> {
    Ok(tx.execute(&USED, args![id, account, credential, counter, now]).await? == 1)
}

pub(in crate::login) async fn rename(
    tx: &mut Tx,
    account: AccountId,
    id: PasskeyId,
    name: &str,
) -> Result<bool, Error> {
    Ok(tx.execute(&RENAME, args![id, account, name]).await? == 1)
}

/// Removes a passkey; its name, if there was one.
pub(in crate::login) async fn delete(tx: &mut Tx, account: AccountId, id: PasskeyId) -> Result<Option<String>, Error> {
    tx.one(&DELETE, args![id, account]).await?.map(|row| row.get(0)).transpose()
}

/// Removes all of the account's. How many there were.
pub(in crate::login) async fn delete_all(tx: &mut Tx, account: AccountId) -> Result<u64, Error> {
    tx.execute(&DELETE_ALL, args![account]).await
}
