//! A database of fruits on the engine of this run, and means to decide what its writer sees at once.
use crate::engine::{self, Database};
pub use crate::fruits::*;
use std::path::PathBuf;
use usher_db::{Change, DatabaseUrl, Db, Error, Options, Tx, args};

pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

pub struct Orchard {
    pub directory: tempfile::TempDir,
    pub db: Db,
    url: DatabaseUrl,
    _database: Option<Database>,
}

impl Orchard {
    pub async fn new() -> Result<Orchard, Box<dyn std::error::Error + Send + Sync>> {
        Orchard::with(&Options::default()).await
    }

    pub async fn with(options: &Options) -> Result<Orchard, Box<dyn std::error::Error + Send + Sync>> {
        let directory = tempfile::tempdir()?;
        let database = match engine::server() {
            Some(_) => Some(Database::of(&SCHEMA).await),
            None => None,
        };
        let url = match &database {
            Some(database) => database.url().parse()?,
            None => DatabaseUrl::Sqlite(directory.path().join("fruits.db")),
        };
        let db = Db::open_with(&url, &SCHEMA, options).await?;
        Ok(Orchard { directory, db, url, _database: database })
    }

    /// Another handle on the same database, as another process would have.
    pub async fn again(&self, options: &Options) -> Result<Db, usher_db::OpenError> {
        Db::open_with(&self.url, &SCHEMA, options).await
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("fruits.db")
    }

    pub async fn count(&self) -> Result<i64, Error> {
        count(&self.db).await
    }
}

pub async fn count(db: &Db) -> Result<i64, Error> {
    match db.all(&COUNT, args![]).await?.first() {
        Some(row) => row.get(0),
        None => Ok(-1),
    }
}

/// Holds the writer until the returned sender is dropped, so that what is queued meanwhile becomes one batch.
/// Dropping it from a blocked writer is the point, so this is the one write that waits for something.
pub async fn hold(db: &Db) -> (std::sync::mpsc::SyncSender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
    let (started, running) = tokio::sync::oneshot::channel::<()>();
    let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
    let gate = std::sync::Mutex::new((Some(started), released));
    let db = db.clone();
    let held = tokio::spawn(async move {
        db.write("hold", async move |_: &mut Tx| {
            let mut gate = gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(started) = gate.0.take() {
                let _ = started.send(());
                let _ = gate.1.recv();
            }
            Ok(())
        })
        .await
    });
    let _ = running.await;
    (release, held)
}

/// Waits until this many writes are queued.
pub async fn queued(db: &Db, count: usize) {
    while db.stats().queued < count {
        tokio::task::yield_now().await;
    }
}

/// The numbers of changes.
pub fn seqs(changes: &[Change]) -> Vec<i64> {
    changes.iter().map(|it| it.seq).collect()
}
