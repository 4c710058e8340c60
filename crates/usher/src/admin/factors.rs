//! Second factors of others: demanded, taken away, and stood in for when they are lost.

use super::AdminError;
use crate::accounts::groups::{self, GroupError};
use crate::accounts::{self, Standing};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, GroupId};
use crate::login::factors;
use crate::login::links::{self, MadeLink, NewLink};
use crate::login::throttle;

fn word(demanded: bool) -> &'static str {
    if demanded { "required" } else { "not required" }
}

/// Demands a second factor of an account, or demands it no more. Felt at once: who has none sets one up before anything
/// else. What the account's groups and its role demand stays.
pub async fn demand(cx: &Cx, id: AccountId, demanded: bool) -> Result<(), AdminError> {
    let entry = Entry::new(cx, Event::FactorDemanded, Outcome::Done).of(id).detail(word(demanded));
    let now = cx.now;
    cx.write("admin.demand_factor", async move |tx| {
        let Some(account) = accounts::hold(tx, id).await? else { return Ok(Err(AdminError::NotFound)) };
        if accounts::demand_factor(tx, &id.to_string(), demanded.then_some(now)).await? {
            accounts::raise(tx, id, now).await?;
            entry.clone().target(&account.username).record(tx).await?;
        }
        Ok(Ok(()))
    })
    .await?
}

/// The same of everybody in a group.
pub async fn demand_of_group(cx: &Cx, id: GroupId, demanded: bool) -> Result<(), AdminError> {
    let name = groups::find(&cx.app.db, id).await?.ok_or(AdminError::NotFound)?.name;
    let entry = Entry::new(cx, Event::FactorDemanded, Outcome::Done).target(name).detail(word(demanded));
    let now = cx.now;
    cx.write("admin.demand_factor_of_group", async move |tx| {
        match groups::demand_factor(tx, id, demanded, now).await? {
            Ok(true) => entry.record(tx).await?,
            Ok(false) => {}
            Err(GroupError::NotFound | GroupError::NoSuchAccount | GroupError::NameTaken) => {
                return Ok(Err(AdminError::NotFound));
            }
        }
        Ok(Ok(()))
    })
    .await?
}

/// Takes an account's authenticator app, passkeys and recovery codes away. Its owner is told at the next login.
pub async fn remove(cx: &Cx, id: AccountId) -> Result<(), AdminError> {
    match factors::remove_all(cx, id).await {
        Ok(()) => Ok(()),
        Err(factors::FactorError::Storage(error)) => Err(error.into()),
        Err(_) if accounts::find(&cx.app.db, id).await?.is_none() => Err(AdminError::NotFound),
        Err(_) => Err(AdminError::NoFactor),
    }
}

/// Makes a link that stands in for a lost second factor, once and beside the password. It replaces the one before.
pub async fn make_recovery_link(cx: &Cx, id: AccountId) -> Result<MadeLink, AdminError> {
    let new = NewLink::draw(cx, links::Kind::Recover, Some(id), "");
    let (row, now) = (new.clone(), cx.now);
    cx.write("admin.recovery_link", async move |tx| {
        let Some(account) = accounts::hold(tx, id).await? else { return Ok(Err(AdminError::NotFound)) };
        if account.standing != Standing::Active {
            return Ok(Err(AdminError::Disabled));
        }
        if !factors::any(tx, id).await? {
            return Ok(Err(AdminError::NoFactor));
        }
        // Wrong codes that brought a wait upon the lost factor must not keep its owner from the link.
        throttle::forgive_factor(tx, id).await?;
        row.insert(tx, now).await?;
        Ok(Ok(()))
    })
    .await??;
    Ok(new.into_made())
}
