//! PostgreSQL: each write in a transaction of its own, several nodes on one database.
//!
//! The futures of writes need not be `Send`, so they run on threads of this engine, many at once on each; connections
//! are driven there too, whoever uses them. READ COMMITTED, because one guarded statement decides: its row lock makes
//! the second of two see what the first one did. What PostgreSQL itself refuses as a race is run again.
//!
//! This node's memory follows the feed (`follow.rs`). While the database was not heard for longer than the staleness
//! bound, nothing is written and [`Db::is_current`](crate::Db::is_current) says no.
mod connection;
mod contact;
mod follow;
mod moving;
mod pool;
mod schema;
mod tls;
mod write;

pub(crate) use pool::Lease;

use crate::feed::{Change, Feed};
use crate::url::{PostgresUrl, Transport};
use crate::{Error, Interruption, Migration, OpenError, Options, Point, Row, Scan, Statement, Stats, Tx, Value};
use connection::Trouble;
use contact::Contact;
use pool::{Connector, Pool};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};

/// Writes that may wait for their thread. They leave it for the pool's queue at once, so this is seldom more than a few.
const QUEUE: usize = 4_096;
/// How often a read is tried when the connection was lost under it.
const READS: u32 = 3;

type Follower = Box<dyn Fn(&[Change]) + Send + Sync>;
type Interrupted = Box<dyn Fn(Interruption) + Send + Sync>;
type Work = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// What a thread of the engine is sent.
enum Message {
    Run(Work),
    Close(oneshot::Sender<()>),
}

#[derive(Default)]
struct Counts {
    batches: AtomicU64,
    jobs: AtomicU64,
    retried: AtomicU64,
}

/// What handles, writes and the follower share.
struct Shared {
    pool: Arc<Pool>,
    contact: Arc<Contact>,
    counts: Counts,
    follower: OnceLock<Follower>,
    interrupted: OnceLock<Interrupted>,
    progress: Mutex<follow::Progress>,
    /// The server's name for the connection that follows; zero before there is one.
    line: AtomicI64,
    /// How long one look at the feed may take.
    look_limit: Duration,
    last_error: Mutex<Option<String>>,
    broken: AtomicBool,
    closed: AtomicBool,
}

impl Shared {
    fn failed(&self, message: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = message;
    }

    /// Memory could not follow: nothing is served from here on.
    fn break_off(&self) -> Error {
        self.broken.store(true, Ordering::Relaxed);
        tracing::error!("the follower of the change feed panicked; nothing is served until a restart");
        Error::unavailable("follow", "memory could not follow the database; restart the process")
    }
}

/// An open PostgreSQL database.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    threads: Vec<mpsc::Sender<Message>>,
    turn: AtomicUsize,
}

