//! The stream beneath a connection: it notices when bytes arrive, and it can be cut.

use super::direct::Stream;
use crate::media::transfers::Cancel;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A socket that is reset, not closed, when its connection was told to stop.
///
/// An ordinary close lets the kernel go on sending what it holds, megabytes of it, to a reader who comes
/// back hours later. A linger time of zero throws it away and sends RST (RFC 9293 section 3.10.4, ABORT).
pub(super) struct Wire<T: AsFd> {
    stream: T,
    line: Arc<Line>,
    cut: Cancel,
}

/// Whether the other end has begun to speak.
#[derive(Default)]
pub(super) struct Line(AtomicBool);

impl Line {
    /// Begins to wait for bytes.
    pub(super) fn listen(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether bytes arrived since then.
    pub(super) fn heard(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<T: AsFd> Wire<T> {
    pub(super) fn new(stream: T, cut: Cancel) -> Wire<T> {
        Wire { stream, line: Arc::default(), cut }
    }

    pub(super) fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }
}

impl Stream for Wire<TcpStream> {
    fn socket(&self) -> Option<&TcpStream> {
        Some(&self.stream)
    }
}

/// What is to be encrypted passes through us.
impl Stream for TlsStream<Wire<TcpStream>> {}

impl<T: AsFd> Drop for Wire<T> {
    fn drop(&mut self) {
        if self.cut.is_cancelled() {
            // Fails only for a socket that is gone already, or of a kind that keeps nothing.
            let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
        }
    }
}

impl<T: AsFd + AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.line.0.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<T: AsFd + AsyncWrite + Unpin> AsyncWrite for Wire<T> {
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
