//! The rows of secrets that are sealed again.

use usher_db::{Error, Tx, Write, args};

/// Secrets of one table, sealed under another master key and not yet written.
pub struct Resealed {
    statement: &'static Write,
    rows: Vec<(String, String)>,
}

impl Resealed {
    /// Texts by the keys of their rows. `statement` writes one: `$1` is the key, `$2` the text.
    pub fn new(statement: &'static Write, rows: Vec<(String, String)>) -> Resealed {
        Resealed { statement, rows }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Writes them, in the transaction that names the new master key.
    pub async fn put(&self, tx: &mut Tx) -> Result<(), Error> {
        for (id, sealed) in &self.rows {
            tx.execute(self.statement, args![id.as_str(), sealed.as_str()]).await?;
        }
        Ok(())
    }
}
