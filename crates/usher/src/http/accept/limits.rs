//! What a connection may use, and what the service is told about it.

use std::net::SocketAddr;
use std::time::Duration;

/// The bounds of every connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once, all TCP listeners together.
    pub max_connections: usize,
    /// Connections open at once at the control socket, counted apart so that a full house can still be managed.
    pub max_control_connections: usize,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time from the first byte of a request's head to its last; on a new connection, from its opening.
    pub head: Duration,
    /// Time for a request's body, once it is wanted; beyond it 408.
    pub body: Duration,
    /// Time in which the other end of a connection may take nothing of what is sent to it.
    pub unread: Duration,
    /// The same for one of several answers on an HTTP/2 connection, give or take a quarter. Longer, because a player
    /// that is far ahead leaves its stream alone for minutes and goes on afterwards.
    pub unread_answer: Duration,
    /// Time that a connection may be kept between requests.
    pub idle: Duration,
    /// The request line and all fields together, in bytes; beyond it 431 (RFC 6585 section 5).
    pub head_bytes: usize,
    /// The number of fields; beyond it 431.
    pub head_fields: usize,
    /// The most that is buffered for a connection (HTTP/1.1) or a stream (HTTP/2), in bytes.
    pub buffer: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Reset HTTP/2 streams not yet dealt with; beyond it the connection ends (CVE-2023-44487).
    pub resets: usize,
    /// Time for answers under way to finish at shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 10_000,
            max_control_connections: 16,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            unread: Duration::from_secs(120),
            unread_answer: Duration::from_secs(900),
            idle: Duration::from_secs(75),
            head_bytes: 16 * 1024,
            head_fields: 100,
            buffer: 64 * 1024,
            streams: 100,
            resets: 20,
            drain: Duration::from_secs(10),
        }
    }
}

/// Request extension: the other end of a TCP connection. Proxies are looked through in `net`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub addr: SocketAddr,
    /// Whether this process ended its TLS.
    pub tls: bool,
}

/// Request extension: the other end of the control socket, already found to be our own user or root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Its user.
    pub uid: u32,
}
