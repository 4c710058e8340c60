//! What comes after a right password, or in its place: a passcode, a passkey.
//!
//! Promises: a second proof is used up by the very commit that begins the session, so that it begins one; wrong passcodes
//! are counted apart from wrong passwords, and a right password takes none of them away.

use super::{
    Began, Beginning, FirstHalf, LoggedIn, LoginError, Wanted, begin, count, factors, new_session, passkeys, step,
    store, throttle,
};
use crate::accounts::{self, username};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::AccountId;
use crate::sessions::known;
use usher_db::Error;
use webauthn_rs::prelude::PublicKeyCredential;
use zeroize::Zeroizing;

/// Goes on with a login whose password was right a moment ago. `step` is used up by the session that begins; a wrong
/// passcode leaves it for the next attempt.
pub async fn second(
    cx: &Cx,
    half: FirstHalf,
    step: step::Mark,
    passcode: Zeroizing<String>,
    wanted: Wanted,
) -> Result<LoggedIn, LoginError> {
    let result = judge_second(cx, half, step, passcode, wanted).await;
    count(cx, &result);
    result
}

/// Logs in by a passkey: alone, which is several factors by itself, or as the second proof after `half`.
///
/// Wrong answers are not counted: nobody guesses a signature. So a passkey also gets its owner in while somebody else
/// guesses at the password.
pub async fn with_passkey(
    cx: &Cx,
    half: Option<(FirstHalf, step::Mark)>,
    challenge: &str,
    answer: &PublicKeyCredential,
    wanted: Wanted,
) -> Result<LoggedIn, LoginError> {
    let result = judge_passkey(cx, half, challenge, answer, wanted).await;
    count(cx, &result);
    result
}

async fn judge_passkey(
    cx: &Cx,
    half: Option<(FirstHalf, step::Mark)>,
    challenge: &str,
    answer: &PublicKeyCredential,
    wanted: Wanted,
) -> Result<LoggedIn, LoginError> {
    let known = half.as_ref().map(|(half, _)| half.account);
    let Some(answered) = passkeys::judge(cx, challenge, answer, known, None).await? else {
        return Err(refuse_passkey(cx, known).await?);
    };
    let account = answered.account;
    let credential = accounts::find_credential_of(&cx.app.db, account).await?;
    let usable = credential.filter(|credential| credential.standing == accounts::Standing::Active);
    let Some(credential) = usable else { return Err(LoginError::PasskeyInvalid) };
    let second = Second {
        judged: factors::Judged::Passkey(Box::new(answered)),
        subjects: throttle::Subjects::of_factor(account, cx.request.address),
        ticket: None,
    };
    let key = username::lookup_key(&credential.username).unwrap_or_default();
    let subject = throttle::Subjects::of(&key, cx.request.address).account;
    let (password, step) = match half {
        Some((half, step)) => {
            let device = known::Device::at(cx, account).await?;
            (Some((half.version, subject, device)), Some(step))
        }
        None => (None, None),
    };
    let beginning = Beginning {
        account,
        amr: if password.is_some() { "pwd" } else { "" },
        password,
        second: Some(second),
        step,
        session: new_session(cx, account, credential.role, wanted),
    };
    match begin(cx, beginning).await? {
        Began::Yes(session, device) => Ok(LoggedIn { account, session: *session, device }),
        Began::Stale | Began::Spent(_) => Err(refuse_passkey(cx, Some(account)).await?),
    }
}

async fn refuse_passkey(cx: &Cx, account: Option<AccountId>) -> Result<LoginError, Error> {
    cx.because("the passkey's answer does not verify, or the passkey is another account's");
    // Of an account that is known; what strangers send is told by the log alone.
    if let Some(account) = account {
        let entry = Entry::new(cx, Event::Login, Outcome::Refused).of(account).detail("passkey");
        cx.write("login.refuse_passkey", async move |tx| entry.record(tx).await).await?;
    }
    crate::log::login_failed(cx.request.address, "", "passkey");
    Ok(LoginError::PasskeyInvalid)
}

