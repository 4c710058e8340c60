//! What can be asked of an installation from a terminal: one implementation, whether a server runs or not.
//!
//! Promises: a command does the same thing in the server's process (through the control socket) and in its own (under
//! the same lock on the database); it writes its audit event with its act; what it says is finished text for people and
//! the same facts as JSON for programs.
//! Refuses: to decide anything itself. The rules are those of the domains, the last admin included.

mod apply;
mod factors;
mod groups;
pub mod import;
mod keeping;
pub mod table;
mod users;

use crate::App;
use crate::accounts::ChangeError;
use crate::accounts::import::Candidate;
use crate::admin::AdminError;
use crate::cx::Cx;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A password on its way through the control socket. Prints as stars, wiped when dropped.
#[derive(Clone)]
pub struct Password(pub Zeroizing<String>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Password {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Password(Zeroizing::new(text)))
    }
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? } = $word:literal,)*) => {
        /// What is asked.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
        pub enum Command { $($(#[$doc])* $name { $($(#[$field_doc])* $field: $kind),* },)* }

        impl Command {
            /// The word for the log: what, never whom or with what.
            pub fn name(&self) -> &'static str {
                match self { $(Command::$name { .. } => $word,)* }
            }
        }
    };
}

commands! {
    /// Makes an account.
    UserAdd {
        /// Its name.
        name: String,
        /// Whether it may manage others.
        admin: bool,
        /// Its buckets; `all` is every bucket.
        buckets: Vec<String>,
        /// Its password.
        password: Password,
        /// Whether the first login must choose another.
        must_change: bool,
    } = "user add",
    /// Lists accounts whose name holds this text.
    UserList {
        /// Empty for all.
        part: String,
    } = "user list",
    /// Shows one account.
    UserShow {
        /// Whose.
        name: String,
    } = "user show",
    /// Sets a password and ends every session of the account.
    UserPassword {
        /// Whose.
        name: String,
        /// The new one.
        password: Password,
        /// Whether the next login must choose another.
        must_change: bool,
    } = "user password",
    /// Gives a role.
    UserRole {
        /// Whose.
        name: String,
        /// `user` or `admin`.
        role: String,
    } = "user role",
    /// Forgets the wrong passwords that were tried at an account.
    UserForgive {
        /// Whose.
        name: String,
    } = "user forgive",
    /// Makes a link by which somebody makes an account of their own.
    UserInvite {
        /// Groups of the new account.
        groups: Vec<String>,
        /// Buckets of the new account; `all` is every bucket.
        buckets: Vec<String>,
        /// Whom it is for.
        note: String,
    } = "user invite",
    /// Shuts an account out and ends everything it has.
    UserDisable {
        /// Whose.
        name: String,
    } = "user disable",
    /// Lets an account in again.
    UserEnable {
        /// Whose.
        name: String,
    } = "user enable",
    /// Removes an account and all it owns.
    UserDelete {
        /// Whose.
        name: String,
    } = "user delete",
    /// Replaces an account's own buckets.
    UserBuckets {
        /// Whose.
        name: String,
        /// `all` is every bucket; none is none.
        buckets: Vec<String>,
    } = "user buckets",
    /// Lists an account's sessions.
    UserSessions {
        /// Whose.
        name: String,
    } = "user sessions",
    /// Ends one session of an account, or all.
    UserLogout {
        /// Whose.
        name: String,
        /// Which; none for all.
        session: Option<String>,
    } = "user logout",
    /// Lets a device in as this account.
    UserLink {
        /// Whose.
        name: String,
        /// What the device shows.
        code: String,
    } = "user link",
    /// Makes a secret for an account's authenticator app.
    UserTotp {
        /// Whose.
        name: String,
    } = "user totp",
    /// Switches an account's authenticator app on by its first code.
    UserTotpConfirm {
        /// Whose.
        name: String,
        /// What the app shows.
        code: Password,
    } = "user totp --confirm",
    /// Takes an account's authenticator app away.
    UserTotpRemove {
        /// Whose.
        name: String,
    } = "user totp --remove",
    /// Makes a link that stands in for a lost second factor.
    UserRecover {
        /// Whose.
        name: String,
    } = "user recover",
    /// Demands a second factor of an account, or no more.
    UserRequireFactor {
        /// Whose.
        name: String,
        /// Whether there must be one.
        required: bool,
    } = "user require-factor",
    /// Demands a second factor of everybody in a group, or no more.
    GroupRequireFactor {
        /// Which.
        name: String,
        /// Whether there must be one.
        required: bool,
    } = "group require-factor",
    /// Makes a group.
    GroupAdd {
        /// Its name.
        name: String,
    } = "group add",
    /// Lists groups.
    GroupList {} = "group list",
    /// Shows one group with its members.
    GroupShow {
        /// Which.
        name: String,
    } = "group show",
    /// Removes a group.
    GroupDelete {
        /// Which.
        name: String,
    } = "group delete",
    /// Takes an account into a group.
    GroupJoin {
        /// Which.
        name: String,
        /// Who.
        user: String,
    } = "group join",
    /// Takes an account out of a group.
    GroupLeave {
        /// Which.
        name: String,
        /// Who.
        user: String,
    } = "group leave",
    /// Replaces a group's buckets.
    GroupBuckets {
        /// Which.
        name: String,
        /// `all` is every bucket; none is none.
        buckets: Vec<String>,
    } = "group buckets",
    /// Makes accounts of rows from another system.
    Import {
        /// Which system, for the audit log.
        from: String,
        /// Whether to keep nothing.
        trial: bool,
        /// The rows.
        rows: Vec<Candidate>,
    } = "import",
    /// Makes groups, apps, buckets and invitations as a file declares them.
    Apply {
        /// Where the file lies; folders in it are meant from there.
        file: PathBuf,
        /// What it says.
        text: String,
        /// Whether to change nothing and say what would change.
        plan: bool,
    } = "apply",
    /// Lists signing keys.
    KeyList {} = "key list",
    /// Makes the next signing key current.
    KeyRotate {
        /// Also when others may not know it yet.
        now: bool,
    } = "key rotate",
    /// Says why a request was refused.
    Explain {
        /// Its id.
        request: String,
    } = "explain",
    /// Writes a consistent copy of the database.
    Backup {
        /// To this absolute path.
        to: PathBuf,
    } = "backup",
    /// Says how the installation is.
    Status {} = "status",
}

/// What a command says when it succeeded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Output {
    /// For people: whole lines, without control characters of strangers.
    pub text: String,
    /// The same for programs.
    pub value: Value,
}

