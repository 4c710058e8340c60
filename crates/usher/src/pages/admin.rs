//! `/admin`: accounts, groups, invites, and the audit log.

use super::{Choice, Notice, PasswordRule, Problems, SessionLine, Shell, TotpSetup, When};
use askama::Template;

/// `/admin/accounts` (GET `q`). Posts a new account to the same address:
/// `username`, `password`, `role` (`user`, `admin`), `must_change`, `buckets` repeated, sometimes `own_password`.
/// `/admin/accounts/bulk` takes `ids` repeated, `act` (`disable`, `enable`, `join`, `leave`, `buckets`), `group`, `buckets`.
#[derive(Template)]
#[template(path = "admin_accounts.html")]
pub struct AccountsPage {
    pub shell: Shell,
    pub notice: Option<Notice>,
    /// What was searched for.
    pub query: String,
    pub lines: Vec<AccountLine>,
    pub next: Option<String>,
    /// The first page, when this is not it.
    pub first: Option<String>,
    /// The groups that many accounts can be put into at once.
    pub groups: Vec<Choice>,
    /// The buckets that many accounts can be given at once.
    pub buckets: Vec<Choice>,
    pub form: NewAccountForm,
    pub rule: PasswordRule,
}

/// Asked in place of a sensitive act whose asker logged in a while ago. Posts the same fields to the same address, with
/// `own_password`.
#[derive(Template)]
#[template(path = "admin_confirm.html")]
pub struct ConfirmPage {
    pub shell: Shell,
    pub username: String,
    pub action: String,
    /// What the form held that is no secret.
    pub fields: Vec<(String, String)>,
    pub problems: Problems,
}

/// One account in the list.
pub struct AccountLine {
    pub id: String,
    pub username: String,
    pub admin: bool,
    pub groups: Vec<String>,
    /// In words: "All", or the names.
    pub buckets: Vec<String>,
    pub disabled: bool,
    /// Has to choose a new password at the next login.
    pub must_change: bool,
    pub last_login: Option<When>,
}

/// The form for a new account, as last sent.
pub struct NewAccountForm {
    pub username: String,
    pub admin: bool,
    pub must_change: bool,
    pub buckets: Vec<Choice>,
    /// The last login is a while ago: the form also asks for the admin's own password, for what needs it.
    pub ask_password: bool,
    pub problems: Problems,
}

/// `/admin/accounts/{id}`. Posts:
/// the same address (`role`, `disabled`, `groups` repeated, `buckets` repeated),
/// `…/factors/demand` (`required`), `…/factors/remove`, `…/factors/totp`, `…/factors/totp/confirm` (`passcode`),
/// `…/recovery-link`,
/// `…/end-sessions`, `…/sessions/{session}/end`, `…/reset-link`, `…/forgive`, `…/delete` (`confirm` = the username).
#[derive(Template)]
#[template(path = "admin_account.html")]
pub struct AccountEditPage {
    pub shell: Shell,
    pub notice: Option<Notice>,
    pub id: String,
    pub username: String,
    pub admin: bool,
    pub disabled: bool,
    pub must_change: bool,
    pub created: When,
    pub last_login: Option<When>,
    pub groups: Vec<Choice>,
    /// The first one is "all buckets" where the handler offers it.
    pub buckets: Vec<Choice>,
    /// About the edit form; about `confirm` of the delete form.
    pub problems: Problems,
    pub sessions: Vec<SessionLine>,
    /// Wrong passwords of late.
    pub guesses: Option<Guesses>,
    /// A reset link made just now: shown on this page only.
    pub reset_link: Option<NewLink>,
    /// Since when an authenticator app is asked for.
    pub totp: Option<When>,
    /// How many passkeys it has.
    pub passkeys: u32,
    /// Recovery codes that are left.
    pub codes_left: u32,
    /// A second factor is demanded of this account itself.
    pub factor_required: bool,
    /// A secret made just now for the owner's authenticator app: shown on this page only.
    pub setup: Option<TotpSetup>,
    /// A secret waits for its first code.
    pub waiting: bool,
    /// Recovery codes made just now: shown on this page only.
    pub codes: Vec<String>,
    /// A recovery link made just now: shown on this page only.
    pub recovery_link: Option<NewLink>,
    /// The admin's own account: a warning stands beside what would lock them out.
    pub own: bool,
}

impl AccountEditPage {
    /// Whether the account is asked for a second factor.
    fn has_factor(&self) -> bool {
        self.totp.is_some() || self.passkeys > 0
    }
}

