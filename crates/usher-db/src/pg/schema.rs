//! Running migrations on PostgreSQL: one node at a time, one transaction each.
//!
//! The portable text says `TEXT`; how texts compare is up to the database it lands in. Pages, keys and constraints rely
//! on bytes, as SQLite compares them, so every text column is given the collation "C" in the same transaction, and a
//! database whose columns have another one is refused.
use super::connection::described;
use super::pool::Connector;
use crate::migrate::{self, Applied};
use crate::{Migration, OpenError};
use std::time::Duration;
use tokio_postgres::Client;

/// "Ushr" in ASCII: names the lock that one migrating node holds.
const LOCK: i64 = 0x5573_6872;
/// How long a node waits for another one to migrate.
const PATIENCE: Duration = Duration::from_secs(300);
/// The oldest server that is known to do.
const OLDEST: i32 = 150_000;

/// Gives every text column of this schema the collation of bytes.
const BYTES: &str = r#"
DO $$ DECLARE t record; BEGIN
    FOR t IN SELECT a.attrelid::regclass AS name,
            string_agg(format('ALTER COLUMN %I TYPE TEXT COLLATE "C"', a.attname), ', ') AS columns
        FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid JOIN pg_collation l ON l.oid = a.attcollation
        WHERE r.relnamespace = current_schema()::regnamespace AND r.relkind IN ('r', 'p') AND a.attnum > 0
            AND NOT a.attisdropped AND a.atttypid = 'text'::regtype AND l.collname <> 'C'
        GROUP BY a.attrelid
    LOOP EXECUTE format('ALTER TABLE %s %s', t.name, t.columns); END LOOP;
END $$"#;

const NOT_BYTES: &str = "SELECT CAST(count(*) AS BIGINT) FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid \
    JOIN pg_collation l ON l.oid = a.attcollation WHERE r.relnamespace = current_schema()::regnamespace \
    AND r.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'text'::regtype \
    AND l.collname <> 'C'";

/// Tables of this schema that no extension brought.
const TABLES: &str = "SELECT CAST(count(*) AS BIGINT) FROM pg_class r WHERE r.relnamespace = current_schema()::regnamespace \
    AND r.relkind IN ('r', 'p') AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = r.oid AND d.deptype = 'e')";

/// Brings the tables up to date, waiting for a node that is doing so.
pub(super) async fn bring_up(connector: &Connector, migrations: &'static [Migration]) -> Result<(), OpenError> {
    let session = Session::open(connector).await?;
    if session.pending(migrations).await?.is_empty() {
        return session.check_collation().await;
    }
    let lock = format!("SET lock_timeout = {}; SELECT pg_advisory_lock({LOCK})", PATIENCE.as_millis());
    session
        .client
        .batch_execute(&lock)
        .await
        .map_err(|error| session.failed("wait for another node's migration", &error))?;
    // What was pending may be done by now.
    for migration in session.pending(migrations).await? {
        session.run(migration).await.map_err(|error| OpenError::Migration {
            number: migration.number,
            name: migration.name,
            message: described(&error),
        })?;
    }
    session.check_collation().await
}

/// Looks at a database without changing anything in it.
pub(super) async fn examine(connector: &Connector, migrations: &'static [Migration]) -> Result<(), OpenError> {
    let session = Session::open(connector).await?;
    let pending = session.pending(migrations).await?;
    if pending.len() > migrations.len() { Ok(()) } else { session.check_collation().await }
}

/// A connection for this alone: without the limits of everyday statements, and gone with its locks when dropped.
pub(super) struct Session {
    client: Client,
    shown: String,
}

impl Session {
    pub(super) async fn open(connector: &Connector) -> Result<Session, OpenError> {
        let client = connector.session().await?;
        let session = Session { client, shown: connector.shown().to_owned() };
        let facts = "SELECT CAST(current_setting('server_version_num') AS INT), current_setting('server_encoding'), \
            CAST(current_schema() AS TEXT), current_setting('fsync')";
        let facts = session.client.query_one(facts, &[]).await.map_err(|error| session.failed("look at it", &error))?;
        let wrong = |what: String| Err(OpenError::Server { message: format!("{}: {what}", session.shown) });
        if facts.get::<_, i32>(0) < OLDEST {
            return wrong("Usher needs PostgreSQL 15 or newer".to_owned());
        }
        let encoding: String = facts.get(1);
        if encoding != "UTF8" {
            return wrong(format!("its encoding is {encoding}; make it anew with ENCODING 'UTF8'"));
        }
        if facts.get::<_, Option<String>>(2).is_none() {
            return wrong("its search_path names no schema that exists".to_owned());
        }
        if facts.get::<_, String>(3) == "off" {
            tracing::warn!(target: "usher_db", "PostgreSQL runs with fsync off: what is acknowledged may be lost");
        }
        Ok(session)
    }

