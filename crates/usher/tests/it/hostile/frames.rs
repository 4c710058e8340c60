//! An HTTP/2 client that sends whatever frames it is told to (RFC 9113), the forbidden ones too.

use crate::support::server::{PATIENCE, Server};
use std::fmt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const ACK: u8 = 1;

/// SETTINGS_INITIAL_WINDOW_SIZE with this value.
pub fn window(size: u32) -> Vec<u8> {
    [&[0, 4][..], &size.to_be_bytes()].concat()
}

/// A frame.
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block: every field a literal that is not indexed (RFC 7541 section 6.2.2), whatever stands in it.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        // Seven bits of length, or all of them set and the rest in further bytes (section 5.1).
        let rest = text.len().checked_sub(127);
        let length =
            rest.map_or(vec![text.len()], |rest| vec![127, rest % 128 + 128 * (rest / 128).min(1), rest / 128]);
        let used = if rest.is_some_and(|rest| rest < 128) { 2 } else { length.len() };
        let length = length[..used].iter().map(|byte| u8::try_from(*byte).unwrap());
        length.chain(text.bytes()).collect::<Vec<u8>>()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// A request's pseudo-fields.
pub fn asking<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
}

/// What a connection said about a request.
#[derive(PartialEq, Eq)]
pub enum Said {
    Status(u16),
    /// The stream was reset with this code.
    Reset(u32),
    /// The connection ends with this code.
    GoAway(u32),
    /// It ended without a word.
    Nothing,
}

pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const ENHANCE_YOUR_CALM: u32 = 11;

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Status(status) => write!(f, "status {status}"),
            Said::Reset(code) => write!(f, "reset {code}"),
            Said::GoAway(code) => write!(f, "go away {code}"),
            Said::Nothing => f.write_str("nothing"),
        }
    }
}

/// A connection.
pub struct Client(TlsStream<TcpStream>);

impl Client {
    /// Opens one, with these settings.
    pub async fn new(server: &Server, settings: &[u8]) -> Client {
        let mut stream = server.connect_tls("h2").await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        Client(stream)
    }

    /// Sends bytes; false when the other end hears no more.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = async {
            self.0.write_all(bytes).await?;
            self.0.flush().await
        };
        timeout(PATIENCE, sent).await.is_ok_and(|sent| sent.is_ok())
    }

    /// A request without a body.
    pub async fn get(&mut self, stream: u32, path: &str) {
        self.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&asking("GET", path)))).await;
    }

    /// The next frame; none at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        let read = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        };
        timeout(PATIENCE, read).await.expect("neither a frame nor the end")
    }

    /// What is said about a stream, or about the connection as a whole.
    pub async fn said(&mut self, stream: u32) -> Said {
        while let Some(next) = self.next().await {
            let code = |at: usize| u32::from_be_bytes(next.payload[at..at + 4].try_into().unwrap());
            match next.kind {
                HEADERS if next.stream == stream => return Said::Status(status(&next.payload)),
                RST_STREAM if next.stream == stream => return Said::Reset(code(0)),
                GOAWAY => return Said::GoAway(code(4)),
                _ => {}
            }
        }
        Said::Nothing
    }

    /// Reads until the connection has ended.
    pub async fn end(&mut self) {
        while self.next().await.is_some() {}
    }
}

/// The status at the beginning of the first header block of a connection (RFC 7541 appendices A and B).
fn status(block: &[u8]) -> u16 {
    match block {
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8a, ..] => 206,
        [0x8b, ..] => 304,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x48 | 0x08, length, rest @ ..] if length & 0x80 == 0 => {
            std::str::from_utf8(&rest[..usize::from(*length)]).unwrap().parse().unwrap()
        }
        [0x48 | 0x08, _, rest @ ..] => digits(rest),
        other => panic!("no status: {other:?}"),
    }
}

/// Three digits in the code of Huffman: five bits for 0 to 2, six for the others.
fn digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u16> =
        bytes.iter().take(3).flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1))).collect();
    let number = |bits: &[u16]| bits.iter().fold(0, |number, bit| number * 2 + bit);
    let (mut at, mut value) = (0, 0);
    for _ in 0..3 {
        let short = number(&bits[at..at + 5]);
        let (digit, length) = if short < 3 { (short, 5) } else { (number(&bits[at..at + 6]) - 22, 6) };
        value = value * 10 + digit;
        at += length;
    }
    value
}
