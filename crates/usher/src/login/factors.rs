//! Second factors: what an account has besides its password, and how that is judged.
//!
//! Promises: a secret is sealed under the master key and bound to its row, is asked for only after one good code, and
//! is told once, when it is made; a code and a recovery code are each accepted once, decided by the row; whoever has a
//! factor is asked for it at every way in; every change of a factor is told to the audit log and to its owner.
//! Refuses: taking away the last factor of an account that must have one. It can be replaced.
//!
//! `totp.rs` and `passcode.rs` are the arithmetic, `notices.rs` what the owner is told.

use super::again::AgainError;
use super::notices::{Change, What};
use super::passcode::{CODES, Passcode, RecoveryCode};
use super::store::factors as store;
use super::store::passkeys as keys;
use super::totp::{self, Otpauth, Shape};
use super::{links, notices, passkeys, throttle};
use crate::accounts;
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::id::{AccountId, TotpId};
use crate::seal::Vault;
use crate::secret::Digest;
use crate::sessions::{self, EndReason, Proof, Renewal, Which};
use crate::time::Time;
use std::time::Duration;
use usher_db::{Db, Error, Tx};

/// What a secret is sealed for.
const SEAL: &str = "totp";
/// How long a secret waits for its first good code.
const WAITS: Duration = Duration::from_secs(3600);
/// How long its row is kept.
const WAITING_KEPT: Duration = Duration::from_secs(24 * 3600);

fn place(id: TotpId, account: AccountId) -> String {
    format!("totp:sealed:{id}:{account}")
}

/// A sealed secret, as its row tells it.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its id.
    pub id: TotpId,
    /// How its codes look.
    pub shape: Shape,
    /// Since when it is asked for, or waits.
    pub since: Time,
    /// The sealed text.
    pub sealed: String,
    /// The last step that was accepted.
    pub last_step: i64,
}

impl Secret {
    /// Whether this is a code of it, and of which step. A secret that does not open has none: nobody gets in by it.
    fn accepts(&self, vault: &Vault, account: AccountId, code: &str, now: Time) -> Option<i64> {
        match vault.open(SEAL, &place(self.id, account), &self.sealed) {
            Ok(secret) => totp::accepts(&secret, self.shape, code, now, self.last_step),
            Err(error) => {
                tracing::error!(%account, %error, "the secret of an authenticator app cannot be opened");
                None
            }
        }
    }
}

/// The recovery codes of an account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovery {
    /// How many are unused.
    pub left: u32,
    /// When they were made.
    pub made_at: Option<Time>,
}

/// What an account has besides its password.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The authenticator app.
    pub totp: Option<Secret>,
    /// How many passkeys.
    pub passkeys: u32,
    /// The recovery codes.
    pub recovery: Recovery,
    /// Since when a factor is demanded of this very account, its role and groups apart.
    pub demanded_at: Option<Time>,
}

impl State {
    /// Whether a second factor is asked for at a login.
    pub fn any(&self) -> bool {
        self.totp.is_some() || self.passkeys > 0
    }
}

/// The factors of an account.
pub async fn find(db: &Db, account: AccountId) -> Result<State, Error> {
    store::state(db, account).await
}

/// Whether the account has a factor, as it stands in this transaction.
pub async fn any(tx: &mut Tx, account: AccountId) -> Result<bool, Error> {
    store::any(tx, account).await
}

/// A second proof that was judged right and is not used up yet.
#[derive(Clone, Debug)]
pub enum Judged {
    /// A code of the authenticator app.
    Totp {
        /// Whose secret.
        id: TotpId,
        /// The step to close.
        step: i64,
    },
    /// A recovery code.
    Recovery {
        /// Which.
        digest: Digest,
        /// Tells of its use.
        told: Box<Change>,
    },
    /// A recovery link.
    Link {
        /// Which.
        digest: Digest,
        /// Tells of its use.
        told: Box<Change>,
    },
    /// A passkey.
    Passkey(Box<passkeys::Answered>),
}

