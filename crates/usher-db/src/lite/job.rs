//! A write on its way through the queue.
use crate::{Error, Tx};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::oneshot;

/// A write whose types the writer need not know.
pub(super) trait Work: Send {
    fn name(&self) -> &'static str;
    /// What it may compute.
    fn limit(&self) -> Duration;
    /// Runs it and keeps its answer. May be called again, after a rollback.
    fn run(&mut self, tx: &mut Tx) -> Result<(), Error>;
    /// Gives the kept answer, or the failure.
    fn answer(self: Box<Self>, verdict: Result<(), Error>);
}

pub(super) struct Job<T, F> {
    name: &'static str,
    limit: Duration,
    f: F,
    kept: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Job<T, F> {
    pub(super) fn new(
        name: &'static str,
        limit: Duration,
        f: F,
        reply: oneshot::Sender<Result<T, Error>>,
    ) -> Job<T, F> {
        Job { name, limit, f, kept: None, reply }
    }
}

impl<T, F> Work for Job<T, F>
where
    F: AsyncFn(&mut Tx) -> Result<T, Error> + Send + 'static,
    T: Send + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn limit(&self) -> Duration {
        self.limit
    }

    fn run(&mut self, tx: &mut Tx) -> Result<(), Error> {
        self.kept = None;
        let future = pin!((self.f)(tx));
        // Every step of a `Tx` on SQLite is ready at once, so one poll is the whole run.
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => {
                self.kept = Some(result?);
                Ok(())
            }
            Poll::Pending => Err(Error::other(self.name, "a write awaited something that is not its transaction")),
        }
    }

    fn answer(self: Box<Self>, verdict: Result<(), Error>) {
        let Job { name, kept, reply, .. } = *self;
        let missing = || Error::other(name, "a write was answered before it ran");
        // Nobody waits any more when the caller has gone; the write stands all the same.
        let _ = reply.send(verdict.and_then(|()| kept.ok_or_else(missing)));
    }
}
