//! Who somebody is, without a session: for whoever lets a device in from a program that asks for name and password.
//!
//! The same refusals, the same counting and the same time as a login; what was right begins nothing.

use super::{LoginError, check, floor, refuse, store, throttle};
use crate::accounts::hasher::Verdict;
use crate::accounts::{self, Standing, hash, username};
use crate::cx::Cx;
use crate::id::AccountId;
use zeroize::Zeroizing;

/// Whose name and password these are.
///
/// # Errors
/// As a login's.
pub async fn prove(cx: &Cx, name: &str, password: Zeroizing<String>) -> Result<AccountId, LoginError> {
    let started = floor::Started::now();
    let result = judge(cx, name, password).await;
    if !matches!(result, Err(LoginError::RateLimited(_) | LoginError::Busy(_) | LoginError::Storage(_))) {
        started.hold(cx.app.hasher.usual_check()).await;
    }
    result
}

async fn judge(cx: &Cx, name: &str, password: Zeroizing<String>) -> Result<AccountId, LoginError> {
    let key = username::lookup_key(name);
    let subjects = throttle::Subjects::of(key.as_deref().unwrap_or(name), cx.request.address);
    let credential = match &key {
        Some(key) => accounts::find_credential(&cx.app.db, key).await?,
        None => None,
    };
    let ticket = throttle::admit(cx, &subjects, credential.as_ref().map(|credential| credential.account)).await?;
    let encoded = credential.as_ref().and_then(|credential| credential.encoded.as_deref());
    let parsed = encoded.and_then(|text| hash::Encoded::parse(text).ok());
    let verdict = check(cx, password, parsed).await?;
    let known = credential.as_ref().map(|credential| credential.username.clone());
    let usable = credential.filter(|credential| verdict != Verdict::Wrong && credential.standing == Standing::Active);
    let Some(credential) = usable else {
        return Err(refuse(cx, &subjects, known.as_deref(), ticket).await?);
    };
    let (failures, at, now) = (subjects.account.clone(), ticket.device(), cx.now);
    cx.write("login.proven", async move |tx| match &at {
        Some(device) => device.proven(tx, now).await,
        None => store::forget_failures(tx, &failures).await,
    })
    .await?;
    Ok(credential.account)
}
