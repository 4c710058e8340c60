//! The pages at the door: setup, login, sign-up, new password, logout.

use super::{Link, Notice, PasswordRule, Problems, Shell};
use askama::Template;

/// `/setup`: makes the first admin. Posts `username`, `password`, `password2`.
#[derive(Template)]
#[template(path = "setup.html")]
pub struct SetupPage {
    pub shell: Shell,
    pub rule: PasswordRule,
    pub state: SetupState,
}

/// Whether the browser holds a setup link that still works.
pub enum SetupState {
    /// It does not: the page says where the link is found.
    NoLink,
    Form {
        username: String,
        problems: Problems,
    },
}

/// `/login`: posts `username`, `password`, and `return_to` as it was given.
#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    pub shell: Shell,
    /// What was typed before, so that it need not be typed again.
    pub username: String,
    /// A path of this origin, checked by the handler; empty for none.
    pub return_to: String,
    /// Why the last attempt failed.
    pub refusal: Option<Refusal>,
    /// Something to know: "Your password is changed. Log in with the new one."
    pub notice: Option<Notice>,
    /// Sign-up is open to everybody.
    pub signup_open: bool,
    /// Passkeys can be used at this address.
    pub passkeys: bool,
    /// Whether a lost password can be replaced by mail.
    pub forgot: bool,
}

/// Why a login was refused, in as few kinds as possible: who exists is nobody's business.
pub enum Refusal {
    /// Unknown name, wrong password, disabled account: one text for all.
    Wrong,
    /// Too many attempts.
    Throttled { seconds: u64 },
    /// More people are logging in than can be checked at once.
    Busy { seconds: u64 },
    /// The form was too old or came from elsewhere.
    Stale,
}

impl Refusal {
    fn words(&self) -> String {
        match self {
            Refusal::Wrong => "That username and password do not match. Check both and try again.".to_owned(),
            Refusal::Throttled { seconds } => format!("Too many attempts. Try again in {}.", wait(*seconds)),
            Refusal::Busy { seconds } => {
                format!("Many people are logging in right now. Try again in {}.", wait(*seconds))
            }
            Refusal::Stale => "This page was open for too long. Please try once more.".to_owned(),
        }
    }
}

/// `/login/code`: the second step of a login. Posts `passcode`.
#[derive(Template)]
#[template(path = "code.html")]
pub struct CodePage {
    pub shell: Shell,
    /// The account has an authenticator app.
    pub totp: bool,
    /// The account has passkeys that can be used here.
    pub passkeys: bool,
    pub refusal: Option<CodeRefusal>,
}

/// Why a passcode was refused.
pub enum CodeRefusal {
    /// Wrong, or used before.
    Wrong,
    /// Too many attempts.
    Throttled { seconds: u64 },
}

impl CodeRefusal {
    fn words(&self) -> String {
        match self {
            CodeRefusal::Wrong => {
                "That code is wrong, or was used already. Wait until your app shows the next one.".to_owned()
            }
            CodeRefusal::Throttled { seconds } => format!("Too many attempts. Try again in {}.", wait(*seconds)),
        }
    }
}

/// `/recover`: a login by a recovery link. Posts `password`.
#[derive(Template)]
#[template(path = "recover.html")]
pub struct RecoverPage {
    pub shell: Shell,
    /// Whose link the browser holds; none when it holds none that still works.
    pub username: Option<String>,
    pub refusal: Option<Refusal>,
}

/// `/signup`: posts `username`, `password`, `password2`.
#[derive(Template)]
#[template(path = "signup.html")]
pub struct SignupPage {
    pub shell: Shell,
    pub rule: PasswordRule,
    pub state: SignupState,
}

/// Who may make an account here.
pub enum SignupState {
    /// Nobody, or nobody without an invite link that works.
    Closed,
    Form {
        username: String,
        problems: Problems,
        /// Came by an invite link.
        invited: bool,
    },
}

/// `/reset`: a new password by a reset link. Posts `password`, `password2`.
#[derive(Template)]
#[template(path = "reset.html")]
pub struct ResetPage {
    pub shell: Shell,
    pub rule: PasswordRule,
    pub state: ResetState,
}

/// Whether the browser holds a reset link that still works.
pub enum ResetState {
    NoLink,
    Form {
        /// Whose password it is; password managers need it.
        username: String,
        problems: Problems,
    },
}

/// `/forgot`: asks for a letter with a reset link. Posts `username`.
#[derive(Template)]
#[template(path = "forgot.html")]
pub struct ForgotPage {
    pub shell: Shell,
    pub state: ForgotState,
}

/// How far it is.
pub enum ForgotState {
    /// No mail is sent here.
    NoMail,
    Form,
    /// It was asked; whether there is such an account is not said.
    Asked,
}

/// `/verify`: confirms an email address by the link that was sent there. Posts nothing but itself.
#[derive(Template)]
#[template(path = "verify.html")]
pub struct VerifyPage {
    pub shell: Shell,
    pub state: VerifyState,
}

/// Whether the browser holds a link that still works.
pub enum VerifyState {
    NoLink,
    /// A button that posts: programs that look into mail open links, and must not confirm anything.
    Confirm {
        username: String,
        email: String,
    },
    Done,
}

/// `/password`: the change that is asked for before anything else. Posts `current`, `password`, `password2`.
#[derive(Template)]
#[template(path = "password.html")]
pub struct MustChangePage {
    pub shell: Shell,
    pub rule: PasswordRule,
    pub username: String,
    pub problems: Problems,
}

/// `/logout`.
#[derive(Template)]
#[template(path = "logout.html")]
pub struct LogoutPage {
    pub shell: Shell,
    pub state: LogoutState,
}

/// Whether it is done.
pub enum LogoutState {
    /// Asked by GET: a button that posts.
    Confirm,
    /// It is done; `again` usually leads to the login.
    Done { again: Link },
}

/// A waiting time in words.
pub(super) fn wait(seconds: u64) -> String {
    match seconds {
        0 | 1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}
