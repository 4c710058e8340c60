//! Two clocks for one wait.
//!
//! The HTTP library knows one time limit for the head of a request and starts it when it begins to wait, which on a
//! kept connection is long before the first byte. A browser or a proxy that keeps a connection is welcome for the idle
//! time; a client that has begun to speak has the shorter head time to finish.

use hyper::rt::{Sleep, Timer};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The timer given to the HTTP library; it asks for nothing but the head's time limit.
#[derive(Clone)]
pub(super) struct HeadTimer {
    head: Duration,
    idle: Duration,
    begun: Arc<AtomicBool>,
    fresh: Arc<AtomicBool>,
}

impl HeadTimer {
    pub(super) fn new(head: Duration, idle: Duration) -> HeadTimer {
        HeadTimer { head, idle, begun: Arc::new(AtomicBool::new(false)), fresh: Arc::new(AtomicBool::new(true)) }
    }

    /// Raised by the stream whenever bytes arrive.
    pub(super) fn begun(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.begun)
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, _duration: Duration) -> Pin<Box<dyn Sleep>> {
        // Who opens a connection means to speak: its first head has no idle time.
        let fresh = self.fresh.swap(false, Ordering::Relaxed);
        self.begun.store(false, Ordering::Relaxed);
        let first = if fresh { self.head } else { self.idle };
        Box::pin(HeadSleep {
            sleep: Box::pin(tokio::time::sleep(first)),
            head: self.head,
            begun: Arc::clone(&self.begun),
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
    begun: Arc<AtomicBool>,
    hurried: bool,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    /// Polled after every read that did not complete the head, hence also after the first.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.hurried && self.begun.load(Ordering::Relaxed) {
            self.hurried = true;
            let head = self.head;
            self.sleep.set(tokio::time::sleep(head));
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// A stream that raises a flag when bytes arrive.
pub(super) struct Watched<T> {
    stream: T,
    begun: Arc<AtomicBool>,
}

impl<T> Watched<T> {
    pub(super) fn new(stream: T, begun: Arc<AtomicBool>) -> Watched<T> {
        Watched { stream, begun }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.begun.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