async fn judge_second(
    cx: &Cx,
    half: FirstHalf,
    step: step::Mark,
    passcode: Zeroizing<String>,
    wanted: Wanted,
) -> Result<LoggedIn, LoginError> {
    let credential = accounts::find_credential_of(&cx.app.db, half.account).await?;
    let usable = credential
        .filter(|credential| credential.version == half.version && credential.standing == accounts::Standing::Active);
    let Some(credential) = usable else { return Err(LoginError::InvalidCredentials) };
    if step.is_spent(cx).await? {
        return Err(LoginError::InvalidCredentials);
    }
    let state = factors::find(&cx.app.db, half.account).await?;
    let second = Second::of(cx, &credential, &state, &passcode).await?;
    let key = username::lookup_key(&credential.username).unwrap_or_default();
    let beginning = Beginning {
        account: half.account,
        password: Some((
            half.version,
            throttle::Subjects::of(&key, cx.request.address).account,
            known::Device::at(cx, half.account).await?,
        )),
        second: Some(second),
        step: Some(step),
        amr: "pwd",
        session: new_session(cx, half.account, credential.role, wanted),
    };
    match begin(cx, beginning).await? {
        Began::Yes(session, device) => Ok(LoggedIn { account: half.account, session: *session, device }),
        Began::Stale => Err(LoginError::InvalidCredentials),
        Began::Spent(second) => Err(second.refuse(cx, credential.account, &credential.username).await?),
    }
}

/// A passcode that was judged right and waits to be used up.
pub(super) struct Second {
    pub(super) judged: factors::Judged,
    pub(super) subjects: throttle::Subjects,
    /// Its place among those that are being judged; a passkey needs none.
    ticket: Option<throttle::Ticket>,
}

impl Second {
    /// Judges a passcode. Wrong ones are counted apart from wrong passwords, and slowed in the same way.
    pub(super) async fn of(
        cx: &Cx,
        credential: &accounts::Credential,
        state: &factors::State,
        passcode: &str,
    ) -> Result<Second, LoginError> {
        let subjects = throttle::Subjects::of_factor(credential.account, cx.request.address);
        let ticket = throttle::admit(cx, &subjects, None).await?;
        match factors::judge(cx, credential.account, state, passcode).await? {
            Some(judged) => Ok(Second { judged, subjects, ticket: Some(ticket) }),
            None => Err(refuse_passcode(cx, &subjects, credential.account, &credential.username, Some(ticket)).await?),
        }
    }

    /// Refuses it after all: it was used up by somebody else meanwhile.
    pub(super) async fn refuse(self, cx: &Cx, account: AccountId, username: &str) -> Result<LoginError, LoginError> {
        refuse_passcode(cx, &self.subjects, account, username, self.ticket).await
    }
}

/// Counts a wrong passcode, and tells of it as `refuse` does of a wrong password.
async fn refuse_passcode(
    cx: &Cx,
    subjects: &throttle::Subjects,
    account: AccountId,
    username: &str,
    ticket: Option<throttle::Ticket>,
) -> Result<LoginError, LoginError> {
    cx.because("the passcode or recovery code is wrong, or was used before");
    crate::log::login_failed(cx.request.address, username, "passcode");
    let target = username::lookup_key(username).unwrap_or_default();
    let entry = Entry::new(cx, Event::Login, Outcome::Refused).of(account).target(target).detail("passcode");
    let wait = throttle::count_failure(cx, subjects, None, entry, true).await?;
    drop(ticket);
    Ok(match wait {
        Some(wait) => LoginError::RateLimited(wait),
        None => LoginError::PasscodeInvalid,
    })
}

/// By which method a passcode proves the account once more, for acts that ask again; `None` when it is wrong. Counts and
/// slows like a login, and uses the passcode up.
pub(super) async fn prove_passcode(
    cx: &Cx,
    account: AccountId,
    passcode: &str,
) -> Result<Option<&'static str>, LoginError> {
    let Some(credential) = accounts::find_credential_of(&cx.app.db, account).await? else { return Ok(None) };
    let state = factors::find(&cx.app.db, account).await?;
    let second = match Second::of(cx, &credential, &state, passcode).await {
        Err(LoginError::PasscodeInvalid) => return Ok(None),
        other => other?,
    };
    let (judged, subject, now) = (second.judged.clone(), second.subjects.account.clone(), cx.now);
    let spent = cx
        .write("login.prove_passcode", async move |tx| {
            let spent = judged.spend(tx, account, now).await?;
            if spent {
                store::forget_failures(tx, &subject).await?;
            }
            Ok(spent)
        })
        .await?;
    if spent {
        return Ok(Some(second.judged.method()));
    }
    match second.refuse(cx, account, &credential.username).await? {
        LoginError::PasscodeInvalid => Ok(None),
        other => Err(other),
    }
}
