//! One PostgreSQL connection: statements in, detached rows out, every wait bounded.
use crate::{Error, Row, Statement, Value};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::error::Error as _;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

/// What a failure means for the transaction around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another transaction was in the way (40001, 40P01): running this one again helps.
    Again,
    /// A unique index refused (23505). What another transaction has just committed may have been invisible to the guards
    /// of this one; run again, they see it.
    Taken,
    /// The connection is of no use any more; nothing of its open transaction was kept. On another one it may work.
    Lost,
    /// Nothing came back in time. The connection is given up, and so is the attempt: its caller has waited enough.
    Late,
}

/// A connection with the statements that were prepared on it.
pub(crate) struct Connection {
    client: tokio_postgres::Client,
    prepared: HashMap<&'static str, tokio_postgres::Statement>,
    limit: Duration,
    trouble: Option<Trouble>,
    /// Between `BEGIN` and the end that answers it.
    open: bool,
}

/// How a commit failed.
pub(super) struct CommitFailed {
    pub(super) error: Error,
    /// Whether it may have happened all the same. Then nothing is run again.
    pub(super) unknown: bool,
}

impl Connection {
    pub(super) fn new(client: tokio_postgres::Client, limit: Duration) -> Connection {
        Connection { client, prepared: HashMap::new(), limit, trouble: None, open: false }
    }

    /// Bounds every wait from here on.
    pub(super) fn limit_to(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Whether the next caller may have it.
    pub(super) fn is_clean(&self) -> bool {
        self.trouble.is_none() && !self.open && !self.client.is_closed()
    }

    /// What went wrong since the transaction began.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Statements that the server gets as text, and that return nothing.
    pub(super) async fn control(&mut self, name: &'static str, sql: &str) -> Result<(), Error> {
        match timeout(self.limit, self.client.batch_execute(sql)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.failed(name, &error)),
            Err(_) => Err(self.late(name)),
        }
    }

    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        self.trouble = None;
        self.open = true;
        // In so many words, because a server may have other defaults.
        self.control("BEGIN", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await
    }

    /// Ends the transaction without keeping anything of it.
    pub(super) async fn rollback(&mut self) {
        if matches!(self.trouble, Some(Trouble::Lost | Trouble::Late)) || self.client.is_closed() {
            self.trouble = self.trouble.or(Some(Trouble::Lost));
            return;
        }
        self.trouble = None;
        if self.control("ROLLBACK", "ROLLBACK").await.is_ok() {
            self.open = false;
        }
    }

