//! Two clocks for one wait.
//!
//! The HTTP library knows one time limit for the head of a request and starts it when it begins to wait, which on a
//! kept connection is long before the first byte. A browser or a proxy that keeps a connection is welcome for the idle
//! time; a client that has begun to speak has the shorter head time to finish.

use super::wire::Line;
use hyper::rt::{Sleep, Timer};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The timer given to the HTTP library; it asks for nothing but the head's time limit.
#[derive(Clone)]
pub(super) struct HeadTimer {
    head: Duration,
    idle: Duration,
    line: Arc<Line>,
    fresh: Arc<AtomicBool>,
}

impl HeadTimer {
    pub(super) fn new(head: Duration, idle: Duration, line: Arc<Line>) -> HeadTimer {
        HeadTimer { head, idle, line, fresh: Arc::new(AtomicBool::new(true)) }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, _duration: Duration) -> Pin<Box<dyn Sleep>> {
        // Who opens a connection means to speak: its first head has no idle time.
        let fresh = self.fresh.swap(false, Ordering::Relaxed);
        self.line.listen();
        let first = if fresh { self.head } else { self.idle };
        Box::pin(HeadSleep {
            sleep: Box::pin(tokio::time::sleep(first)),
            head: self.head,
            line: Arc::clone(&self.line),
            hurried: fresh,
        })
    }

    fn sleep_until(&self, _deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(self.head)
    }
}

struct HeadSleep {
    sleep: Pin<Box<tokio::time::Sleep>>,
    head: Duration,
    line: Arc<Line>,
    hurried: bool,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    /// Polled after every read that did not complete the head, hence also after the first.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.hurried && self.line.heard() {
            self.hurried = true;
            let head = self.head;
            self.sleep.set(tokio::time::sleep(head));
        }
        self.sleep.as_mut().poll(cx)
    }
}
