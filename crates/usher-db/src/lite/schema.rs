//! Running migrations on SQLite: a snapshot before, one transaction each.
use super::connection::Failure;
use super::{Connection, copy, open};
use crate::migrate::{self, Applied};
use crate::{Migration, OpenError};
use std::path::Path;

/// Between the name of the database and the number of the first migration that the snapshot has not.
pub(super) const SNAPSHOT: &str = ".before-";

/// Marks the file as ours: "Ushr" in ASCII.
const APPLICATION: i64 = 0x5573_6872;

/// Whether the file is a database of ours, or has nothing in it.
pub(super) fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let mark: i64 = connection.raw().pragma_query_value(None, "application_id", |row| row.get(0))?;
    let things: i64 = connection.raw().query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    Ok(mark == APPLICATION || (mark == 0 && things == 0))
}

pub(super) fn bring_up(
    path: &Path,
    connection: &Connection,
    migrations: &'static [Migration],
) -> Result<(), OpenError> {
    let applied = applied(connection).map_err(|error| open::sort(path, "read its migrations", Failure(error)))?;
    let pending = migrate::pending(&applied, migrations)?;
    if let (false, Some(first)) = (applied.is_empty(), pending.first()) {
        let to = open::beside(path, &format!("{SNAPSHOT}{:04}", first.number));
        copy::snapshot(path, &to).map_err(|error| OpenError::Io {
            path: to,
            doing: "take a snapshot before migrating",
            message: error.to_string(),
        })?;
    }
    pending.into_iter().try_for_each(|migration| {
        run(connection, migration).map_err(|error| OpenError::Migration {
            number: migration.number,
            name: migration.name,
            message: error.to_string(),
        })
    })
}

/// Whether the migrations that ran are those of this build; some may still be to run.
pub(super) fn examine(path: &Path, connection: &Connection, migrations: &'static [Migration]) -> Result<(), OpenError> {
    let applied = applied(connection).map_err(|error| open::sort(path, "read its migrations", Failure(error)))?;
    migrate::pending(&applied, migrations).map(drop)
}

fn applied(connection: &Connection) -> rusqlite::Result<Vec<Applied>> {
    if !connection.raw().table_exists(None, "migrations")? {
        return Ok(Vec::new());
    }
    let mut statement = connection.raw().prepare("SELECT number, digest FROM migrations ORDER BY number")?;
    let rows = statement.query_map((), |row| Ok(Applied { number: row.get(0)?, digest: row.get(1)? }))?;
    rows.collect()
}

/// All of it or nothing: a process killed here leaves the database as it was.
fn run(connection: &Connection, migration: &Migration) -> rusqlite::Result<()> {
    let transaction = connection.raw().unchecked_transaction()?;
    if migration.number == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    transaction.execute_batch(migration.sql)?;
    transaction.execute(
        "INSERT INTO migrations (number, name, digest) VALUES (?1, ?2, ?3)",
        (migration.number, migration.name, migrate::digest(migration)),
    )?;
    transaction.commit()
}
