//! Signed-header login: a name, a time and a signature in one header, as PyStream and its heirs send it.
//!
//! Promises: a header logs in within a minute of its time stamp and once; it is throttled, counted and told of like
//! every login; an account that has a second factor is not let in by it.
//! Refuses: to be on unless the server's owner says so, and to work for an account that set no secret for it. The
//! scheme needs a secret that the server can read again, so it is never the account's password: it is sealed under the
//! master key, is good for nothing else, and is forgotten when the password is reset.

pub mod api;
pub mod header;
pub mod pages;

use super::{LoggedIn, LoginError, Tried, floor, label_of, life, refuse, store, throttle};
use crate::accounts::{self, Standing, username};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::id::AccountId;
use crate::ops;
use crate::seal::{Held, ResealError, Resealed, seal_again};
use crate::secret::Digest;
use crate::sessions::{self, Kind, NewSession, Proof};
use crate::time::Time;
use header::SignedHeader;
use std::time::Duration;
use usher_db::{Error, Tx};
use zeroize::Zeroizing;

/// How far a time stamp may be from now, either way.
pub const SKEW: Duration = Duration::from_secs(60);
/// The shortest secret, in characters.
pub const SHORTEST: usize = 8;
/// The longest.
pub const LONGEST: usize = 256;
/// What a refused header was tried with.
const HEADER: Tried = Tried { reason: "signed_header", detail: "header" };
/// What the vault calls these secrets.
const PURPOSE: &str = "header secrets";

fn place(account: AccountId) -> String {
    format!("header_secrets:sealed:{account}")
}

/// Why a signed header logs nobody in.
#[derive(Debug, thiserror::Error)]
pub enum SignedError {
    /// It is no signed header.
    #[error("the signed header is malformed")]
    Malformed,
    /// It is one, and not a good one.
    #[error(transparent)]
    Login(#[from] LoginError),
}

/// Logs in by a signed header, given as the value of `Authorization`.
pub async fn with_header(cx: &Cx, value: &str) -> Result<LoggedIn, SignedError> {
    let header = SignedHeader::parse(value).map_err(|_| SignedError::Malformed)?;
    let started = floor::Started::now();
    let result = judge(cx, &header).await;
    cx.app.metrics.login(match &result {
        Ok(_) => ops::LoginResult::Success,
        Err(LoginError::RateLimited(_)) => ops::LoginResult::Throttled,
        Err(LoginError::Storage(_)) => ops::LoginResult::Error,
        Err(_) => ops::LoginResult::Refused,
    });
    started.hold(cx.app.hasher.usual_check()).await;
    Ok(result?)
}

async fn judge(cx: &Cx, header: &SignedHeader) -> Result<LoggedIn, LoginError> {
    let names = header.names();
    let mut known = None;
    // One writing can be read as two names; the first that somebody has is meant.
    for key in names.iter().filter_map(|name| username::lookup_key(name)) {
        known = accounts::find_credential(&cx.app.db, &key).await?;
        if known.is_some() {
            break;
        }
    }
    let named = known.as_ref().map(|credential| credential.username.clone());
    let counted = named.clone().or_else(|| names.first().cloned()).unwrap_or_default();
    let key = username::lookup_key(&counted).unwrap_or(counted);
    let subjects = throttle::Subjects::of(&key, cx.request.address);
    let ticket = throttle::admit(cx, &subjects, None).await?;
    let secret = match &known {
        Some(credential) => secret_of(cx, credential.account).await?,
        None => None,
    };
    // Without a secret the same work is done for nothing.
    let nothing = Zeroizing::new(String::new());
    let good = header.signed_with(secret.as_ref().map_or(&nothing, |(secret, _)| secret)) && secret.is_some();
    let skew = header.seconds.abs_diff(cx.now.seconds());
    // Whether the account stands is the write's to say.
    let usable = known.zip(secret).filter(|_| good && skew <= SKEW.as_secs());
    if let Some((credential, (_, version))) = usable {
        let life = life(cx, Kind::Browser, credential.role);
        let label = label_of(&cx.request.agent);
        let session = NewSession::draw(cx, credential.account, Kind::Browser, "pwd", label, life);
        if begin(cx, session.clone(), version, header, subjects.account.clone()).await? {
            return Ok(LoggedIn { account: credential.account, session, device: None });
        }
    }
    cx.because(match named {
        Some(_) => "the signed header does not match, or was used before",
        None => "no account has this name",
    });
    Err(refuse(cx, &subjects, named.as_deref(), ticket, HEADER).await?)
}

/// Begins the session, if the secret is still the one that was checked, the account stands, and this is the first
/// use of the signature.
async fn begin(cx: &Cx, new: NewSession, version: i64, header: &SignedHeader, failures: String) -> Result<bool, Error> {
    let signature = Digest::of(header.signature().as_bytes());
    let account = new.account;
    let entry = Entry::new(cx, Event::Login, Outcome::Done).about(account, new.id).by(account).detail("header");
    let (now, most) = (cx.now, cx.app.config.sessions.max_per_account);
    cx.write("login.begin_signed", async move |tx| {
        let owner = accounts::hold(tx, account).await?;
        let stands = owner.is_some_and(|owner| owner.standing == Standing::Active);
        if !stands || !store::signed::still(tx, account, version).await? {
            return Ok(false);
        }
        // A header has no place for a second proof.
        if super::factors::any(tx, account).await? {
            return Ok(false);
        }
        if !store::signed::spend(tx, &signature, now).await? {
            return Ok(false);
        }
        accounts::linked(tx, account, now).await?;
        sessions::start(tx, &new, most, now).await?;
        store::forget_failures(tx, &failures).await?;
        entry.record(tx).await?;
        Ok(true)
    })
    .await
}

/// The account's secret and its version. One that does not open is none, and is told in the log.
async fn secret_of(cx: &Cx, account: AccountId) -> Result<Option<(Zeroizing<String>, i64)>, Error> {
    let Some(kept) = store::signed::find(&cx.app.db, account).await? else { return Ok(None) };
    let opened = match cx.app.vault.open(PURPOSE, &place(account), &kept.sealed) {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(%account, %error, "a signed-header secret cannot be opened; its account cannot use it");
            return Ok(None);
        }
    };
    Ok(String::from_utf8(opened.to_vec()).ok().map(|secret| (Zeroizing::new(secret), kept.version)))
}

