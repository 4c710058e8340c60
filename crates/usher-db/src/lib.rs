//! Storage: one SQL text, two engines, no table of Usher's own.
//!
//! What this crate promises:
//! - **A write is acknowledged only after it is durable**, and after the follower (the caller's memory) has heard of it.
//! - **One transaction per write.** `Ok` commits, `Err` rolls back, [`Tx::undo`] rolls back with an answer. A refusal
//!   that must persist (a counted failure) is therefore an `Ok` value.
//! - **A failed write says so.** Full disk, I/O error and full queue are [`Error::Unavailable`]; reads go on, and writing
//!   heals by itself once the cause is gone.
//! - **The change feed is gapless**: its numbers are taken as the last statements of the transaction, so that their
//!   order is the order of commits.
//!
//! What it refuses: SQL built at run time (every statement is `'static` and registered by [`statements!`]), a database
//! that is newer, corrupt, changed, or of another program, a second process on the same file.
//!
//! # The closure contract
//!
//! A write is a function over `&mut Tx`. It awaits nothing but its `Tx`, does no hashing, signing or I/O, draws from
//! randomness drawn before, may be run again, and returns its effects as data. On SQLite it runs on the one writer
//! thread, beside up to 255 others in the same transaction, each in its own savepoint. Once one of its statements has
//! failed, a transaction can only be undone: that is PostgreSQL's rule, kept on both engines. There a write that met a
//! unique index is run once more, since its guards may have looked before somebody else's commit.
//!
//! # The house dialect
//!
//! `TEXT` ids and digests, `BIGINT` milliseconds, nullable instants instead of booleans, `$1` placeholders, `RETURNING`
//! and `ON CONFLICT` welcome, `CAST` around counts and sums, no `SELECT *`, no engine functions.
#![warn(missing_docs)]

mod db;
mod error;
mod feed;
mod foreign;
mod lite;
mod migrate;
mod pg;
mod row;
mod statement;
mod tx;
mod url;
mod value;

pub use db::{Db, Interruption, Moved, Options, Stats, examine, move_to_postgres, prepare_all};
pub use error::{Error, OpenError};
pub use feed::{Change, Feed};
pub use foreign::{ForeignError, read_foreign};
pub use migrate::Migration;
pub use pg::DatabaseClock;
pub use row::Row;
pub use statement::{AnyStatement, Kind, OneRow, Point, Scan, Statement, Write};
pub use tx::Tx;
pub use url::{DatabaseUrl, PostgresUrl, UrlError};
pub use value::{FromValue, Value};
