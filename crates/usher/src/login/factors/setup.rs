//! Setting a factor up: the secret that waits for its first good code, what comes with a new factor, and recovery codes.

use super::{FactorError, SEAL, Secret, WAITS, find, place};
use crate::accounts;
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::id::{AccountId, TotpId};
use crate::login::notices::{Change, What};
use crate::login::passcode::{CODES, Passcode, RecoveryCode};
use crate::login::store::factors as store;
use crate::login::totp::{self, Otpauth, Shape};
use crate::secret::Digest;
use crate::sessions::{self, EndReason, Proof, Renewal, Which};
use crate::time::Time;
use usher_db::{Error, Tx};

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
pub(in crate::login) async fn added(
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
    let rights = cx.app.accounts.rights(&cx.app.db, account).await?;
    let demanded = rights.is_some_and(|rights| crate::gate::demands_factor(cx, &rights));
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