    pub(super) fn failed(&self, doing: &str, error: &tokio_postgres::Error) -> OpenError {
        self.refused(doing, &described(error))
    }

    pub(super) fn refused(&self, doing: &str, why: &str) -> OpenError {
        OpenError::Server { message: format!("{}: cannot {doing}: {why}", self.shown) }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a text that returns nothing.
    pub(super) async fn text(&self, sql: &str) -> Result<(), OpenError> {
        self.client.batch_execute(sql).await.map_err(|error| self.failed("be written to", &error))
    }

    /// Refuses a schema that has any table.
    pub(super) async fn must_be_empty(&self) -> Result<(), OpenError> {
        match self.client.query_one(TABLES, &[]).await {
            Ok(row) if row.get::<_, i64>(0) == 0 => Ok(()),
            Ok(_) => Err(self.refused("be moved into", "it has tables already; name a new, empty database")),
            Err(error) => Err(self.failed("look at its tables", &error)),
        }
    }

    async fn pending(&self, migrations: &'static [Migration]) -> Result<Vec<&'static Migration>, OpenError> {
        let failed = |error: tokio_postgres::Error| self.failed("read its migrations", &error);
        let ours = "SELECT to_regclass(format('%I.migrations', current_schema())) IS NOT NULL";
        let known: bool = self.client.query_one(ours, &[]).await.map_err(failed)?.get(0);
        if !known {
            let tables: i64 = self.client.query_one(TABLES, &[]).await.map_err(failed)?.get(0);
            return if tables == 0 { migrate::pending(&[], migrations) } else { Err(self.foreign()) };
        }
        let columns = "SELECT CAST(count(*) AS BIGINT) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND \
            attrelid = to_regclass(format('%I.migrations', current_schema())) AND attname IN ('number', 'name', 'digest')";
        let columns: i64 = self.client.query_one(columns, &[]).await.map_err(failed)?.get(0);
        if columns != 3 {
            return Err(self.foreign());
        }
        let rows =
            self.client.query("SELECT number, digest FROM migrations ORDER BY number", &[]).await.map_err(failed)?;
        let mut applied = Vec::with_capacity(rows.len());
        for row in rows {
            let number: i64 = row.try_get(0).map_err(failed)?;
            let number = u32::try_from(number).map_err(|_| self.foreign())?;
            applied.push(Applied { number, digest: row.try_get(1).map_err(failed)? });
        }
        migrate::pending(&applied, migrations)
    }

    fn foreign(&self) -> OpenError {
        let message = format!(
            "{} holds the tables of another program and was left alone: make a database for Usher, or name an empty \
             schema with ?options=-csearch_path%3DNAME",
            self.shown
        );
        OpenError::Server { message }
    }

    /// All of it or nothing.
    async fn run(&self, migration: &Migration) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("BEGIN").await?;
        let ran = async {
            self.apply(migration).await?;
            self.client.batch_execute("COMMIT").await
        };
        let ran = ran.await;
        if ran.is_err() {
            // Best effort: the session is given up next, and its transaction with it.
            let _ = self.client.batch_execute("ROLLBACK").await;
        }
        ran
    }

    /// What a migration does, within a transaction.
    pub(super) async fn apply(&self, migration: &Migration) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(migration.sql).await?;
        self.client.batch_execute(BYTES).await?;
        let note = "INSERT INTO migrations (number, name, digest) VALUES ($1, $2, $3)";
        let number = i64::from(migration.number);
        self.client.execute(note, &[&number, &migration.name, &migrate::digest(migration)]).await.map(drop)
    }

    async fn check_collation(&self) -> Result<(), OpenError> {
        let others: i64 = match self.client.query_one(NOT_BYTES, &[]).await {
            Ok(row) => row.get(0),
            Err(error) => return Err(self.failed("check how its texts compare", &error)),
        };
        if others == 0 {
            return Ok(());
        }
        let message = format!(
            "{}: {others} text columns do not compare by bytes, so that pages would skip rows; give them COLLATE \"C\" again",
            self.shown
        );
        Err(OpenError::Server { message })
    }
}

impl Connector {
    /// A connection without limits, driven by the runtime that asks.
    async fn session(&self) -> Result<Client, OpenError> {
        let unreached =
            |why: String| OpenError::Server { message: format!("{} cannot be reached: {why}", self.shown()) };
        let (client, connection) = match tokio::time::timeout(self.connect_limit(), self.connect()).await {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => return Err(unreached(described(&error))),
            Err(_) => return Err(unreached("it does not answer".to_owned())),
        };
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}
