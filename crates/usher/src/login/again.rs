//! Proving it again: acts that a live session alone must not do, on one's own account and, by admins, on others.
//!
//! Promises: a session that somebody left open, or whose cookie was copied, changes neither the password
//! nor the email address and makes no token, unless its last proof is a few minutes old or the password
//! is given along; a new proof renews the cookie's secret in the same commit as the act it was given for.
//! Refuses: a password change whose present password is not the present one any more when it commits.

use super::letters::Moved;
use super::second::prove_passcode;
use super::{LoginError, passkeys, prove, store, throttle, weaknesses, words_of};
use crate::accounts::hash::nfc;
use crate::accounts::profile::{self, DisplayName, Email, ProfileError};
use crate::accounts::{self, Account};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::gate::{Caller, Origin};
use crate::id::AccountId;
use crate::sessions::hot::Live;
use crate::sessions::{self, EndReason, Proof, Renewal, Which};
use std::sync::Arc;
use std::time::Duration;
use webauthn_rs::prelude::PublicKeyCredential;
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
    /// The passcode is wrong, or was used before.
    #[error("the passcode is wrong")]
    WrongPasscode,
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

/// Whether the caller may do now what only somebody may do who proved a moment ago who they are.
///
/// A command on this machine is its owner's. A personal token is its own proof: it was made by one, ends, is given
/// scopes by name, and there is nobody at a script whom one could ask.
pub fn may_act(cx: &Cx) -> bool {
    match &cx.caller {
        None | Some(Caller { origin: Origin::PersonalToken(..), .. }) => true,
        Some(_) => is_fresh(cx),
    }
}

/// Takes a password as a proof by itself, for the acts that follow. Returns the caller as they stand afterwards, and
/// what renews the browser's cookie.
pub async fn prove_again(cx: &Cx, password: Zeroizing<String>) -> Result<(Cx, Proof), AgainError> {
    prove_again_by(cx, Given { password: Some(password), passcode: None }).await
}

/// The same by a password or a passcode.
///
/// # Errors
/// [`AgainError::Required`] when nothing was given: a session's own recent proof is no new one.
pub async fn prove_again_by(cx: &Cx, given: Given) -> Result<(Cx, Proof), AgainError> {
    let (_, live) = session_of(cx)?;
    let caller = cx.caller.clone().ok_or(AgainError::Required)?;
    let method = if given.password.is_some() { "pwd" } else { "passcode" };
    if given.is_empty() {
        return Err(AgainError::Required);
    }
    let proof = step_up_by(cx, given).await?;
    let entry = Entry::new(cx, Event::Reauthenticated, Outcome::Done).detail(method);
    let (given, now) = (proof.clone(), cx.now);
    let lives = cx
        .write("login.prove_again", async move |tx| {
            let lives = given.apply(tx, now).await?;
            if lives {
                entry.record(tx).await?;
            }
            Ok(lives)
        })
        .await?;
    let renewed = if lives { cx.app.sessions.live(&cx.app.db, live.id).await? } else { None };
    let (Some(renewed), Origin::Session(_, shown)) = (renewed, caller.origin) else { return Err(AgainError::Ended) };
    let caller = Caller { origin: Origin::Session(renewed, shown), ..caller };
    Ok((cx.admitted(caller), proof))
}

/// What is given along with a sensitive act, to prove once more who asks for it. Empty texts are none.
#[derive(Default)]
pub struct Given {
    /// The account's password.
    pub password: Option<Zeroizing<String>>,
    /// A passcode of its authenticator app, or a recovery code. Used up by it, whatever becomes of the act.
    pub passcode: Option<Zeroizing<String>>,
}

impl Given {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.password.is_none() && self.passcode.is_none()
    }

    /// What a body or a form gave.
    pub fn new(password: Option<String>, passcode: Option<String>) -> Given {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Zeroizing::new);
        Given { password: some(password), passcode: some(passcode) }
    }
}

/// A proof for a sensitive act: the password if one is given, else the session's own recent one.
pub async fn step_up(cx: &Cx, password: Option<Zeroizing<String>>) -> Result<Proof, AgainError> {
    step_up_by(cx, Given { password, passcode: None }).await
}

/// A proof for a sensitive act: the password or a passcode if one is given, else the session's own recent one.
pub async fn step_up_by(cx: &Cx, given: Given) -> Result<Proof, AgainError> {
    let (account, live) = session_of(cx)?;
    match given {
        Given { password: Some(password), .. } => match prove(cx, account, password).await? {
            Some(_) => Ok(proven_now(cx, &live, "pwd")),
            None => Err(AgainError::Wrong),
        },
        Given { passcode: Some(passcode), .. } => match prove_passcode(cx, account, &passcode).await? {
            Some(method) => Ok(proven_now(cx, &live, method)),
            None => Err(AgainError::WrongPasscode),
        },
        _ if is_fresh(cx) => Ok(Proof::Recent),
        _ => Err(AgainError::Required),
    }
}

