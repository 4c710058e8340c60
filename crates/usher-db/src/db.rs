//! The database as the server holds it.
use crate::feed::{self, Change, Feed};
use crate::{DatabaseUrl, Error, Migration, OpenError, Point, Row, Scan, Statement, Tx, Value, args, lite};
use std::path::Path;
use std::sync::Arc;

/// How many changes one slice of pruning deletes: far below what a write may take.
const PRUNED_AT_ONCE: i64 = 1_000;

/// A handle on the database; clones share it.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
}

/// The engine under the handle. PostgreSQL adds a variant here and in [`Tx`]; since the futures of writes need not be
/// `Send`, it will drive them on threads of its own, as SQLite does.
#[derive(Clone)]
enum Engine {
    Lite(Arc<lite::Engine>),
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
    /// Writes that took longer than 50 ms.
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
        match url {
            DatabaseUrl::Sqlite(path) => {
                let engine = lite::Engine::open(path.clone(), migrations).await?;
                Ok(Db { engine: Engine::Lite(Arc::new(engine)) })
            }
        }
    }

    /// Sets who hears of changes: called with the changes of each transaction after its commit, in commit order, before
    /// any waiter of that transaction is answered. It must be quick, must not panic, and must not call the database.
    ///
    /// Set it once, before the first write that announces; a second one is ignored and logged.
    pub fn follow(&self, follower: impl Fn(&[Change]) + Send + Sync + 'static) {
        match &self.engine {
            Engine::Lite(engine) => engine.follow(Box::new(follower)),
        }
    }

    /// Reads a row by index, on this thread, in microseconds.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be read.
    pub async fn one(&self, statement: &'static Point, args: Vec<Value>) -> Result<Option<Row>, Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.one(statement, args),
        }
    }

    /// Reads the rows that an index has under one key, on this thread, in microseconds. For what is few by its nature.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be read.
    pub async fn few(&self, statement: &'static Point, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.few(statement, args),
        }
    }

    /// Reads rows, off the runtime threads.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be read, or too many scans wait already.
    pub async fn all(&self, statement: &'static Scan, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.all(statement, args).await,
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
            Engine::Lite(engine) => engine.write(name, f).await,
        }
    }

    /// Writes a consistent copy to `to` (mode 0600, on the disk when this returns) while serving.
    ///
    /// # Errors
    /// [`Error::Other`] when `to` exists, [`Error::Unavailable`] when it cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.backup(to.to_path_buf()).await,
        }
    }

    /// Up to `limit` changes after `seq`, with both ends of the feed, from one snapshot.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be read.
    pub async fn changes_after(&self, seq: i64, limit: u32) -> Result<Feed, Error> {
        match &self.engine {
            Engine::Lite(engine) => engine.changes_after(seq, limit).await,
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
        }
    }

    /// Finishes the writes that wait, refuses new ones, and gives the database up. Other handles answer
    /// [`Error::Unavailable`] from then on.
    pub async fn close(self) {
        match &self.engine {
            Engine::Lite(engine) => engine.close().await,
        }
    }
}

/// Looks at the SQLite file at `path` without changing anything in it, also while a server uses it.
///
/// # Errors
/// What [`Db::open`] would refuse: damage, another program's file, a newer or changed schema.
pub async fn examine(path: &Path, migrations: &'static [Migration]) -> Result<(), OpenError> {
    let (path, shown) = (path.to_owned(), path.to_owned());
    let looked = tokio::task::spawn_blocking(move || lite::examine(&path, migrations));
    looked
        .await
        .unwrap_or_else(|error| Err(OpenError::Io { path: shown, doing: "look at it", message: error.to_string() }))
}

/// Prepares every statement, for the registry test: text, tables and columns are right, a read only reads, and a
/// [`Point`] uses an index.
///
/// # Errors
/// [`Error::Other`] for the first statement that is wrong.
pub fn prepare_all(db: &Db, statements: &[&Statement]) -> Result<(), Error> {
    match &db.engine {
        Engine::Lite(engine) => statements.iter().chain(feed::STATEMENTS).try_for_each(|it| engine.prepare(it)),
    }
}
