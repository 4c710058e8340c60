//! Logging in: many proofs, one result, which is a session.
//!
//! Promises: an unknown name, a wrong password and a disabled account get one answer, in text, headers and
//! time; guessing is slowed per account, whatever spelling or route it uses, and per address without ever
//! refusing a right password because of others there; a session begins only if the password that was
//! checked is still the password when the session commits; an account that has a second factor is asked for it at
//! every way in, and a passcode opens one session.
//! Refuses: to hash inside a write, to hash without bound, and to say which part was wrong. Only whoever knows the
//! password hears that a passcode is asked for.

pub mod again;
pub mod api;
pub mod base32;
pub mod factors;
pub mod floor;
pub mod letters;
pub mod links;
pub mod notices;
pub mod pages;
pub mod passcode;
pub mod passkeys;
pub mod person;
pub mod qr;
mod second;
pub mod signed;
mod signup;
pub mod step;
mod store;
pub mod totp;
pub use second::{second, with_passkey};
pub use signup::{SignupError, signup};
pub use store::STATEMENTS;
pub use store::factors::STATEMENTS as FACTOR_STATEMENTS;
pub use store::passkeys::STATEMENTS as PASSKEY_STATEMENTS;
pub use store::signed::STATEMENTS as SIGNED_STATEMENTS;
pub mod throttle;

use second::Second;

use crate::accounts::hasher::Verdict;
use crate::accounts::{self, hash, username};
use crate::audit::{Entry, Event, Outcome};
use crate::config::Accounts as AccountRules;
use crate::cx::Cx;
use crate::id::AccountId;
use crate::ops;
use crate::secret::Plain;
use crate::sessions::{self, Kind, Life, NewSession, known, refresh};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use usher_db::Error;
use zeroize::Zeroizing;

/// A login by password.
pub struct Attempt {
    /// The name in any spelling.
    pub username: String,
    /// The password as it came.
    pub password: Zeroizing<String>,
    /// A passcode of the authenticator app, a recovery code or a recovery link, when one came along. Looked at only if
    /// the account has a second factor; empty is none.
    pub passcode: Option<Zeroizing<String>>,
    /// The session that is asked for.
    pub wanted: Wanted,
}

/// The session that a login asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What will hold it.
    pub kind: Kind,
    /// What its owner will see in the list of sessions; empty to take it from the client's own name.
    pub label: String,
    /// Whether a refresh token is wanted.
    pub refresh: bool,
}

impl Wanted {
    /// A session that lives by its cookie.
    pub fn browser() -> Wanted {
        Wanted { kind: Kind::Browser, label: String::new(), refresh: false }
    }
}

/// A login that succeeded. The session is committed.
#[derive(Debug)]
pub struct LoggedIn {
    /// Whose.
    pub account: AccountId,
    /// The session with its secrets, for the one answer that may carry them.
    pub session: NewSession,
    /// What the browser is to keep so that it is known from now on; none for programs.
    pub device: Option<Arc<Plain>>,
}

/// A password that was right, of an account that has a second factor. It is no session and opens nothing; with a
/// second proof, [`second()`] begins one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstHalf {
    /// Whose.
    pub account: AccountId,
    /// Which password it was.
    version: i64,
}

/// Why a login is refused.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Something about the name, the password or the account is not right; nobody says what.
    #[error("the username or the password is wrong")]
    InvalidCredentials,
    /// The password is right, and a second proof is missing.
    #[error("a passcode is needed")]
    PasscodeRequired(FirstHalf),
    /// The password is right, and the passcode is wrong or was used before.
    #[error("the passcode is wrong")]
    PasscodeInvalid,
    /// The passkey was not accepted; nobody says why.
    #[error("the passkey was not accepted")]
    PasskeyInvalid,
    /// Too many wrong guesses for this account or, when guessing, from this address.
    #[error("too many attempts; wait before the next one")]
    RateLimited(Duration),
    /// More logins at once than this machine can hash.
    #[error("too many logins at once; try again in a moment")]
    Busy(Duration),
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// The life of a session of this kind and role, by configuration.
pub fn life(cx: &Cx, kind: Kind, role: accounts::Role) -> Life {
    let sessions = &cx.app.config.sessions;
    let idle = match kind {
        Kind::Browser => sessions.browser_idle,
        Kind::Device => sessions.device_idle,
        Kind::Api => sessions.api_idle,
    };
    let (idle, absolute) = sessions.limits(idle, role.word());
    Life { idle, absolute }
}