/// Why a secret is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Too short, too long, or with control characters in it.
    #[error("use 8 to 256 characters for the secret, none of them a control character")]
    Form,
    /// It is the account's password, which must not be kept in a form that can be read again.
    #[error("the secret must not be your password: the server keeps it in a form that it can read again")]
    Password,
    /// The session has ended meanwhile.
    #[error("the session has ended")]
    Ended,
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// A secret as the table keeps it.
#[derive(Clone, Debug)]
pub struct NewSecret {
    account: AccountId,
    sealed: String,
}

impl NewSecret {
    /// Seals a secret for this account, outside any write.
    ///
    /// # Errors
    /// [`SecretError::Form`] when it may not be one.
    pub fn seal(cx: &Cx, account: AccountId, secret: &str) -> Result<NewSecret, SecretError> {
        let length = secret.chars().count();
        if !(SHORTEST..=LONGEST).contains(&length) || secret.chars().any(char::is_control) {
            return Err(SecretError::Form);
        }
        let sealed = cx.app.vault.seal(PURPOSE, &place(account), secret.as_bytes(), &cx.app.rng);
        Ok(NewSecret { account, sealed: sealed.map_err(|_| SecretError::Form)? })
    }

    /// Puts it in place of the one before, with the transaction that decided to.
    pub async fn put(&self, tx: &mut Tx, now: Time) -> Result<(), Error> {
        store::signed::put(tx, self.account, &self.sealed, now).await
    }
}

/// Since when the caller's account has a secret.
pub async fn since(cx: &Cx, account: AccountId) -> Result<Option<Time>, Error> {
    Ok(store::signed::find(&cx.app.db, account).await?.map(|kept| kept.changed_at))
}

/// Sets the caller's secret. `password` is what was given along as a proof, if anything.
pub async fn set(
    cx: &Cx,
    caller: &Caller,
    secret: &str,
    password: Option<&str>,
    proof: &Proof,
) -> Result<(), SecretError> {
    if password == Some(secret) {
        return Err(SecretError::Password);
    }
    let new = NewSecret::seal(cx, caller.account(), secret)?;
    let entry = Entry::new(cx, Event::HeaderSecretSet, Outcome::Done);
    let (proof, now) = (proof.clone(), cx.now);
    cx.write("login.set_header_secret", async move |tx| {
        if !proof.apply(tx, now).await? {
            return Ok(tx.undo(Err(SecretError::Ended)));
        }
        new.put(tx, now).await?;
        entry.record(tx).await?;
        Ok(Ok(()))
    })
    .await?
}

/// Removes the caller's secret. Idempotent.
pub async fn remove(cx: &Cx, caller: &Caller, proof: &Proof) -> Result<(), SecretError> {
    let entry = Entry::new(cx, Event::HeaderSecretRemoved, Outcome::Done);
    let (account, proof, now) = (caller.account(), proof.clone(), cx.now);
    cx.write("login.remove_header_secret", async move |tx| {
        if !proof.apply(tx, now).await? {
            return Ok(tx.undo(Err(SecretError::Ended)));
        }
        if store::signed::remove(tx, account).await? {
            entry.record(tx).await?;
        }
        Ok(Ok(()))
    })
    .await?
}

/// Forgets an account's secret because its password was reset: whoever made that necessary may know this one, too.
pub async fn forget(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    store::signed::remove(tx, account).await.map(|_| ())
}

/// Forgets signatures whose time stamps are too old to be taken again.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    // A stamp may lie a minute ahead of its use, and is taken until a minute after itself.
    let before = cx.now - SKEW * 3;
    cx.write("login.sweep_signatures", async move |tx| store::signed::sweep(tx, before, limit).await).await
}

/// Seals every secret under the vault's current master key.
pub async fn reseal(cx: &Cx) -> Result<Resealed, ResealError> {
    let held = store::signed::all(&cx.app.db).await?.into_iter().map(|(account, sealed)| Held {
        id: account.to_string(),
        place: place(account),
        sealed,
        what: format!("the signed-header secret of account {account}"),
    });
    Ok(store::signed::resealed(seal_again(&cx.app.vault, &cx.app.rng, PURPOSE, held)?))
}
