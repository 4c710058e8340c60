//! Answers under `/m/`: status, headers, and a body that reads the file as it is sent.
//!
//! To a bare socket the kernel sends a file from its own memory (`sendfile`), and we hold nothing of it. Under TLS and on
//! shared connections one piece of it is in memory per stream, whatever the file's size and however slow the reader.
//! Pages that the kernel already holds are read where we are; only what has to come from the disk goes to a
//! blocking task, and only so many of those run at once. A body that is told to stop, or whose file became
//! shorter, ends in an error, which ends the connection: it is never padded and never ends as if whole.
//! No answer sets a cookie, and every answer of one status has one body.

use super::conditional::{self, Validators, Verdict};
use super::kind::{ContentType, Kind};
use super::path::{PathError, is_bidi_control};
use super::range::{self, Ranged};
use super::root::{OpenError, OpenFile};
use super::token::TokenError;
use super::transfers::Guard;
use crate::time::Time;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request::Parts};
use http_body::{Body, Frame, SizeHint};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::SendFlags;
use std::fmt::Write;
use std::future::{Future, poll_fn};
use std::io::{self, IoSliceMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// The most of a file that a stream holds.
pub const PIECE: usize = 32 * 1024;
/// How many reads wait for disks at once. A disk that hangs holds back others only when it fills these.
const DISK_READS: usize = 32;
/// How many pieces are kept for the next stream: 2 MiB.
const SPARE_PIECES: usize = 64;
/// From this length on the kernel is told that the file will be read through.
const LONG: u64 = 1024 * 1024;

/// How far ahead the kernel is asked whether it holds a file.
const STRETCH: u64 = 256 * 1024;

static DISK: Semaphore = Semaphore::const_new(DISK_READS);
static SPARE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// What an answer says about its file besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Meta<'a> {
    /// The file's name.
    pub name: &'a [u8],
    /// Its type.
    pub content: ContentType,
    /// Sent to be saved (`?dl=1`, with the right to).
    pub download: bool,
}

/// Refusals, each with one status and one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400: the request is malformed.
    Malformed,
    /// 403: the token opens nothing here.
    Forbidden,
    /// 403: a good token whose grant has ended.
    Revoked,
    /// 404.
    NotFound,
    /// 405.
    Method,
    /// 410: the URL's time is over; ask for a new one.
    Expired,
    /// 414: the request target is too long.
    TooLong,
    /// 429: come back after so many seconds.
    TooMany(u32),
    /// 500.
    Failed,
    /// 503.
    Busy,
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Self {
        match error {
            PathError::Bad => Refusal::Malformed,
            PathError::TooLong => Refusal::NotFound,
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Malformed | TokenError::NotAFolder => Refusal::NotFound,
            TokenError::UnknownKey | TokenError::Forged => Refusal::Forbidden,
        }
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotFound => Refusal::NotFound,
            OpenError::Busy | OpenError::Away => Refusal::Busy,
            OpenError::Failed(_) => Refusal::Failed,
        }
    }
}

/// Answers a request that may have the file. `guard` ends the transfer when its grant ends.
pub fn answer(file: OpenFile, request: &Parts, meta: &Meta<'_>, guard: Guard, now: Time) -> Response<FileBody> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return refuse(Refusal::Method);
    }
    let size = file.meta.size;
    let version = Validators::new(file.meta.ino, size, file.meta.mtime_ns, now);
    let ranges = match conditional::evaluate(&request.method, &request.headers, &version, now) {
        Verdict::Proceed { ranges } => ranges,
        Verdict::NotModified => {
            return with(StatusCode::NOT_MODIFIED, FileBody::empty(), |headers| version_headers(headers, &version));
        }
        Verdict::PreconditionFailed => {
            return with(StatusCode::PRECONDITION_FAILED, FileBody::empty(), |headers| {
                version_headers(headers, &version);
            });
        }
    };
    // Range is defined for GET alone (RFC 9110 section 14.2).
    let ranged = if request.method == Method::GET {
        range::decide(request.headers.get_all(header::RANGE).iter().map(HeaderValue::as_bytes), size)
    } else {
        Ranged::Full
    };
    let (status, start, length) = match ranged {
        Ranged::Bad => return refuse(Refusal::Malformed),
        Ranged::Unsatisfiable if ranges => {
            return with(StatusCode::RANGE_NOT_SATISFIABLE, FileBody::empty(), |headers| {
                version_headers(headers, &version);
                put(headers, header::CONTENT_RANGE, format!("bytes */{size}"));
            });
        }
        Ranged::Single { start, end } if ranges => (StatusCode::PARTIAL_CONTENT, start, end - start + 1),
        _ => (StatusCode::OK, 0, size),
    };
    let body =
        if request.method == Method::HEAD { FileBody::empty() } else { FileBody::file(file.fd, start, length, guard) };
    with(status, body, |headers| {
        version_headers(headers, &version);
        put(headers, header::CONTENT_LENGTH, length.to_string());
        if status == StatusCode::PARTIAL_CONTENT {
            put(headers, header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", start + length - 1));
        }
        content_headers(headers, request, meta);
    })
}

