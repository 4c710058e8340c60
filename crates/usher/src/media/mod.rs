//! Media: bytes under a bucket's root, at addresses that carry their own credential.
//!
//! What this part promises: a media URL opens exactly the file or folder it was minted for, on the bytes
//! that its MAC covers (`path` decodes once, `token` and `root` see the same string); nothing outside the
//! bucket's root, no hidden name, no pipe or device is ever opened (`root`); a transfer stops when its grant
//! ends (`transfers`, `send`); ranges and conditions follow RFC 9110 (`range`, `conditional`).
//!
//! What it refuses: to normalise a path, to pad a file that became shorter, to follow a link out of the
//! bucket, to say whether a file exists before the token has proved itself, and to transcode.
//!
//! A token names a grant; whether that grant lives, and what its owner may do today, is the gate's answer.

pub mod api;
pub mod buckets;
pub mod conditional;
pub mod date;
pub mod dead;
pub mod deliver;
pub mod disk;
pub mod kind;
pub mod lease;
pub mod library;
pub mod listing;
pub mod live;
pub mod look;
mod names;
pub mod natural;
pub mod pages;
pub mod path;
pub mod probe;
pub mod range;
pub mod root;
pub mod send;
mod store;
pub use store::STATEMENTS;
pub mod token;
pub mod transfers;
pub mod urls;
