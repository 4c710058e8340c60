//! The database as the server holds it.
use crate::feed::{self, Change, Feed};
use crate::pg::{self, DatabaseClock};
use crate::{
    DatabaseUrl, Error, Migration, OpenError, Point, PostgresUrl, Row, Scan, Statement, Tx, Value, args, lite,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How many changes one slice of pruning deletes: far below what a write may take.
const PRUNED_AT_ONCE: i64 = 1_000;

/// A handle on the database; clones share it.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
}

/// The engine under the handle.
#[derive(Clone)]
enum Engine {
    Lite(Arc<lite::Engine>),
    Pg(Arc<pg::Engine>),
}

/// How a PostgreSQL database is used. SQLite has no use for any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Connections of this node at most, besides the one that follows the feed.
    pub pool: usize,
    /// How long this node trusts its memory when it does not hear the database.
    pub staleness: Duration,
    /// How long one statement may take, and wait for a lock.
    pub statement_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            pool: 16,
            staleness: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
        }
    }
}

/// Something happened to the contact with the database that changes alone do not tell. See [`Db::when_interrupted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// Changes were pruned before they were read, or the database is another one: forget everything.
    Missed,
    /// The database was not heard for longer than the staleness bound.
    Cut,
    /// It is heard again, and memory has followed.
    Restored,
}

/// What `/metrics` shows of the storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Writes waiting.
    pub queued: usize,
    /// Transactions committed or rolled back.
    pub batches: u64,
    /// Writes run, counting each once.
    pub jobs: u64,
    /// Writes that were run again because the transaction around them was lost.
    pub retried: u64,
    /// Writes that took longer than they may compute.
    pub slow: u64,
    /// Why the last attempt to write failed; `None` once a commit has succeeded again.
    pub last_error: Option<String>,
    /// The follower panicked: memory may be behind the database, and nothing is served until the process restarts.
    pub broken: bool,
}

