//! The hashing service: argon2id on its own threads, within bounds that do not move under attack.
//!
//! As many threads as permits, each with its own block of memory, reused from job to job and given back after half
//! a minute without work: memory never exceeds permits × one hash. The threads run at low priority, so that
//! a storm of logins slows logins and not the rest of the server. At most `queue` callers wait; the next one is told
//! [`Busy`] at once. A caller who gives up is not worked for. A job that panics answers its own
//! caller with `Busy` and leaves the thread running.
//!
//! A name that nobody has is checked against a fixed dummy of the current cost, and never passes.

mod recent;
mod work;

use crate::accounts::hash::{Encoded, HashFault, Params, Peppers, SALT_BYTES};
use crate::secret::Rng;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use work::{Shared, Task};
use zeroize::Zeroizing;

/// No accepted password is longer, in bytes (`policy::MAX_BYTES`), so a longer one is wrong without a hash.
const MAX_PASSWORD_BYTES: usize = crate::accounts::policy::MAX_BYTES;

/// How the service works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Jobs at once, and threads. At least one.
    pub permits: usize,
    /// Callers that may wait beyond those being served.
    pub queue: usize,
    /// The cost of new hashes.
    pub params: Params,
    /// Keys over the hashes.
    pub peppers: Peppers,
    /// How long a thread keeps its memory without work.
    pub idle: Duration,
}

impl Default for Settings {
    /// A permit for each core, 64 waiting callers for each permit (some seven seconds), 30 s of idle memory.
    fn default() -> Self {
        let permits = std::thread::available_parallelism().map_or(1, usize::from);
        Settings {
            permits,
            queue: 64 * permits,
            params: Params::default(),
            peppers: Peppers::none(),
            idle: Duration::from_secs(30),
        }
    }
}

/// The service cannot take the job now. The server answers 503 or 429 with `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hashing service is busy; try again in {} s", retry_after.as_secs())]
pub struct Busy {
    /// Whole seconds after which a place may be free.
    pub retry_after: Duration,
}

/// The outcome of checking a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one. `rehash` when the stored hash should be replaced, after the answer.
    Right {
        /// See [`Encoded::needs_rehash`].
        rehash: bool,
    },
    /// It is not, or there is nobody of that name.
    Wrong,
}

/// What the service has done since it started, and what it does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Threads.
    pub permits: usize,
    /// Jobs being worked on.
    pub running: usize,
    /// Jobs waiting.
    pub waiting: usize,
    /// KiB of memory that the threads hold.
    pub memory_kib: usize,
    /// Jobs finished.
    pub done: u64,
    /// Jobs refused because the queue was full.
    pub refused: u64,
    /// Jobs not begun because their caller had gone.
    pub skipped: u64,
    /// Jobs that panicked or could not be worked on.
    pub failed: u64,
}

/// The service. Dropping it lets jobs in work finish and answers the waiting ones with [`Busy`].
pub struct Hasher {
    shared: Arc<Shared>,
    params: Params,
    peppers: Arc<Peppers>,
    dummy: Encoded,
    rng: Arc<Rng>,
}

impl Hasher {
    /// Starts the threads. Salts are drawn from `rng`.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start(settings: Settings, rng: Arc<Rng>) -> io::Result<Hasher> {
        let peppers = Arc::new(settings.peppers);
        let dummy = Encoded::dummy(settings.params, &peppers);
        let keep_kib = settings.params.memory_kib();
        let shared = work::start(settings.permits.max(1), settings.queue, settings.idle, keep_kib)?;
        Ok(Hasher { shared, params: settings.params, peppers, dummy, rng })
    }

    /// Checks `password` against a stored hash, or, without one, does the same work for nothing.
    ///
    /// # Errors
    /// [`Busy`] at once when the queue is full; also when the machine lacks the memory or the hash's
    /// pepper is not configured, which is logged.
    pub async fn verify(&self, password: Zeroizing<String>, encoded: Option<Encoded>) -> Result<Verdict, Busy> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Ok(Verdict::Wrong);
        }
        let (params, peppers) = (self.params, Arc::clone(&self.peppers));
        let known = encoded.is_some();
        let encoded = encoded.unwrap_or_else(|| self.dummy.clone());
        let shared = Arc::clone(&self.shared);
        let outcome = self.ask(move |memory| {
            let right = shared.checks.time(|| encoded.verify(&password, &peppers, memory))?;
            let rehash = encoded.needs_rehash(&params, &peppers);
            Ok(if right && known { Verdict::Right { rehash } } else { Verdict::Wrong })
        });
        outcome.await
    }

    /// What a check of a password takes, without its wait for a thread: the time that one of the last hundred exceeded.
    /// Zero before the first.
    pub fn usual_check(&self) -> Duration {
        self.shared.checks.p99()
    }

    /// Hashes a new password, which `Policy::check` has judged, to the text to store.
    ///
    /// # Errors
    /// [`Busy`], as for [`Hasher::verify`].
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, Busy> {
        let (params, peppers) = (self.params, Arc::clone(&self.peppers));
        let salt: [u8; SALT_BYTES] = self.rng.bytes();
        self.ask(move |memory| Ok(Encoded::create(&password, salt, params, &peppers, memory)?.to_string())).await
    }

    /// What the service has done, for metrics.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        Stats {
            permits: self.shared.permits,
            running: counters.running.load(Relaxed),
            waiting: self.shared.waiting(),
            memory_kib: counters.memory_kib.load(Relaxed),
            done: counters.done.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            skipped: counters.skipped.load(Relaxed),
            failed: counters.failed.load(Relaxed),
        }
    }

    /// Queues `job` and waits for its outcome. Dropping the future gives the place up.
    async fn ask<T, F>(&self, job: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce(&mut crate::accounts::hash::Memory) -> Result<T, HashFault> + Send + 'static,
    {
        let (task, answer) = Task::new(job);
        self.shared.submit(task)?;
        match answer.await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(fault)) => {
                self.shared.counters.failed.fetch_add(1, Relaxed);
                tracing::error!(%fault, "a password could not be checked or hashed");
                Err(self.shared.busy(0))
            }
            // The job panicked, or the service is being dropped.
            Err(_) => Err(self.shared.busy(0)),
        }
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

#[cfg(test)]
mod tests;