/// Takes an answer by a passkey as a proof by itself, for the acts that follow.
pub async fn prove_by_passkey(cx: &Cx, step: &str, answer: &PublicKeyCredential) -> Result<Proof, AgainError> {
    let (account, live) = session_of(cx)?;
    let answered = passkeys::judge(cx, step, answer, None, Some(account)).await?;
    let answered = answered.ok_or(LoginError::PasskeyInvalid)?;
    let proof = proven_now(cx, &live, answered.method());
    let (written, now) = (proof.clone(), cx.now);
    let done = cx
        .write("login.prove_by_passkey", async move |tx| {
            if !answered.spend(tx, now).await? {
                return Ok(tx.undo(Err(AgainError::from(LoginError::PasskeyInvalid))));
            }
            Ok(if written.apply(tx, now).await? { Ok(()) } else { Err(AgainError::Ended) })
        })
        .await?;
    done.map(|()| proof)
}

fn session_of(cx: &Cx) -> Result<(AccountId, Arc<Live>), AgainError> {
    // The doors of these acts take sessions only, so that a caller without one is a door left open.
    let live = cx.caller.as_ref().and_then(Caller::live).ok_or(AgainError::Required)?;
    Ok((live.account, live.clone()))
}

fn proven_now(cx: &Cx, live: &Live, method: &str) -> Proof {
    let amr = sessions::proven_also(&live.amr, method);
    Proof::Now { renewal: Renewal::draw(cx, live.id, &amr), kind: live.kind, expires_at: live.expires_at }
}

/// A change of what one says of oneself. `None` leaves a fact, `Some(None)` removes it.
pub struct ProfileChange {
    /// How pages address one.
    pub display_name: Option<Option<DisplayName>>,
    /// Where mail goes. A new address is unproven.
    pub email: Option<Option<Email>>,
    /// A proof, for a new address when the last one is too old.
    pub given: Given,
}

/// Why one's own facts are not changed.
#[derive(Debug, thiserror::Error)]
pub enum ProfileChangeError {
    /// They cannot be these.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A new address was not proven to be its owner's wish.
    #[error(transparent)]
    Again(#[from] AgainError),
}

/// Changes one's own display name and email address, all of it or nothing. What is so already is no change: an address
/// stays proven, and nobody is asked for a password.
pub async fn change_profile(cx: &Cx, change: ProfileChange) -> Result<Proof, ProfileChangeError> {
    let (id, _) = session_of(cx)?;
    let account = accounts::find(&cx.app.db, id).await.map_err(AgainError::from)?.ok_or(AgainError::Ended)?;
    let display_name = change.display_name;
    let display_name =
        display_name.filter(|new| new.as_ref().map(DisplayName::text) != account.display_name.as_deref());
    let email = change.email.filter(|new| new.as_ref().map(Email::display) != account.email.as_deref());
    let what = match (display_name.is_some(), email.is_some()) {
        (true, true) => "display name, email",
        (true, false) => "display name",
        (false, true) => "email",
        (false, false) => return Ok(Proof::Recent),
    };
    let proof = if email.is_some() { step_up_by(cx, change.given).await? } else { Proof::Recent };
    let entry = Entry::new(cx, Event::AccountChanged, Outcome::Done).detail(what);
    let letters = email.as_ref().map(|email| Moved::draw(cx, &account, email.as_ref()));
    let (change, given, now) = (profile::Change { display_name, email }, proof.clone(), cx.now);
    cx.write("login.change_profile", async move |tx| {
        if !given.apply(tx, now).await? {
            return Ok(tx.undo(Err(ProfileChangeError::Again(AgainError::Ended))));
        }
        if let Err(error) = profile::change(tx, id, &change, now).await? {
            return Ok(tx.undo(Err(error.into())));
        }
        if let Some(letters) = &letters {
            letters.post(tx, now).await?;
        }
        entry.record(tx).await?;
        Ok(Ok(()))
    })
    .await
    .map_err(AgainError::from)??;
    Ok(proof)
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

    let proof = proven_now(cx, &live, "pwd");
    let changed = Entry::new(cx, Event::PasswordChanged, Outcome::Done).detail("own");
    let others = Entry::new(cx, Event::SessionEnded, Outcome::Done).detail(EndReason::PasswordChanged.word());
    let end_others = change.end_others || known.must_change_at.is_some();
    let (given, session, now) = (proof.clone(), live.id, cx.now);
    let (username, device) = (known.username.clone(), cx.request.device.clone());
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
            // The wait that guesses brought upon the old password is not for the new one.
            throttle::forgive(tx, account, &username).await?;
            if end_others {
                let which = Which::Others(account, session);
                let ended = sessions::end(tx, which, EndReason::PasswordChanged, now).await?;
                sessions::known::forget_others(tx, account, device.as_deref()).await?;
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
