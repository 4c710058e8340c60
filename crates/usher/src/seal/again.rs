//! Another master key: what was sealed under the old one is sealed under the new, in the commit that names it.

use super::{OpenError, Vault};
use crate::secret::Rng;
use usher_db::{Error, Tx, Write};

/// A sealed text, and where it stands.
pub struct Held {
    /// The key of its row.
    pub id: String,
    /// Its place, as it was sealed.
    pub place: String,
    /// The text.
    pub sealed: String,
    /// What it is, for whoever must do without it.
    pub what: String,
}

/// Secrets of one table, sealed under the current master key and not yet written.
pub struct Resealed {
    statement: &'static Write,
    rows: Vec<(String, String)>,
}

/// Why secrets cannot be sealed again.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] Error),
    /// One does not open.
    #[error("{what} does not open: {error}")]
    Sealed {
        /// What it is.
        what: String,
        /// Why.
        error: OpenError,
    },
}

impl Resealed {
    /// Seals every one of them under the vault's current master key; the vault holds the one before as well.
    /// `statement` writes one: `$1` is the key of its row, `$2` the text.
    pub fn of(
        vault: &Vault,
        rng: &Rng,
        purpose: &str,
        held: Vec<Held>,
        statement: &'static Write,
    ) -> Result<Resealed, ResealError> {
        let again = |Held { id, place, sealed, what }| match vault.reseal(purpose, &place, &sealed, rng) {
            Ok(sealed) => Ok((id, sealed)),
            Err(error) => Err(ResealError::Sealed { what, error }),
        };
        Ok(Resealed { statement, rows: held.into_iter().map(again).collect::<Result<_, _>>()? })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Writes them, in the transaction that names the new master key.
    pub async fn put(&self, tx: &mut Tx) -> Result<(), Error> {
        for (id, sealed) in &self.rows {
            tx.execute(self.statement, usher_db::args![id.as_str(), sealed.as_str()]).await?;
        }
        Ok(())
    }
}
