//! `/account/security`: second factors, and what an owner is told of them.

use super::{Notice, Problems, Shell, When};
use askama::Template;

/// The page. Posts:
/// `/account/again` (`confirm` or `confirm_code`, `return_to`),
/// `/account/security/totp`, `…/totp/confirm` (`passcode`, `end_others`), `…/totp/remove`, `…/codes`,
/// `…/passkeys` (`name`, and from a script `step` and `answer`), `…/passkeys/{id}/name` (`name`), `…/passkeys/{id}/remove`.
#[derive(Template)]
#[template(path = "security.html")]
pub struct SecurityPage {
    pub shell: Shell,
    pub username: String,
    pub notice: Option<Notice>,
    /// The account must have a second factor and has none: nothing else opens until it has.
    pub must_enrol: bool,
    /// The account must have a second factor.
    pub demanded: bool,
    /// The last proof is too old: the page asks for one before it offers anything.
    pub ask: bool,
    /// Since when the authenticator app is asked for.
    pub totp: Option<When>,
    /// A secret made just now: shown on this page only, and never again.
    pub setup: Option<TotpSetup>,
    /// A secret waits for its first code.
    pub waiting: bool,
    /// Passkeys can be used at this address.
    pub passkeys_here: bool,
    pub passkeys: Vec<PasskeyLine>,
    /// Recovery codes that are left.
    pub codes_left: u32,
    /// About `passcode`, `confirm` and `confirm_code`.
    pub problems: Problems,
}

impl SecurityPage {
    fn has_factor(&self) -> bool {
        self.totp.is_some() || !self.passkeys.is_empty()
    }

    /// Whether this is the last factor of an account that must have one.
    fn keeps_last(&self) -> bool {
        self.demanded && self.passkeys.len() + usize::from(self.totp.is_some()) < 2
    }
}

/// One passkey.
pub struct PasskeyLine {
    pub id: String,
    pub name: String,
    pub made: When,
    pub last_used: Option<When>,
}

/// A secret for an authenticator app.
pub struct TotpSetup {
    pub secret: String,
    pub url: String,
    pub picture: Picture,
}

/// A picture of dark squares: the side of the whole, and a path of the dark ones.
pub struct Picture {
    pub side: usize,
    pub path: String,
}

/// Recovery codes made just now, to print or write down. Answers a POST; shown this once.
#[derive(Template)]
#[template(path = "codes.html")]
pub struct CodesPage {
    pub shell: Shell,
    pub username: String,
    pub codes: Vec<String>,
    /// They came with the account's first factor.
    pub first: bool,
}

/// `/account/news`: what changed since the owner was here. Posts `last` and `return_to`.
#[derive(Template)]
#[template(path = "news.html")]
pub struct NewsPage {
    pub shell: Shell,
    pub lines: Vec<NewsLine>,
    pub last: String,
    pub return_to: String,
}

/// One change.
pub struct NewsLine {
    pub text: String,
    pub when: When,
    pub address: String,
}