/// Why a command was refused.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// A stable word.
    pub code: String,
    /// Sentences for people.
    pub message: String,
}

impl CommandError {
    /// The code of a database that does not answer.
    pub const UNAVAILABLE: &str = "unavailable";

    /// The code of a declaration that cannot be applied.
    pub const DECLARATION: &str = apply::INVALID;

    fn new(code: &str, message: impl ToString) -> CommandError {
        CommandError { code: code.to_owned(), message: message.to_string() }
    }
}

impl From<usher_db::Error> for CommandError {
    fn from(error: usher_db::Error) -> Self {
        CommandError::new(
            CommandError::UNAVAILABLE,
            format!("the database did not do it: {error}. Nothing was changed"),
        )
    }
}

impl From<ChangeError> for CommandError {
    fn from(error: ChangeError) -> Self {
        AdminError::from(error).into()
    }
}

impl From<AdminError> for CommandError {
    fn from(error: AdminError) -> Self {
        let code = match &error {
            AdminError::NotFound | AdminError::NoSuchGroup => "not_found",
            AdminError::LastAdmin => "last_admin",
            AdminError::UsernameTaken => "username_taken",
            AdminError::GroupNameTaken => "group_name_taken",
            AdminError::NoFactor => "no_factor",
            AdminError::Weak(weak) => {
                let sentences: Vec<String> = weak.iter().map(ToString::to_string).collect();
                let message = format!("this password cannot be used. {}", sentences.join(" "));
                return CommandError::new("password_too_weak", message);
            }
            AdminError::Busy(_) => CommandError::UNAVAILABLE,
            AdminError::Storage(error) => return error.clone().into(),
            _ => "refused",
        };
        CommandError::new(code, error)
    }
}

/// Does what is asked.
pub async fn run(app: &Arc<App>, command: Command) -> Result<Output, CommandError> {
    let cx = Cx::internal(app, "command-line");
    match command {
        Command::UserAdd { name, admin, buckets, password, must_change } => {
            users::add(&cx, users::New { name, admin, buckets, password, must_change }).await
        }
        Command::UserList { part } => users::list(&cx, &part).await,
        Command::UserShow { name } => users::show(&cx, &name).await,
        Command::UserPassword { name, password, must_change } => {
            users::password(&cx, &name, password, must_change).await
        }
        Command::UserRole { name, role } => users::role(&cx, &name, &role).await,
        Command::UserForgive { name } => users::forgive(&cx, &name).await,
        Command::UserInvite { groups, buckets, note } => users::invite(&cx, groups, buckets, &note).await,
        Command::UserDisable { name } => users::disable(&cx, &name).await,
        Command::UserEnable { name } => users::enable(&cx, &name).await,
        Command::UserDelete { name } => users::delete(&cx, &name).await,
        Command::UserBuckets { name, buckets } => users::buckets(&cx, &name, buckets).await,
        Command::UserSessions { name } => users::sessions(&cx, &name).await,
        Command::UserLogout { name, session } => users::logout(&cx, &name, session.as_deref()).await,
        Command::UserLink { name, code } => users::link(&cx, &name, &code).await,
        Command::UserTotp { name } => factors::begin(&cx, &name).await,
        Command::UserTotpConfirm { name, code } => factors::confirm(&cx, &name, &code).await,
        Command::UserTotpRemove { name } => factors::remove(&cx, &name).await,
        Command::UserRecover { name } => factors::recover(&cx, &name).await,
        Command::UserRequireFactor { name, required } => factors::require(&cx, &name, required).await,
        Command::GroupRequireFactor { name, required } => factors::require_of_group(&cx, &name, required).await,
        Command::GroupAdd { name } => groups::add(&cx, &name).await,
        Command::GroupList {} => groups::list(&cx).await,
        Command::GroupShow { name } => groups::show(&cx, &name).await,
        Command::GroupDelete { name } => groups::delete(&cx, &name).await,
        Command::GroupJoin { name, user } => groups::join(&cx, &name, &user).await,
        Command::GroupLeave { name, user } => groups::leave(&cx, &name, &user).await,
        Command::GroupBuckets { name, buckets } => groups::buckets(&cx, &name, buckets).await,
        Command::Import { from, trial, rows } => import::take(&cx, &from, trial, rows).await,
        // Its events say by what they came to be.
        Command::Apply { file, text, plan } => apply::apply(&Cx::internal(app, "apply"), file, text, plan).await,
        Command::KeyList {} => keeping::keys(&cx),
        Command::KeyRotate { now } => keeping::rotate(&cx, now).await,
        Command::Explain { request } => keeping::explain(&cx, &request).await,
        Command::Backup { to } => keeping::backup(&cx, &to).await,
        Command::Status {} => keeping::status(&cx).await,
    }
}
