//! Facts about this installation that belong to its database: which master key it was made with.
//!
//! Promises: a database is opened with the key it was made with or not at all, and the one that is missing is asked
//! for by name. The name says nothing about the key.
//! Refuses: to write anything before the key is known to be the right one.

mod store;

pub(crate) use store::STATEMENTS;

use crate::seal::{Vault, WrongMasterKey};
use usher_db::{Db, Error, Tx};

const MASTER_KEY: &str = "master_key";

/// Why the database cannot be used with this key.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] Error),
    /// It belongs to another key.
    #[error(
        "{0}. Put the right key file back (`usher backup --with-key` keeps a copy), or name it with USHER_MASTER_KEY_FILE"
    )]
    WrongKey(#[from] WrongMasterKey),
}

/// The name of the master key that the database was made with; none while it is new.
pub async fn master_key_name(db: &Db) -> Result<Option<String>, Error> {
    store::find(db, MASTER_KEY).await
}

/// Whether the key at hand is the database's own. A new database takes any.
pub async fn check_master_key(db: &Db, vault: &Vault) -> Result<(), InstallationError> {
    match master_key_name(db).await? {
        Some(kept) => Ok(vault.check(&kept)?),
        None => Ok(()),
    }
}

/// Names another key, in the commit that reseals everything under it.
pub async fn rename_master_key(tx: &mut Tx, name: &str) -> Result<(), Error> {
    store::put(tx, MASTER_KEY, name).await
}

/// Writes the name of the key down, once everything sealed was opened with it. The first name stays.
pub async fn keep_master_key_name(db: &Db, vault: &Vault) -> Result<(), Error> {
    if master_key_name(db).await?.is_some() {
        return Ok(());
    }
    let name = vault.check_value();
    db.write("installation.keep_master_key_name", async move |tx| store::keep(tx, MASTER_KEY, &name).await).await
}
