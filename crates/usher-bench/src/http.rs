//! A client that costs next to nothing: HTTP/1.1 with keep-alive over one socket, one request at a time.
//!
//! It understands what our servers send (RFC 9112 section 6: a status, fields, a body of stated length) and takes
//! anything else for a fault of the server.

use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The largest head that is read.
const HEAD: usize = 64 * 1024;
/// Room for a head and a piece of a file, so that reading either never grows the buffer.
const ROOM: usize = 80 * 1024;

/// Where a server answers, and how it is spoken to.
#[derive(Clone)]
pub struct Target {
    addr: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Target {
    /// Under TLS where there is a connector.
    pub fn new(addr: SocketAddr, tls: Option<TlsConnector>) -> Target {
        Target { addr, tls }
    }
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Target {
        Target { addr, tls: None }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is kept.
pub struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

/// What came back.
pub struct Answer<'c> {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: &'c [u8],
}

impl Connection {
    /// Connects.
    pub async fn open(to: impl Into<Target>) -> io::Result<Connection> {
        let to = to.into();
        let tcp = TcpStream::connect(to.addr).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match to.tls {
            None => Box::new(tcp),
            Some(tls) => {
                let name = ServerName::try_from("localhost").map_err(|_| wrong("no name"))?;
                Box::new(tls.connect(name, tcp).await?)
            }
        };
        Ok(Connection { stream, buffer: Vec::with_capacity(ROOM) })
    }

    /// Sends a whole request and reads the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        let (head, status, length) = self.head(request).await?;
        self.buffer.reserve((head + length).saturating_sub(self.buffer.len()));
        while self.buffer.len() < head + length {
            self.read().await?;
        }
        if self.buffer.len() > head + length {
            return Err(wrong("an answer is longer than it says"));
        }
        Ok(Answer { status, body: &self.buffer[head..] })
    }

    /// Sends a whole request, reads the whole answer and keeps nothing of its body: its status and length.
    pub async fn drain(&mut self, request: &[u8]) -> io::Result<(u16, usize)> {
        let (head, status, length) = self.head(request).await?;
        let mut got = self.buffer.len() - head;
        while got < length {
            self.buffer.clear();
            self.read().await?;
            got += self.buffer.len();
        }
        Ok((status, got))
    }

    /// Sends a request and reads the head of its answer: where it ends, the status, and the length of the body.
    pub async fn head(&mut self, request: &[u8]) -> io::Result<(usize, u16, usize)> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let head = loop {
            self.read().await?;
            if let Some(end) = end_of_head(&self.buffer) {
                break end;
            }
            if self.buffer.len() > HEAD {
                return Err(wrong("the head of an answer does not end"));
            }
        };
        let (status, length) = read_head(&self.buffer[..head])?;
        Ok((head, status, length))
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Where the body begins.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The status and the length of the body.
fn read_head(head: &[u8]) -> io::Result<(u16, usize)> {
    let text = std::str::from_utf8(head).map_err(|_| wrong("the head of an answer is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|rest| rest.get(..3));
    let status = status.and_then(|digits| digits.parse().ok()).ok_or_else(|| wrong("an answer has no status"))?;
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    match length {
        Some((_, value)) => {
            Ok((status, value.trim().parse().map_err(|_| wrong("the length of an answer is no number"))?))
        }
        None if matches!(status, 204 | 304) => Ok((status, 0)),
        None => Err(wrong("an answer does not say its length")),
    }
}

/// A request without a body; `fields` are whole lines, each with its end.
pub fn get(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into_bytes()
}

/// A POST with a JSON body.
pub fn post(path: &str, fields: &str, body: &str) -> Vec<u8> {
    send("POST", path, fields, body)
}

/// A PUT with a JSON body.
pub fn put(path: &str, fields: &str, body: &str) -> Vec<u8> {
    send("PUT", path, fields, body)
}

fn send(method: &str, path: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_status_and_length() {
        let head = b"HTTP/1.1 206 Partial Content\r\nx: y\r\nContent-Length: 65536\r\n\r\n";
        assert_eq!(end_of_head(head), Some(head.len()));
        assert!(matches!(read_head(head), Ok((206, 65536))));
        assert!(matches!(read_head(b"HTTP/1.1 204 No Content\r\n\r\n"), Ok((204, 0))));
        assert!(read_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(read_head(b"SSH-2.0\r\n\r\n").is_err());
    }
}
