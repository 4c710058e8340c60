//! SQLite: one writer thread that commits many callers' writes at once, readers beside it.
//!
//! What was acknowledged survives `kill -9` and power loss (`synchronous=FULL`). One process holds the file, by a lock
//! beside it. Temporary data stays in memory, files are for their owner only.
mod connection;
mod copy;
mod job;
mod open;
mod readers;
mod rows;
mod schema;
mod text;
mod writer;

pub(crate) use connection::{Connection, LONG_WRITE_LIMIT, WRITE_LIMIT};
pub(crate) use open::examine;
pub(crate) use rows::{Table, reader, rows, tables};

use crate::feed::{self, Change, Feed};
use crate::{Error, Migration, OpenError, Point, Row, Scan, Statement, Stats, Tx, Value, args};
use job::{Job, Work};
use readers::Readers;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Writes that may wait. At some ten thousand a second this is a fraction of a second; beyond it, saying so is kinder.
const QUEUE: usize = 4_096;
/// Scans at once, each with a thread and a page cache of its own.
const SCANS: usize = 4;
/// Scans that may wait.
const SCANS_WAITING: usize = 256;

/// Hears of changes after their commit.
type Follower = Box<dyn Fn(&[Change]) + Send + Sync>;

/// What the writer is sent.
enum Message {
    Write(Box<dyn Work>),
    Close(oneshot::Sender<()>),
}

/// What handles, writer and readers share.
struct Shared {
    path: PathBuf,
    follower: OnceLock<Follower>,
    batches: AtomicU64,
    jobs: AtomicU64,
    retried: AtomicU64,
    slow: AtomicU64,
    last_error: Mutex<Option<String>>,
    broken: AtomicBool,
}

impl Shared {
    fn failed(&self, message: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = message;
    }
}

/// An open SQLite database.
pub(crate) struct Engine {
    queue: mpsc::Sender<Message>,
    shared: Arc<Shared>,
    points: Arc<Readers>,
    scans: Arc<Readers>,
    scan_permits: Arc<Semaphore>,
    scans_waiting: AtomicUsize,
}

