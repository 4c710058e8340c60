//! HTTP: the edge of the house.
//!
//! Promises: every request has one context (`context.rs`) with one instant, one client address and one
//! origin, each believed only from where it may come; every answer carries the same protective headers
//! (`headers.rs`); every failure is one [`failure::Failure`], shown as a problem document to programs, as an
//! OAuth error where that is the standard, and as a page with a way onward to people.
//! Refuses: unknown hosts, state changes that another site caused (`csrf.rs`), bodies beyond their limit.
//! What all answers share stands in `front.rs`, around the routes.
//! There is no rule here; `router.rs` is the whole route table.

pub mod accept;
pub mod answers;
pub mod assets;
pub mod context;
pub mod cookies;
pub mod cors;
pub mod csrf;
pub mod door;
pub mod extract;
pub mod failure;
pub mod front;
pub mod headers;
pub mod openapi;
pub mod page;
pub mod router;
pub mod tls;
