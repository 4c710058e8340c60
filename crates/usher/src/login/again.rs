//! Proving it again: acts on one's own account that a live session alone must not do.
//!
//! Promises: a session that somebody left open, or whose cookie was copied, changes neither the password
//! nor the email address and makes no token, unless its last proof is a few minutes old or the password
//! is given along; a new proof renews the cookie's secret in the same commit as the act it was given for.
//! Refuses: a password change whose present password is not the present one any more when it commits.

use super::{LoginError, prove, store, weaknesses, words_of};
use crate::accounts::hash::nfc;
use crate::accounts::{self, Account};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::id::AccountId;
use crate::sessions::hot::Live;
use crate::sessions::{self, EndReason, Proof, Renewal, Which};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// For how long a proof counts.
pub const FRESH_FOR: Duration = Duration::from_secs(5 * 60);

/// Why the proof that was given does not do.
#[derive(Debug, thiserror::Error)]
pub enum AgainError {
    /// The last proof is too old, and none was given along.
    #[error("prove again who you are")]
    Required,
    /// The password is wrong.
    #[error("the password is wrong")]
    Wrong,
    /// The session has ended meanwhile.
    #[error("the session has ended")]
    Ended,
    /// It could not be judged.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl From<usher_db::Error> for AgainError {
    fn from(error: usher_db::Error) -> AgainError {
        AgainError::Login(error.into())
    }
}

/// Whether the caller's last proof is recent enough for sensitive acts.
pub fn is_fresh(cx: &Cx) -> bool {
    let live = cx.caller.as_ref().and_then(Caller::live);
    // A device that was linked a minute ago proves that somebody pressed a button elsewhere. Whoever was talked into
    // pressing it must not have given the account away with it (RFC 8628 section 5.4).
    let typed = |live: &Arc<Live>| live.amr.split(' ').any(|method| method != crate::devices::LINKED);
    live.is_some_and(|live| typed(live) && cx.now.since(live.auth_at) <= FRESH_FOR)
}

/// A proof for a sensitive act: the password if one is given, else the session's own recent one.
pub async fn step_up(cx: &Cx, password: Option<Zeroizing<String>>) -> Result<Proof, AgainError> {
    let (account, live) = session_of(cx)?;
    match password {
        Some(password) => match prove(cx, account, password).await? {
            Some(_) => Ok(proven_now(cx, &live)),
            None => Err(AgainError::Wrong),
        },
        None if is_fresh(cx) => Ok(Proof::Recent),
        None => Err(AgainError::Required),
    }
}

fn session_of(cx: &Cx) -> Result<(AccountId, Arc<Live>), AgainError> {
    // The doors of these acts take sessions only, so that a caller without one is a door left open.
    let live = cx.caller.as_ref().and_then(Caller::live).ok_or(AgainError::Required)?;
    Ok((live.account, live.clone()))
}

fn proven_now(cx: &Cx, live: &Live) -> Proof {
    Proof::Now { renewal: Renewal::draw(cx, live.id, &live.amr), kind: live.kind, expires_at: live.expires_at }
}

/// A change of one's own password.
pub struct PasswordChange {
    /// The present password.
    pub current: Zeroizing<String>,
    /// The new one.
    pub password: Zeroizing<String>,
    /// Whether the account's other sessions end with it. They always do when the change was demanded.
    pub end_others: bool,
}

/// Why a password is not changed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The new password may not be chosen, for these reasons, in sentences.
    #[error("the new password is too weak")]
    Weak(Vec<String>),
    /// The present one was not proven.
    #[error(transparent)]
    Again(#[from] AgainError),
}

/// Changes one's own password. The session goes on under a new cookie secret; access tokens made before
/// are out of date, because the rights version rises.
pub async fn change_password(cx: &Cx, change: PasswordChange) -> Result<Proof, PasswordError> {
    let (account, live) = session_of(cx)?;
    let known = accounts::find(&cx.app.db, account).await.map_err(AgainError::from)?.ok_or(AgainError::Ended)?;
    let mut problems = faults(cx, &change.password, &known).await;
    if nfc(&change.password) == nfc(&change.current) {
        problems.push("This is the password you have now. Choose another.".to_owned());
    }
    if !problems.is_empty() {
        return Err(PasswordError::Weak(problems));
    }
    let version = prove(cx, account, change.current).await.map_err(AgainError::from)?.ok_or(AgainError::Wrong)?;
    let encoded = cx.app.hasher.hash(change.password).await;
    let encoded = encoded.map_err(|busy| AgainError::from(LoginError::Busy(busy.retry_after)))?;

    let proof = proven_now(cx, &live);
    let changed = Entry::new(cx, Event::PasswordChanged, Outcome::Done).detail("own");
    let others = Entry::new(cx, Event::SessionEnded, Outcome::Done).detail(EndReason::PasswordChanged.word());
    let end_others = change.end_others || known.must_change_at.is_some();
    let (given, session, now) = (proof.clone(), live.id, cx.now);
    let done = cx
        .write("login.change_password", async move |tx| {
            if !given.apply(tx, now).await? {
                return Ok(tx.undo(Err(AgainError::Ended)));
            }
            if !accounts::replace_password(tx, account, version, &encoded, now).await? {
                return Ok(tx.undo(Err(AgainError::Wrong)));
            }
            // A reset link that lies in an old mail must not undo what its owner just chose.
            store::revoke_links_of(tx, account, now).await?;
            if end_others {
                let which = Which::Others(account, session);
                let ended = sessions::end(tx, which, EndReason::PasswordChanged, now).await?;
                if !ended.is_empty() {
                    others.clone().target(format!("{} sessions", ended.len())).record(tx).await?;
                }
            }
            changed.record(tx).await?;
            Ok(Ok(()))
        })
        .await
        .map_err(AgainError::from)?;
    done?;
    Ok(proof)
}

/// What is wrong with a new password, in sentences: a listed word, or the account's own.
async fn faults(cx: &Cx, password: &str, account: &Account) -> Vec<String> {
    weaknesses(cx, password, &words_of(account)).await.iter().map(ToString::to_string).collect()
}
