//! The one thread that writes: it takes what is queued, runs it in one transaction, commits once, then answers.
//!
//! Order of every batch: commit, follower (memory), answers. A job that fails takes only its own savepoint with it; a
//! transaction that is lost (full disk, I/O error) takes nobody's answer with it, since each job is then run once more,
//! alone, and hears of its own fate.
use super::job::Work;
use super::{Connection, Message, Shared};
use crate::tx::Engine;
use crate::{Change, Error, Tx};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Writes in one transaction at most.
const BATCH: usize = 256;

pub(super) struct Writer {
    tx: Tx,
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Message>,
    /// Held for the life of the writer, and given up after its connection.
    lock: File,
}

/// The transaction around a batch was lost.
struct Lost {
    reason: Error,
    /// The job that must not be run again, because it is the cause by itself.
    culprit: Option<usize>,
}

/// How one job of a batch ended: its own verdict, while the transaction still stands.
type Verdict = Result<(), Error>;

impl Writer {
    pub(super) fn new(
        connection: Connection,
        shared: Arc<Shared>,
        queue: mpsc::Receiver<Message>,
        lock: File,
    ) -> Writer {
        Writer { tx: Tx::new(Engine::Lite(connection)), shared, queue, lock }
    }

    /// Runs until it is told to close, or nobody holds a handle any more.
    pub(super) fn run(mut self) {
        let mut closing: Option<oneshot::Sender<()>> = None;
        while closing.is_none() {
            let Some(first) = self.queue.blocking_recv() else { break };
            let mut jobs = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Write(job) => jobs.push(job),
                    Message::Close(done) => {
                        closing = Some(done);
                        break;
                    }
                }
                next = if jobs.len() < BATCH { self.queue.try_recv().ok() } else { None };
            }
            self.batch(jobs);
        }
        self.queue.close();
        // What slipped in behind the request to close is answered as closed when its channel is dropped here.
        while self.queue.try_recv().is_ok() {}
        let Writer { tx, lock, .. } = self;
        if let Engine::Lite(connection) = &tx.engine
            && let Err(error) = connection.checkpoint()
        {
            tracing::warn!(%error, "the write-ahead log could not be emptied at the end; the next start reads it");
        }
        drop(tx);
        drop(lock);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    fn batch(&mut self, mut jobs: Vec<Box<dyn Work>>) {
        if jobs.is_empty() {
            return;
        }
        if self.shared.broken.load(Ordering::Relaxed) {
            return jobs.into_iter().for_each(|job| {
                let refused = super::broken(job.name());
                job.answer(Err(refused));
            });
        }
        self.shared.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        if let [_] = jobs.as_slice() {
            return jobs.into_iter().for_each(|job| self.alone(job));
        }
        match self.transact(&mut jobs) {
            Ok(verdicts) => jobs.into_iter().zip(verdicts).for_each(|(job, verdict)| job.answer(verdict)),
            Err(lost) => {
                tracing::warn!(error = %lost.reason, jobs = jobs.len(), "a batch of writes was lost; each is run again alone");
                for (place, job) in jobs.into_iter().enumerate() {
                    if lost.culprit == Some(place) {
                        job.answer(Err(lost.reason.clone()));
                    } else {
                        self.shared.retried.fetch_add(1, Ordering::Relaxed);
                        self.alone(job);
                    }
                }
            }
        }
    }

    fn alone(&mut self, job: Box<dyn Work>) {
        let mut jobs = [job];
        let verdict = match self.transact(&mut jobs) {
            Ok(mut verdicts) => verdicts.pop().unwrap_or_else(|| Err(super::closed("write"))),
            Err(lost) => Err(lost.reason),
        };
        let [job] = jobs;
        job.answer(verdict);
    }

    /// Runs the jobs in one transaction and commits it. No answer may leave before this returns `Ok`.
    fn transact(&mut self, jobs: &mut [Box<dyn Work>]) -> Result<Vec<Verdict>, Lost> {
        self.shared.batches.fetch_add(1, Ordering::Relaxed);
        match self.try_transact(jobs) {
            Ok((verdicts, changes)) => {
                self.shared.failed(None);
                match self.deliver(&changes) {
                    Ok(()) => Ok(verdicts),
                    // Committed, so not to be run again; but not to be called done either.
                    Err(broken) => Ok(verdicts.into_iter().map(|_| Err(broken.clone())).collect()),
                }
            }
            Err(lost) => {
                if !self.connection().is_idle()
                    && let Err(error) = self.connection().control("ROLLBACK")
                {
                    tracing::error!(%error, "a lost transaction could not be rolled back");
                }
                if lost.reason.is_unavailable() {
                    self.shared.failed(Some(lost.reason.to_string()));
                }
                Err(lost)
            }
        }
    }

    fn try_transact(&mut self, jobs: &mut [Box<dyn Work>]) -> Result<(Vec<Verdict>, Vec<Change>), Lost> {
        let lost = |reason| Lost { reason, culprit: None };
        let alone = jobs.len() == 1;
        let mut verdicts = Vec::with_capacity(jobs.len());
        let mut announced = Vec::new();
        let mut keep_any = false;
        self.connection().control("BEGIN IMMEDIATE").map_err(lost)?;
        for (place, job) in jobs.iter_mut().enumerate() {
            if !alone {
                self.connection().control("SAVEPOINT job").map_err(lost)?;
            }
            let ran = self.run_one(job.as_mut());
            if self.connection().is_idle() {
                // The engine has rolled everything back. An interrupted job is its own fault; a full disk is nobody's.
                let silent = || Error::unavailable(job.name(), "the transaction ended by itself");
                let reason = ran.err().unwrap_or_else(silent);
                let culprit = (!reason.is_unavailable()).then_some(place);
                return Err(Lost { reason, culprit });
            }
            let kept = matches!(ran, Ok(Some(_)));
            if !alone {
                if !kept {
                    self.connection().control("ROLLBACK TO job").map_err(lost)?;
                }
                self.connection().control("RELEASE job").map_err(lost)?;
            }
            keep_any |= kept;
            verdicts.push(ran.map(|changes| announced.extend(changes.into_iter().flatten())));
        }
        if !keep_any {
            self.connection().control("ROLLBACK").map_err(lost)?;
            return Ok((verdicts, Vec::new()));
        }
        let changes = self.append(announced).map_err(lost)?;
        self.connection().control("COMMIT").map_err(lost)?;
        Ok((verdicts, changes))
    }

    /// Runs one job: its announcements if it is to be kept, `None` if it asked to be undone.
    #[expect(clippy::disallowed_methods, reason = "a length on this machine, for the log")]
    fn run_one(&mut self, job: &mut dyn Work) -> Result<Option<Vec<crate::feed::Announcement>>, Error> {
        self.tx.begin();
        self.connection().allow(job.limit());
        let started = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(&mut self.tx)));
        let took = started.elapsed();
        self.connection().allow_any();
        if took > job.limit() {
            self.shared.slow.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(write = job.name(), took_ms = took.as_millis() as u64, "a write held the writer for long");
        }
        match ran {
            Ok(result) => result.and_then(|()| self.tx.finish()),
            Err(_) => Err(Error::other(job.name(), "the write panicked and was rolled back")),
        }
    }

    fn append(&mut self, announced: Vec<crate::feed::Announcement>) -> Result<Vec<Change>, Error> {
        self.tx.begin();
        let future = pin!(self.tx.append(announced));
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(changes) => changes,
            Poll::Pending => Err(Error::other("feed", "a step of SQLite was not ready at once")),
        }
    }

    /// Memory follows the commit. If it cannot, nobody may be told that all is well, now or later: ended sessions might
    /// still be admitted.
    fn deliver(&self, changes: &[Change]) -> Result<(), Error> {
        let Some(follower) = self.shared.follower.get().filter(|_| !changes.is_empty()) else { return Ok(()) };
        catch_unwind(AssertUnwindSafe(|| follower(changes))).map_err(|_| {
            self.shared.broken.store(true, Ordering::Relaxed);
            tracing::error!("the follower of the change feed panicked; nothing is served until a restart");
            super::broken("follow")
        })
    }

    fn connection(&self) -> &Connection {
        match &self.tx.engine {
            Engine::Lite(connection) => connection,
            Engine::Pg(_) => unreachable!("this writer made its transaction itself"),
        }
    }
}
