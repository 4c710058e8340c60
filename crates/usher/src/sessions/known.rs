//! Known devices: browsers in which an account's password was proven before.
//!
//! Promises: whoever guesses at an account from elsewhere does not slow its owner at a device that is known to it, which
//! has a count of its own (NIST SP 800-63B-4 section 3.2.2, ASVS 6.1.1). Such a device is held to fewer tries than an
//! account: beyond them it is known no more, so that a stolen cookie is worth [`TRIES`] guesses and nothing else.
//! Refuses: to be a credential. What a device holds opens nothing, ends nothing and says nothing of its owner; a
//! password is asked for as ever. It is forgotten when all of the account's sessions end, as by a reset of its password.

use super::store::known as store;
use crate::cx::Cx;
use crate::id::AccountId;
use crate::secret::{Digest, Kind, Plain};
use crate::time::Time;
use std::sync::Arc;
use std::time::Duration;
use usher_db::{Db, Error, Tx};

/// Devices that are known to one account at most; beyond it the one not used for longest is forgotten.
pub const MOST: u32 = 20;
/// How long a device is known after its last login. Browsers keep no cookie longer (RFC 6265bis section 5.5).
pub const KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// Wrong passwords in a row after which a device is known no more.
pub const TRIES: i64 = 20;

/// A device as one account knows it, or as it claims to.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    account: AccountId,
    digest: Digest,
}

/// What was tried at a device since the last success there.
#[derive(Clone, Copy, Debug)]
pub struct Tries {
    /// Wrong passwords in a row.
    pub failures: i64,
    /// Until when it is refused.
    pub blocked_until: Time,
}

impl Device {
    /// The device that shows this, as the account would know it.
    pub fn of(account: AccountId, shown: &Plain) -> Device {
        Device { account, digest: shown.digest() }
    }

    /// The device of this request, if the account knows it.
    pub async fn at(cx: &Cx, account: AccountId) -> Result<Option<Device>, Error> {
        let Some(shown) = &cx.request.device else { return Ok(None) };
        let device = Device::of(account, shown);
        Ok(device.tries(&cx.app.db, cx.now).await?.map(|_| device))
    }

    /// What attempts at this device are counted under while they are judged.
    pub fn subject(&self) -> String {
        format!("device:{}:{}", self.account, self.digest)
    }

    /// What was tried at it of late; `None` when the account does not know it.
    pub async fn tries(&self, db: &Db, now: Time) -> Result<Option<Tries>, Error> {
        store::find(db, self.account, &self.digest, now - KEPT).await
    }

    /// Counts a wrong password. Returns how many there were in a row; `None` when the device is known no more.
    pub async fn failed(&self, tx: &mut Tx) -> Result<Option<i64>, Error> {
        let failures = store::failed(tx, self.account, &self.digest).await?;
        if failures.is_some_and(|failures| failures >= TRIES) {
            store::forget(tx, self.account, &self.digest).await?;
        }
        Ok(failures)
    }

    /// Refuses the device for a while.
    pub async fn block(&self, tx: &mut Tx, until: Time) -> Result<(), Error> {
        store::block(tx, self.account, &self.digest, until).await
    }

    /// Takes the count away, by a success at this device.
    pub async fn proven(&self, tx: &mut Tx, now: Time) -> Result<(), Error> {
        store::seen(tx, self.account, &self.digest, now).await.map(|_| ())
    }
}

/// A secret for the browser that logs in, drawn before the login's write.
#[derive(Clone)]
pub struct Offer {
    fresh: Arc<Plain>,
    shown: Option<Arc<Plain>>,
}

impl Offer {
    /// Draws one.
    pub fn draw(cx: &Cx) -> Offer {
        Offer { fresh: Arc::new(Plain::mint(Kind::Known, &cx.app.rng)), shown: cx.request.device.clone() }
    }

    /// Makes the browser known to the account whose password was proven in it, and returns what it is to keep.
    ///
    /// What it shows stays its own only if this very account knows it: somebody else may have put it there, and would
    /// know it too. Otherwise everybody who knows the browser knows it by the new secret from now on.
    pub async fn settle(&self, tx: &mut Tx, account: AccountId, now: Time) -> Result<Arc<Plain>, Error> {
        let fresh = self.fresh.digest();
        if let Some(shown) = &self.shown {
            let digest = shown.digest();
            if store::seen(tx, account, &digest, now).await? {
                return Ok(shown.clone());
            }
            store::rename(tx, &digest, &fresh).await?;
        }
        store::insert(tx, account, &fresh, now).await?;
        store::beyond_limit(tx, account, MOST).await?;
        Ok(self.fresh.clone())
    }
}

/// Takes away the counts of the account's devices, by an admin's word.
pub async fn forgive(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    store::forgive(tx, account).await
}

/// Forgets the account's devices.
pub(super) async fn forget_all(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    store::forget_all(tx, account).await
}

/// Forgets the account's devices but the one that shows this, if it shows anything.
pub async fn forget_others(tx: &mut Tx, account: AccountId, shown: Option<&Plain>) -> Result<(), Error> {
    match shown {
        Some(shown) => store::forget_others(tx, account, &shown.digest()).await,
        None => store::forget_all(tx, account).await,
    }
}

/// Forgets every device there is, as after a restore.
pub async fn forget_everyone(tx: &mut Tx) -> Result<(), Error> {
    store::forget_everyone(tx).await
}

/// Removes devices that nobody logged in at for long.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let before = cx.now - KEPT;
    cx.write("sessions.sweep_devices", async move |tx| store::sweep(tx, before, limit).await).await
}
