//! Answers under way on an HTTP/2 connection, and how far each has come.
//!
//! Many answers share such a connection, and a reader may take all of them but one: the stream's window is closed, the
//! library waits, and nobody asks the body for more, nor tells it that its session has ended. So every answer is
//! watched from outside, down to its last byte in the library's hands. One that nobody takes within the limit, or that
//! is still there a moment after it was told to stop, ends the whole connection; its other answers are asked for again.
//!
//! What moves is counted, and the count looked at now and then: that needs no clock, and no timer which every write
//! would have to set again.

use crate::media::transfers::Cancel;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;

/// How long an answer that was told to stop may take to do so.
const STOPPING: Duration = Duration::from_secs(1);

/// How often an answer is looked at within the time limit.
const LOOKS: u32 = 4;

/// The answers of one connection.
#[derive(Default)]
pub(super) struct Answers {
    list: Mutex<Vec<Entry>>,
    told: Arc<Notify>,
}

struct Entry {
    answer: Weak<Answer>,
    seen: u64,
    /// Looks in a row that found it where it was.
    still: u32,
}

/// One answer. It lives as long as its body, or a byte of it that was not handed to the connection.
pub(super) struct Answer {
    /// Rises with every step towards the reader.
    moved: AtomicU64,
    stop: Cancel,
}

impl Answers {
    /// A request has come. What it is given to be stopped with wakes [`Answers::stalled`].
    pub(super) fn expect(&self) -> Arc<Answer> {
        Arc::new(Answer { moved: AtomicU64::new(0), stop: Cancel::telling(Arc::clone(&self.told)) })
    }

    /// Its answer has begun.
    pub(super) fn begin(&self, answer: &Arc<Answer>) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() == list.capacity() {
            list.retain(|entry| entry.answer.strong_count() > 0);
        }
        list.push(Entry { answer: Arc::downgrade(answer), seen: 0, still: 0 });
    }

    /// Returns when an answer does not get on: not taken for `limit`, or told to stop and still there.
    pub(super) async fn stalled(&self, limit: Duration) {
        let mut tick = tokio::time::interval(limit / LOOKS);
        loop {
            let stuck = tokio::select! {
                _ = tick.tick() => self.any(|entry, answer| {
                    let moved = answer.moved.load(Ordering::Relaxed);
                    let before = std::mem::replace(&mut entry.seen, moved);
                    entry.still = if moved == before { entry.still + 1 } else { 0 };
                    entry.still >= LOOKS
                }),
                () = self.told.notified() => {
                    tokio::time::sleep(STOPPING).await;
                    self.any(|_, answer| answer.stop.is_cancelled())
                }
            };
            if stuck {
                return;
            }
        }
    }

    fn any(&self, mut stuck: impl FnMut(&mut Entry, &Answer) -> bool) -> bool {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = false;
        list.retain_mut(|entry| {
            let Some(answer) = entry.answer.upgrade() else { return false };
            found |= stuck(entry, &answer);
            true
        });
        found
    }
}

impl Answer {
    /// What stops it.
    pub(super) fn stop(&self) -> Cancel {
        self.stop.clone()
    }
}

/// A body whose way to the reader is watched, where it is one of many.
pub(super) struct Watched<B> {
    body: Option<B>,
    answer: Option<Arc<Answer>>,
}

impl<B> Watched<B> {
    pub(super) fn new(body: B, answer: Option<Arc<Answer>>) -> Watched<B> {
        Watched { body: Some(body), answer }
    }

    /// No body at all.
    pub(super) fn empty() -> Watched<B> {
        Watched { body: None, answer: None }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        let Watched { body, answer } = &mut *self;
        let Some(body) = body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        polled.map_ok(|frame| frame.map_data(|bytes| Piece { bytes, answer: answer.clone() }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A piece of a body in the library's hands.
pub(super) struct Piece {
    bytes: Bytes,
    answer: Option<Arc<Answer>>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(answer) = &self.answer {
            answer.moved.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        if let Some(answer) = &self.answer {
            answer.moved.fetch_add(1, Ordering::Relaxed);
        }
        self.bytes.copy_to_bytes(length)
    }
}