impl Engine {
    pub(crate) async fn open(path: PathBuf, migrations: &'static [Migration]) -> Result<Engine, OpenError> {
        let shown = path.clone();
        let failed = |message: String| OpenError::Io { path: shown, doing: "open it", message };
        match tokio::task::spawn_blocking(move || Engine::open_now(path, migrations)).await {
            Ok(opened) => opened,
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn open_now(path: PathBuf, migrations: &'static [Migration]) -> Result<Engine, OpenError> {
        let open::Opened { path, lock, connection } = open::open(path, migrations)?;
        let shared = Arc::new(Shared {
            path: path.clone(),
            follower: OnceLock::new(),
            batches: AtomicU64::new(0),
            jobs: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            last_error: Mutex::new(None),
            broken: AtomicBool::new(false),
        });
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (points, scans) = (Arc::new(Readers::points(path.clone())), Arc::new(Readers::scans(path.clone(), SCANS)));
        let writer = writer::Writer::new(connection, Arc::clone(&shared), jobs, lock);
        std::thread::Builder::new()
            .name("usher-db".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::Io { path, doing: "start the writer thread", message: error.to_string() })?;
        let scan_permits = Arc::new(Semaphore::new(SCANS));
        Ok(Engine { queue, shared, points, scans, scan_permits, scans_waiting: AtomicUsize::new(0) })
    }

    pub(crate) fn follow(&self, follower: Follower) {
        if self.shared.follower.set(follower).is_err() {
            tracing::error!("a second follower of the change feed was ignored");
        }
    }

    pub(crate) fn is_current(&self) -> bool {
        !self.shared.broken.load(Ordering::Relaxed)
    }

    pub(crate) fn one(&self, statement: &'static Point, args: Vec<Value>) -> Result<Option<Row>, Error> {
        self.serving(statement.0.name)?;
        self.points.with(statement.0.name, |connection| connection.one(&statement.0, args))
    }

    pub(crate) fn few(&self, statement: &'static Point, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.serving(statement.0.name)?;
        self.points.with(statement.0.name, |connection| connection.all(&statement.0, args))
    }

    pub(crate) async fn all(&self, statement: &'static Scan, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.scan(statement.0.name, move |connection| connection.all(&statement.0, args)).await
    }

    pub(crate) async fn changes_after(&self, seq: i64, limit: u32) -> Result<Feed, Error> {
        self.scan("changes_after", move |connection| {
            connection.snapshot(|connection| {
                let ends = connection.one(&feed::ENDS.0, Vec::new())?;
                let ends = ends.ok_or_else(|| Error::other(feed::ENDS.0.name, "the row of the feed is missing"))?;
                let changes = connection.all(&feed::AFTER.0, args![seq, limit])?;
                let changes = changes.iter().map(change).collect::<Result<_, _>>()?;
                Ok(Feed { changes, head: ends.get(0)?, floor: ends.get(1)? })
            })
        })
        .await
    }

    pub(crate) async fn backup(&self, to: PathBuf) -> Result<(), Error> {
        self.serving("backup")?;
        let from = self.shared.path.clone();
        off_thread("backup", move || copy::backup(&from, &to)).await
    }

    pub(crate) async fn write<T, F>(&self, name: &'static str, limit: Duration, f: F) -> Result<T, Error>
    where
        F: AsyncFn(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.serving(name)?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Job::new(name, limit, f, reply));
        self.queue.try_send(Message::Write(job)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::unavailable(name, "too many writes are waiting"),
            mpsc::error::TrySendError::Closed(_) => closed(name),
        })?;
        answer.await.unwrap_or_else(|_| Err(closed(name)))
    }

    pub(crate) fn stats(&self) -> Stats {
        let shared = &self.shared;
        Stats {
            queued: QUEUE - self.queue.capacity().min(QUEUE),
            batches: shared.batches.load(Ordering::Relaxed),
            jobs: shared.jobs.load(Ordering::Relaxed),
            retried: shared.retried.load(Ordering::Relaxed),
            slow: shared.slow.load(Ordering::Relaxed),
            last_error: shared.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            broken: shared.broken.load(Ordering::Relaxed),
        }
    }

    pub(crate) async fn close(&self) {
        self.points.close();
        self.scans.close();
        let (done, wait) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            // An error means that the writer has ended already, which is what we wait for.
            let _ = wait.await;
        }
    }

    pub(crate) fn prepare(&self, statement: &Statement) -> Result<(), Error> {
        self.points.with("prepare_all", |connection| connection.check(statement))
    }

    async fn scan<T: Send + 'static>(
        &self,
        name: &'static str,
        run: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.serving(name)?;
        let waiting = Waiting::enter(&self.scans_waiting);
        if waiting.count > SCANS_WAITING {
            return Err(Error::unavailable(name, "too many scans are waiting"));
        }
        let permit = Arc::clone(&self.scan_permits).acquire_owned().await.map_err(|_| closed(name))?;
        let scans = Arc::clone(&self.scans);
        off_thread(name, move || {
            // Held by the work, not by the caller, who may stop waiting for it.
            let _permit = permit;
            scans.with(name, run)
        })
        .await
    }

    fn serving(&self, name: &'static str) -> Result<(), Error> {
        match self.shared.broken.load(Ordering::Relaxed) {
            true => Err(broken(name)),
            false => Ok(()),
        }
    }
}

/// Counts the scans that wait, also when their callers give up.
struct Waiting<'a> {
    counter: &'a AtomicUsize,
    count: usize,
}

impl Waiting<'_> {
    fn enter(counter: &AtomicUsize) -> Waiting<'_> {
        Waiting { counter, count: counter.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn off_thread<T: Send + 'static>(
    name: &'static str,
    run: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(run).await.unwrap_or_else(|error| Err(Error::other(name, error.to_string())))
}

fn broken(name: &'static str) -> Error {
    Error::unavailable(name, "memory could not follow the database; restart the process")
}

fn closed(name: &'static str) -> Error {
    Error::unavailable(name, "the database is closed")
}

fn change(row: &Row) -> Result<Change, Error> {
    Ok(Change { seq: row.get(0)?, topic: row.get(1)?, key: row.get(2)?, body: row.get(3)?, at: row.get(4)? })
}
