//! Second factors: what an account has besides its password, and how that is judged.
//!
//! Promises: a secret is sealed under the master key and bound to its row, is asked for only after one good code, and
//! is told once, when it is made; a code and a recovery code are each accepted once, decided by the row; whoever has a
//! factor is asked for it at every way in; every change of a factor is told to the audit log and to its owner.
//! Refuses: taking away the last factor of an account that must have one. It can be replaced.
//!
//! `totp.rs` and `passcode.rs` are the arithmetic, `notices.rs` what the owner is told; below this file stand setting up,
//! taking away and what happens by itself.

mod removal;
mod setup;
mod upkeep;

pub(super) use removal::removed;
pub use removal::{remove_all, remove_totp};
pub(super) use setup::added;
pub use setup::{Adopted, Confirmed, Waiting, begin_totp, confirm_totp, renew_codes, waits};
pub(super) use upkeep::begin_anew;
pub use upkeep::{reseal, sweep};

use super::again::AgainError;
use super::notices::{Change, What};
use super::passcode::Passcode;
use super::store::factors as store;
use super::totp::{self, Shape};
use super::{links, passkeys};
use crate::cx::Cx;
use crate::id::{AccountId, TotpId};
use crate::seal::Vault;
use crate::secret::Digest;
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
                removal::recover(tx, account, told, now).await?;
                Ok(true)
            }
        }
    }

    /// How it proves, in a session's `amr`.
    pub fn method(&self) -> &'static str {
        match self {
            Judged::Totp { .. } => "otp",
            Judged::Passkey(answered) => answered.method(),
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
