//! What happens to secrets by themselves: another master key, a restored copy, the sweep.

use super::{SEAL, WAITING_KEPT, place};
use crate::cx::Cx;
use crate::id::{AccountId, TotpId};
use crate::login::notices;
use crate::login::store::factors as store;
use crate::login::totp;
use crate::time::Time;
use usher_db::{Error, Tx};

/// Closes the codes that may have been used since a copy of the database was made, before it is used again.
pub(in crate::login) async fn begin_anew(tx: &mut Tx, now: Time) -> Result<(), Error> {
    store::close_steps(tx, totp::step_at(now)).await
}

/// Secrets sealed under another master key and not yet written.
pub struct Resealed(Vec<(TotpId, String)>);

impl Resealed {
    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Writes them, in the transaction that names the new master key.
    pub async fn put(&self, tx: &mut Tx) -> Result<(), Error> {
        for (id, sealed) in &self.0 {
            store::reseal(tx, *id, sealed).await?;
        }
        Ok(())
    }
}

/// Why the secrets cannot be sealed under another master key.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] Error),
    /// One does not open.
    #[error("the authenticator app of account {0} does not open: {1}")]
    Sealed(AccountId, crate::seal::OpenError),
}

/// Seals every secret under the vault's current master key; the vault holds the one before as well.
pub async fn reseal(cx: &Cx) -> Result<Resealed, ResealError> {
    let mut done = Vec::new();
    for (id, account, sealed) in store::sealed(&cx.app.db).await? {
        let sealed = cx.app.vault.reseal(SEAL, &place(id, account), &sealed, &cx.app.rng);
        done.push((id, sealed.map_err(|error| ResealError::Sealed(account, error))?));
    }
    Ok(Resealed(done))
}

/// Removes what nobody needs any more.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let now = cx.now;
    cx.write("factors.sweep", async move |tx| {
        store::sweep(tx, now - WAITING_KEPT, now - notices::KEPT, now, limit).await
    })
    .await
}
