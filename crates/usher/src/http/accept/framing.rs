//! Where one request ends and the next begins: requests about which two readers could disagree are refused.
//!
//! The HTTP library takes a head with both `Content-Length` and `Transfer-Encoding`, lines that end in a bare LF, and
//! coding lists of which it understands the last; each is allowed to it (RFC 9112 sections 2.2 and 6.3), and each is
//! what request smuggling is made of when a proxy in front reads it otherwise. So the bytes are looked at on their
//! way to it. A head may name its framing once: one `Content-Length`, or one `Transfer-Encoding: chunked`. Where that
//! is broken the byte at hand is replaced by NUL, which the library refuses with 400 and closes, like any other
//! malformed head: there is one answer, and no request was routed.
//!
//! Bodies are only counted, to know where the next head begins. A body that is not framed as it should be is refused
//! by the library, which ends the connection, and nothing after it is read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose requests are framed in one way only.
pub(super) struct Framed<T> {
    stream: T,
    scan: Scan,
}

impl<T> Framed<T> {
    pub(super) fn new(stream: T) -> Framed<T> {
        Framed { stream, scan: Scan::default() }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Framed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(new) = buf.filled_mut().get_mut(before..) {
            self.scan.pass(new);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Framed<T> {
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

/// Longer than any line that matters here; of longer ones the beginning is kept.
const LINE: usize = 64;

/// How far the requests of a connection have been looked through.
#[derive(Debug)]
pub struct Scan {
    at: At,
    line: [u8; LINE],
    /// Bytes of the line so far, kept or not.
    length: usize,
    /// The byte before was a CR.
    cr: bool,
    /// What the head has said about its body.
    body: Option<Framing>,
    /// The field that the line is, when it is one of the two.
    field: Option<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before or in the request line.
    Request,
    /// In the fields.
    Fields,
    /// In a body, with so many bytes to come.
    Body(u64),
    /// In the line that gives a chunk's size.
    Size,
    /// In a chunk, with so many bytes to come.
    Chunk(u64),
    /// In the line end after a chunk.
    ChunkEnd,
    /// In the fields after the last chunk.
    Trailers,
    /// Refused here or sure to be refused: nothing more is looked at.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Length,
    Coding,
}

impl Default for Scan {
    fn default() -> Self {
        Scan { at: At::Request, line: [0; LINE], length: 0, cr: false, body: None, field: None }
    }
}

impl Scan {
    /// Looks at the bytes that come next, and spoils the one at which a request is to be refused.
    pub fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() && self.at != At::Over {
            if let At::Body(left) | At::Chunk(left) = &mut self.at {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= here as u64;
                bytes = bytes.split_at_mut(here).1;
                match self.at {
                    At::Body(0) => self.at = At::Request,
                    At::Chunk(0) => self.at = At::ChunkEnd,
                    _ => {}
                }
            } else if let Some(length) = self.plain_line(bytes) {
                bytes = bytes.split_at_mut(length).1;
            } else {
                let (byte, rest) = bytes.split_at_mut(1);
                self.step(&mut byte[0]);
                bytes = rest;
            }
        }
    }

    /// The length of the line that begins here, when it is whole, ends as it should and can say nothing of framing: most
    /// lines of most heads, which need not be looked at byte by byte.
    fn plain_line(&mut self, bytes: &[u8]) -> Option<usize> {
        let fresh = self.length == 0 && !self.cr && matches!(self.at, At::Request | At::Fields);
        // The first letters of the two fields, and of a line that ends a head.
        if !fresh || matches!(bytes.first(), None | Some(b'c' | b'C' | b't' | b'T' | b'\r' | b'\n')) {
            return None;
        }
        let end = memchr::memchr2(b'\r', b'\n', bytes)?;
        (bytes.get(end..end + 2)? == b"\r\n").then(|| {
            self.at = At::Fields;
            end + 2
        })
    }

    /// One byte of a line.
    fn step(&mut self, byte: &mut u8) {
        match *byte {
            b'\n' => {
                let (whole, bare) = (self.length <= LINE, !self.cr);
                let kept = self.length.min(LINE);
                let line = self.line;
                let next = self.line_ended(line.get(..kept).unwrap_or_default(), whole, bare);
                (self.length, self.cr) = (0, false);
                self.go(next, byte);
            }
            b'\r' if !self.cr => self.cr = true,
            other => {
                if self.cr {
                    // A CR in the middle of a line is part of it here; the library refuses it.
                    self.keep(b'\r');
                    self.cr = false;
                }
                if other == b':' && self.at == At::Fields && self.field.is_none() {
                    self.name_ended(byte);
                }
                self.keep(other);
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.line.get_mut(self.length) {
            *place = byte;
        }
        self.length += 1;
    }

    /// A head that says a second time how long its body is.
    fn name_ended(&mut self, colon: &mut u8) {
        let name = self.line.get(..self.length).unwrap_or_default();
        self.field = if name.eq_ignore_ascii_case(b"content-length") {
            Some(Field::Length)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            Some(Field::Coding)
        } else {
            None
        };
        if self.field.is_some() && self.body.is_some() {
            self.go(None, colon);
        }
    }

    /// Where the end of a line leads; nowhere when it must not stand in a request.
    fn line_ended(&mut self, line: &[u8], whole: bool, bare: bool) -> Option<At> {
        let head = matches!(self.at, At::Request | At::Fields);
        match self.at {
            _ if bare => (!head).then_some(At::Over),
            // Empty lines before a request are skipped (RFC 9112 section 2.2).
            At::Request if line.is_empty() => Some(At::Request),
            At::Request => Some(At::Fields),
            At::Fields if line.is_empty() => Some(match self.body.take() {
                None | Some(Framing::Length(0)) => At::Request,
                Some(Framing::Length(length)) => At::Body(length),
                Some(Framing::Chunked) => At::Size,
            }),
            At::Fields => {
                let Some(field) = self.field.take() else { return Some(At::Fields) };
                self.body = Some(value(line, field).filter(|_| whole)?);
                Some(At::Fields)
            }
            At::Size => Some(match size(line) {
                Some(0) => At::Trailers,
                Some(length) => At::Chunk(length),
                None => At::Over,
            }),
            At::ChunkEnd => Some(if line.is_empty() { At::Size } else { At::Over }),
            At::Trailers => Some(if line.is_empty() { At::Request } else { At::Trailers }),
            At::Body(_) | At::Chunk(_) | At::Over => Some(At::Over),
        }
    }

    fn go(&mut self, next: Option<At>, byte: &mut u8) {
        self.at = next.unwrap_or_else(|| {
            *byte = 0;
            At::Over
        });
    }
}

/// The framing that a field gives; none when it gives none that we take.
fn value(line: &[u8], field: Field) -> Option<Framing> {
    let (_, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let value = value.trim_matches([' ', '\t']);
    match field {
        Field::Length if value.bytes().all(|byte| byte.is_ascii_digit()) => value.parse().ok().map(Framing::Length),
        Field::Coding if value.eq_ignore_ascii_case("chunked") => Some(Framing::Chunked),
        _ => None,
    }
}

/// The size of a chunk (RFC 9112 section 7.1).
fn size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at_checked(end)?;
    let digits = std::str::from_utf8(digits).ok().filter(|_| end < LINE)?;
    matches!(rest.first(), None | Some(b' ' | b'\t' | b';')).then_some(())?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of these bytes, handed over in pieces of this length.
    fn passed(text: &str, piece: usize) -> String {
        let mut scan = Scan::default();
        let mut bytes = text.as_bytes().to_vec();
        bytes.chunks_mut(piece).for_each(|piece| scan.pass(piece));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    const GOOD: &[&str] = &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\nb\nc",
        "POST / HTTP/1.1\r\ncontent-LENGTH:\t 0 \r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\na\nb\r\n0\r\nX: y\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n00A \r\n0123456789\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nX: content-length: 1\r\nContent-Length-X: 2\r\nNo-Transfer-Encoding: b\r\n\r\n",
    ];

    const BAD: &[&str] = &[
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nContent-Length:\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
    ];

    #[test]
    fn what_has_one_reading_passes_as_it_is() {
        for piece in 1..40 {
            let all = GOOD.concat();
            assert_eq!(passed(&all, piece), all);
        }
    }

    #[test]
    fn what_has_two_readings_is_spoiled_also_behind_others_and_in_pieces() {
        for (bad, piece) in BAD.iter().flat_map(|bad| (1..40).map(move |piece| (bad, piece))) {
            assert!(passed(bad, piece).contains('\0'), "{bad:?}");
            let behind = format!("{}{bad}", GOOD.concat());
            let out = passed(&behind, piece);
            assert!(out.starts_with(&GOOD.concat()) && out.matches('\0').count() == 1, "{bad:?}: {out:?}");
        }
    }

    #[test]
    fn behind_a_body_with_broken_framing_nothing_is_looked_for() {
        for broken in ["x\r\n", "\r\n", "-1\r\n", "0x5\r\n", "5\n", "3\r\nabcd\r\n", "10000000000000000\r\n", " 5\r\n"]
        {
            let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{broken}");
            let mut scan = Scan::default();
            let mut bytes = text.clone().into_bytes();
            scan.pass(&mut bytes);
            assert_eq!((scan.at, bytes), (At::Over, text.into_bytes()), "{broken:?}");
        }
    }
}
