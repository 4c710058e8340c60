//! What the door sends by mail: the link that proves an address, and the one that replaces a lost password.
//!
//! Promises: whoever asks for a new password hears the same, at the same time, whether there is such an account or not;
//! a letter with a reset link goes to a proven address only, because a mistyped one is somebody else's; nobody is buried
//! in letters, whoever asks for them.

use super::links::{self, Kind, NewLink};
use super::{LoginError, throttle};
use crate::accounts::profile::Email;
use crate::accounts::{self, Account, Standing, username};
use crate::cx::Cx;
use crate::id::AccountId;
use crate::mail::Outgoing;
use crate::mail::letter::Letter;
use crate::time::Time;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use usher_db::{Error, Tx};

/// In what time letters with links to one account are counted, and how many of a kind it gets.
const WINDOW: Duration = Duration::from_secs(3600);
const MOST_RESETS: i64 = 3;
const MOST_VERIFICATIONS: i64 = 5;

/// Requests for a new password that are being looked at, after they were answered.
#[derive(Clone)]
pub struct Asked(Arc<Semaphore>);

impl Default for Asked {
    fn default() -> Asked {
        Asked(Arc::new(Semaphore::new(32)))
    }
}

/// Why no letter with a link to prove an address is sent.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// No mail is sent here.
    #[error("this server sends no mail")]
    NoMail,
    /// There is no address, or it is proven.
    #[error("there is no address to prove")]
    NothingToProve,
    /// Several were sent lately.
    #[error("several letters were sent already; wait before the next one")]
    RateLimited(Duration),
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// A letter that lets an address be proven, drawn before the write that posts it.
#[derive(Clone)]
pub struct Verification {
    account: AccountId,
    link: NewLink,
    letter: Outgoing,
}

impl Verification {
    /// For this address, which the account has or is about to have. `None` when no mail is sent here.
    pub fn draw(cx: &Cx, account: &Account, email: &Email) -> Option<Verification> {
        let link = NewLink::draw(cx, Kind::Verify, Some(account.id), email.display());
        let letter = Letter::Verify { username: account.username.clone(), path: link.path() };
        let letter = Outgoing::to(cx, &letter, email.display(), Kind::Verify.life())?;
        Some(Verification { account: account.id, link, letter })
    }

    /// Posts it, unless too many were posted lately. The link of the letter before is withdrawn.
    pub async fn post(&self, tx: &mut Tx, now: Time) -> Result<bool, Error> {
        if links::made_since(tx, self.account, Kind::Verify, now - WINDOW).await? >= MOST_VERIFICATIONS {
            return Ok(false);
        }
        self.link.insert(tx, now).await?;
        self.letter.post(tx, self.account, now).await
    }
}

/// What is written when an account gets another address: to the new one, so that it can be proven, and to the one that
/// is given up, where it was proven, since whoever took the account over would change it first.
pub struct Moved {
    account: AccountId,
    verification: Option<Verification>,
    farewell: Option<Outgoing>,
}

impl Moved {
    /// For the account as it stands before the change. Nothing is written when no mail is sent here.
    pub fn draw(cx: &Cx, account: &Account, new: Option<&Email>) -> Moved {
        let farewell = account.email.as_deref().filter(|_| account.verified_at.is_some()).and_then(|address| {
            let what = "Your account has another email address now.".to_owned();
            let (from, at) = (cx.request.address.to_string(), cx.now.rfc3339());
            Outgoing::to(cx, &Letter::Changed { what, address: from, at }, address, Duration::from_secs(2 * 24 * 3600))
        });
        let verification = new.and_then(|email| Verification::draw(cx, account, email));
        Moved { account: account.id, verification, farewell }
    }

    /// Posts them with the change.
    pub async fn post(&self, tx: &mut Tx, now: Time) -> Result<(), Error> {
        if let Some(letter) = &self.verification {
            letter.post(tx, now).await?;
        }
        if let Some(letter) = &self.farewell {
            letter.post(tx, self.account, now).await?;
        }
        Ok(())
    }
}

/// Sends the account's owner another letter to prove the address with.
pub async fn verify_again(cx: &Cx, account: AccountId) -> Result<(), VerificationError> {
    let account = accounts::find(&cx.app.db, account).await?.ok_or(VerificationError::NothingToProve)?;
    let email = account.email.as_deref().filter(|_| account.verified_at.is_none());
    let email = email.and_then(|email| Email::parse(email).ok()).ok_or(VerificationError::NothingToProve)?;
    let letter = Verification::draw(cx, &account, &email).ok_or(VerificationError::NoMail)?;
    let now = cx.now;
    match cx.write("letters.verify_again", async move |tx| letter.post(tx, now).await).await? {
        true => Ok(()),
        false => Err(VerificationError::RateLimited(WINDOW)),
    }
}

/// Takes a request for a new password. What is done about it is done after the answer, so that nothing about the
/// answer tells whether there is such an account.
pub async fn ask_reset(cx: &Cx, name: &str) -> Result<(), LoginError> {
    throttle::count_reset(cx).await?;
    let place = cx.app.resets_asked.0.clone().try_acquire_owned();
    let place = place.map_err(|_| LoginError::Busy(Duration::from_secs(1)))?;
    let (cx, name) = (cx.clone(), name.to_owned());
    tokio::spawn(async move {
        if let Err(error) = post_reset(&cx, &name).await {
            tracing::warn!(target: "usher::mail", %error, "a request for a new password came to nothing");
        }
        drop(place);
    });
    Ok(())
}

/// Posts the letter, if an account has this name or this proven address.
async fn post_reset(cx: &Cx, name: &str) -> Result<(), Error> {
    let by_name = match username::lookup_key(name) {
        Some(key) => accounts::find_by_key(&cx.app.db, &key).await?,
        None => None,
    };
    let found = match (by_name, Email::parse(name)) {
        (None, Ok(email)) => accounts::find_by_email(&cx.app.db, email.key()).await?,
        (by_name, _) => by_name,
    };
    let Some(account) = found else { return Ok(()) };
    let Some(address) = proven(&account) else { return Ok(()) };
    let link = NewLink::draw(cx, Kind::Reset, Some(account.id), "");
    let letter = Letter::Reset { username: account.username.clone(), path: link.path() };
    let Some(letter) = Outgoing::to(cx, &letter, &address, Kind::Reset.life()) else { return Ok(()) };
    let (id, now) = (account.id, cx.now);
    cx.write("letters.post_reset", async move |tx| {
        // As it stands now: a letter must not go to an address that was given up meanwhile.
        let still = accounts::hold(tx, id).await?.and_then(|account| proven(&account));
        if still.as_ref() != Some(&address)
            || links::made_since(tx, id, Kind::Reset, now - WINDOW).await? >= MOST_RESETS
        {
            return Ok(());
        }
        link.insert(tx, now).await?;
        if !letter.post(tx, id, now).await? {
            tx.undo(());
        }
        Ok(())
    })
    .await
}

/// The address that an account which can be used has proven.
fn proven(account: &Account) -> Option<String> {
    let usable = account.standing == Standing::Active && account.verified_at.is_some();
    account.email.clone().filter(|_| usable)
}
