//! Usher: one binary that logs people in, keeps them in, and shows them out everywhere at once.

pub mod accounts;
pub mod config;
pub mod http;
pub mod id;
pub mod log;
pub mod media;
pub mod net;
pub mod ops;
pub mod secret;
pub mod time;