/// Logs in with a name, a password and, where the account has a second factor, a passcode.
///
/// The order is: throttle, read the credential, hash outside any write, judge the passcode, then one guarded write that
/// checks the credential's version and the account's standing again, uses the passcode up and begins the session.
///
/// # Errors
/// [`LoginError::PasscodeRequired`] when everything is right but a passcode is missing: ask for one and log in again
/// with it, or go on with [`second()`].
pub async fn with_password(cx: &Cx, attempt: Attempt) -> Result<LoggedIn, LoginError> {
    let started = floor::Started::now();
    let mut hashed = false;
    let result = judge(cx, attempt, &mut hashed).await;
    count(cx, &result);
    // Whatever the answer is: the failure that begins a wait is told otherwise, and would tell by its time what the
    // other failures do not, whether there is an account with an imported hash.
    if hashed {
        started.hold(cx.app.hasher.usual_check()).await;
    }
    result
}

fn count(cx: &Cx, result: &Result<LoggedIn, LoginError>) {
    cx.app.metrics.login(match result {
        Ok(_) => ops::LoginResult::Success,
        Err(LoginError::InvalidCredentials | LoginError::PasscodeInvalid | LoginError::PasskeyInvalid) => {
            ops::LoginResult::Refused
        }
        Err(LoginError::PasscodeRequired(_)) => ops::LoginResult::Halfway,
        Err(LoginError::RateLimited(_)) => ops::LoginResult::Throttled,
        Err(LoginError::Busy(_)) => ops::LoginResult::Overloaded,
        Err(LoginError::Storage(_)) => ops::LoginResult::Error,
    });
}

/// `hashed` says whether a password was looked at, so that the time of the answer could tell something.
async fn judge(cx: &Cx, attempt: Attempt, hashed: &mut bool) -> Result<LoggedIn, LoginError> {
    let name = username::lookup_key(&attempt.username);
    let subjects = throttle::Subjects::of(name.as_deref().unwrap_or(&attempt.username), cx.request.address);
    let credential = match &name {
        Some(key) => accounts::find_credential(&cx.app.db, key).await?,
        None => None,
    };
    let ticket = throttle::admit(cx, &subjects, credential.as_ref().map(|credential| credential.account)).await?;
    let encoded = credential.as_ref().and_then(|credential| credential.encoded.as_deref());
    let parsed = encoded.and_then(|text| hash::Encoded::parse(text).ok());
    let verdict = check(cx, attempt.password.clone(), parsed).await?;
    *hashed = true;
    let known = credential.as_ref().map(|credential| credential.username.clone());
    match &credential {
        None => cx.because("no account has this name"),
        Some(credential) if credential.encoded.is_none() => cx.because("the account has no password"),
        Some(_) if verdict == Verdict::Wrong => cx.because("the password does not match"),
        Some(credential) if credential.standing != accounts::Standing::Active => cx.because("the account is disabled"),
        Some(_) => {}
    }
    let usable =
        credential.filter(|credential| verdict != Verdict::Wrong && credential.standing == accounts::Standing::Active);
    let Some(credential) = usable else {
        return Err(refuse(cx, &subjects, known.as_deref(), ticket, PASSWORD).await?);
    };

    let (account, version) = (credential.account, credential.version);
    let old_hash = verdict == (Verdict::Right { rehash: true });
    let state = factors::find(&cx.app.db, account).await?;
    let passcode = attempt.passcode.filter(|passcode| !passcode.is_empty());
    let second = match (state.any(), passcode) {
        (false, _) => None,
        (true, Some(passcode)) => Some(Second::of(cx, &credential, &state, &passcode).await?),
        (true, None) => {
            // The next step comes without the password. Renewed now, because a renewal changes the version that the
            // next step is bound to.
            let version = if old_hash { renewed(cx, &credential, attempt.password).await? } else { version };
            return Err(LoginError::PasscodeRequired(FirstHalf { account, version }));
        }
    };
    let beginning = Beginning {
        account,
        password: Some((version, subjects.account.clone(), ticket.device())),
        second,
        step: None,
        amr: "pwd",
        session: new_session(cx, account, credential.role, attempt.wanted),
    };
    match begin(cx, beginning).await? {
        Began::Yes(session, device) => {
            if old_hash {
                rehash_later(cx.clone(), account, version, attempt.password);
            }
            Ok(LoggedIn { account, session: *session, device })
        }
        // The password changed, or the account was shut out, while we hashed.
        Began::Stale => Err(refuse(cx, &subjects, known.as_deref(), ticket, PASSWORD).await?),
        Began::Spent(second) => Err(second.refuse(cx, credential.account, &credential.username).await?),
    }
}

fn new_session(cx: &Cx, account: AccountId, role: accounts::Role, wanted: Wanted) -> NewSession {
    let label = if wanted.label.is_empty() { label_of(&cx.request.agent) } else { wanted.label };
    let mut session = NewSession::draw(cx, account, wanted.kind, "", label, life(cx, wanted.kind, role));
    if wanted.refresh {
        session.refresh = Some(refresh::First::draw(&cx.app.rng));
    }
    session
}

