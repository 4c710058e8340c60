//! How a PostgreSQL database is used. SQLite has no use for any of it.

use super::visit::{Keys, Visit};
use std::time::Duration;
use usher_db::Options;

/// The `[database]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Connections of this node at most, besides the one that follows the others.
    pub pool: usize,
    /// How long this node goes on when it does not hear the database; then it refuses until it does.
    pub staleness: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

impl Default for Database {
    fn default() -> Self {
        let Options { pool, staleness, statement_timeout, connect_timeout } = Options::default();
        Database { pool, staleness, statement_timeout, connect_timeout }
    }
}

impl Database {
    /// The same, as the storage takes it.
    pub fn options(&self) -> Options {
        Options {
            pool: self.pool,
            staleness: self.staleness,
            statement_timeout: self.statement_timeout,
            connect_timeout: self.connect_timeout,
        }
    }
}

impl Keys for Database {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("pool", &mut self.pool);
        to.setting("staleness", &mut self.staleness);
        to.setting("statement_timeout", &mut self.statement_timeout);
        to.setting("connect_timeout", &mut self.connect_timeout);
    }
}
