//! Every row of every table, for a copy into another engine.
use super::Connection;
use super::connection::Failure;
use super::open;
use crate::{OpenError, Value};
use rusqlite::types::ValueRef;
use std::path::Path;

/// A table as its schema tells it.
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    /// The tables that its rows refer to.
    refers_to: Vec<String>,
}

impl Table {
    pub(crate) fn new(name: String, columns: Vec<String>) -> Table {
        Table { name, columns, refers_to: Vec::new() }
    }
}

/// Opens the file for reading alone.
pub(crate) fn reader(path: &Path) -> Result<Connection, OpenError> {
    Connection::reader(path, 4_096).map_err(|failure| open::sort(path, "read it", failure))
}

/// The tables, each behind those that it refers to; not the list of migrations, which every database writes itself.
pub(crate) fn tables(path: &Path, connection: &Connection) -> Result<Vec<Table>, OpenError> {
    let failed = |error| open::sort(path, "read its tables", Failure(error));
    let raw = connection.raw();
    let texts = |sql: &str, column: usize| -> rusqlite::Result<Vec<String>> {
        raw.prepare(sql)?.query_map((), |row| row.get(column))?.collect()
    };
    let listed = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'migrations' \
        ORDER BY name";
    let mut waiting = Vec::new();
    for name in texts(listed, 0).map_err(failed)? {
        let quoted = quoted(&name);
        let columns = texts(&format!("PRAGMA table_info({quoted})"), 1).map_err(failed)?;
        let mut refers_to = texts(&format!("PRAGMA foreign_key_list({quoted})"), 2).map_err(failed)?;
        refers_to.retain(|other| *other != name);
        waiting.push(Table { name, columns, refers_to });
    }
    let mut ordered: Vec<Table> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let ready = waiting
            .iter()
            .position(|it| it.refers_to.iter().all(|other| ordered.iter().any(|done| done.name == *other)));
        match ready {
            Some(at) => ordered.push(waiting.remove(at)),
            None => {
                let message = format!("the tables {} refer to each other in a circle", waiting[0].name);
                return Err(OpenError::Io { path: path.to_owned(), doing: "order its tables", message });
            }
        }
    }
    Ok(ordered)
}

/// Hands over all rows of a table, some hundreds at a time, until `take` has enough.
pub(crate) fn rows(
    path: &Path,
    connection: &Connection,
    table: &Table,
    mut take: impl FnMut(Vec<Vec<Value>>) -> bool,
) -> Result<(), OpenError> {
    const AT_ONCE: usize = 500;
    let failed = |error| open::sort(path, "read its rows", Failure(error));
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(column)).collect();
    let text = format!("SELECT {} FROM {}", columns.join(", "), quoted(&table.name));
    let mut statement = connection.raw().prepare(&text).map_err(failed)?;
    let mut found = statement.query(()).map_err(failed)?;
    let mut batch = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let mut values = Vec::with_capacity(table.columns.len());
        for column in 0..table.columns.len() {
            let value = match row.get_ref(column).map_err(failed)? {
                ValueRef::Null => Some(Value::Null),
                ValueRef::Integer(n) => Some(Value::Int(n)),
                ValueRef::Text(text) => std::str::from_utf8(text).ok().map(|text| Value::Text(text.to_owned())),
                ValueRef::Blob(bytes) => Some(Value::Bytes(bytes.to_vec())),
                ValueRef::Real(_) => None,
            };
            let message = || format!("{}.{} holds what the dialect has not", table.name, table.columns[column]);
            values.push(value.ok_or_else(|| OpenError::Io {
                path: path.to_owned(),
                doing: "read its rows",
                message: message(),
            })?);
        }
        batch.push(values);
        if batch.len() == AT_ONCE && !take(std::mem::take(&mut batch)) {
            return Ok(());
        }
    }
    take(batch);
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