/// Everything that was proven, and the session that it begins.
struct Beginning {
    account: AccountId,
    /// Which password was right, and under what its failures are counted: the account's name, and the known device.
    password: Option<(i64, String, Option<known::Device>)>,
    second: Option<Second>,
    /// The step that this login was carried by.
    step: Option<step::Mark>,
    /// What proved the account besides the second proof.
    amr: &'static str,
    session: NewSession,
}

/// How a beginning went.
enum Began {
    Yes(Box<NewSession>, Option<Arc<Plain>>),
    /// What was proven holds no more.
    Stale,
    /// The passcode was used up meanwhile.
    Spent(Second),
}

/// Begins a session: the one write in which every login ends.
async fn begin(cx: &Cx, mut beginning: Beginning) -> Result<Began, Error> {
    let second = beginning.second.take();
    let mut session = beginning.session;
    session.amr = match &second {
        Some(second) => sessions::proven_also(beginning.amr, second.judged.method()),
        None => beginning.amr.to_owned(),
    };
    let account = beginning.account;
    let entry = Entry::new(cx, Event::Login, Outcome::Done).about(account, session.id).by(account).detail(&session.amr);
    let proven = second.as_ref().map(|second| (second.judged.clone(), second.subjects.account.clone()));
    let (new, password, step, now) = (session.clone(), beginning.password, beginning.step, cx.now);
    let most = cx.app.config.sessions.max_per_account;
    let offer = (password.is_some() && session.kind == Kind::Browser).then(|| known::Offer::draw(cx));
    let begun = cx
        .write("login.begin", async move |tx| {
            let stands = match &password {
                Some((version, ..)) => accounts::logged_in(tx, account, *version, now).await?,
                None => accounts::entered(tx, account, now).await?,
            };
            if !stands {
                return Ok(Ok(None));
            }
            match &proven {
                // A factor that was set up since we looked is asked for: the account's row is held by now, and whoever
                // sets one up holds it too.
                None if factors::any(tx, account).await? => return Ok(tx.undo(Ok(None))),
                None => {}
                Some((judged, subject)) => {
                    if !judged.spend(tx, account, now).await? {
                        return Ok(tx.undo(Err(())));
                    }
                    store::forget_failures(tx, subject).await?;
                }
            }
            if let Some(step) = &step
                && !step.spend(tx).await?
            {
                return Ok(tx.undo(Ok(None)));
            }
            sessions::start(tx, &new, most, now).await?;
            match &password {
                // Whoever guesses elsewhere gets no new tries because the owner logs in at home.
                Some((.., Some(device))) => device.proven(tx, now).await?,
                Some((_, subject, None)) => store::forget_failures(tx, subject).await?,
                None => {}
            }
            let device = match &offer {
                Some(offer) => Some(offer.settle(tx, account, now).await?),
                None => None,
            };
            entry.record(tx).await?;
            Ok(Ok(Some(device)))
        })
        .await?;
    Ok(match (begun, second) {
        (Ok(Some(device)), _) => Began::Yes(Box::new(session), device),
        (Err(()), Some(second)) => {
            cx.because("the passcode was used up at the same moment");
            Began::Spent(second)
        }
        (Ok(None) | Err(()), _) => {
            cx.because("what was proven changed at the same moment: the password, a factor, or the account");
            Began::Stale
        }
    })
}

/// Hashes, in the bounded service and outside any write. Without a hash to compare it does the same work for nothing.
async fn check(cx: &Cx, password: Zeroizing<String>, encoded: Option<hash::Encoded>) -> Result<Verdict, LoginError> {
    cx.app.hasher.verify(password, encoded).await.map_err(|busy| LoginError::Busy(busy.retry_after))
}

/// What a refused login was tried with, in the words of the two logs that are told.
#[derive(Clone, Copy)]
struct Tried {
    /// For the log that fail2ban reads.
    reason: &'static str,
    /// For the audit log.
    detail: &'static str,
}

/// A password.
const PASSWORD: Tried = Tried { reason: "password", detail: "pwd" };

/// Counts a failure, writes it to the audit log and the log that fail2ban reads, and gives the one answer.
///
/// `known` is the account's name. A name that nobody has is written nowhere: it is often a password that
/// was typed into the wrong field.
async fn refuse(
    cx: &Cx,
    subjects: &throttle::Subjects,
    known: Option<&str>,
    ticket: throttle::Ticket,
    tried: Tried,
) -> Result<LoginError, LoginError> {
    let reason = if known.is_some() { tried.reason } else { "unknown_account" };
    crate::log::login_failed(cx.request.address, known.unwrap_or_default(), reason);
    let target = known.and_then(username::lookup_key).unwrap_or_default();
    let entry = Entry::new(cx, Event::Login, Outcome::Refused).target(target).detail(tried.detail);
    let wait = throttle::count_failure(cx, subjects, ticket.device(), entry, known.is_some()).await?;
    drop(ticket);
    Ok(match wait {
        Some(wait) => LoginError::RateLimited(wait),
        None => LoginError::InvalidCredentials,
    })
}

