//! Requests that are answered on the connection itself, without the HTTP library.
//!
//! Nearly every request arrives in one piece, of which every byte is plain: a head, and perhaps a small body whose length
//! stands there once, in digits. Such a request is read here, given to the service, and its answer written; a file goes
//! from the kernel's memory to the socket without passing through ours. With everything else (an expectation, an upgrade,
//! chunks, a line that ends oddly, whatever has not arrived yet) the connection is handed over to the library as it
//! stands, with the bytes that were read and not taken, and stays there. So this part refuses nothing and judges nothing:
//! what it is not sure of it leaves to the one who is.

use super::limits::{Limits, Peer};
use super::timed::Timed;
use super::{Asked, Outgoing, Phase};
use crate::http::accept::signal::Beside;
use crate::media::transfers::Cancel;
use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tower::{Service, ServiceExt};

/// Room for what is read at once: most heads, and few enough bytes for ten thousand idle connections.
const READ: usize = 4 * 1024;
/// What is read of requests whose turn has not come.
const AHEAD: usize = 16 * 1024;
/// Fields of a head that is taken here.
const FIELDS: usize = 32;
/// Bodies up to this length travel in one piece with their head.
const SMALL: usize = 4 * 1024;

/// A stream that may be a bare TCP connection, to which the kernel sends files by itself.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket, if nothing stands between it and the bytes.
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

/// Answers what can be answered here. Gives the stream back, with what was read and not taken, when the library has to
/// go on; nothing when the connection is over.
pub(super) async fn converse<I, S, B>(
    mut io: I,
    peer: Peer,
    service: S,
    limits: Limits,
    (cut, phase): (&Cancel, watch::Receiver<Phase>),
) -> Option<Handed<I>>
where
    I: Stream,
    S: Service<Asked, Response = Response<B>, Error = Infallible> + Clone,
    B: Outgoing,
{
    let mut arrivals = Arrivals::new(limits, phase.clone());
    let mut read = BytesMut::new();
    let mut written = Vec::new();
    loop {
        if read.is_empty() && !arrivals.wait(&mut io, &mut read).await {
            // Whether the other end hears our goodbye is its own affair.
            let _ = io.shutdown().await;
            return None;
        }
        let Some(Head { mut request, mut keep }) = Head::take(&mut read, &limits) else {
            return Some(Handed { read: read.freeze(), io });
        };
        let bare = request.method() == Method::HEAD;
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(cut.clone());
        let answering = service.clone().oneshot(request.map(Timed::arrived));
        // Who has left is not worked for.
        let Ok(response) = unless_gone(answering, &mut io, &mut read).await?;
        // Said in the answer, so that nobody sends another request into a connection that is being closed.
        keep &= *phase.borrow() == Phase::Open;
        written.clear();
        let sent = tokio::select! {
            biased;
            sent = send(&mut io, &mut written, response, bare, &mut keep) => sent,
            () = cut.cancelled() => return None,
        };
        match sent {
            Ok(()) if keep && !cut.is_cancelled() => {}
            Ok(()) => {
                let _ = io.shutdown().await;
                return None;
            }
            Err(error) => {
                tracing::debug!(target: "usher::accept", %error, "connection ended");
                return None;
            }
        }
    }
}

/// What `answering` gives; nothing when the other end closes the connection meanwhile. What it sends meanwhile is kept.
async fn unless_gone<I: Stream, F: Future>(answering: F, io: &mut I, read: &mut BytesMut) -> Option<F::Output> {
    let mut answering = pin!(answering);
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        while read.len() < AHEAD {
            read.reserve(READ);
            match pin!(io.read_buf(read)).poll(cx) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    })
    .await
}

/// The wait for the next request.
struct Arrivals {
    limits: Limits,
    /// Set on only when it rings too early, and back when it would ring too late, so that a request costs no timer.
    timer: Pin<Box<Sleep>>,
    fresh: bool,
    closing: Beside,
    phase: watch::Receiver<Phase>,
}