/// The answer to a preflight (`OPTIONS`), the same for every address: the path is the credential, so any
/// page that knows it may read it, without cookies.
pub fn preflight() -> Response<FileBody> {
    with(StatusCode::NO_CONTENT, FileBody::empty(), |headers| {
        fixed(headers, header::ALLOW, "GET, HEAD, OPTIONS");
        fixed(headers, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD");
        fixed(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-Range");
        fixed(headers, header::ACCESS_CONTROL_MAX_AGE, "86400");
    })
}

/// The answer that refuses.
pub fn refuse(refusal: Refusal) -> Response<FileBody> {
    let (status, text) = match refusal {
        Refusal::Malformed => (StatusCode::BAD_REQUEST, "This address is malformed.\n"),
        Refusal::Forbidden | Refusal::Revoked => (StatusCode::FORBIDDEN, "This address opens nothing.\n"),
        Refusal::NotFound => (StatusCode::NOT_FOUND, "There is nothing at this address.\n"),
        Refusal::Method => (StatusCode::METHOD_NOT_ALLOWED, "Files here are only read.\n"),
        Refusal::Expired => (StatusCode::GONE, "This address has expired; ask for a new one.\n"),
        Refusal::TooLong => (StatusCode::URI_TOO_LONG, "This address is too long.\n"),
        Refusal::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "Too many requests; wait a moment.\n"),
        Refusal::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Reading failed.\n"),
        Refusal::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Too busy; try again in a moment.\n"),
    };
    with(status, FileBody::text(text), |headers| {
        fixed(headers, header::CONTENT_TYPE, "text/plain; charset=utf-8");
        put(headers, header::CONTENT_LENGTH, text.len().to_string());
        match refusal {
            Refusal::Method => fixed(headers, header::ALLOW, "GET, HEAD, OPTIONS"),
            Refusal::Revoked => fixed(headers, HeaderName::from_static("usher-reason"), "revoked"),
            Refusal::TooMany(seconds) => put(headers, header::RETRY_AFTER, seconds.to_string()),
            Refusal::Busy => fixed(headers, header::RETRY_AFTER, "2"),
            _ => {}
        }
    })
}

/// A response with the headers that every answer under `/m/` has.
fn with(status: StatusCode, body: FileBody, more: impl FnOnce(&mut HeaderMap)) -> Response<FileBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(20);
    // Ending a grant outranks every cache.
    fixed(headers, header::CACHE_CONTROL, "private, no-cache, no-transform");
    fixed(headers, header::REFERRER_POLICY, "no-referrer");
    fixed(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    fixed(headers, header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    fixed(headers, HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    fixed(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    fixed(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Range, Content-Length, ETag, Accept-Ranges");
    more(headers);
    response
}

fn version_headers(headers: &mut HeaderMap, version: &Validators) {
    fixed(headers, header::ACCEPT_RANGES, "bytes");
    put(headers, header::ETAG, version.etag.clone());
    put(headers, header::LAST_MODIFIED, super::date::format(version.last_modified));
}

fn content_headers(headers: &mut HeaderMap, request: &Parts, meta: &Meta<'_>) {
    let mut inline = meta.content.inline && !meta.download;
    if meta.content.kind == Kind::Pdf && inline {
        // A browser's PDF viewer does not run inside a sandbox, and only as a page of its own is a document
        // kept away from the page that shows it.
        inline = request.headers.get("sec-fetch-dest").is_some_and(|to| to == "document");
        if inline {
            fixed(headers, header::CONTENT_SECURITY_POLICY, "default-src 'none'");
        }
    }
    fixed(headers, header::CONTENT_TYPE, meta.content.mime);
    put(headers, header::CONTENT_DISPOSITION, disposition(meta.name, inline));
}

/// `Content-Disposition` (RFC 6266, RFC 8187): a plain name for everybody, and the real one when it differs.
fn disposition(name: &[u8], inline: bool) -> String {
    let name: String = String::from_utf8_lossy(name)
        .chars()
        .filter(|c| !c.is_control() && !is_bidi_control(*c))
        // A backslash is a separator where the file may be saved.
        .map(|c| if matches!(c, '/' | '\\') { '_' } else { c })
        .collect();
    let plain: String = name
        .chars()
        .filter(|c| *c != '"')
        .map(|c| if c == ' ' || c.is_ascii_graphic() && c != '%' { c } else { '_' })
        .collect();
    let mut out = format!("{}; filename=\"{plain}\"", if inline { "inline" } else { "attachment" });
    if plain != name {
        out.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                out.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn fixed(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// For values made here out of visible ASCII; anything else is left out rather than sent.
fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// Why a body ended early. The connection must not be used again.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The transfer's grant has ended.
    #[error("the transfer was stopped")]
    Stopped,
    /// The file is shorter than it was when it was opened.
    #[error("the file became shorter while it was sent")]
    Truncated,
    /// The disk failed.
    #[error("reading failed: {0}")]
    Read(Errno),
    /// The connection failed.
    #[error("sending failed: {0}")]
    Socket(io::Error),
}

/// The body of an answer.
pub struct FileBody(Content);

enum Content {
    Text(Bytes),
    File(Stream),
    Over,
}

struct Stream {
    file: Arc<OwnedFd>,
    at: u64,
    left: u64,
    /// The file system can say that a read would wait.
    nowait: bool,
    waiting: Option<Waiting>,
    /// Up to here the kernel held it when it was asked.
    held: u64,
    /// The file system lets the kernel send its files.
    sends: bool,
    guard: Guard,
}

type Waiting = Pin<Box<dyn Future<Output = Result<Piece, Errno>> + Send>>;

impl FileBody {
    /// Nothing.
    pub fn empty() -> Self {
        FileBody(Content::Over)
    }

    fn text(text: &'static str) -> Self {
        FileBody(Content::Text(Bytes::from_static(text.as_bytes())))
    }

    fn file(file: OwnedFd, start: u64, length: u64, guard: Guard) -> Self {
        if length == 0 {
            return Self::empty();
        }
        if length >= LONG {
            // Advice: a file system that takes none is read all the same.
            let advised = std::num::NonZeroU64::new(length);
            let _ = rustix::fs::fadvise(&file, start, advised, rustix::fs::Advice::Sequential);
        }
        let file = Arc::new(file);
        FileBody(Content::File(Stream {
            file,
            at: start,
            left: length,
            nowait: true,
            waiting: None,
            held: start,
            sends: true,
            guard,
        }))
    }

    /// Whether it is a file, or a piece of one.
    pub fn is_file(&self) -> bool {
        matches!(self.0, Content::File(_))
    }

    /// Sends what is left of the file to `socket`, and tells `count` of every step. Nothing of it is in our memory.
    pub async fn send_to(&mut self, socket: &TcpStream, mut count: impl FnMut(u64)) -> Result<(), SendError> {
        while let Content::File(stream) = &mut self.0 {
            let sent = stream.send_some(socket).await;
            if sent.is_err() || stream.left == 0 {
                // Gives back the file and the place among the transfers at once.
                self.0 = Content::Over;
            }
            count(sent?);
        }
        Ok(())
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let content = &mut self.0;
        let piece = match content {
            Content::Over => return Poll::Ready(None),
            Content::Text(text) => Ok(std::mem::take(text)),
            Content::File(stream) => ready!(stream.poll_piece(cx)),
        };
        if !matches!(content, Content::File(stream) if stream.left > 0 && piece.is_ok()) {
            // Gives back the file and the place among the transfers at once.
            *content = Content::Over;
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Content::Over)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Content::Text(text) => u64::try_from(text.len()).unwrap_or(0),
            Content::File(stream) => stream.left,
            Content::Over => 0,
        })
    }
}

impl Stream {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, SendError>> {
        if self.guard.cancel().is_cancelled() {
            return Poll::Ready(Err(SendError::Stopped));
        }
        let piece = match self.waiting.as_mut() {
            Some(waiting) => ready!(waiting.as_mut().poll(cx)),
            None => match self.read_here() {
                Some(read) => read,
                None => {
                    let mut waiting = read_there(self.file.clone(), self.at, self.wanted());
                    match waiting.as_mut().poll(cx) {
                        Poll::Ready(read) => read,
                        Poll::Pending => {
                            self.waiting = Some(waiting);
                            return Poll::Pending;
                        }
                    }
                }
            },
        };
        self.waiting = None;
        let piece = piece.map_err(SendError::Read)?;
        // Read before the word came, and not to be sent after it.
        if self.guard.cancel().is_cancelled() {
            return Poll::Ready(Err(SendError::Stopped));
        }
        if piece.length == 0 {
            return Poll::Ready(Err(SendError::Truncated));
        }
        let length = u64::try_from(piece.length).unwrap_or(0);
        self.at += length;
        self.left = self.left.saturating_sub(length);
        Poll::Ready(Ok(Bytes::from_owner(piece)))
    }

    /// Sends some of the file, as much as the socket takes at once.
    async fn send_some(&mut self, socket: &TcpStream) -> Result<u64, SendError> {
        if self.held <= self.at {
            self.hold().await?;
        }
        if self.guard.cancel().is_cancelled() {
            return Err(SendError::Stopped);
        }
        if !self.sends {
            return self.send_read(socket).await;
        }
        let (mut at, most) = (self.at, usize::try_from(self.held - self.at).unwrap_or(usize::MAX));
        let step = || Ok(rustix::fs::sendfile(socket, &self.file, Some(&mut at), most)?);
        match socket.async_io(Interest::WRITABLE, step).await {
            Ok(0) => Err(SendError::Truncated),
            Ok(sent) => {
                let sent = u64::try_from(sent).unwrap_or(0);
                self.at += sent;
                self.left = self.left.saturating_sub(sent);
                Ok(sent)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                self.sends = false;
                Ok(0)
            }
            Err(error) => Err(SendError::Socket(error)),
        }
    }

    /// The same through our memory, where the file system knows no other way.
    async fn send_read(&mut self, socket: &TcpStream) -> Result<u64, SendError> {
        let piece = poll_fn(|cx| self.poll_piece(cx)).await?;
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let step = || Ok(rustix::net::send(socket, rest, SendFlags::NOSIGNAL)?);
            let sent = socket.async_io(Interest::WRITABLE, step).await.map_err(SendError::Socket)?;
            rest = &rest[sent..];
        }
        Ok(u64::try_from(piece.len()).unwrap_or(0))
    }

    /// Waits until the kernel holds the next stretch, as far as its two ends tell: it reads ahead, and between two ends
    /// that it holds there is seldom anything that it does not.
    async fn hold(&mut self) -> Result<(), SendError> {
        let end = self.at + self.left.min(STRETCH);
        if !(self.holds(self.at) && self.holds(end - 1)) {
            let read = fetch(self.file.clone(), self.at, end).await;
            read.map_err(SendError::Read)?;
        }
        self.held = end;
        Ok(())
    }

    /// Whether the kernel has this byte at hand; false also when it does not say.
    fn holds(&mut self, at: u64) -> bool {
        if !self.nowait {
            return false;
        }
        let mut byte = [0];
        match rustix::io::preadv2(&self.file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT) {
            Ok(_) => true,
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.nowait = false;
                false
            }
            Err(_) => false,
        }
    }

    fn wanted(&self) -> usize {
        usize::try_from(self.left).unwrap_or(PIECE).min(PIECE)
    }

    /// Reads what the kernel holds already; none when that would wait for the disk.
    fn read_here(&mut self) -> Option<Result<Piece, Errno>> {
        if !self.nowait {
            return None;
        }
        let mut piece = Piece::take();
        let wanted = self.wanted();
        let room = &mut [IoSliceMut::new(piece.buffer.get_mut(..wanted)?)];
        match rustix::io::preadv2(&self.file, room, self.at, ReadWriteFlags::NOWAIT) {
            Ok(length) => {
                piece.length = length;
                Some(Ok(piece))
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            // A file system or kernel without this: every read goes to a blocking task.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.nowait = false;
                None
            }
            Err(errno) => Some(Err(errno)),
        }
    }
}

fn read_there(file: Arc<OwnedFd>, at: u64, wanted: usize) -> Waiting {
    Box::pin(async move {
        // The semaphore is never closed.
        let _permit = DISK.acquire().await.map_err(|_| Errno::CANCELED)?;
        let read = move || loop {
            let mut piece = Piece::take();
            let room = piece.buffer.get_mut(..wanted).ok_or(Errno::INVAL)?;
            match rustix::io::pread(&file, room, at) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
                Ok(length) => {
                    piece.length = length;
                    return Ok(piece);
                }
            }
        };
        // A task that panicked or was dropped with its runtime has read nothing.
        tokio::task::spawn_blocking(read).await.unwrap_or(Err(Errno::CANCELED))
    })
}

/// Has the kernel read a stretch of a file, on a task that may wait for the disk.
async fn fetch(file: Arc<OwnedFd>, mut at: u64, end: u64) -> Result<(), Errno> {
    // The semaphore is never closed.
    let _permit = DISK.acquire().await.map_err(|_| Errno::CANCELED)?;
    let read = move || {
        let mut piece = Piece::take();
        while at < end {
            match rustix::io::pread(&file, &mut piece.buffer[..], at) {
                // Whoever sends it will find that it ends here.
                Ok(0) => break,
                Ok(length) => at += u64::try_from(length).unwrap_or(0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    };
    // A task that panicked or was dropped with its runtime has read nothing.
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(Errno::CANCELED))
}

/// A piece of a file in a buffer that goes back to the spare ones.
struct Piece {
    buffer: Box<[u8]>,
    length: usize,
}

impl Piece {
    fn take() -> Self {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Piece { buffer: spare.unwrap_or_else(|| vec![0; PIECE].into_boxed_slice()), length: 0 }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or(&[])
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_PIECES {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
