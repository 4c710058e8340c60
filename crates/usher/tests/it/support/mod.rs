//! What tests stand on: real programs and servers, started and ended cleanly.
//!
//! Whatever a test starts ends with the value that stands for it, also when the test panics. A
//! program that is missing fails the test with the remedy; a test never quietly does nothing.

pub mod app;
pub mod authenticator;
pub mod browser;
pub mod cluster;
#[path = "../../../../usher-db/tests/it/engine.rs"]
pub mod engine;
pub mod post_office;
pub mod program;
pub mod proxy;
pub mod server;
pub mod shelf;
pub mod soft_key;
pub mod together;
#[path = "../../../../usher-db/tests/it/wire.rs"]
pub mod wire;
