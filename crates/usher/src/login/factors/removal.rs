//! Taking factors away, and what goes with the last.

use super::FactorError;
use crate::accounts;
use crate::cx::Cx;
use crate::id::AccountId;
use crate::login::notices::{Change, What};
use crate::login::store::factors as store;
use crate::login::store::passkeys as keys;
use crate::login::throttle;
use crate::sessions::Proof;
use crate::time::Time;
use usher_db::{Error, Tx};

/// Removes the authenticator app. What the account must have stays.
///
/// `proof` is the owner's fresh proof; without one, an administrator does it, who may take away the last factor too:
/// its owner is made to set up another one where that is demanded.
pub async fn remove_totp(cx: &Cx, account: AccountId, proof: Option<&Proof>) -> Result<(), FactorError> {
    let told = Change::new(cx, account, What::TotpRemoved, "");
    removed(cx, account, told, proof, async move |tx: &mut Tx| store::forget_totp(tx, account).await).await
}

/// Takes every factor of an account away, by an administrator.
pub async fn remove_all(cx: &Cx, account: AccountId) -> Result<(), FactorError> {
    let told = Change::new(cx, account, What::AllRemoved, "");
    removed(cx, account, told, None, async move |tx: &mut Tx| {
        let totp = store::forget_totp(tx, account).await?;
        Ok(totp | (keys::delete_all(tx, account).await? > 0))
    })
    .await
}

/// Removes a factor by `remove`, which says whether there was one, and does what belongs to it.
pub(in crate::login) async fn removed(
    cx: &Cx,
    account: AccountId,
    told: Change,
    proof: Option<&Proof>,
    remove: impl AsyncFn(&mut Tx) -> Result<bool, Error> + Send + 'static,
) -> Result<(), FactorError> {
    let demanded = match (&cx.caller, proof) {
        (Some(caller), Some(_)) => crate::gate::demands_factor(cx, &caller.rights),
        _ => false,
    };
    let (proof, now) = (proof.cloned(), cx.now);
    cx.write("factors.removed", async move |tx| {
        if let Some(proof) = &proof
            && !proof.apply(tx, now).await?
        {
            return Ok(tx.undo(Err(FactorError::Ended)));
        }
        let Some(owner) = accounts::hold(tx, account).await? else { return Ok(tx.undo(Err(FactorError::NotFound))) };
        if !remove(tx).await? {
            return Ok(tx.undo(Err(FactorError::NotFound)));
        }
        if !after_removal(tx, account).await? && demanded {
            return Ok(tx.undo(Err(FactorError::Demanded)));
        }
        accounts::raise(tx, account, now).await?;
        told.clone().target(&owner.username).record(tx).await?;
        Ok(Ok(()))
    })
    .await?
}

/// Tidies up after a factor went: recovery codes stand in for factors, and go with the last. Whether one is left.
async fn after_removal(tx: &mut Tx, account: AccountId) -> Result<bool, Error> {
    let left = store::any(tx, account).await?;
    if !left {
        store::forget_codes(tx, account).await?;
        throttle::forgive_factor(tx, account).await?;
    }
    Ok(left)
}

/// Lets a lost app go within the transaction that its owner's recovery link is spent in: the app, its recovery codes and
/// the wrong codes that were counted. The account must set up another factor before it goes anywhere.
pub(super) async fn recover(tx: &mut Tx, account: AccountId, told: &Change, now: Time) -> Result<(), Error> {
    store::forget_totp(tx, account).await?;
    store::forget_codes(tx, account).await?;
    throttle::forgive_factor(tx, account).await?;
    accounts::demand_factor(tx, &account.to_string(), Some(now)).await?;
    accounts::raise(tx, account, now).await?;
    told.record(tx).await
}
