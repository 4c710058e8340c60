//! A small schema of fruits on a real file.
use std::path::{Path, PathBuf};
use usher_db::{Change, DatabaseUrl, Db, Error, Migration, Tx, args};

pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

pub static SCHEMA: [Migration; 1] = [Migration {
    number: 1,
    name: "fruits",
    sql: "CREATE TABLE fruits (id TEXT PRIMARY KEY, color TEXT, eaten_at BIGINT, taste BLOB);
          CREATE TABLE peels (fruit TEXT NOT NULL REFERENCES fruits (id));
          CREATE INDEX fruits_color ON fruits (color);",
}];

usher_db::statements! {
    FIND: Point = "SELECT color, eaten_at, taste FROM fruits WHERE id = $1";
    LIST: Scan = "SELECT id FROM fruits ORDER BY id";
    GROW: Write = "INSERT INTO fruits (id, color) VALUES ($1, $2)";
    PEEL: Write = "INSERT INTO peels (fruit) VALUES ($1) RETURNING fruit";
    EAT: Write = "UPDATE fruits SET eaten_at = $2 WHERE id = $1 AND eaten_at IS NULL RETURNING color";
    COUNT: Scan = "SELECT CAST(count(*) AS BIGINT) FROM fruits";
    SLOW: Write = "INSERT INTO fruits (id, color) WITH RECURSIVE n(i) AS
        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT CAST(i AS TEXT), 'grey' FROM n";
}

pub struct Orchard {
    pub directory: tempfile::TempDir,
    pub db: Db,
}

impl Orchard {
    pub async fn new() -> Result<Orchard, Box<dyn std::error::Error + Send + Sync>> {
        let directory = tempfile::tempdir()?;
        let db = open(&directory.path().join("fruits.db"), &SCHEMA).await?;
        Ok(Orchard { directory, db })
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("fruits.db")
    }

    pub async fn count(&self) -> Result<i64, Error> {
        count(&self.db).await
    }
}

pub async fn open(path: &Path, migrations: &'static [Migration]) -> Result<Db, usher_db::OpenError> {
    Db::open(&DatabaseUrl::Sqlite(path.to_owned()), migrations).await
}

pub async fn count(db: &Db) -> Result<i64, Error> {
    match db.all(&COUNT, args![]).await?.first() {
        Some(row) => row.get(0),
        None => Ok(-1),
    }
}

pub async fn grow(db: &Db, id: String) -> Result<(), Error> {
    db.write("grow", async move |tx: &mut Tx| {
        tx.execute(&GROW, args![&id, "red"]).await?;
        tx.announce("grown", &id, "red", 1_000);
        Ok(())
    })
    .await
}

/// Holds the writer until the returned sender is dropped, so that what is queued meanwhile becomes one batch.
/// Dropping it from a blocked writer is the point, so this is the one write that waits for something.
pub async fn hold(db: &Db) -> (std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
    let (started, running) = tokio::sync::oneshot::channel::<()>();
    let (release, released) = std::sync::mpsc::channel::<()>();
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
