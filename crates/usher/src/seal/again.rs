//! Another master key: what was sealed under the old one is sealed under the new, in the commit that names it.

use super::{OpenError, Vault};
use crate::secret::Rng;
use usher_db::Error;

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

/// Seals every one of them under the vault's current master key; the vault holds the one before as well. Gives the texts
/// by the keys of their rows.
pub fn seal_again(
    vault: &Vault,
    rng: &Rng,
    purpose: &str,
    held: impl IntoIterator<Item = Held>,
) -> Result<Vec<(String, String)>, ResealError> {
    let again = |Held { id, place, sealed, what }| match vault.reseal(purpose, &place, &sealed, rng) {
        Ok(sealed) => Ok((id, sealed)),
        Err(error) => Err(ResealError::Sealed { what, error }),
    };
    held.into_iter().map(again).collect()
}
