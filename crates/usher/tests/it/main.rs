//! The one integration binary: a single link instead of a dozen, and one `support` for all.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

mod api;
mod binary;
mod browser;
mod declared;
mod edge;
mod faults;
mod gate;
mod headers;
mod hostile;
mod mutants;
mod nodes;
mod parsers;
mod races;
mod statements;
mod support;
mod tidy;
