//! A write: a transaction of its own, run again when another one was in the way, never again once it may have committed.
//! A unique index that refuses counts as such once: the guards of the second run see who was quicker, and say so.
use super::Shared;
use super::connection::{CommitFailed, Trouble};
use super::pool::{Lease, Pool};
use crate::tx::Engine;
use crate::{Error, Tx, feed};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

/// How often one write is begun. Each time somebody else has got on, so a crowd gets through.
const ATTEMPTS: u32 = 10;
/// The same when a unique index refused it: whoever took its place is seen by then, and stays.
const ATTEMPTS_IF_TAKEN: u32 = 2;

/// How one attempt failed.
struct Failed {
    error: Error,
    again: Option<Trouble>,
}

impl Failed {
    fn finally(error: Error) -> Failed {
        Failed { error, again: None }
    }
}

pub(super) async fn run<T, F>(shared: &Arc<Shared>, name: &'static str, f: &F) -> Result<T, Error>
where
    F: AsyncFn(&mut Tx) -> Result<T, Error>,
{
    shared.counts.jobs.fetch_add(1, Ordering::Relaxed);
    let mut attempt = 1;
    loop {
        let failed = match once(shared, name, f).await {
            Ok(value) => {
                shared.failed(None);
                return Ok(value);
            }
            Err(failed) => failed,
        };
        let attempts = match failed.again {
            Some(Trouble::Again | Trouble::Lost) => ATTEMPTS,
            Some(Trouble::Taken) => ATTEMPTS_IF_TAKEN,
            Some(Trouble::Late) | None => 1,
        };
        if attempt >= attempts {
            if failed.error.is_unavailable() {
                shared.failed(Some(failed.error.to_string()));
            }
            return Err(failed.error);
        }
        let number = shared.counts.retried.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(write = name, attempt, error = %failed.error, "a write is run again");
        // Apart from each other, so that the same ones do not meet again.
        tokio::time::sleep(Duration::from_millis(u64::from(attempt) + number % 7)).await;
        attempt += 1;
    }
}

async fn once<T, F>(shared: &Arc<Shared>, name: &'static str, f: &F) -> Result<T, Failed>
where
    F: AsyncFn(&mut Tx) -> Result<T, Error>,
{
    let mut tx = Tx::new(Engine::Pg(Pool::take(&shared.pool, name).await.map_err(Failed::finally)?));
    shared.counts.batches.fetch_add(1, Ordering::Relaxed);
    if let Err(error) = lease(&mut tx).begin().await {
        let again = lease(&mut tx).trouble();
        return Err(Failed { error, again });
    }
    let busy = tx.busy();
    let ran = drive(name, &busy, f(&mut tx)).await;
    // Nothing that was built on a statement which lost its race may be kept, whatever the write made of it.
    let trouble = lease(&mut tx).trouble();
    let kept = ran.and_then(|value| tx.finish().map(|announced| (value, announced)));
    let (value, announced) = match (trouble, kept) {
        (None, Ok((value, Some(announced)))) => (value, announced),
        (None, Ok((value, None))) => {
            lease(&mut tx).rollback().await;
            return Ok(value);
        }
        (again, kept) => {
            lease(&mut tx).rollback().await;
            let error = kept.err().unwrap_or_else(|| Error::unavailable(name, "another transaction was in the way"));
            return Err(Failed { error, again });
        }
    };
    let (changes, sets) = match tx.number(announced).await {
        Ok(numbered) => numbered,
        Err(error) => {
            let again = lease(&mut tx).trouble();
            lease(&mut tx).rollback().await;
            return Err(Failed { error, again });
        }
    };
    match lease(&mut tx).commit(&feed::APPEND.0, sets).await {
        Ok(()) => {
            // Given back before memory is told: nobody has to wait for that with a connection in hand.
            drop(tx);
            shared.deliver_own(&changes).map_err(Failed::finally)?;
            Ok(value)
        }
        Err(CommitFailed { error, unknown: true }) => Err(Failed::finally(error)),
        Err(CommitFailed { error, unknown: false }) => {
            let again = lease(&mut tx).trouble();
            lease(&mut tx).rollback().await;
            Err(Failed { error, again })
        }
    }
}

fn lease(tx: &mut Tx) -> &mut Lease {
    match &mut tx.engine {
        Engine::Pg(lease) => lease,
        Engine::Lite(_) => unreachable!("this module makes its transactions itself"),
    }
}

/// Polls a write, and holds it to its contract: it may panic without taking others with it, and it may wait for
/// nothing but its transaction.
async fn drive<T>(
    name: &'static str,
    busy: &AtomicBool,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Err(_) => Poll::Ready(Err(Error::other(name, "the write panicked and was rolled back"))),
        Ok(Poll::Ready(result)) => Poll::Ready(result),
        Ok(Poll::Pending) if busy.load(Ordering::Relaxed) => Poll::Pending,
        Ok(Poll::Pending) => {
            Poll::Ready(Err(Error::other(name, "a write awaited something that is not its transaction")))
        }
    })
    .await
}