impl Judged {
    /// Uses the proof up with the transaction it is for. `false` when it was used meanwhile.
    pub async fn spend(&self, tx: &mut Tx, account: AccountId, now: Time) -> Result<bool, Error> {
        match self {
            Judged::Totp { id, step } => store::accept(tx, account, *id, *step).await,
            Judged::Recovery { digest, told } => {
                let used = store::use_code(tx, account, digest, now).await?;
                if used {
                    told.record(tx).await?;
                }
                Ok(used)
            }
            Judged::Passkey(answered) => answered.spend(tx, now).await,
            Judged::Link { digest, told } => {
                if !links::spend_recovery(tx, digest, account, now).await? {
                    return Ok(false);
                }
                recover(tx, account, told, now).await?;
                Ok(true)
            }
        }
    }

    /// How it proves, in a session's `amr`.
    pub fn method(&self) -> &'static str {
        match self {
            Judged::Totp { .. } => "otp",
            Judged::Passkey(_) => "pop",
            Judged::Recovery { .. } | Judged::Link { .. } => "recovery",
        }
    }
}

/// Judges what was given as a passcode: a code, a recovery code, or the secret of a recovery link. Uses nothing up.
pub async fn judge(cx: &Cx, account: AccountId, state: &State, typed: &str) -> Result<Option<Judged>, Error> {
    if let Some(link) = links::look(cx, links::Kind::Recover, typed).await? {
        let told = Change::new(cx, account, What::Recovered, "").by_owner();
        let digest = links::digest(links::Kind::Recover, typed).filter(|_| link.account == Some(account));
        return Ok(digest.map(|digest| Judged::Link { digest, told: Box::new(told) }));
    }
    match (Passcode::parse(typed), &state.totp) {
        (Some(Passcode::Digits(code)), Some(secret)) => {
            let step = secret.accepts(&cx.app.vault, account, &code, cx.now);
            Ok(step.map(|step| Judged::Totp { id: secret.id, step }))
        }
        (Some(Passcode::Recovery(code)), _) => {
            let digest = code.digest(account);
            let told = Change::new(cx, account, What::CodeUsed, "").by_owner();
            let known = store::has_code(&cx.app.db, account, &digest).await?;
            Ok(known.then(|| Judged::Recovery { digest, told: Box::new(told) }))
        }
        _ => Ok(None),
    }
}

