//! What happens to secrets by themselves: another master key, a restored copy, the sweep.

use super::{SEAL, WAITING_KEPT, place};
use crate::cx::Cx;
use crate::login::notices;
use crate::login::store::factors as store;
use crate::login::totp;
use crate::seal::{Held, ResealError, Resealed, seal_again};
use crate::time::Time;
use usher_db::{Error, Tx};

/// Closes the codes that may have been used since a copy of the database was made, before it is used again.
pub(in crate::login) async fn begin_anew(tx: &mut Tx, now: Time) -> Result<(), Error> {
    store::close_steps(tx, totp::step_at(now)).await
}

/// Seals every secret under the vault's current master key.
pub async fn reseal(cx: &Cx) -> Result<Resealed, ResealError> {
    let held = store::sealed(&cx.app.db).await?.into_iter().map(|(id, account, sealed)| Held {
        id: id.to_string(),
        place: place(id, account),
        sealed,
        what: format!("the authenticator app of account {account}"),
    });
    Ok(store::resealed(seal_again(&cx.app.vault, &cx.app.rng, SEAL, held)?))
}

/// Removes what nobody needs any more.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let now = cx.now;
    cx.write("factors.sweep", async move |tx| {
        store::sweep(tx, now - WAITING_KEPT, now - notices::KEPT, now, limit).await
    })
    .await
}
