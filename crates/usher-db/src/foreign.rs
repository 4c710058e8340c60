//! A table of another program's SQLite file, read once: for importers.
//!
//! The file is input. It is opened for reading only, nothing in its schema is trusted or run (a view of the table's
//! name is refused), a value has a bound, and so has the table.
use crate::Value;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// The longest value that is taken, in bytes.
const LONGEST_VALUE: usize = 1 << 20;
/// The most rows that are read.
const MOST_ROWS: usize = 2_000_000;

/// Why a table cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    /// The file cannot be opened, or reading it failed midway.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is no SQLite database, or a damaged one.
    #[error("it is no SQLite database, or a damaged one")]
    NotADatabase,
    /// There is no such table. A view does not count.
    #[error("it has no table `{0}`")]
    NoTable(String),
    /// A column that must be there is not.
    #[error("its table `{table}` has no column `{column}`")]
    NoColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// More rows than anybody has accounts, or a value longer than any of them needs.
    #[error("its table has more than 2,000,000 rows, or a value longer than a mebibyte")]
    TooLong,
}

impl From<rusqlite::Error> for ForeignError {
    fn from(error: rusqlite::Error) -> ForeignError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ForeignError::NotADatabase,
            _ => ForeignError::Unreadable(error.to_string()),
        }
    }
}

/// The rows of `table` in the order they were made, each with the values of `needed` and then of `wanted`. A column of
/// `wanted` that the file does not have is `Null` throughout, since older versions of its program had fewer.
///
/// It blocks the thread, and is for a command of its own, not for a server.
///
/// # Errors
/// See [`ForeignError`]; nothing is ever written.
pub fn read_foreign(
    path: &Path,
    table: &str,
    needed: &[&str],
    wanted: &[&str],
) -> Result<Vec<Vec<Value>>, ForeignError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let columns = columns_of(&connection, table)?;
    let has = |name: &str| columns.iter().any(|column| column == name);
    if let Some(missing) = needed.iter().find(|name| !has(name)) {
        return Err(ForeignError::NoColumn { table: table.to_owned(), column: (*missing).to_owned() });
    }
    let listed: Vec<String> =
        needed.iter().chain(wanted).map(|name| if has(name) { quoted(name) } else { "NULL".to_owned() }).collect();
    let mut query =
        connection.prepare(&format!("SELECT {} FROM {} ORDER BY rowid", listed.join(", "), quoted(table)))?;
    let mut rows = query.query([])?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        if read.len() == MOST_ROWS {
            return Err(ForeignError::TooLong);
        }
        read.push((0..listed.len()).map(|at| value(row.get_ref(at)?)).collect::<Result<_, _>>()?);
    }
    Ok(read)
}

/// The columns of a real table.
fn columns_of(connection: &Connection, table: &str) -> Result<Vec<String>, ForeignError> {
    let kind: rusqlite::Result<String> =
        connection.query_row("SELECT type FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0));
    match kind {
        Ok(kind) if kind == "table" => {}
        Ok(_) | Err(rusqlite::Error::QueryReturnedNoRows) => return Err(ForeignError::NoTable(table.to_owned())),
        Err(error) => return Err(error.into()),
    }
    let mut info = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = info.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// A name as SQL reads it whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value in the kinds of the house. What is no UTF-8 stays bytes, and a number with a fraction becomes its digits.
fn value(from: ValueRef) -> Result<Value, ForeignError> {
    if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = from
        && bytes.len() > LONGEST_VALUE
    {
        return Err(ForeignError::TooLong);
    }
    Ok(match from {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Real(n) => Value::Text(n.to_string()),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(bytes.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test that cannot set its scene should stop")]
mod tests {
    use super::*;

    fn file(sql: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        Connection::open(file.path()).and_then(|it| it.execute_batch(sql)).expect("a database of the test");
        file
    }

    #[test]
    fn rows_come_in_their_order_with_null_for_columns_of_later_versions() {
        let file = file("CREATE TABLE t (a TEXT, b BLOB); INSERT INTO t VALUES ('x', x'01'), ('y', NULL), ('z', 1.5)");
        let rows = read_foreign(file.path(), "t", &["a", "b"], &["late"]).expect("rows");
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(rows[0], [text("x"), Value::Bytes(vec![1]), Value::Null]);
        assert_eq!(rows[1], [text("y"), Value::Null, Value::Null]);
        assert_eq!(rows[2], [text("z"), text("1.5"), Value::Null]);
    }

    #[test]
    fn a_file_of_another_kind_is_refused_with_what_it_lacks() {
        let tables = file("CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t");
        let table = |name: &str| read_foreign(tables.path(), name, &["a"], &[]);
        assert_eq!(table("t"), Ok(Vec::new()));
        assert_eq!(table("v"), Err(ForeignError::NoTable("v".to_owned())));
        assert_eq!(table("u"), Err(ForeignError::NoTable("u".to_owned())));
        let lacking = read_foreign(tables.path(), "t", &["b"], &[]);
        assert_eq!(lacking, Err(ForeignError::NoColumn { table: "t".to_owned(), column: "b".to_owned() }));
        let text = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(text.path(), "name,password\n".repeat(100)).expect("a text");
        assert_eq!(read_foreign(text.path(), "t", &["a"], &[]), Err(ForeignError::NotADatabase));
        let missing = read_foreign(Path::new("/nowhere/auth.db"), "t", &["a"], &[]);
        assert!(matches!(missing, Err(ForeignError::Unreadable(_))));
    }

    #[test]
    fn nothing_in_the_file_is_changed() {
        let file = file("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
        let before = std::fs::read(file.path()).expect("bytes");
        read_foreign(file.path(), "t", &["a"], &[]).expect("rows");
        assert_eq!(std::fs::read(file.path()).expect("bytes"), before);
    }
}
