//! Second factors of others: demanded, taken away, and stood in for when they are lost.

use super::AdminError;
use crate::accounts::groups::{self, GroupError};
use crate::accounts::{self, Standing};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, GroupId};
use crate::login::factors::{self, Waiting};
use crate::login::links::{self, MadeLink, NewLink};
use crate::login::passcode::RecoveryCode;
use crate::login::throttle;
use crate::login::totp::Shape;

fn word(demanded: bool) -> &'static str {
    if demanded { "required" } else { "not required" }
}

/// Refuses to weaken what a login asks for by a session that somebody left open. What is so already is no act.
async fn may_lift(cx: &Cx, holder: &str, demanded: bool) -> Result<(), AdminError> {
    if !demanded && accounts::factor_demanded(&cx.app.db, holder).await?.is_some() {
        super::proven(cx)?;
    }
    Ok(())
}

/// Demands a second factor of an account, or demands it no more. Felt at once: who has none sets one up before anything
/// else. What the account's groups and its role demand stays.
pub async fn demand(cx: &Cx, id: AccountId, demanded: bool) -> Result<(), AdminError> {
    may_lift(cx, &id.to_string(), demanded).await?;
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
    may_lift(cx, &id.to_string(), demanded).await?;
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

/// Makes a secret for somebody's authenticator app, who sits beside. It is asked for from its first good code on, and the
/// owner is told at the next login.
pub async fn begin_totp(cx: &Cx, id: AccountId) -> Result<Waiting, AdminError> {
    super::proven(cx)?;
    let account = accounts::find(&cx.app.db, id).await?.ok_or(AdminError::NotFound)?;
    Ok(factors::begin_totp(cx, id, &account.username, Shape::default(), None).await?)
}

/// Switches that app on by its first code. The recovery codes, when the account had none.
pub async fn confirm_totp(cx: &Cx, id: AccountId, typed: &str) -> Result<Vec<RecoveryCode>, AdminError> {
    super::proven(cx)?;
    Ok(factors::confirm_totp(cx, id, typed, false).await?.codes)
}

/// Takes an account's authenticator app, passkeys and recovery codes away. Its owner is told at the next login.
pub async fn remove(cx: &Cx, id: AccountId) -> Result<(), AdminError> {
    super::proven(cx)?;
    match factors::remove_all(cx, id).await {
        Ok(()) => Ok(()),
        Err(factors::FactorError::Storage(error)) => Err(error.into()),
        Err(_) if accounts::find(&cx.app.db, id).await?.is_none() => Err(AdminError::NotFound),
        Err(_) => Err(AdminError::NoFactor),
    }
}

/// Makes a link that stands in for a lost second factor, once and beside the password. It replaces the one before.
pub async fn make_recovery_link(cx: &Cx, id: AccountId) -> Result<MadeLink, AdminError> {
    super::proven(cx)?;
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
