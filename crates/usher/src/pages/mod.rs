//! Usher's face: one struct per page, holding everything its template shows.
//!
//! This part promises plain HTML that works without scripts (the player's comforts apart), from a phone
//! to a television, by keyboard and by screen reader, under a policy that allows no inline style and no
//! inline script. It refuses to know anything: no HTTP, no SQL, no rule, no clock. Handlers gather the
//! facts, already in words; a page lays them out and escapes them.
//!
//! Outside programs rely on the forms (browser tests, password managers): every field keeps its
//! `name`, and its `id` is the same word unless the page repeats it. What protects
//! a form from other sites is in the request's headers, so no form carries a token. Addresses are given ready to use; [`href`] makes those that hold names of people's files.

mod account;
mod admin;
mod devices;
mod enter;
pub mod href;
mod library;
mod security;
mod shell;
mod signed_header;
mod wrong;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use account::{AccountPage, NewToken, ProfileForm, SessionLine, TokenForm, TokenLine};
pub use admin::{
    AccountEditPage, AccountLine, AccountsPage, AdminSessionLine, AdminSessionsPage, AdminTokenLine, AdminTokensPage,
    AppLine, AuditLine, AuditPage, AuditResult, Bar, BucketLine, BulkPage, Chart, ConfirmPage, DeclaredBy, EventLine,
    GroupLine, GroupPage, GroupsPage, Guesses, InviteLine, InviteState, InvitesPage, KeyLine, KeysPage, Member,
    NewAccountForm, NewLink, RefusalLine, RefusalsPage, ServerPage,
};
/// What `render` comes from, and how it fails: only when writing to the string does.
pub use askama::{Error as RenderError, Template};
pub use devices::{AskingDevice, LinkPage, LinkState, TvPage, TvPerson, TvState};
pub use enter::{
    CodePage, CodeRefusal, ForgotPage, ForgotState, LoginPage, LogoutPage, LogoutState, MustChangePage, RecoverPage,
    Refusal, ResetPage, ResetState, SetupPage, SetupState, SignupPage, SignupState, VerifyPage, VerifyState,
};
pub use library::{BucketCard, EntryKind, EntryLine, FilePage, FolderPage, LibraryPage, Playback, Trouble, Viewer};
pub use security::{CodesPage, NewsLine, NewsPage, PasskeyLine, Picture, SecurityPage, TotpSetup};
pub use shell::{Choice, Link, Nav, Notice, NoticeKind, PasswordRule, Problem, Problems, Shell, When, Who};
pub use signed_header::SignedHeaderPage;
pub use wrong::{ErrorPage, Wrong};