impl Db {
    /// Opens the database, makes it if there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub async fn open(url: &DatabaseUrl, migrations: &'static [Migration]) -> Result<Db, OpenError> {
        Db::open_with(url, migrations, &Options::default()).await
    }

    /// The same, used in another way than the standard one.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_with(
        url: &DatabaseUrl,
        migrations: &'static [Migration],
        options: &Options,
    ) -> Result<Db, OpenError> {
        let engine = match url {
            DatabaseUrl::Sqlite(path) => Engine::Lite(Arc::new(lite::Engine::open(path.clone(), migrations).await?)),
            DatabaseUrl::Postgres(url) => Engine::Pg(Arc::new(pg::Engine::open(url, migrations, options).await?)),
        };
        Ok(Db { engine })
    }

    /// Sets who hears of changes: called with the changes of each transaction after its commit, before any waiter of that
    /// transaction is answered. It must be quick, must not panic, and must not call the database.
    ///
    /// Each change is told once. On SQLite in commit order; on PostgreSQL the changes of other nodes are in commit order,
    /// and a node's own may come before older ones of others, so what they do to memory must not depend on their order
    /// (ends are final, and versions only rise).
    ///
    /// Set it once, before the first write that announces; a second one is ignored and logged.
    pub fn follow(&self, follower: impl Fn(&[Change]) + Send + Sync + 'static) {
        match &self.engine {
            Engine::Lite(engine) => engine.follow(Box::new(follower)),
            Engine::Pg(engine) => engine.follow(Box::new(follower)),
        }
    }

    /// Sets who hears that the contact with the database was interrupted. On SQLite it never is. Set it once, before
    /// [`Db::follow`], and keep to the same rules.
    pub fn when_interrupted(&self, told: impl Fn(Interruption) + Send + Sync + 'static) {
        match &self.engine {
            Engine::Lite(_) => {}
            Engine::Pg(engine) => engine.when_interrupted(Box::new(told)),
        }
    }

    /// Whether memory follows the database closely enough to be trusted. Costs a look at a clock.
    pub fn is_current(&self) -> bool {
        match &self.engine {
            Engine::Lite(engine) => engine.is_current(),
            Engine::Pg(engine) => engine.is_current(),
        }
    }

    /// The database's clock, when it is not this machine's: nodes agree on no other.
    pub fn clock(&self) -> Option<DatabaseClock> {
        match &self.engine {
            Engine::Lite(_) => None,
            Engine::Pg(engine) => Some(engine.clock()),
        }
    }

    /// The number of the last change of the feed that memory has followed; none where memory follows every commit
    /// before it is answered.
    pub fn followed(&self) -> Option<i64> {
        match &self.engine {
            Engine::Lite(_) => None,
            Engine::Pg(engine) => Some(engine.followed()),
        }
    }

    /// Whether other nodes may write to this database beside us.
    pub fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Pg(_))
    }

    /// How many other nodes and commands hold this database open at this moment. With SQLite nobody else can.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be read.
    pub async fn others(&self) -> Result<u32, Error> {
        match &self.engine {
            Engine::Lite(_) => Ok(0),
            Engine::Pg(engine) => engine.others().await,
        }
    }

    /// Serves nothing from here on, and says `why`: other nodes have made this one unfit. With SQLite nobody can.
    pub fn give_up(&self, why: &str) {
        match &self.engine {
            Engine::Lite(_) => {}
            Engine::Pg(engine) => engine.give_up(why),
        }
    }

    /// Reads a row by index, on this thread, in microseconds.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be read.
    pub async fn one(&self, statement: &'static Point, args: Vec<Value>) -> Result<Option<Row>, Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.one(statement, args),
            Engine::Pg(engine) => engine.one(statement, args).await,
        }
    }

    /// Reads the rows that an index has under one key, on this thread, in microseconds. For what is few by its nature.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be read.
    pub async fn few(&self, statement: &'static Point, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.few(statement, args),
            Engine::Pg(engine) => engine.few(statement, args).await,
        }
    }

    /// Reads rows, off the runtime threads.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be read, or too many scans wait already.
    pub async fn all(&self, statement: &'static Scan, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.all(statement, args).await,
            Engine::Pg(engine) => engine.all(statement, args).await,
        }
    }

    /// Runs `f` in a transaction of its own: `Ok` commits, `Err` rolls back. See the closure contract of the crate.
    ///
    /// It runs to its end even when the caller stops waiting.
    ///
    /// # Errors
    /// What `f` returned; the failure of a statement that `f` swallowed without [`Tx::undo`]; [`Error::Unavailable`]
    /// when the commit failed or the queue is full; [`Error::Other`] when `f` panicked, awaited something that is not
    /// its `Tx`, or computed longer than 50 ms.
    pub async fn write<T, F>(&self, name: &'static str, f: F) -> Result<T, Error>
    where
        F: AsyncFn(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        match &self.engine {
            Engine::Lite(engine) => engine.write(name, lite::WRITE_LIMIT, f).await,
            Engine::Pg(engine) => engine.write(name, f).await,
        }
    }

    /// The same for what an administrator does rarely and must be one commit however much it is: on SQLite it may compute
    /// for three seconds, and every other write waits so long.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn write_at_length<T, F>(&self, name: &'static str, f: F) -> Result<T, Error>
    where
        F: AsyncFn(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        match &self.engine {
            Engine::Lite(engine) => engine.write(name, lite::LONG_WRITE_LIMIT, f).await,
            Engine::Pg(engine) => engine.write(name, f).await,
        }
    }

    /// Writes a consistent copy to `to` (mode 0600, on the disk when this returns) while serving.
    ///
    /// # Errors
    /// [`Error::Other`] when `to` exists, and always on PostgreSQL, which has its own tools for this;
    /// [`Error::Unavailable`] when it cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.backup(to.to_path_buf()).await,
            Engine::Pg(_) => Err(Error::other("backup", "PostgreSQL is backed up with pg_dump, or its own archive")),
        }
    }

    /// Up to `limit` changes after `seq`, with both ends of the feed, from one snapshot.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be read.
    pub async fn changes_after(&self, seq: i64, limit: u32) -> Result<Feed, Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.changes_after(seq, limit).await,
            Engine::Pg(engine) => engine.changes_after(seq, limit).await,
        }
    }

    /// Deletes the changes at the old end of the feed that were made before `before` (milliseconds), and raises the
    /// floor over them. Says how many.
    ///
    /// # Errors
    /// As [`Db::write`]; what was pruned until then stays pruned.
    pub async fn prune_changes(&self, before: i64) -> Result<u64, Error> {
        let ends = self.changes_after(i64::MAX - 1, 0).await?;
        // Only whole stretches go: the first change that must stay ends the search, whatever lies behind it.
        let last = match self.all(&feed::KEEP_FROM, args![before]).await?.first() {
            Some(row) => row.get::<i64>(0)? - 1,
            None => ends.head,
        };
        let mut pruned = 0;
        let mut floor = ends.floor;
        while floor < last {
            floor = last.min(floor + PRUNED_AT_ONCE);
            pruned += self
                .write("prune_changes", async move |tx: &mut Tx| {
                    tx.execute(&feed::RAISE_FLOOR, args![floor]).await?;
                    tx.execute(&feed::PRUNE, args![floor]).await
                })
                .await?;
        }
        Ok(pruned)
    }

    /// Figures for `/metrics`.
    pub fn stats(&self) -> Stats {
        match &self.engine {
            Engine::Lite(engine) => engine.stats(),
            Engine::Pg(engine) => engine.stats(),
        }
    }

    /// Finishes the writes that wait, refuses new ones, and gives the database up. Other handles answer
    /// [`Error::Unavailable`] from then on.
    pub async fn close(self) {
        match &self.engine {
            Engine::Lite(engine) => engine.close().await,
            Engine::Pg(engine) => engine.close().await,
        }
    }
}

