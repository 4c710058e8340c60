//! Connections: opened when needed, kept, and never more than so many.
//!
//! A pool of our own, because its connections live on the threads of this crate rather than on those of whoever asks
//! first, and because they carry what is known of them: their statements, and whether they can be used again.
use super::connection::{Connection, Trouble, described};
use crate::url::PostgresUrl;
use crate::{Error, OpenError, Options};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

type RustlsStream<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;

/// Who may wait for a connection. Beyond it, saying so is kinder.
const WAITING: usize = 4_096;

/// What every new connection is told. A server may be set to lose what it acknowledged, or to let a vanished client
/// hold its locks for ever; here it may not. `$` stands for the limit of a statement in milliseconds.
const GREETING: &str = "SET statement_timeout = $; SET lock_timeout = $; SET idle_in_transaction_session_timeout = 3000; \
    SET client_min_messages = warning; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// Opens connections.
pub(super) struct Connector {
    url: PostgresUrl,
    tls: MakeRustlsConnect,
    connect_limit: Duration,
    statement_limit: Duration,
}

impl Connector {
    pub(super) fn new(url: &PostgresUrl, options: &Options) -> Result<Connector, OpenError> {
        let tls = super::tls::connector(url.transport())?;
        let (connect_limit, statement_limit) = (options.connect_timeout, options.statement_timeout);
        Ok(Connector { url: url.clone(), tls, connect_limit, statement_limit })
    }

    pub(super) fn shown(&self) -> &str {
        self.url.shown()
    }

    pub(super) fn connect_limit(&self) -> Duration {
        self.connect_limit
    }

    /// The bare connection, for whoever drives it.
    pub(super) async fn connect(
        &self,
    ) -> Result<(Client, tokio_postgres::Connection<Socket, RustlsStream<Socket>>), tokio_postgres::Error> {
        self.url.config().connect(self.tls.clone()).await
    }

    /// A new connection, driven by the runtime that asks. `hint` is told whenever a commit announced something.
    pub(super) async fn open(&self, hint: Option<Arc<Notify>>) -> Result<Connection, Error> {
        const NAME: &str = "connect";
        let opening = async {
            let (client, mut connection) = self.connect().await?;
            tokio::spawn(async move {
                // Ends with the connection; why it ended is told to whoever uses it.
                while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                    if let (AsyncMessage::Notification(_), Some(hint)) = (message, &hint) {
                        hint.notify_one();
                    }
                }
            });
            Ok::<_, tokio_postgres::Error>(client)
        };
        let client = match timeout(self.connect_limit, opening).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(Error::unavailable(NAME, described(&error))),
            Err(_) => {
                let limit = self.connect_limit.as_millis();
                return Err(Error::unavailable(NAME, format!("PostgreSQL did not answer within {limit} ms")));
            }
        };
        // The server gives up first, so that a limit ends the statement and not the connection.
        let spare = Duration::from_secs(1);
        let mut connection = Connection::new(client, self.statement_limit + spare);
        let limit = self.statement_limit.as_millis().to_string();
        connection.control(NAME, &GREETING.replace('$', &limit)).await?;
        Ok(connection)
    }
}

/// The connections that serve reads and writes.
pub(super) struct Pool {
    connector: Connector,
    /// Where connections are driven: the threads of the engine, in turn.
    drivers: Vec<Handle>,
    turn: AtomicUsize,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    closed: AtomicBool,
}

impl Pool {
    pub(super) fn new(connector: Connector, drivers: Vec<Handle>, most: usize) -> Pool {
        Pool {
            connector,
            drivers,
            turn: AtomicUsize::new(0),
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(most.max(1))),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// How many wait for a connection.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A connection for `name`, until it is dropped.
    pub(super) async fn take(pool: &Arc<Pool>, name: &'static str) -> Result<Lease, Error> {
        let permit = {
            let waiting = Waiting::enter(&pool.waiting);
            if waiting.before >= WAITING {
                return Err(Error::unavailable(name, "too many are waiting for the database"));
            }
            // As long as a statement may take: then it is free, or its user was given up.
            match timeout(pool.connector.statement_limit, Arc::clone(&pool.permits).acquire_owned()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return Err(super::closed(name)),
                Err(_) => return Err(Error::unavailable(name, "every connection to the database is in use")),
            }
        };
        if pool.closed.load(Ordering::Acquire) {
            return Err(super::closed(name));
        }
        // The one that was used last, so that few are kept warm.
        while let Some(connection) = { pool.idle().pop() } {
            if connection.is_clean() {
                return Ok(Lease { connection: Some(connection), pool: Arc::clone(pool), _permit: permit });
            }
        }
        let driver = &pool.drivers[pool.turn.fetch_add(1, Ordering::Relaxed) % pool.drivers.len()];
        let opener = Arc::clone(pool);
        let opened = driver.spawn(async move { opener.connector.open(None).await }).await;
        let connection = match opened {
            Ok(opened) => opened.map_err(|error| Error::unavailable(name, error.to_string()))?,
            Err(_) => return Err(super::closed(name)),
        };
        Ok(Lease { connection: Some(connection), pool: Arc::clone(pool), _permit: permit })
    }

    /// Gives up the connections that nobody uses: one of them was found dead.
    pub(super) fn clear(&self) {
        self.idle().clear();
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.permits.close();
        self.clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that nobody else uses meanwhile. It goes back when it is dropped, if it can be used again.
pub(crate) struct Lease {
    /// Absent only while it is dropped.
    connection: Option<Connection>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.connection.as_ref().and_then(Connection::trouble)
    }
}

impl Deref for Lease {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("a lease holds its connection until it is dropped"),
        }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("a lease holds its connection until it is dropped"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if connection.is_clean() && !self.pool.closed.load(Ordering::Acquire) {
            self.pool.idle().push(connection);
        } else if matches!(connection.trouble(), Some(Trouble::Lost | Trouble::Late)) {
            // A server that went away took the others with it.
            self.pool.clear();
        }
    }
}

/// Counts who waits, also when they give up.
struct Waiting<'a> {
    counter: &'a AtomicUsize,
    before: usize,
}

impl Waiting<'_> {
    fn enter(counter: &AtomicUsize) -> Waiting<'_> {
        Waiting { counter, before: counter.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}