/// Brings an older hash to today's strength at once, and says which version of the password it is then.
async fn renewed(cx: &Cx, credential: &accounts::Credential, password: Zeroizing<String>) -> Result<i64, LoginError> {
    let (account, version) = (credential.account, credential.version);
    // Where there is no room for another hash, the next login tries again.
    let Ok(encoded) = cx.app.hasher.hash(password).await else { return Ok(version) };
    let renewed =
        cx.write("login.rehash", async move |tx| accounts::rehash(tx, account, version, &encoded).await).await?;
    Ok(if renewed { version + 1 } else { version })
}

/// Brings an older hash to today's strength after the answer was given, so that it cannot be told by its time.
fn rehash_later(cx: Cx, account: AccountId, version: i64, password: Zeroizing<String>) {
    tokio::spawn(async move {
        let Ok(encoded) = cx.app.hasher.hash(password).await else { return };
        let done =
            cx.write("login.rehash", async move |tx| accounts::rehash(tx, account, version, &encoded).await).await;
        if let Err(error) = done {
            tracing::warn!(%error, "an older password hash could not be renewed; the next login tries again");
        }
    });
}

/// What is wrong with a new password. Judged off the runtime's threads: the dictionaries are large.
pub async fn weaknesses(cx: &Cx, password: &str, context: &[&str]) -> Vec<accounts::policy::Weakness> {
    let policy = cx.app.policy.clone();
    let password = Zeroizing::new(password.to_owned());
    let mut context: Vec<String> = context.iter().map(|word| (*word).to_owned()).collect();
    context.push(cx.app.config.server.service_name.clone());
    context.extend(cx.app.config.server.public_url.as_ref().map(|url| url.host.clone()));
    let judged = tokio::task::spawn_blocking(move || {
        let context: Vec<&str> = context.iter().map(String::as_str).collect();
        policy.check(&password, &context).err().unwrap_or_default()
    });
    // A judge that panics lets nothing through.
    judged.await.unwrap_or_else(|_| vec![accounts::policy::Weakness::Common])
}

/// The words that an account's owner and a guesser think of first.
pub fn words_of(account: &accounts::Account) -> Vec<&str> {
    let own = [Some(account.username.as_str()), account.email.as_deref(), account.display_name.as_deref()];
    own.into_iter().flatten().collect()
}

/// Which version of the account's password `password` is, for acts that ask again; `None` when it is wrong.
/// Counts and slows like a login.
async fn prove(cx: &Cx, account: AccountId, password: Zeroizing<String>) -> Result<Option<i64>, LoginError> {
    let Some(credential) = accounts::find_credential_of(&cx.app.db, account).await? else { return Ok(None) };
    let key = username::lookup_key(&credential.username).unwrap_or_default();
    let subjects = throttle::Subjects::of(&key, cx.request.address);
    let ticket = throttle::admit(cx, &subjects, Some(account)).await?;
    let parsed = credential.encoded.as_deref().and_then(|text| hash::Encoded::parse(text).ok());
    if check(cx, password, parsed).await? != Verdict::Wrong {
        if let Some(device) = ticket.device() {
            let now = cx.now;
            cx.write("login.proven", async move |tx| device.proven(tx, now).await).await?;
        }
        return Ok(Some(credential.version));
    }
    match refuse(cx, &subjects, Some(&credential.username), ticket, PASSWORD).await? {
        LoginError::InvalidCredentials => Ok(None),
        other => Err(other),
    }
}

/// The shortest password that may be chosen.
pub fn shortest_password(rules: &AccountRules) -> usize {
    if rules.strict { rules.password_min_length.max(15) } else { rules.password_min_length }
}

/// A name for a device that did not give one: its browser and system, as far as its user agent tells.
pub fn label_of(agent: &str) -> String {
    let browser =
        [("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"), ("Safari/", "Safari")]
            .into_iter()
            .find(|(mark, _)| agent.contains(mark))
            .map(|(_, name)| name);
    let system = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]
    .into_iter()
    .find(|(mark, _)| agent.contains(mark))
    .map(|(_, name)| name);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => {
            let own: String = agent.split([' ', '/']).next().unwrap_or_default().chars().take(40).collect();
            if own.is_empty() { "Unknown device".to_owned() } else { own }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_after_its_browser_and_system() {
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36";
        assert_eq!(label_of(agent), "Chrome on Linux");
        assert_eq!(label_of("curl/8.1"), "curl");
        assert_eq!(label_of(""), "Unknown device");
    }
}