    /// Runs `statement` once for each set of arguments, tells who listens, and commits: all of it sent at once, since
    /// the row of the feed is locked until the end.
    pub(super) async fn commit(
        &mut self,
        statement: &'static Statement,
        sets: Vec<Vec<Value>>,
    ) -> Result<(), CommitFailed> {
        let definite = |error| CommitFailed { error, unknown: false };
        let ended = if sets.is_empty() {
            timeout(self.limit, self.client.batch_execute("COMMIT")).await
        } else {
            let prepared = self.prepared(statement, sets[0].len()).await.map_err(definite)?;
            let client = &self.client;
            let mut steps: Vec<BoxFuture<'_, Result<(), tokio_postgres::Error>>> = Vec::with_capacity(sets.len() + 1);
            for set in &sets {
                let prepared = &prepared;
                steps.push(Box::pin(async move {
                    let bound: Vec<Bound<'_>> = set.iter().map(Bound).collect();
                    let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|it| it as _).collect();
                    client.execute(prepared, &bound).await.map(drop)
                }));
            }
            // As one text: the server runs nothing of it when a step before has failed.
            steps.push(Box::pin(client.batch_execute(concat!("NOTIFY usher_feed", "; COMMIT"))));
            timeout(self.limit, in_order(steps)).await
        };
        match ended {
            Ok(Ok(())) => {
                self.open = false;
                Ok(())
            }
            Ok(Err(error)) => {
                // A refusal is final, but for the words of a server that is going down: it may have committed before.
                let refused = error.as_db_error().is_some_and(|it| !goes_away(it.code().code()));
                Err(CommitFailed { error: self.failed("COMMIT", &error), unknown: !refused })
            }
            Err(_) => Err(CommitFailed { error: self.late("COMMIT"), unknown: true }),
        }
    }

    pub(crate) async fn one(&mut self, statement: &'static Statement, args: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.all(statement, args).await?.into_iter().next())
    }

    pub(crate) async fn all(&mut self, statement: &'static Statement, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        let prepared = self.prepared(statement, args.len()).await?;
        let bound: Vec<Bound<'_>> = args.iter().map(Bound).collect();
        let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|it| it as _).collect();
        match timeout(self.limit, self.client.query(&prepared, &bound)).await {
            Ok(Ok(rows)) => rows.iter().map(|row| detach(statement.name, row)).collect(),
            Ok(Err(error)) => Err(self.failed(statement.name, &error)),
            Err(_) => Err(self.late(statement.name)),
        }
    }

    pub(crate) async fn execute(&mut self, statement: &'static Statement, args: Vec<Value>) -> Result<u64, Error> {
        let prepared = self.prepared(statement, args.len()).await?;
        let bound: Vec<Bound<'_>> = args.iter().map(Bound).collect();
        let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|it| it as _).collect();
        match timeout(self.limit, self.client.execute(&prepared, &bound)).await {
            Ok(Ok(count)) => Ok(count),
            Ok(Err(error)) => Err(self.failed(statement.name, &error)),
            Err(_) => Err(self.late(statement.name)),
        }
    }

    /// Prepares a statement, and holds what goes in and comes out of it to the dialect.
    pub(super) async fn check(&mut self, statement: &Statement) -> Result<(), Error> {
        let prepared = match timeout(self.limit, self.client.prepare(statement.text)).await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(error)) => return Err(self.failed(statement.name, &error)),
            Err(_) => return Err(self.late(statement.name)),
        };
        let columns = prepared.columns().iter().map(tokio_postgres::Column::type_);
        match prepared.params().iter().chain(columns).find(|it| !is_of_the_dialect(it)) {
            Some(other) => Err(Error::other(
                statement.name,
                format!("has an argument or column of type {other}: CAST it to BIGINT or TEXT"),
            )),
            None => Ok(()),
        }
    }

    async fn prepared(
        &mut self,
        statement: &'static Statement,
        given: usize,
    ) -> Result<tokio_postgres::Statement, Error> {
        let name = statement.name;
        let prepared = match self.prepared.get(name) {
            Some(prepared) => prepared.clone(),
            None => match timeout(self.limit, self.client.prepare(statement.text)).await {
                Ok(Ok(prepared)) => {
                    self.prepared.insert(name, prepared.clone());
                    prepared
                }
                Ok(Err(error)) => return Err(self.failed(name, &error)),
                Err(_) => return Err(self.late(name)),
            },
        };
        let wanted = prepared.params().len();
        if wanted == given {
            Ok(prepared)
        } else {
            Err(Error::other(name, format!("takes {wanted} arguments, was given {given}")))
        }
    }

    /// Nothing came back in time. What the server is doing now is its own affair: the connection is given up.
    fn late(&mut self, name: &'static str) -> Error {
        self.trouble = Some(Trouble::Late);
        Error::unavailable(name, format!("PostgreSQL did not answer within {} ms", self.limit.as_millis()))
    }

    /// Sorts a failure into the kinds that callers tell apart, and keeps in mind what it means for the transaction.
    fn failed(&mut self, statement: &'static str, error: &tokio_postgres::Error) -> Error {
        let Some(told) = error.as_db_error() else {
            let message = described(error);
            let io = error.source().is_some_and(|source| source.is::<std::io::Error>());
            if io || error.is_closed() || self.client.is_closed() {
                self.trouble = Some(Trouble::Lost);
                return Error::unavailable(statement, message);
            }
            return Error::other(statement, message);
        };
        let code = told.code().code();
        // The message names columns and constraints. The detail would repeat values, so it is left out.
        let message = format!("{} ({code})", told.message());
        match code {
            "23505" => {
                self.trouble = Some(Trouble::Taken);
                let index = told.constraint().unwrap_or("a unique index");
                return Error::Unique { statement, message: format!("{index} refused") };
            }
            "40001" | "40P01" => self.trouble = Some(Trouble::Again),
            // 0A000: another node has changed a table under a prepared statement; a new connection prepares anew.
            "0A000" | "25006" => self.trouble = Some(Trouble::Lost),
            _ if goes_away(code) => self.trouble = Some(Trouble::Lost),
            // Too slow, or behind a lock for too long.
            "57014" | "55P03" => {}
            _ if ["28", "3D", "53", "58", "XX"].iter().any(|class| code.starts_with(class)) => {}
            _ => return Error::Other { statement, message },
        }
        Error::Unavailable { statement, message }
    }
}

/// Whether the server says with this that the connection ends: it goes down, comes up, or has had enough.
fn goes_away(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04")
}

/// The driver's error with its causes: its own text says only what kind it is.
pub(super) fn described(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Awaits all, having sent each in order: a request leaves when its future is first polled.
async fn in_order<E>(mut steps: Vec<BoxFuture<'_, Result<(), E>>>) -> Result<(), E> {
    let mut first = Ok(());
    poll_fn(|cx| {
        steps.retain_mut(|step| match step.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(result) => {
                if first.is_ok() {
                    first = result;
                }
                false
            }
        });
        if steps.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    first
}

fn is_of_the_dialect(of: &Type) -> bool {
    // INT4 is what PostgreSQL takes a bare number or the count of a recursion for; it is read as a BIGINT.
    [Type::INT8, Type::INT4, Type::TEXT, Type::BYTEA].contains(of)
}

/// An argument, written as the type that the statement wants.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self.0, wanted) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Int(n), &Type::INT8) => n.to_sql(wanted, out),
            (Value::Int(n), &Type::INT4) => i32::try_from(*n)?.to_sql(wanted, out),
            (Value::Int(n), &Type::INT2) => i16::try_from(*n)?.to_sql(wanted, out),
            (Value::Text(text), &Type::TEXT | &Type::VARCHAR) => text.to_sql(wanted, out),
            (Value::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(wanted, out),
            (value, _) => Err(format!("{value:?} is no {wanted}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Judged with the value in hand.
        true
    }

    to_sql_checked!();
}

pub(super) fn detach(statement: &'static str, row: &tokio_postgres::Row) -> Result<Row, Error> {
    let mut values = Vec::with_capacity(row.len());
    for (number, column) in row.columns().iter().enumerate() {
        let failed = |error: tokio_postgres::Error| Error::other(statement, described(&error));
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(number).map_err(failed)?.map_or(Value::Null, Value::Int),
            Type::INT4 => row.try_get::<_, Option<i32>>(number).map_err(failed)?.into(),
            Type::TEXT | Type::VARCHAR => row.try_get::<_, Option<String>>(number).map_err(failed)?.into(),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(number).map_err(failed)?.into(),
            ref other => {
                let message = format!("column {number} is of type {other}, which the dialect has not");
                return Err(Error::other(statement, message));
            }
        };
        values.push(value);
    }
    Ok(Row { statement, values })
}