impl Arrivals {
    fn new(limits: Limits, phase: watch::Receiver<Phase>) -> Arrivals {
        let mut heard = phase.clone();
        let closing = Beside::new(async move {
            // The sender outlives every connection; should it not, there is nothing left to wait for.
            let _ = heard.wait_for(|phase| *phase >= Phase::Closing).await;
        });
        let timer = Box::pin(tokio::time::sleep(limits.head));
        Arrivals { limits, timer, fresh: true, closing, phase }
    }

    /// Reads what comes next. False when nothing does: the other end has gone, its time is over, or ours.
    async fn wait<I: Stream>(&mut self, io: &mut I, read: &mut BytesMut) -> bool {
        // Who opens a connection means to speak: its first head has no idle time.
        let patience = if std::mem::take(&mut self.fresh) { self.limits.head } else { self.limits.idle };
        let until = Instant::now() + patience;
        if self.timer.deadline() > until {
            self.timer.as_mut().reset(until);
        }
        read.reserve(READ);
        let mut reading = pin!(io.read_buf(read));
        poll_fn(|cx| {
            if let Poll::Ready(got) = reading.as_mut().poll(cx) {
                return Poll::Ready(got.is_ok_and(|count| count > 0));
            }
            if self.closing.poll(cx, || *self.phase.borrow() != Phase::Open).is_ready() {
                return Poll::Ready(false);
            }
            while self.timer.as_mut().poll(cx).is_ready() {
                if Instant::now() >= until {
                    return Poll::Ready(false);
                }
                self.timer.as_mut().reset(until);
            }
            Poll::Pending
        })
        .await
    }
}

/// A request that is answered here.
struct Head {
    request: Request<Bytes>,
    /// Whether the connection may be used again.
    keep: bool,
}

impl Head {
    /// Takes the head at the beginning of `read`, if it is one of those that are answered here.
    fn take(read: &mut BytesMut, limits: &Limits) -> Option<Head> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = parsed.parse(read) else { return None };
        let method = match parsed.method? {
            "GET" => Method::GET,
            "HEAD" => Method::HEAD,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => return None,
        };
        let target = parsed.path.filter(|target| target.starts_with('/'))?;
        if parsed.version? != 1 || length > limits.head_bytes || !lines_are_whole(read.get(..length)?) {
            return None;
        }
        let mut headers = HeaderMap::with_capacity(parsed.headers.len());
        let (mut keep, mut body) = (true, None);
        for field in parsed.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            match name {
                CONTENT_LENGTH if body.is_none() => body = Some(length_of(field.value)?),
                CONTENT_LENGTH | TRANSFER_ENCODING | EXPECT | UPGRADE => return None,
                CONNECTION if field.value.eq_ignore_ascii_case(b"close") => keep = false,
                CONNECTION if field.value.eq_ignore_ascii_case(b"keep-alive") => {}
                CONNECTION => return None,
                _ => {}
            }
            headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
        }
        let end = length.checked_add(body.unwrap_or(0))?;
        let body = Bytes::copy_from_slice(read.get(length..end)?);
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::try_from(target).ok()?;
        *request.headers_mut() = headers;
        read.advance(end);
        Some(Head { request, keep })
    }
}

/// The length in a `Content-Length`, of digits alone (RFC 9112 section 6.2): the one reading that nobody doubts.
fn length_of(value: &[u8]) -> Option<usize> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// Whether every line ends in CRLF: the parser would take a bare LF too, which others do not (`framing.rs`).
fn lines_are_whole(head: &[u8]) -> bool {
    !head.starts_with(b"\r\n") && memchr::memchr_iter(b'\n', head).all(|at| at > 0 && head[at - 1] == b'\r')
}

/// How the end of a body is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// There is none, whatever the head says.
    Bare,
    /// So many bytes.
    Length(u64),
    /// In chunks (RFC 9112 section 7.1).
    Chunks,
}

