//! A whole SQLite database into an empty PostgreSQL database, in one transaction, and then looked at again.
//!
//! Tables and columns are taken from the schema, so this knows none by name; the texts are built from names that our own
//! migrations chose. What was written is read back and compared, by count and by digest, before the commit: either all
//! of it is there, or nothing is.
use super::connection::{Bound, described, detach};
use super::pool::Connector;
use super::schema::Session;
use crate::lite::{self, Table};
use crate::url::PostgresUrl;
use crate::{Migration, Moved, OpenError, Options, Value, migrate};
use futures_util::{StreamExt, future};
use std::path::{Path, PathBuf};
use std::pin::pin;
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;

/// Batches that may be read ahead.
const AHEAD: usize = 4;

/// The number of rows and a digest of them, whatever their order.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    rows: u64,
    digest: [u64; 4],
}

impl Sum {
    fn add(&mut self, row: &[Value]) {
        let mut bytes = Vec::new();
        for value in row {
            // Each kind has a letter and each text its length, so that no two rows read alike.
            match value {
                Value::Null => bytes.push(b'n'),
                Value::Int(n) => {
                    bytes.push(b'i');
                    bytes.extend_from_slice(&n.to_be_bytes());
                }
                Value::Text(text) => part(&mut bytes, b't', text.as_bytes()),
                Value::Bytes(raw) => part(&mut bytes, b'b', raw),
            }
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        for (sum, word) in self.digest.iter_mut().zip(digest.as_ref().chunks_exact(8)) {
            *sum = sum.wrapping_add(word.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        self.rows += 1;
    }

    fn shown(&self) -> String {
        self.digest.iter().map(|word| format!("{word:016x}")).collect()
    }
}

fn part(bytes: &mut Vec<u8>, kind: u8, of: &[u8]) {
    bytes.push(kind);
    bytes.extend_from_slice(&(of.len() as u64).to_be_bytes());
    bytes.extend_from_slice(of);
}

/// What the reading thread sends.
enum Piece {
    Table(Table),
    Rows(Vec<Vec<Value>>),
}

pub(crate) async fn run(
    from: PathBuf,
    to: &PostgresUrl,
    migrations: &'static [Migration],
) -> Result<Vec<Moved>, OpenError> {
    let session = Session::open(&Connector::new(to, &Options::default())?).await?;
    session.must_be_empty().await?;
    session.text("BEGIN").await?;
    let (pieces, reading) = read(from);
    // Dropping the session gives up whatever was not committed.
    let moved = fill(&session, migrations, pieces).await;
    match reading.await {
        Ok(read) => read?,
        Err(error) => return Err(session.refused("read the file", &error.to_string())),
    }
    let moved = moved?;
    session.text("COMMIT").await?;
    Ok(moved)
}

fn read(from: PathBuf) -> (mpsc::Receiver<Piece>, tokio::task::JoinHandle<Result<(), OpenError>>) {
    let (sender, pieces) = mpsc::channel(AHEAD);
    let send = move |from: &Path| -> Result<(), OpenError> {
        let connection = lite::reader(from)?;
        for table in lite::tables(from, &connection)? {
            // Whoever takes the pieces may have given up; then so do we.
            let Table { name, columns, .. } = &table;
            let told = Table::new(name.clone(), columns.clone());
            if sender.blocking_send(Piece::Table(told)).is_err() {
                return Ok(());
            }
            lite::rows(from, &connection, &table, |rows| sender.blocking_send(Piece::Rows(rows)).is_ok())?;
        }
        Ok(())
    };
    (pieces, tokio::task::spawn_blocking(move || send(&from)))
}

async fn fill(
    session: &Session,
    migrations: &'static [Migration],
    mut pieces: mpsc::Receiver<Piece>,
) -> Result<Vec<Moved>, OpenError> {
    for migration in migrate::pending(&[], migrations)? {
        session.apply(migration).await.map_err(|error| OpenError::Migration {
            number: migration.number,
            name: migration.name,
            message: described(&error),
        })?;
    }
    let mut read: Vec<(Table, Sum)> = Vec::new();
    let mut insert = None;
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Table(table) => {
                // What the migrations themselves put there comes from the file too.
                session.text(&format!("DELETE FROM {}", quoted(&table.name))).await?;
                let columns: Vec<String> = table.columns.iter().map(|column| quoted(column)).collect();
                let places: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
                let (name, columns, places) = (quoted(&table.name), columns.join(", "), places.join(", "));
                let text = format!("INSERT INTO {name} ({columns}) VALUES ({places})");
                insert = Some(session.client().prepare(&text).await.map_err(|e| session.failed("write to it", &e))?);
                read.push((table, Sum::default()));
            }
            Piece::Rows(rows) => {
                let (Some(insert), Some((table, sum))) = (&insert, read.last_mut()) else { continue };
                let writes = rows.iter().map(|row| {
                    let bound: Vec<Bound<'_>> = row.iter().map(Bound).collect();
                    async move {
                        let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|it| it as _).collect();
                        session.client().execute(insert, &bound).await
                    }
                });
                future::try_join_all(writes)
                    .await
                    .map_err(|error| session.failed(&format!("write the rows of {}", table.name), &error))?;
                rows.iter().for_each(|row| sum.add(row));
            }
        }
    }
    let mut moved = Vec::with_capacity(read.len());
    for (table, sum) in read {
        let written = sum_of(session, &table).await?;
        if written != sum {
            let what = format!("{} has {} rows there and {} here, or others", table.name, written.rows, sum.rows);
            return Err(session.refused("be trusted with the copy", &what));
        }
        moved.push(Moved { table: table.name, rows: sum.rows, digest: sum.shown() });
    }
    Ok(moved)
}

/// Reads a table back.
async fn sum_of(session: &Session, table: &Table) -> Result<Sum, OpenError> {
    let failed = |error: tokio_postgres::Error| session.failed("read the copy back", &error);
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(column)).collect();
    let text = format!("SELECT {} FROM {}", columns.join(", "), quoted(&table.name));
    let nothing: [&(dyn ToSql + Sync); 0] = [];
    let rows = session.client().query_raw(text.as_str(), nothing).await.map_err(failed)?;
    let mut rows = pin!(rows);
    let mut sum = Sum::default();
    while let Some(row) = rows.next().await {
        let row = detach("usher_db::pg::moving", &row.map_err(failed)?);
        sum.add(&row.map_err(|error| session.refused("read the copy back", &error.to_string()))?.values);
    }
    Ok(sum)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    fn sum(rows: &[Vec<Value>]) -> Sum {
        let mut sum = Sum::default();
        rows.iter().for_each(|row| sum.add(row));
        sum
    }

    #[test]
    fn a_digest_is_of_the_rows_and_not_of_their_order() {
        let (a, b) = (args!["a", 1_i64], args!["b", 2_i64]);
        assert!(sum(&[a.clone(), b.clone()]) == sum(&[b.clone(), a.clone()]));
        assert!(sum(&[a.clone(), b.clone()]) != sum(&[a.clone(), a.clone()]));
        for (one, other) in [
            (args!["ab", "c"], args!["a", "bc"]),
            (args!["1"], args![1_i64]),
            (args![None::<i64>], args![0_i64]),
            (args![None::<i64>], args![""]),
            (args!["x"], args![b"x".to_vec()]),
        ] {
            assert!(sum(&[one]) != sum(&[other]));
        }
    }
}