/// Why a factor is not changed.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// There is no such factor.
    #[error("there is no such factor")]
    NotFound,
    /// Nothing waits for its first code, or waits no longer.
    #[error("begin again: this set-up has expired")]
    NothingWaits,
    /// The code is not one of the secret that waits.
    #[error("that is no code of this app at this moment")]
    WrongCode,
    /// The account must have a second factor, and this is its last.
    #[error("this account must have a second factor; set up another one before this is removed")]
    Demanded,
    /// Recovery codes stand in for a factor, and there is none.
    #[error("recovery codes stand in for a second factor; set one up first")]
    NoFactor,
    /// The secret could not be sealed.
    #[error("the secret could not be sealed")]
    Sealing,
    /// The session has ended meanwhile.
    #[error("the session has ended")]
    Ended,
    /// It cannot be called so.
    #[error("a name has 1 to 64 characters")]
    Name,
    /// As many passkeys as one account may have.
    #[error("there are as many passkeys as one account may have; remove one first")]
    TooMany,
    /// Somebody has this passkey.
    #[error("this passkey is registered already")]
    Taken,
    /// Passkeys are not to be had at this address.
    #[error("there are no passkeys at this address")]
    NotHere,
    /// The fresh proof is missing or wrong.
    #[error(transparent)]
    Again(#[from] AgainError),
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// A secret that waits for its first good code, for the one answer that tells it.
pub struct Waiting {
    /// How an app is told.
    pub told: Otpauth,
    /// Until when it waits.
    pub until: Time,
}

/// The name under which apps list this server.
fn issuer(cx: &Cx) -> String {
    let config = &cx.app.config;
    config.accounts.totp_issuer.clone().unwrap_or_else(|| config.server.service_name.clone())
}

fn seal(cx: &Cx, account: AccountId, secret: &[u8], shape: Shape, last_step: i64) -> Result<Secret, FactorError> {
    let id = TotpId::new(cx.now, &cx.app.rng);
    let sealed = cx.app.vault.seal(SEAL, &place(id, account), secret, &cx.app.rng).map_err(|_| FactorError::Sealing)?;
    Ok(Secret { id, shape, since: cx.now, sealed, last_step })
}

/// Makes a secret that waits for its first good code. An app that is set up goes on being asked for until then.
///
/// `proof` is the caller's fresh proof; none from a terminal.
pub async fn begin_totp(
    cx: &Cx,
    account: AccountId,
    username: &str,
    shape: Shape,
    proof: Option<&Proof>,
) -> Result<Waiting, FactorError> {
    let plain = shape.secret(&cx.app.rng);
    let secret = seal(cx, account, &plain, shape, 0)?;
    let (proof, now) = (proof.cloned(), cx.now);
    cx.write("factors.begin_totp", async move |tx| {
        if let Some(proof) = &proof
            && !proof.apply(tx, now).await?
        {
            return Ok(tx.undo(Err(FactorError::Ended)));
        }
        if accounts::hold(tx, account).await?.is_none() {
            return Ok(tx.undo(Err(FactorError::NotFound)));
        }
        store::put_waiting(tx, account, &secret).await?;
        Ok(Ok(()))
    })
    .await??;
    let told = Otpauth { issuer: issuer(cx), account: username.to_owned(), secret: plain, shape };
    Ok(Waiting { told, until: cx.now + WAITS })
}

/// Whether a secret waits for its first good code.
pub async fn waits(cx: &Cx, account: AccountId) -> Result<bool, Error> {
    Ok(store::waiting(&cx.app.db, account, cx.now - WAITS).await?.is_some())
}

/// An app that was set up.
pub struct Confirmed {
    /// The recovery codes, when the account had none: shown this once.
    pub codes: Vec<RecoveryCode>,
    /// The caller's session as it was proven by this code; none from a terminal.
    pub proof: Option<Proof>,
}

/// Ten fresh codes.
fn draw_codes(cx: &Cx) -> Vec<RecoveryCode> {
    (0..CODES).map(|_| RecoveryCode::draw(&cx.app.rng)).collect()
}

/// Makes the secret that waits the one that is asked for, by one of its codes, which is used up by it.
///
/// The account's first factor comes with recovery codes. Other sessions end when `end_others` says so, or when the
/// account must have a factor: they were begun without one.
pub async fn confirm_totp(
    cx: &Cx,
    account: AccountId,
    typed: &str,
    end_others: bool,
) -> Result<Confirmed, FactorError> {
    let waiting = store::waiting(&cx.app.db, account, cx.now - WAITS).await?.ok_or(FactorError::NothingWaits)?;
    let step = match Passcode::parse(typed) {
        Some(Passcode::Digits(code)) => waiting.accepts(&cx.app.vault, account, &code, cx.now),
        _ => None,
    };
    let step = step.ok_or(FactorError::WrongCode)?;
    let told = Change::new(cx, account, What::TotpAdded, "");
    let id = waiting.id;
    let now = cx.now;
    added(cx, account, "otp", told, end_others, async move |tx: &mut Tx| {
        let active = store::activate(tx, account, id, step, now).await?;
        Ok(if active { Ok(()) } else { Err(FactorError::NothingWaits) })
    })
    .await
}

/// Adds a factor by `add`, which decides in the transaction, and does what belongs to it: recovery codes with the first,
/// the end of other sessions, the session's own new proof by `method`, and telling of it.
pub(super) async fn added(
    cx: &Cx,
    account: AccountId,
    method: &str,
    told: Change,
    end_others: bool,
    add: impl AsyncFn(&mut Tx) -> Result<Result<(), FactorError>, Error> + Send + 'static,
) -> Result<Confirmed, FactorError> {
    let before = find(&cx.app.db, account).await?;
    let codes = if before.recovery.left == 0 { draw_codes(cx) } else { Vec::new() };
    let digests: Vec<Digest> = codes.iter().map(|code| code.digest(account)).collect();
    let live = cx.caller.as_ref().and_then(Caller::live).filter(|live| live.account == account).cloned();
    let proof = live.as_ref().map(|live| Proof::Now {
        renewal: Renewal::draw(cx, live.id, &sessions::proven_also(&live.amr, method)),
        kind: live.kind,
        expires_at: live.expires_at,
    });
    let ended = Entry::new(cx, Event::SessionEnded, Outcome::Done).of(account).detail(EndReason::FactorChanged.word());
    let demanded = before.demanded_at.is_some()
        || cx.caller.as_ref().is_some_and(|caller| crate::gate::demands_factor(cx, &caller.rights));
    let (given, session, now) = (proof.clone(), live.map(|live| live.id), cx.now);
    cx.write("factors.added", async move |tx| {
        if let Some(proof) = &given
            && !proof.apply(tx, now).await?
        {
            return Ok(tx.undo(Err(FactorError::Ended)));
        }
        let Some(owner) = accounts::hold(tx, account).await? else { return Ok(tx.undo(Err(FactorError::NotFound))) };
        if let Err(error) = add(tx).await? {
            return Ok(tx.undo(Err(error)));
        }
        if !digests.is_empty() {
            store::put_codes(tx, account, &digests, now).await?;
        }
        if end_others || demanded {
            let which = session.map_or(Which::All(account), |session| Which::Others(account, session));
            let over = sessions::end(tx, which, EndReason::FactorChanged, now).await?;
            if !over.is_empty() {
                ended.clone().target(format!("{} sessions", over.len())).record(tx).await?;
            }
        }
        accounts::raise(tx, account, now).await?;
        told.clone().target(&owner.username).record(tx).await?;
        Ok(Ok(()))
    })
    .await??;
    Ok(Confirmed { codes, proof })
}

/// An app that another server set up, ready to be written with the account it belongs to.
pub struct Adopted {
    account: AccountId,
    secret: Secret,
    told: Change,
}

impl Adopted {
    /// Seals the secret of such an app for an account.
    ///
    /// # Errors
    /// It could not be sealed.
    pub fn new(cx: &Cx, account: AccountId, from: &Otpauth) -> Result<Adopted, FactorError> {
        // The step that the clock shows may have been used there a moment ago.
        let secret = seal(cx, account, &from.secret, from.shape, totp::step_at(cx.now))?;
        Ok(Adopted { account, secret, told: Change::new(cx, account, What::TotpAdded, "imported") })
    }

    /// Has it asked for from now on. `false` when the account has one, which stays.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn put(&self, tx: &mut Tx, now: Time) -> Result<bool, Error> {
        let Some(owner) = accounts::hold(tx, self.account).await? else { return Ok(false) };
        if !store::put_active(tx, self.account, &self.secret).await? {
            return Ok(false);
        }
        accounts::raise(tx, self.account, now).await?;
        self.told.clone().target(&owner.username).record(tx).await?;
        Ok(true)
    }
}

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
pub(super) async fn removed(
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

/// Replaces the recovery codes. Shown this once; the ones before are of no use any more.
pub async fn renew_codes(cx: &Cx, account: AccountId, proof: Option<&Proof>) -> Result<Vec<RecoveryCode>, FactorError> {
    let codes = draw_codes(cx);
    let digests: Vec<Digest> = codes.iter().map(|code| code.digest(account)).collect();
    let told = Change::new(cx, account, What::CodesMade, "");
    let (proof, now) = (proof.cloned(), cx.now);
    cx.write("factors.renew_codes", async move |tx| {
        if let Some(proof) = &proof
            && !proof.apply(tx, now).await?
        {
            return Ok(tx.undo(Err(FactorError::Ended)));
        }
        let Some(owner) = accounts::hold(tx, account).await? else { return Ok(tx.undo(Err(FactorError::NotFound))) };
        if !store::any(tx, account).await? {
            return Ok(tx.undo(Err(FactorError::NoFactor)));
        }
        store::put_codes(tx, account, &digests, now).await?;
        told.clone().target(&owner.username).record(tx).await?;
        Ok(Ok(()))
    })
    .await??;
    Ok(codes)
}

/// Lets a lost app go within the transaction that its owner's recovery link is spent in: the app, its recovery codes and
/// the wrong codes that were counted. The account must set up another factor before it goes anywhere.
async fn recover(tx: &mut Tx, account: AccountId, told: &Change, now: Time) -> Result<(), Error> {
    store::forget_totp(tx, account).await?;
    store::forget_codes(tx, account).await?;
    throttle::forgive_factor(tx, account).await?;
    accounts::demand_factor(tx, &account.to_string(), Some(now)).await?;
    accounts::raise(tx, account, now).await?;
    told.record(tx).await
}

/// Closes the codes that may have been used since a copy of the database was made, before it is used again.
pub(super) async fn begin_anew(tx: &mut Tx, now: Time) -> Result<(), Error> {
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
