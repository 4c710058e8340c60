//! One SQLite connection: statements in, detached rows out.
use super::text;
use crate::{Error, Kind, Row, Statement, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ErrorCode, OpenFlags, ToSql, ffi};
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// What one write may compute. Every other writer waits meanwhile.
pub(crate) const WRITE_LIMIT: Duration = Duration::from_millis(50);
/// What one may compute that is rare and cannot be cut into slices.
pub(crate) const LONG_WRITE_LIMIT: Duration = Duration::from_secs(3);
/// Instructions of SQLite's machine between two looks at the clock: well under a millisecond.
const STEPS_PER_LOOK: i32 = 20_000;
/// How many prepared statements are kept; the whole registry fits.
const STATEMENTS_KEPT: usize = 1_024;
/// Pages of 4 KiB in the write-ahead log after which it is brought into the file.
const LOG_PAGES: u32 = 4_096;
/// Page cache of the writer, in KiB.
const WRITER_CACHE: u32 = 4_096;
/// Said of a write that spent its allowance.
const TOO_LONG: &str = "the write computed longer than a write may; do it in slices";

/// A connection and the allowance of the write that runs on it.
pub(crate) struct Connection {
    raw: rusqlite::Connection,
    allowance: Arc<Allowance>,
}

/// A failure of the engine that has no statement's name yet.
pub(super) struct Failure(pub(super) rusqlite::Error);

impl Failure {
    /// Sorts it into the three kinds that callers tell apart.
    pub(super) fn named(self, statement: &'static str) -> Error {
        let message = self.0.to_string();
        let rusqlite::Error::SqliteFailure(failure, _) = &self.0 else {
            return Error::Other { statement, message };
        };
        match failure.code {
            ErrorCode::ConstraintViolation => match failure.extended_code {
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
                    Error::Unique { statement, message }
                }
                _ => Error::Other { statement, message },
            },
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase => Error::Unavailable { statement, message },
            ErrorCode::OperationInterrupted => Error::Other { statement, message: TOO_LONG.to_owned() },
            _ => Error::Other { statement, message },
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure(error)
    }
}

impl Connection {
    /// The one connection that writes, set up but without tables. `journal_mode` is not asked for yet, because it
    /// would change a file that may not be ours.
    pub(super) fn writer(path: &Path) -> Result<Connection, Failure> {
        let raw = rusqlite::Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        let mut connection = Connection::set_up(raw, WRITER_CACHE)?;
        connection.raw.pragma_update(None, "synchronous", "FULL")?;
        connection.raw.pragma_update(None, "foreign_keys", true)?;
        // A page that was written several times goes back into the file once: 16 MiB of log at most, for which the usual
        // four would be copied back four times as often.
        connection.raw.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        let allowance = Arc::clone(&connection.allowance);
        connection.raw.progress_handler(STEPS_PER_LOOK, Some(move || allowance.is_spent()))?;
        Ok(connection)
    }

    /// A connection that can only read, with a page cache of so many KiB.
    pub(super) fn reader(path: &Path, cache: u32) -> Result<Connection, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::set_up(rusqlite::Connection::open_with_flags(path, flags)?, cache)?;
        connection.raw.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    fn set_up(raw: rusqlite::Connection, cache: u32) -> Result<Connection, Failure> {
        raw.busy_timeout(Duration::from_secs(5))?;
        raw.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        raw.pragma_update(None, "trusted_schema", false)?;
        // Spilled temporary data would lie about in files that nobody guards.
        raw.pragma_update(None, "temp_store", "MEMORY")?;
        raw.pragma_update(None, "cache_size", -i64::from(cache))?;
        // Not mapped: a disk that fails under a mapping is a signal that ends the process, not an error.
        raw.pragma_update(None, "mmap_size", 0)?;
        Ok(Connection { raw, allowance: Arc::new(Allowance::none()) })
    }

    pub(super) fn raw(&self) -> &rusqlite::Connection {
        &self.raw
    }

    /// Starts the clock of a write that may compute for so long.
    pub(super) fn allow(&self, limit: Duration) {
        self.allowance.begin(limit);
    }

    /// Stops it: what follows is not the write's own work.
    pub(super) fn allow_any(&self) {
        self.allowance.end();
    }

    /// Whether no transaction is open, because the engine has rolled it back or none was begun.
    pub(super) fn is_idle(&self) -> bool {
        self.raw.is_autocommit()
    }

    /// Runs a statement of the writer's own: `BEGIN`, `SAVEPOINT`, `COMMIT` and the like, prepared once.
    pub(super) fn control(&self, sql: &'static str) -> Result<(), Error> {
        let run = || self.raw.prepare_cached(sql)?.raw_execute();
        run().map(drop).map_err(|error| Failure(error).named(sql))
    }

    /// Brings the write-ahead log into the file and empties it.
    pub(super) fn checkpoint(&self) -> Result<(), Error> {
        let run = || self.raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
        run().map_err(|error| Failure(error).named("checkpoint"))
    }

    /// Runs `read` in one snapshot of the database.
    pub(super) fn snapshot<T>(&mut self, read: impl FnOnce(&mut Connection) -> Result<T, Error>) -> Result<T, Error> {
        self.control("BEGIN")?;
        let result = read(self);
        self.control("COMMIT")?;
        result
    }

