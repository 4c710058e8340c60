//! Request bodies, which must be there in time: whoever sends one byte a second holds a handler no longer than others.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// A body that fails with [`TooSlow`] when it is not read whole in time. The time begins when somebody wants it.
pub struct Timed<B> {
    body: Source<B>,
    limit: Duration,
    end: Option<Pin<Box<Sleep>>>,
}

enum Source<B> {
    Coming(B),
    /// It arrived with its head.
    Here(Bytes),
}

impl<B> Timed<B> {
    pub(super) fn new(body: B, limit: Duration) -> Timed<B> {
        Timed { body: Source::Coming(body), limit, end: None }
    }

    /// A body that is there already, or none at all.
    pub(super) fn arrived(body: Bytes) -> Timed<B> {
        Timed { body: Source::Here(body), limit: Duration::ZERO, end: None }
    }
}

/// The body did not come in time.
#[derive(Debug)]
pub struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body did not come in time")
    }
}

impl Error for TooSlow {}

impl TooSlow {
    /// Whether an error is this, or was caused by it.
    pub fn caused(error: &(dyn Error + 'static)) -> bool {
        error.is::<TooSlow>() || error.source().is_some_and(TooSlow::caused)
    }
}

impl<B> Body for Timed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let body = match &mut self.body {
            Source::Coming(body) => body,
            Source::Here(body) if body.is_empty() => return Poll::Ready(None),
            Source::Here(body) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(body))))),
        };
        if let Poll::Ready(polled) = Pin::new(body).poll_frame(cx) {
            return Poll::Ready(polled.map(|frame| frame.map_err(Into::into)));
        }
        let limit = self.limit;
        ready!(self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx));
        Poll::Ready(Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Source::Coming(body) => body.is_end_stream(),
            Source::Here(body) => body.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Source::Coming(body) => body.size_hint(),
            Source::Here(body) => SizeHint::with_exact(body.len() as u64),
        }
    }
}
