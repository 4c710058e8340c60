//! Accounts that people make for themselves, where the server's owner opened the door to everybody.

use super::throttle;
use crate::accounts::{self, username};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::AccountId;
use std::time::Duration;
use usher_db::Error;
use zeroize::Zeroizing;

/// Why nobody was signed up.
#[derive(Debug, thiserror::Error)]
pub enum SignupError {
    /// The name belongs to somebody.
    #[error(transparent)]
    Create(#[from] accounts::CreateError),
    /// Too many new accounts from this address.
    #[error("too many new accounts from this address")]
    RateLimited(Duration),
    /// More hashes at once than this machine can do.
    #[error("too many logins at once; try again in a moment")]
    Busy(Duration),
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// Makes an account for whoever asks, where its owner opened the door to everybody. The attempt is counted before
/// the password is hashed: a stranger's sign-ups must not crowd out logins.
pub async fn signup(cx: &Cx, username: username::Username, password: Zeroizing<String>) -> Result<(), SignupError> {
    throttle::count_signup(cx).await?;
    let password = cx.app.hasher.hash(password).await.map_err(|busy| SignupError::Busy(busy.retry_after))?;
    let id = AccountId::new(cx.now, &cx.app.rng);
    let new = accounts::NewAccount {
        id,
        username,
        password: Some(password),
        role: accounts::Role::User,
        buckets: accounts::Buckets::None,
        must_change: false,
    };
    let entry =
        Entry::new(cx, Event::AccountCreated, Outcome::Done).of(id).target(new.username.display()).detail("sign-up");
    let now = cx.now;
    cx.write("login.signup", async move |tx| {
        if let Err(error) = accounts::create(tx, &new, now).await? {
            return Ok(Err(SignupError::Create(error)));
        }
        entry.record(tx).await?;
        Ok(Ok(()))
    })
    .await?
}