    pub(crate) fn one(&mut self, statement: &'static Statement, args: Vec<Value>) -> Result<Option<Row>, Error> {
        let mut prepared = self.bound(statement, args)?;
        let columns = prepared.column_count();
        let writes = statement.kind == Kind::Write;
        let mut rows = prepared.raw_query();
        let first = rows.next().map_err(|error| Failure(error).named(statement.name))?;
        let first = first.map(|row| detach(statement.name, row, columns)).transpose()?;
        // A write is run to its end, so that checks made there (foreign keys) are made.
        while writes && rows.next().map_err(|error| Failure(error).named(statement.name))?.is_some() {}
        Ok(first)
    }

    pub(crate) fn all(&mut self, statement: &'static Statement, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        let mut prepared = self.bound(statement, args)?;
        let columns = prepared.column_count();
        let mut rows = prepared.raw_query();
        let mut out = Vec::new();
        while let Some(row) = rows.next().map_err(|error| Failure(error).named(statement.name))? {
            out.push(detach(statement.name, row, columns)?);
        }
        Ok(out)
    }

    pub(crate) fn execute(&mut self, statement: &'static Statement, args: Vec<Value>) -> Result<u64, Error> {
        let mut prepared = self.bound(statement, args)?;
        let mut rows = prepared.raw_query();
        while rows.next().map_err(|error| Failure(error).named(statement.name))?.is_some() {}
        drop(rows);
        drop(prepared);
        Ok(self.raw.changes())
    }

    /// Prepares a statement and holds it to its kind.
    pub(super) fn check(&self, statement: &Statement) -> Result<(), Error> {
        let name = statement.name;
        let failed = |error| Failure(error).named(name);
        let sql = text::placeholders(statement.text);
        let reads = self.raw.prepare(&sql).map_err(failed)?.readonly();
        if reads == (statement.kind == Kind::Write) {
            return Err(Error::other(name, format!("is declared {:?}, but does the opposite", statement.kind)));
        }
        if statement.kind == Kind::Point {
            let mut plan = self.raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).map_err(failed)?;
            let mut rows = plan.raw_query();
            while let Some(row) = rows.next().map_err(failed)? {
                let step: String = row.get(3).map_err(failed)?;
                if step.starts_with("SCAN") && !step.contains("CONSTANT ROW") {
                    return Err(Error::other(
                        name,
                        format!("is declared Point, but its plan is {step:?}: make it a Scan"),
                    ));
                }
            }
        }
        Ok(())
    }

    fn bound(&self, statement: &'static Statement, args: Vec<Value>) -> Result<CachedStatement<'_>, Error> {
        if self.allowance.is_spent() {
            return Err(Error::other(statement.name, TOO_LONG));
        }
        let failed = |error| Failure(error).named(statement.name);
        let sql = statement.lite.get_or_init(|| text::placeholders(statement.text));
        let mut prepared = self.raw.prepare_cached(sql).map_err(failed)?;
        let wanted = prepared.parameter_count();
        if wanted != args.len() {
            // SQLite would quietly take NULL for the ones that are missing.
            return Err(Error::other(statement.name, format!("takes {wanted} arguments, was given {}", args.len())));
        }
        for (number, value) in (1..).zip(&args) {
            prepared.raw_bind_parameter::<usize, _>(number, Bound(value)).map_err(failed)?;
        }
        Ok(prepared)
    }
}

/// What the running write may still compute. It is counted in CPU time, because a write must not fail for the sake of a
/// machine that was busy with something else; that clock is a call into the kernel, so it is asked only once as much time
/// has passed on the wall, before which no write can have computed so long.
struct Allowance {
    /// Before this moment nothing can be spent. Both are in nanoseconds of their clocks.
    wall_until: AtomicI64,
    cpu_until: AtomicI64,
}

impl Allowance {
    fn none() -> Allowance {
        Allowance { wall_until: AtomicI64::new(i64::MAX), cpu_until: AtomicI64::new(i64::MAX) }
    }

    fn begin(&self, limit: Duration) {
        let limit = i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX);
        self.wall_until.store(nanos(ClockId::Monotonic).saturating_add(limit), Ordering::Relaxed);
        self.cpu_until.store(nanos(ClockId::ThreadCPUTime).saturating_add(limit), Ordering::Relaxed);
    }

    fn end(&self) {
        self.wall_until.store(i64::MAX, Ordering::Relaxed);
    }

    fn is_spent(&self) -> bool {
        let wall_until = self.wall_until.load(Ordering::Relaxed);
        wall_until != i64::MAX
            && nanos(ClockId::Monotonic) > wall_until
            && nanos(ClockId::ThreadCPUTime) > self.cpu_until.load(Ordering::Relaxed)
    }
}

fn nanos(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// An argument as SQLite takes it.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Integer(*n),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn detach(statement: &'static str, row: &rusqlite::Row<'_>, columns: usize) -> Result<Row, Error> {
    let mut values = Vec::with_capacity(columns);
    for column in 0..columns {
        let value = match row.get_ref(column).map_err(|error| Failure(error).named(statement))? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(n) => Value::Int(n),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Value::Text(text.to_owned()),
                Err(_) => return Err(Error::other(statement, format!("column {column} holds text that is not UTF-8"))),
            },
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
            ValueRef::Real(_) => {
                return Err(Error::other(
                    statement,
                    format!("column {column} holds a float, which the dialect has not"),
                ));
            }
        };
        values.push(value);
    }
    Ok(Row { statement, values })
}
