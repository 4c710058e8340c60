//! A transaction, as the function given to [`Db::write`](crate::Db::write) sees it.
use crate::feed::{self, Announcement};
use crate::statement::{AnyStatement, OneRow, Write};
use crate::{Change, Error, Row, Statement, Value, lite, pg};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One write's view of the database. It owns its connection, so functions take a plain `&mut Tx`.
pub struct Tx {
    pub(crate) engine: Engine,
    announced: Vec<Announcement>,
    undone: bool,
    failed: Option<Error>,
    busy: Arc<AtomicBool>,
}

/// The connection under a transaction.
pub(crate) enum Engine {
    Lite(lite::Connection),
    Pg(pg::Lease),
}

impl Tx {
    pub(crate) fn new(engine: Engine) -> Tx {
        Tx { engine, announced: Vec::new(), undone: false, failed: None, busy: Arc::default() }
    }

    /// Runs a statement and takes its first row: a look-up by index, or a guarded change with `RETURNING`.
    ///
    /// # Errors
    /// Whatever the engine says; after that, this transaction can only be undone.
    pub async fn one(&mut self, statement: &'static impl OneRow, args: Vec<Value>) -> Result<Option<Row>, Error> {
        let statement = statement.statement();
        self.enter(statement)?;
        let result = match &mut self.engine {
            Engine::Lite(connection) => connection.one(statement, args),
            Engine::Pg(lease) => lease.one(statement, args).await,
        };
        self.leave(result)
    }

    /// Runs a statement and takes all its rows. Inside a write, only for few rows.
    ///
    /// # Errors
    /// As [`Tx::one`].
    pub async fn all(&mut self, statement: &'static impl AnyStatement, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        let statement = statement.statement();
        self.enter(statement)?;
        let result = match &mut self.engine {
            Engine::Lite(connection) => connection.all(statement, args),
            Engine::Pg(lease) => lease.all(statement, args).await,
        };
        self.leave(result)
    }

    /// Runs a change and says how many rows it touched.
    ///
    /// # Errors
    /// As [`Tx::one`].
    pub async fn execute(&mut self, statement: &'static Write, args: Vec<Value>) -> Result<u64, Error> {
        let statement = &statement.0;
        self.enter(statement)?;
        let result = match &mut self.engine {
            Engine::Lite(connection) => connection.execute(statement, args),
            Engine::Pg(lease) => lease.execute(statement, args).await,
        };
        self.leave(result)
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
    fn enter(&mut self, statement: &'static Statement) -> Result<(), Error> {
        if let Some(first) = &self.failed {
            let message = format!("not run, because this transaction had already failed at {first}");
            return Err(Error::other(statement.name, message));
        }
        self.busy.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn leave<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.busy.store(false, Ordering::Relaxed);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    /// Whether a statement of this transaction is under way: the one thing that a write may wait for.
    pub(crate) fn busy(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.busy)
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

    /// Numbers the announcements: the changes they become, and the arguments that append each to the feed.
    pub(crate) async fn number(
        &mut self,
        announced: Vec<Announcement>,
    ) -> Result<(Vec<Change>, Vec<Vec<Value>>), Error> {
        if announced.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let count = announced.len() as i64;
        let head: i64 = match self.one(&feed::TAKE, crate::args![count]).await? {
            Some(row) => row.get(0)?,
            None => return Err(Error::other(feed::TAKE.0.name, "the row of the feed is missing")),
        };
        let (mut changes, mut sets) = (Vec::with_capacity(announced.len()), Vec::with_capacity(announced.len()));
        for (seq, it) in (head - count + 1..).zip(announced) {
            sets.push(crate::args![seq, it.topic, &it.key, &it.body, it.at]);
            changes.push(Change { seq, topic: it.topic.to_owned(), key: it.key, body: it.body, at: it.at });
        }
        Ok((changes, sets))
    }

    /// Numbers the announcements and writes them: the last statements before the commit.
    pub(crate) async fn append(&mut self, announced: Vec<Announcement>) -> Result<Vec<Change>, Error> {
        let (changes, sets) = self.number(announced).await?;
        for set in sets {
            self.execute(&feed::APPEND, set).await?;
        }
        Ok(changes)
    }
}