impl Engine {
    pub(crate) async fn open(
        url: &PostgresUrl,
        migrations: &'static [Migration],
        options: &Options,
    ) -> Result<Engine, OpenError> {
        if *url.transport() == Transport::Plain {
            tracing::warn!(target: "usher_db", "{} is reached in clear, because its address says sslmode=disable", url.shown());
        }
        let connector = Connector::new(url, options)?;
        schema::bring_up(&connector, migrations).await?;
        let (mut threads, mut handles) = (Vec::new(), Vec::new());
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..(cores / 2).clamp(1, 4) {
            let (thread, handle) = start().await.map_err(|error| server(url, format!("no thread for it: {error}")))?;
            threads.push(thread);
            handles.push(handle);
        }
        let first = handles[0].clone();
        let shared = Arc::new(Shared {
            pool: Arc::new(Pool::new(connector, handles, options.pool)),
            contact: Arc::new(Contact::new(options.staleness)),
            counts: Counts::default(),
            follower: OnceLock::new(),
            interrupted: OnceLock::new(),
            progress: Mutex::default(),
            line: AtomicI64::new(0),
            // Two in a row may fail before the bound is reached.
            look_limit: (options.staleness / 3).clamp(Duration::from_millis(200), Duration::from_secs(3)),
            last_error: Mutex::new(None),
            broken: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let mut lease = Pool::take(&shared.pool, "open").await.map_err(|error| server(url, error.to_string()))?;
        let look = follow::look(&mut lease, i64::MAX - 1, 0).await.map_err(|error| server(url, error.to_string()))?;
        shared.begin_at(&look);
        drop(lease);
        first.spawn(follow::run(Arc::clone(&shared)));
        first.spawn(follow::judge(Arc::clone(&shared)));
        Ok(Engine { shared, threads, turn: AtomicUsize::new(0) })
    }

    pub(crate) fn follow(&self, follower: Follower) {
        if self.shared.follower.set(follower).is_err() {
            tracing::error!("a second follower of the change feed was ignored");
        }
    }

    pub(crate) fn when_interrupted(&self, told: Interrupted) {
        if self.shared.interrupted.set(told).is_err() {
            tracing::error!("a second listener to interruptions was ignored");
        }
    }

    pub(crate) fn is_current(&self) -> bool {
        !self.shared.broken.load(Ordering::Relaxed) && self.shared.contact.is_fresh()
    }

    pub(crate) fn followed(&self) -> i64 {
        self.shared.followed()
    }

    pub(crate) async fn others(&self) -> Result<u32, Error> {
        self.serving(follow::OTHERS.name)?;
        let mut lease = Pool::take(&self.shared.pool, follow::OTHERS.name).await?;
        follow::others(&self.shared, &mut lease).await
    }

    pub(crate) fn give_up(&self, why: &str) {
        self.shared.broken.store(true, Ordering::Relaxed);
        tracing::error!(target: "usher_db", "{why}; nothing is served until a restart");
    }

    pub(crate) fn clock(&self) -> DatabaseClock {
        DatabaseClock(Arc::clone(&self.shared.contact))
    }

    pub(crate) async fn one(&self, statement: &'static Point, args: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.read(&statement.0, args).await?.into_iter().next())
    }

    pub(crate) async fn few(&self, statement: &'static Point, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.read(&statement.0, args).await
    }

    pub(crate) async fn all(&self, statement: &'static Scan, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.read(&statement.0, args).await
    }

    async fn read(&self, statement: &'static Statement, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        for attempt in 1.. {
            self.serving(statement.name)?;
            let mut lease = Pool::take(&self.shared.pool, statement.name).await?;
            let read = lease.all(statement, args.clone()).await;
            // A connection that died while it waited for us says nothing about the server.
            if read.is_err() && lease.trouble() == Some(Trouble::Lost) && attempt < READS {
                continue;
            }
            return read;
        }
        Err(closed(statement.name))
    }

    pub(crate) async fn changes_after(&self, seq: i64, limit: u32) -> Result<Feed, Error> {
        self.serving("changes_after")?;
        let mut lease = Pool::take(&self.shared.pool, "changes_after").await?;
        Ok(follow::look(&mut lease, seq, limit).await?.feed)
    }

    pub(crate) async fn write<T, F>(&self, name: &'static str, f: F) -> Result<T, Error>
    where
        F: AsyncFn(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.serving(name)?;
        if !self.shared.contact.is_fresh() {
            return Err(Error::unavailable(name, "the database was not heard for longer than the staleness bound"));
        }
        let (reply, answer) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let work: Work = Box::new(move || {
            Box::pin(async move {
                // Nobody waits any more when the caller has gone; the write stands all the same.
                let _ = reply.send(write::run(&shared, name, &f).await);
            })
        });
        let thread = &self.threads[self.turn.fetch_add(1, Ordering::Relaxed) % self.threads.len()];
        thread.try_send(Message::Run(work)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::unavailable(name, "too many writes are waiting"),
            mpsc::error::TrySendError::Closed(_) => closed(name),
        })?;
        answer.await.unwrap_or_else(|_| Err(closed(name)))
    }

    pub(crate) fn stats(&self) -> Stats {
        let shared = &self.shared;
        Stats {
            queued: shared.pool.waiting(),
            batches: shared.counts.batches.load(Ordering::Relaxed),
            jobs: shared.counts.jobs.load(Ordering::Relaxed),
            retried: shared.counts.retried.load(Ordering::Relaxed),
            slow: 0,
            last_error: shared.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            broken: shared.broken.load(Ordering::Relaxed),
        }
    }

    pub(crate) async fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        for thread in &self.threads {
            let (done, wait) = oneshot::channel();
            if thread.send(Message::Close(done)).await.is_ok() {
                // An error means that the thread has ended already, which is what we wait for.
                let _ = wait.await;
            }
        }
        self.shared.pool.close();
    }

    pub(crate) async fn prepare(&self, statement: &Statement) -> Result<(), Error> {
        Pool::take(&self.shared.pool, "prepare_all").await?.check(statement).await
    }

    fn serving(&self, name: &'static str) -> Result<(), Error> {
        if self.shared.broken.load(Ordering::Relaxed) {
            return Err(Error::unavailable(name, "memory could not follow the database; restart the process"));
        }
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(closed(name));
        }
        Ok(())
    }
}

/// Looks at a database without changing anything in it.
pub(crate) async fn examine(url: &PostgresUrl, migrations: &'static [Migration]) -> Result<(), OpenError> {
    schema::examine(&Connector::new(url, &Options::default())?, migrations).await
}

/// Moves everything that is in a SQLite file into an empty database.
pub(crate) async fn move_in(
    from: std::path::PathBuf,
    to: &PostgresUrl,
    migrations: &'static [Migration],
) -> Result<Vec<crate::Moved>, OpenError> {
    moving::run(from, to, migrations).await
}

/// The database's time, as this node knows it without asking: corrected at every look at the feed.
#[derive(Debug, Clone)]
pub struct DatabaseClock(Arc<Contact>);

impl DatabaseClock {
    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.0.now()
    }
}

/// Starts a thread that runs writes and drives connections.
async fn start() -> std::io::Result<(mpsc::Sender<Message>, Handle)> {
    let (sender, messages) = mpsc::channel(QUEUE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name("usher-db".to_owned()).spawn(move || {
        LocalSet::new().block_on(&runtime, serve(messages));
        // Connections are closed here, on their own thread.
        drop(runtime);
    })?;
    Ok((sender, handle))
}

/// Runs what is sent, until it is told to close or nobody holds a handle any more.
async fn serve(mut messages: mpsc::Receiver<Message>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(Message::Run(work)) => {
                    running.spawn_local(work());
                }
                Some(Message::Close(done)) => {
                    messages.close();
                    while running.join_next().await.is_some() {}
                    // Best effort: who asked may be gone.
                    let _ = done.send(());
                    return;
                }
                None => break,
            },
            Some(_) = running.join_next() => {}
        }
    }
    while running.join_next().await.is_some() {}
}

fn closed(name: &'static str) -> Error {
    Error::unavailable(name, "the database is closed")
}

fn server(url: &PostgresUrl, why: String) -> OpenError {
    OpenError::Server { message: format!("{} cannot be used: {why}", url.shown()) }
}
