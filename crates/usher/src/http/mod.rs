//! The edge: connections come in here and answers leave.
//!
//! Promises: every connection is bounded in number, header size, time to speak and time to end, plain or under TLS.

pub mod accept;
pub mod tls;