/// Writes an answer. `bare` when it answers HEAD; `keep` is taken back when the answer ends the connection.
async fn send<I: Stream, B: Outgoing>(
    io: &mut I,
    out: &mut Vec<u8>,
    response: Response<B>,
    bare: bool,
    keep: &mut bool,
) -> io::Result<()> {
    let (parts, mut body) = response.into_parts();
    *keep &= parts.headers.get(CONNECTION).is_none_or(|value| !value.as_bytes().eq_ignore_ascii_case(b"close"));
    let framing = write_head(out, &parts, body.size_hint().exact(), bare, *keep);
    if framing == Framing::Bare {
        io.write_all(out).await?;
        return io.flush().await;
    }
    if let Some(socket) = io.socket()
        && let Some(file) = body.send_file(socket)
    {
        send_more(socket, out).await?;
        return file.await.map_err(io::Error::other);
    }
    let mut left = match framing {
        Framing::Length(length) => length,
        _ => u64::MAX,
    };
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx).map_err(io::Error::other)).await {
        let Ok(mut data) = frame?.into_data() else { continue };
        if data.is_empty() {
            continue;
        }
        left = left
            .checked_sub(data.len() as u64)
            .ok_or_else(|| io::Error::other("a body is longer than its head says"))?;
        if framing == Framing::Chunks {
            out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
            out.extend_from_slice(&data);
            out.extend_from_slice(b"\r\n");
        } else if out.len() + data.len() <= SMALL {
            out.extend_from_slice(&data);
        } else {
            io.write_all_buf(&mut Buf::chain(out.as_slice(), &mut data)).await?;
            out.clear();
            // Under TLS "written" is "encrypted": a piece that has not left must not be joined by the next.
            drop(data);
            io.flush().await?;
        }
    }
    match framing {
        Framing::Chunks => out.extend_from_slice(b"0\r\n\r\n"),
        _ if left > 0 => return Err(io::Error::other("a body is shorter than its head says")),
        _ => {}
    }
    io.write_all(out).await?;
    io.flush().await
}

/// Sends the head of an answer whose body follows at once from elsewhere, so that both share their packets.
async fn send_more(socket: &TcpStream, mut head: &[u8]) -> io::Result<()> {
    while !head.is_empty() {
        let sent = socket
            .async_io(Interest::WRITABLE, || {
                Ok(rustix::net::send(socket, head, rustix::net::SendFlags::MORE | rustix::net::SendFlags::NOSIGNAL)?)
            })
            .await?;
        head = &head[sent..];
    }
    Ok(())
}

