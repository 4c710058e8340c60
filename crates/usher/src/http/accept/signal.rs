//! Signals that are waited for beside something that wakes often.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A wait that is registered once and then left alone, until its signal was given.
///
/// A task that looks at three signals whenever bytes arrive takes three locks for each request, and signals that all
/// connections share are the same locks for all of them. What was registered stays registered until it wakes; whether
/// it can have woken is asked of whoever calls, which costs one look at a number.
pub(super) struct Beside {
    signal: Pin<Box<dyn Future<Output = ()> + Send>>,
    registered: Option<Waker>,
}

impl Beside {
    /// Waits for `signal`.
    pub(super) fn new(signal: impl Future<Output = ()> + Send + 'static) -> Beside {
        Beside { signal: Box::pin(signal), registered: None }
    }

    /// Ready once the signal was given. `stirred` says whether anything has happened for which the signal may have woken
    /// the task: from then on it is looked at again, for what has woken once is registered no more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, stirred: impl FnOnce() -> bool) -> Poll<()> {
        if self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) && !stirred() {
            return Poll::Pending;
        }
        self.registered = Some(cx.waker().clone());
        self.signal.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn a_signal_is_polled_when_it_is_new_and_when_it_was_given() {
        let (notify, given, polls) =
            (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (heard, counted) = (notify.clone(), polls.clone());
        let mut beside = Beside::new(async move {
            let mut wait = Box::pin(heard.notified());
            poll_fn(|cx| {
                counted.fetch_add(1, Ordering::Relaxed);
                wait.as_mut().poll(cx)
            })
            .await;
        });
        let task = tokio::spawn({
            let given = given.clone();
            async move {
                for _ in 0..10 {
                    let pending =
                        poll_fn(|cx| Poll::Ready(beside.poll(cx, || given.load(Ordering::Relaxed)).is_pending()));
                    assert!(pending.await);
                }
                poll_fn(|cx| beside.poll(cx, || given.load(Ordering::Relaxed))).await;
            }
        });
        while polls.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        given.store(true, Ordering::Relaxed);
        notify.notify_one();
        assert!(task.await.is_ok());
        assert_eq!(polls.load(Ordering::Relaxed), 2, "once to register, once to hear");
    }
}