/// Looks at a database without changing anything in it, also while a server uses it.
///
/// # Errors
/// What [`Db::open`] would refuse: damage, another program's tables, a newer or changed schema.
pub async fn examine(url: &DatabaseUrl, migrations: &'static [Migration]) -> Result<(), OpenError> {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let (path, shown) = (path.clone(), path.clone());
            let looked = tokio::task::spawn_blocking(move || lite::examine(&path, migrations));
            looked.await.unwrap_or_else(|error| {
                Err(OpenError::Io { path: shown, doing: "look at it", message: error.to_string() })
            })
        }
        DatabaseUrl::Postgres(url) => pg::examine(url, migrations).await,
    }
}

/// A table that was moved into another database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its name.
    pub table: String,
    /// How many rows, counted on both sides.
    pub rows: u64,
    /// SHA-256 over every row, added up, so that their order does not count; the same on both sides.
    pub digest: String,
}

/// Moves everything that is in the SQLite file at `from` into a PostgreSQL database that has no table yet: in one
/// transaction, read back and compared before its commit. The file stays as it is. Whoever calls this holds the file.
///
/// # Errors
/// See [`OpenError`]; nothing was moved then.
pub async fn move_to_postgres(
    from: &Path,
    to: &PostgresUrl,
    migrations: &'static [Migration],
) -> Result<Vec<Moved>, OpenError> {
    pg::move_in(from.to_owned(), to, migrations).await
}

/// Prepares every statement, for the registry test: text, tables, columns and their types are right. On SQLite also:
/// a read only reads, and a [`Point`] uses an index.
///
/// # Errors
/// [`Error::Other`] for the first statement that is wrong.
pub async fn prepare_all(db: &Db, statements: &[&Statement]) -> Result<(), Error> {
    match &db.engine {
        Engine::Lite(engine) => statements.iter().chain(feed::STATEMENTS).try_for_each(|it| engine.prepare(it)),
        Engine::Pg(engine) => {
            for statement in statements.iter().chain(feed::STATEMENTS) {
                engine.prepare(statement).await?;
            }
            Ok(())
        }
    }
}
