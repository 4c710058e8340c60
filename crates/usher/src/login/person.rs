//! Who somebody is, without a session: for whoever lets a device in from a program that asks for name and password.
//!
//! The same refusals, the same counting and the same time as a login; what was right begins nothing.

use super::{FirstHalf, LoginError, PASSWORD, Second, check, factors, floor, refuse, store, throttle};
use crate::accounts::hasher::Verdict;
use crate::accounts::{self, Standing, hash, username};
use crate::cx::Cx;
use crate::id::AccountId;
use zeroize::Zeroizing;

/// Whose name, password and, where the account has a second factor, passcode these are. An empty passcode is none.
///
/// # Errors
/// As a login's.
pub async fn prove(cx: &Cx, name: &str, password: Zeroizing<String>, passcode: &str) -> Result<AccountId, LoginError> {
    let started = floor::Started::now();
    let result = judge(cx, name, password, passcode).await;
    if !matches!(result, Err(LoginError::RateLimited(_) | LoginError::Busy(_) | LoginError::Storage(_))) {
        started.hold(cx.app.hasher.usual_check()).await;
    }
    result
}

async fn judge(cx: &Cx, name: &str, password: Zeroizing<String>, passcode: &str) -> Result<AccountId, LoginError> {
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
        return Err(refuse(cx, &subjects, known.as_deref(), ticket, PASSWORD).await?);
    };
    let (account, version, now) = (credential.account, credential.version, cx.now);
    let state = factors::find(&cx.app.db, account).await?;
    let second = match (state.any(), passcode) {
        (false, _) => None,
        (true, "") => return Err(LoginError::PasscodeRequired(FirstHalf { account, version })),
        (true, passcode) => Some(Second::of(cx, &credential, &state, passcode).await?),
    };
    let (failures, device) = (subjects.account.clone(), ticket.device());
    let judged = second.as_ref().map(|second| (second.judged.clone(), second.subjects.account.clone()));
    let spent = cx
        .write("login.proven", async move |tx| {
            if let Some((judged, subject)) = &judged {
                if !judged.spend(tx, account, now).await? {
                    return Ok(false);
                }
                store::forget_failures(tx, subject).await?;
            }
            match &device {
                Some(device) => device.proven(tx, now).await?,
                None => store::forget_failures(tx, &failures).await?,
            }
            Ok(true)
        })
        .await?;
    match second {
        Some(second) if !spent => Err(second.refuse(cx, account, &credential.username).await?),
        _ => Ok(account),
    }
}