/// Wrong passwords that were tried at an account.
pub struct Guesses {
    pub count: i64,
    pub last: When,
    /// Until when its password is refused, in words, if it is.
    pub refused: Option<String>,
}

/// A single-use link to pass on now.
pub struct NewLink {
    pub url: String,
    pub expires: When,
}

/// `/admin/groups`. Posts a new group to the same address: `name`, `buckets` repeated.
#[derive(Template)]
#[template(path = "admin_groups.html")]
pub struct GroupsPage {
    pub shell: Shell,
    pub notice: Option<Notice>,
    pub lines: Vec<GroupLine>,
    pub name: String,
    pub buckets: Vec<Choice>,
    pub problems: Problems,
}

/// One group in the list.
pub struct GroupLine {
    pub id: String,
    pub name: String,
    pub members: u64,
    pub buckets: Vec<String>,
    /// The file that made it.
    pub declared: Option<String>,
}

/// `/admin/groups/{id}`. Posts: the same address (`name`, `buckets` repeated),
/// `…/members` (`username`), `…/members/{account}/remove`, `…/factors/demand` (`required`), `…/delete` (`confirm` = the
/// name).
#[derive(Template)]
#[template(path = "admin_group.html")]
pub struct GroupPage {
    pub shell: Shell,
    pub notice: Option<Notice>,
    pub id: String,
    /// The name as it is.
    pub title: String,
    /// The name as last typed.
    pub name: String,
    pub buckets: Vec<Choice>,
    pub members: Vec<Member>,
    /// The file that made it, or gives something to it.
    pub declared: Option<DeclaredBy>,
    /// A second factor is demanded of everybody in it.
    pub factor_required: bool,
    /// About `name`, `username`, `confirm`.
    pub problems: Problems,
}

/// What a file has to do with a group.
pub struct DeclaredBy {
    /// The name of the file's things.
    pub owner: String,
    /// It made the group; else people did, and it only gives something to it.
    pub made: bool,
}

/// An account in a group.
pub struct Member {
    pub id: String,
    pub username: String,
    /// A file put it there.
    pub declared: bool,
}

/// `/admin/invites`. Posts: the same address makes a link (`note`, and `groups`, `buckets` repeated, where offered);
/// `…/{id}/revoke`.
#[derive(Template)]
#[template(path = "admin_invites.html")]
pub struct InvitesPage {
    pub shell: Shell,
    pub notice: Option<Notice>,
    /// How sign-up stands, in a sentence, when invites do not work now.
    pub off: Option<String>,
    pub groups: Vec<Choice>,
    pub buckets: Vec<Choice>,
    pub lines: Vec<InviteLine>,
    /// A link made just now: shown on this page only.
    pub new_link: Option<NewLink>,
}

/// One invite in the list. Its link is not kept, so it cannot be shown again.
pub struct InviteLine {
    pub id: String,
    /// Whom it is for, in its maker's words.
    pub note: String,
    pub made_by: String,
    pub created: When,
    pub state: InviteState,
    /// What its account gets.
    pub groups: Vec<String>,
    pub buckets: Vec<String>,
}

/// What became of an invite.
pub enum InviteState {
    Open { until: When },
    Used { by: String, at: When },
    Expired { at: When },
    Revoked { at: When },
}

/// `/admin/audit` (GET `event`, `account`, `since`).
#[derive(Template)]
#[template(path = "admin_audit.html")]
pub struct AuditPage {
    pub shell: Shell,
    /// A filter that could not be read, and the like.
    pub problems: Problems,
    /// The kinds of event to choose from; the page adds "Any event".
    pub events: Vec<Choice>,
    pub account: String,
    /// A date, `YYYY-MM-DD`, UTC.
    pub since: String,
    pub lines: Vec<AuditLine>,
    /// The same events as a file of comma-separated values, and of JSON lines.
    pub csv: String,
    pub jsonl: String,
    pub next: Option<String>,
    /// The first page, when this is not it.
    pub first: Option<String>,
}

/// One audit event.
pub struct AuditLine {
    pub when: When,
    pub who: String,
    pub what: String,
    pub target: String,
    pub address: String,
    pub result: AuditResult,
    pub why: String,
}

/// How it came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditResult {
    Done,
    Refused,
    Failed,
}

