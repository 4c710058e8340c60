//! A transaction, as the function given to [`Db::write`](crate::Db::write) sees it.
use crate::feed::{self, Announcement};
use crate::statement::{AnyStatement, OneRow, Write};
use crate::{Error, Row, Statement, Value, lite};
use std::fmt::Display;

/// One write's view of the database. It owns its connection, so functions take a plain `&mut Tx`.
pub struct Tx {
    pub(crate) engine: Engine,
    announced: Vec<Announcement>,
    undone: bool,
    failed: Option<Error>,
}

/// The connection under a transaction. PostgreSQL adds a variant here.
pub(crate) enum Engine {
    Lite(lite::Connection),
}

impl Tx {
    pub(crate) fn new(engine: Engine) -> Tx {
        Tx { engine, announced: Vec::new(), undone: false, failed: None }
    }

    /// Runs a statement and takes its first row: a look-up by index, or a guarded change with `RETURNING`.
    ///
    /// # Errors
    /// Whatever the engine says; after that, this transaction can only be undone.
    pub async fn one(&mut self, statement: &'static impl OneRow, args: Vec<Value>) -> Result<Option<Row>, Error> {
        self.step(statement.statement(), args, |tx, statement, args| match &mut tx.engine {
            Engine::Lite(connection) => connection.one(statement, args),
        })
    }

    /// Runs a statement and takes all its rows. Inside a write, only for few rows.
    ///
    /// # Errors
    /// As [`Tx::one`].
    pub async fn all(&mut self, statement: &'static impl AnyStatement, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.step(statement.statement(), args, |tx, statement, args| match &mut tx.engine {
            Engine::Lite(connection) => connection.all(statement, args),
        })
    }

    /// Runs a change and says how many rows it touched.
    ///
    /// # Errors
    /// As [`Tx::one`].
    pub async fn execute(&mut self, statement: &'static Write, args: Vec<Value>) -> Result<u64, Error> {
        self.step(&statement.0, args, |tx, statement, args| match &mut tx.engine {
            Engine::Lite(connection) => connection.execute(statement, args),
        })
    }

    /// Puts a change into the feed, if this transaction commits. `at` is in milliseconds since 1970.
    ///
    /// It is written after everything else, and handed to the follower after the commit and before the answer.
    pub fn announce(&mut self, topic: &'static str, key: impl Display, body: impl Into<String>, at: i64) {
        self.announced.push(Announcement { topic, key: key.to_string(), body: body.into(), at });
    }

    /// Marks this transaction to be rolled back although it has an answer: `return Ok(tx.undo(answer))`.
    pub fn undo<T>(&mut self, value: T) -> T {
        self.undone = true;
        value
    }

    /// A statement that failed leaves SQLite able to go on and PostgreSQL not. Both engines keep PostgreSQL's rule, so
    /// that no code comes to rely on the other.
    fn step<T>(
        &mut self,
        statement: &'static Statement,
        args: Vec<Value>,
        run: impl FnOnce(&mut Tx, &'static Statement, Vec<Value>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(first) = &self.failed {
            let message = format!("not run, because this transaction had already failed at {first}");
            return Err(Error::other(statement.name, message));
        }
        let result = run(self, statement, args);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    /// Forgets the run before.
    pub(crate) fn begin(&mut self) {
        self.announced.clear();
        self.undone = false;
        self.failed = None;
    }

    /// What the function asked for when it returned `Ok`: its announcements, or `None` to roll back.
    ///
    /// A swallowed failure is handed to the caller: an answer that says "done" about changes that cannot be kept would
    /// be a lie.
    pub(crate) fn finish(&mut self) -> Result<Option<Vec<Announcement>>, Error> {
        let announced = std::mem::take(&mut self.announced);
        match self.failed.take() {
            _ if self.undone => Ok(None),
            Some(error) => Err(error),
            None => Ok(Some(announced)),
        }
    }

    /// Numbers the announcements and writes them: the last statements before the commit.
    pub(crate) async fn append(&mut self, announced: Vec<Announcement>) -> Result<Vec<crate::Change>, Error> {
        if announced.is_empty() {
            return Ok(Vec::new());
        }
        let count = announced.len() as i64;
        let head: i64 = match self.one(&feed::TAKE, crate::args![count]).await? {
            Some(row) => row.get(0)?,
            None => return Err(Error::other(feed::TAKE.0.name, "the row of the feed is missing")),
        };
        let mut changes = Vec::with_capacity(announced.len());
        for (seq, it) in (head - count + 1..).zip(announced) {
            self.execute(&feed::APPEND, crate::args![seq, it.topic, &it.key, &it.body, it.at]).await?;
            changes.push(crate::Change { seq, topic: it.topic.to_owned(), key: it.key, body: it.body, at: it.at });
        }
        Ok(changes)
    }
}
