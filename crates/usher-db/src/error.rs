//! Failures of the storage: opaque to the domains, told apart only where an answer differs.
use std::path::PathBuf;

/// Why a read or write did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The storage cannot serve now: full disk, I/O error, full queue, closed. Nothing was changed (or, when the
    /// connection broke during the commit, it is unknown). The server answers 503.
    #[error("{statement}: {message}")]
    Unavailable {
        /// Statement or write.
        statement: &'static str,
        /// What the engine said.
        message: String,
    },
    /// A unique index refused. Prefer `ON CONFLICT`, which does not fail the transaction.
    #[error("{statement}: {message}")]
    Unique {
        /// Statement or write.
        statement: &'static str,
        /// What the engine said: the columns, never the values.
        message: String,
    },
    /// Anything else: a fault in our code, mostly.
    #[error("{statement}: {message}")]
    Other {
        /// Statement or write.
        statement: &'static str,
        /// What the engine said.
        message: String,
    },
}

impl Error {
    pub(crate) fn unavailable(statement: &'static str, message: impl Into<String>) -> Error {
        Error::Unavailable { statement, message: message.into() }
    }

    pub(crate) fn other(statement: &'static str, message: impl Into<String>) -> Error {
        Error::Other { statement, message: message.into() }
    }

    /// Whether asking again later may help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }

    /// Whether a unique index refused.
    pub fn is_unique(&self) -> bool {
        matches!(self, Error::Unique { .. })
    }

    /// The statement or write that failed.
    pub fn statement(&self) -> &'static str {
        let (Error::Unavailable { statement, .. } | Error::Unique { statement, .. } | Error::Other { statement, .. }) =
            self;
        statement
    }
}

/// Why a database was not opened: what happened, why it matters, what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the file.
    #[error(
        "{} is in use by another process, and two writers would lose each other's work: stop the other one, \
         or talk to it over its control socket", path.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The database was written by a later version.
    #[error(
        "the database has migration {found}, but this build knows only up to {known}: \
         run the newer version again, or restore the snapshot made before that migration"
    )]
    Newer {
        /// Highest migration applied.
        found: u32,
        /// Highest migration known.
        known: u32,
    },
    /// The text of an applied migration is not what was applied.
    #[error(
        "migration {number} was applied with another text than this build has, so the tables may not be what the code \
         expects: use the build that applied it; published migrations are never edited"
    )]
    Changed {
        /// The migration.
        number: u32,
    },
    /// A migration did not run. Its transaction was rolled back.
    #[error("migration {number} ({name}) failed and was rolled back, nothing of it remains: {message}")]
    Migration {
        /// Its number.
        number: u32,
        /// Its name.
        name: &'static str,
        /// What the engine said.
        message: String,
    },
    /// The list of migrations in this build does not ascend from 1. A fault in the build.
    #[error("the migrations of this build are not in ascending order at number {number}: this build is faulty")]
    Disordered {
        /// The first number out of order.
        number: u32,
    },
    /// The file does not hold together.
    #[error("{} is damaged ({message}): {}", path.display(), remedy(snapshot))]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What the check found.
        message: String,
        /// The newest snapshot beside it, if there is one.
        snapshot: Option<PathBuf>,
    },
    /// A database, but not one of ours.
    #[error("{} is a SQLite database of another program and was left alone: choose another path", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The operating system or the engine refused.
    #[error("{}: cannot {doing} ({message}): check that the directory exists, belongs to this user, and has space", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// The reason given.
        message: String,
    },
    /// A PostgreSQL server that cannot be reached, or a database on it that cannot be used.
    #[error("{message}")]
    Server {
        /// Which, why, and what to do.
        message: String,
    },
    /// The address of the database is wrong.
    #[error(transparent)]
    Url(#[from] crate::UrlError),
}

fn remedy(snapshot: &Option<PathBuf>) -> String {
    match snapshot {
        Some(path) => format!(
            "move it aside with its -wal and -shm, and restore the newest snapshot, {}, or a later backup",
            path.display()
        ),
        None => "move it aside with its -wal and -shm, and restore a backup; there is no snapshot beside it".to_owned(),
    }
}