/// `/admin/refusals` (GET `request`): the last refusals, and what is known of one request.
#[derive(Template)]
#[template(path = "admin_refusals.html")]
pub struct RefusalsPage {
    pub shell: Shell,
    /// The id that was asked for.
    pub request: String,
    /// Nothing is known of it.
    pub unknown: bool,
    pub refused: Option<RefusalLine>,
    pub events: Vec<EventLine>,
    pub lines: Vec<RefusalLine>,
}

/// One refusal.
pub struct RefusalLine {
    pub request: String,
    pub when: When,
    pub route: String,
    pub status: u16,
    pub code: String,
    /// What the client was told.
    pub told: String,
    /// The exact reason.
    pub why: String,
    pub address: String,
}

/// An event of the request that is explained.
pub struct EventLine {
    pub when: When,
    pub what: String,
    pub result: String,
    pub target: String,
    pub detail: String,
}

/// After an act on many accounts of which some were passed over.
#[derive(Template)]
#[template(path = "admin_bulk.html")]
pub struct BulkPage {
    pub shell: Shell,
    pub done: usize,
    /// Names, each with the reason in a sentence.
    pub refused: Vec<(String, String)>,
}

/// `/admin/keys`. Posts to the same address turn the keys (`now` = `yes`, where they may be too young).
#[derive(Template)]
#[template(path = "admin_keys.html")]
pub struct KeysPage {
    pub shell: Shell,
    pub notice: Option<Notice>,
    pub keys: Vec<KeyLine>,
    /// From when on the next key is known everywhere, when that is still to come.
    pub ready: Option<When>,
}

/// One signing key.
pub struct KeyLine {
    pub kid: String,
    pub algorithm: &'static str,
    /// "Signs", "Waits" or "Verifies".
    pub state: &'static str,
    pub since: When,
    pub until: Option<When>,
}

/// `/admin/sessions`: everybody's. `…/{id}/end` is posted to.
#[derive(Template)]
#[template(path = "admin_sessions.html")]
pub struct AdminSessionsPage {
    pub shell: Shell,
    pub notice: Option<Notice>,
    pub lines: Vec<AdminSessionLine>,
    pub next: Option<String>,
    /// The first page, when this is not it.
    pub first: Option<String>,
}

/// One live session of anybody.
pub struct AdminSessionLine {
    pub id: String,
    pub account: String,
    pub username: String,
    pub label: String,
    pub kind: &'static str,
    pub place: String,
    pub last_used: When,
    pub started: When,
    /// The one that looks at this page.
    pub this: bool,
}

/// `/admin/tokens`: everybody's personal tokens. `…/{id}/revoke` is posted to.
#[derive(Template)]
#[template(path = "admin_tokens.html")]
pub struct AdminTokensPage {
    pub shell: Shell,
    pub notice: Option<Notice>,
    pub lines: Vec<AdminTokenLine>,
    pub next: Option<String>,
    /// The first page, when this is not it.
    pub first: Option<String>,
}

/// One personal token of anybody.
pub struct AdminTokenLine {
    pub id: String,
    pub account: String,
    pub username: String,
    pub name: String,
    pub scopes: Vec<&'static str>,
    pub made: When,
    pub expires: Option<When>,
    pub last_used: Option<When>,
}

/// `/admin/server`: how it does, and what it runs with.
#[derive(Template)]
#[template(path = "admin_server.html")]
pub struct ServerPage {
    pub shell: Shell,
    pub charts: Vec<Chart>,
    pub apps: Vec<AppLine>,
    pub buckets: Vec<BucketLine>,
    /// As `config show` prints it, secrets left out.
    pub configuration: String,
}

/// A small chart of the last day.
pub struct Chart {
    pub id: &'static str,
    pub title: &'static str,
    /// What one bar counts, in words.
    pub unit: &'static str,
    /// The highest bar's figure.
    pub most: u64,
    /// The newest bar's figure; none before the first sample.
    pub last: Option<u64>,
    pub bars: Vec<Bar>,
}

/// A bar, in the units of a drawing of 288 by 60.
#[derive(Debug)]
pub struct Bar {
    pub x: usize,
    pub y: u64,
    pub height: u64,
}

/// An app that may ask for tokens.
pub struct AppLine {
    pub name: String,
    pub origins: Vec<String>,
    pub audience: String,
    /// The file that declared it; else it stands in the configuration.
    pub declared: Option<String>,
}

/// A folder of media.
pub struct BucketLine {
    pub name: String,
    pub path: String,
    /// The file that declared it; else it stands in the configuration.
    pub declared: Option<String>,
    /// Why this machine cannot serve it.
    pub missing: Option<String>,
}
