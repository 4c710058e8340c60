//! Statements are values with a name, a text and a kind; the kind decides where they may run.
use std::sync::OnceLock;

/// Where a statement may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads a row by an index: inline, on the thread of the caller.
    Point,
    /// Reads that may visit many rows: off the runtime threads.
    Scan,
    /// Changes rows: inside a transaction only.
    Write,
}

/// A registered statement. Made by [`statements!`](crate::statements), never at run time.
#[derive(Debug)]
pub struct Statement {
    /// Module path and constant, as errors and logs show it.
    pub name: &'static str,
    /// The text in the house dialect, with `$1` placeholders.
    pub text: &'static str,
    /// Where it may run.
    pub kind: Kind,
    /// The text as SQLite wants it, written at first use.
    pub(crate) lite: OnceLock<String>,
}

impl Statement {
    /// For [`statements!`](crate::statements).
    #[doc(hidden)]
    pub const fn new(name: &'static str, text: &'static str, kind: Kind) -> Statement {
        Statement { name, text, kind, lite: OnceLock::new() }
    }
}

/// A read of a row by an index: answers inline. `prepare_all` refuses one whose plan visits a whole table.
#[derive(Debug)]
pub struct Point(pub Statement);

/// A read that may visit many rows.
#[derive(Debug)]
pub struct Scan(pub Statement);

/// A change, with or without `RETURNING`.
#[derive(Debug)]
pub struct Write(pub Statement);

/// Any statement may run inside a transaction.
pub trait AnyStatement: sealed::Sealed {}
impl<S: sealed::Sealed> AnyStatement for S {}

/// A statement of which one row is expected at most.
pub trait OneRow: sealed::Sealed {}
impl OneRow for Point {}
impl OneRow for Write {}

pub(crate) mod sealed {
    use super::{Point, Scan, Statement, Write};

    pub trait Sealed: Sync {
        fn statement(&self) -> &Statement;
    }
    impl Sealed for Point {
        fn statement(&self) -> &Statement {
            &self.0
        }
    }
    impl Sealed for Scan {
        fn statement(&self) -> &Statement {
            &self.0
        }
    }
    impl Sealed for Write {
        fn statement(&self) -> &Statement {
            &self.0
        }
    }
}

/// Declares the statements of a module, and `STATEMENTS`, the list of them that the registry test prepares.
///
/// ```
/// usher_db::statements! {
///     /// One fruit by its id.
///     FIND: Point = "SELECT name FROM fruits WHERE id = $1";
///     LIST: Scan = "SELECT id, name FROM fruits ORDER BY id";
///     EAT: Write = "DELETE FROM fruits WHERE id = $1 RETURNING name";
/// }
/// assert_eq!(STATEMENTS.len(), 3);
/// ```
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident : $kind:ident = $text:expr;)*) => {
        $($(#[$doc])*
        pub(crate) static $name: $crate::$kind = $crate::$kind($crate::Statement::new(
            concat!(module_path!(), "::", stringify!($name)),
            $text,
            $crate::Kind::$kind,
        ));)*
        /// Every statement of this module.
        pub static STATEMENTS: &[&$crate::Statement] = &[$(&$name.0),*];
    };
}
