//! `/account`: one's own password, sessions and personal tokens.

use super::{Choice, Notice, PasswordRule, Problems, Shell, When};
use askama::Template;

/// The page. Posts:
/// `/account/profile` (`display_name`, `email`, sometimes `confirm`), `/account/verification`,
/// `/account/password` (`current`, `password`, `password2`, `end_others`),
/// `/account/sessions/{id}/end`, `/account/sessions/end-others`, `/account/sessions/end-all`,
/// `/account/tokens` (`name`, `expires_days`, `scopes` repeated, sometimes `confirm`), `/account/tokens/{id}/revoke`.
#[derive(Template)]
#[template(path = "account.html")]
pub struct AccountPage {
    pub shell: Shell,
    pub username: String,
    pub notice: Option<Notice>,
    pub profile: ProfileForm,
    pub rule: PasswordRule,
    /// About the password form.
    pub problems: Problems,
    pub sessions: Vec<SessionLine>,
    pub tokens: Vec<TokenLine>,
    pub token_form: TokenForm,
    /// The server takes signed headers: there is a page for one's secret.
    pub signed_header: bool,
    /// A token made just now: shown on this page only, and never again.
    pub new_token: Option<NewToken>,
}

impl AccountPage {
    fn has_other_sessions(&self) -> bool {
        self.sessions.iter().any(|session| !session.this)
    }
}

/// The form of one's own facts, as they are or as last sent.
pub struct ProfileForm {
    pub display_name: String,
    pub email: String,
    /// Whether the address on record is proven.
    pub verified: bool,
    /// A letter can be sent to prove it.
    pub can_verify: bool,
    /// The last login is too long ago: a new address also needs the present password, as `confirm`.
    pub ask_password: bool,
    pub problems: Problems,
}

/// One live session.
pub struct SessionLine {
    pub id: String,
    /// "Firefox on Linux".
    pub label: String,
    /// The address it was last used from.
    pub place: String,
    pub started: When,
    pub last_used: When,
    /// The session that asks.
    pub this: bool,
}

/// One personal token, without its secret, which nobody has but its holder.
pub struct TokenLine {
    pub id: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub created: When,
    pub expires: Option<When>,
    /// Past its end: listed, of no use.
    pub expired: bool,
    pub last_used: Option<When>,
}

/// The form for a new token, as last sent.
pub struct TokenForm {
    pub name: String,
    /// The chosen one of `expires_days`' options: 7, 30, 90 or 365.
    pub expires_days: u32,
    pub scopes: Vec<Choice>,
    /// The last login is too long ago: the form also asks for the present password, as `confirm`.
    pub ask_password: bool,
    pub problems: Problems,
}

/// A secret to copy now.
pub struct NewToken {
    pub name: String,
    pub secret: String,
}