/// Writes the head of an answer as HTTP/1.1 wants it (RFC 9112 section 6), and says how its body ends.
fn write_head(out: &mut Vec<u8>, parts: &http::response::Parts, exact: Option<u64>, bare: bool, keep: bool) -> Framing {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(parts.status.canonical_reason().unwrap_or("-").as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &parts.headers {
        field(out, name.as_str(), value.as_bytes());
    }
    let bodiless = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let said = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let framing = match said.or(exact) {
        _ if bodiless => Framing::Bare,
        Some(_) if bare => Framing::Bare,
        Some(length) => Framing::Length(length),
        None if bare => Framing::Bare,
        None => Framing::Chunks,
    };
    match (said, exact, framing) {
        (None, _, Framing::Chunks) => field(out, "transfer-encoding", b"chunked"),
        (None, Some(length), _) if !bodiless && (length > 0 || !bare) => {
            field(out, "content-length", length.to_string().as_bytes());
        }
        _ => {}
    }
    if !keep && !parts.headers.contains_key(CONNECTION) {
        field(out, "connection", b"close");
    }
    super::date::write(out);
    out.extend_from_slice(b"\r\n");
    framing
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A stream of which some bytes were read before.
pub(super) struct Handed<I> {
    read: Bytes,
    io: I,
}

impl<I: AsyncRead + Unpin> AsyncRead for Handed<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let count = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Handed<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use http_body::{Body, Frame, SizeHint};
    use tokio::io::duplex;

    impl Stream for tokio::io::DuplexStream {}

    fn take(head: &str) -> Option<(Head, BytesMut)> {
        let mut read = BytesMut::from(head);
        Head::take(&mut read, &Limits::default()).map(|head| (head, read))
    }

    #[test]
    fn a_plain_request_is_taken_and_what_follows_it_is_left() {
        let head = "GET /a?b=c HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\nConnection: Keep-Alive\r\n\r\n";
        let (Head { request, keep }, rest) = take(&format!("{head}GET /")).unwrap();
        assert_eq!((request.method(), request.uri().to_string().as_str(), keep), (&Method::GET, "/a?b=c", true));
        assert_eq!(request.headers().get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(&rest[..], b"GET /");
        assert!(!take("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap().0.keep);
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let (Head { request, .. }, rest) =
                take(&format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcdeGET /")).unwrap();
            assert_eq!((&request.body()[..], &rest[..]), (&b"abcde"[..], &b"GET /"[..]));
        }
    }

    #[test]
    fn whatever_could_mean_more_is_left_to_the_library() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(17 * 1024));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(FIELDS + 1));
        let left = [
            "",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcd",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nabcde",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabcde",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nabcde",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            &long,
            &many,
        ];
        for head in left {
            assert!(take(head).is_none(), "{head:?}");
        }
    }

    struct Frames(Vec<&'static str>, SizeHint);

    impl Body for Frames {
        type Data = Bytes;
        type Error = io::Error;
        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            let next = (!self.0.is_empty()).then(|| self.0.remove(0));
            Poll::Ready(next.map(|data| Ok(Frame::data(Bytes::from_static(data.as_bytes())))))
        }
        fn size_hint(&self) -> SizeHint {
            self.1
        }
    }

    impl Outgoing for Frames {}

    /// What is written for an answer, without its date.
    async fn sent(response: Response<Frames>, bare: bool) -> (String, bool) {
        let (mut ours, mut theirs) = duplex(1 << 16);
        let (mut out, mut keep) = (Vec::new(), true);
        let whole = send(&mut ours, &mut out, response, bare, &mut keep).await.is_ok();
        drop(ours);
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        let lines = text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect();
        (lines, whole && keep)
    }

    fn answer(status: u16, frames: &[&'static str], hint: SizeHint) -> Response<Frames> {
        Response::builder().status(status).body(Frames(frames.to_vec(), hint)).unwrap()
    }

    #[tokio::test]
    async fn an_answer_says_how_long_it_is() {
        let six = || answer(200, &["abc", "", "def"], SizeHint::with_exact(6));
        assert_eq!(sent(six(), false).await, ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef".into(), true));
        assert_eq!(sent(six(), true).await, ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n".into(), true));
        let none = answer(204, &[], SizeHint::with_exact(0));
        assert_eq!(sent(none, false).await, ("HTTP/1.1 204 No Content\r\n\r\n".into(), true));
        let empty = answer(200, &[], SizeHint::with_exact(0));
        assert_eq!(sent(empty, false).await, ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into(), true));
        let unknown = answer(200, &["abc", "0123456789"], SizeHint::default());
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(sent(unknown, false).await, (chunks.into(), true));
    }

    #[tokio::test]
    async fn a_body_that_is_not_as_long_as_it_says_ends_the_connection() {
        let (_, kept) = sent(answer(200, &["abc"], SizeHint::with_exact(4)), false).await;
        assert!(!kept);
        let (text, kept) = sent(answer(200, &["abc", "GET /"], SizeHint::with_exact(3)), false).await;
        assert!(!kept && !text.contains("GET"), "{text}");
    }

    #[tokio::test]
    async fn an_answer_that_ends_its_connection_says_so_once() {
        let mut last = answer(403, &[], SizeHint::with_exact(0));
        last.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let (text, kept) = sent(last, false).await;
        assert_eq!((text.matches("connection: close").count(), kept), (1, false));
    }
}
