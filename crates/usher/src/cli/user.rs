//! `usher user …`

use super::commands::{Command, Password};
use super::stop::Stop;
use super::{Begin, Common, perform, secrets};
use crate::config::Strings;
use clap::{Args, Subcommand};
use std::io::IsTerminal;

#[derive(Debug, Subcommand)]
pub enum Act {
    /// Make an account
    Add(Add),
    /// List accounts
    List {
        /// Only those whose name holds this
        #[arg(default_value = "")]
        part: String,
    },
    /// Show one account
    Show { name: String },
    /// Set a password; ends the account's sessions
    Password(SetPassword),
    /// Make an account an admin, or an admin an ordinary account
    Role {
        name: String,
        /// user or admin
        role: String,
    },
    /// Forget wrong passwords, so that the account can log in again at once
    Forgive { name: String },
    /// Make a link by which somebody makes an account of their own, once
    Invite(Invite),
    /// Shut an account out and end everything it has, at once
    Disable { name: String },
    /// Let an account in again
    Enable { name: String },
    /// Remove an account and all it owns
    Delete { name: String },
    /// Set the buckets that an account may open
    Buckets {
        name: String,
        /// Names separated by commas; `all` for every bucket, `none` for none
        buckets: String,
    },
    /// Set up an account's authenticator app: shows its picture and asks for the first code
    Totp(Totp),
    /// Make a link that stands in for a lost second factor, once and beside the password
    Recover { name: String },
    /// Make an account have a second factor, or no longer
    RequireFactor {
        name: String,
        /// yes or no
        required: YesNo,
    },
    /// List where an account is logged in
    Sessions { name: String },
    /// Let the device in that shows a code, as this account
    Link {
        name: String,
        /// The code on the device's screen
        code: String,
    },
    /// End one session of an account, or all
    Logout {
        name: String,
        /// Only this session
        session: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    name: String,
    /// May manage accounts, groups, sessions and keys
    #[arg(long)]
    admin: bool,
    /// Buckets it may open, separated by commas; `all` for every bucket
    #[arg(long, value_name = "A,B|all", default_value = "none")]
    buckets: String,
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
    /// The first login must choose another password
    #[arg(long)]
    must_change: bool,
}

#[derive(Debug, Args)]
pub struct SetPassword {
    name: String,
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
    /// The next login must choose another password
    #[arg(long)]
    must_change: bool,
}

#[derive(Debug, Args)]
pub struct Invite {
    /// Groups that the new account gets, separated by commas
    #[arg(long, value_name = "A,B", default_value = "none")]
    groups: String,
    /// Buckets that the new account gets, separated by commas; `all` for every bucket
    #[arg(long, value_name = "A,B|all", default_value = "none")]
    buckets: String,
    /// Whom it is for, as a note to yourself
    #[arg(long, default_value = "")]
    note: String,
}

#[derive(Debug, Args)]
pub struct Totp {
    name: String,
    /// Switch the app on that was set up before, by the code that it shows
    #[arg(long, conflicts_with = "remove")]
    confirm: bool,
    /// Read that code from standard input instead of asking for it
    #[arg(long, requires = "confirm")]
    code_stdin: bool,
    /// Take the app away
    #[arg(long)]
    remove: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum YesNo {
    Yes,
    No,
}

impl YesNo {
    pub fn is_yes(self) -> bool {
        matches!(self, YesNo::Yes)
    }
}

/// The names in a list; `none` is the empty list.
pub fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none").map(str::to_owned).collect()
}

pub async fn run(common: &Common, act: Act, env: &Strings) -> Result<(), Stop> {
    // An installation may begin with its first account.
    let begin = if matches!(act, Act::Add(_)) { Begin::New } else { Begin::Existing };
    // The app has to be read in before it shows a code: where somebody sits at the terminal, both in one go.
    if let Act::Totp(Totp { name, confirm: false, remove: false, .. }) = &act
        && std::io::stdin().is_terminal()
        && !common.json
    {
        let name = name.clone();
        perform(common, env, Command::UserTotp { name: name.clone() }, begin).await?;
        let code = Password(secrets::known("The code that the app shows now", false)?);
        return perform(common, env, Command::UserTotpConfirm { name, code }, begin).await;
    }
    perform(common, env, command(act)?, begin).await
}

fn command(act: Act) -> Result<Command, Stop> {
    Ok(match act {
        Act::Add(add) => Command::UserAdd {
            buckets: names(&add.buckets),
            password: Password(secrets::new(&format!("Password for {}", add.name), add.password_stdin)?),
            name: add.name,
            admin: add.admin,
            must_change: add.must_change,
        },
        Act::List { part } => Command::UserList { part },
        Act::Show { name } => Command::UserShow { name },
        Act::Password(set) => Command::UserPassword {
            password: Password(secrets::new(&format!("New password for {}", set.name), set.password_stdin)?),
            name: set.name,
            must_change: set.must_change,
        },
        Act::Role { name, role } => Command::UserRole { name, role },
        Act::Forgive { name } => Command::UserForgive { name },
        Act::Invite(invite) => {
            Command::UserInvite { groups: names(&invite.groups), buckets: names(&invite.buckets), note: invite.note }
        }
        Act::Disable { name } => Command::UserDisable { name },
        Act::Enable { name } => Command::UserEnable { name },
        Act::Delete { name } => Command::UserDelete { name },
        Act::Buckets { name, buckets } => Command::UserBuckets { name, buckets: names(&buckets) },
        Act::Totp(Totp { name, confirm: true, code_stdin, .. }) => Command::UserTotpConfirm {
            name,
            code: Password(secrets::known("The code that the app shows now", code_stdin)?),
        },
        Act::Totp(Totp { name, remove: true, .. }) => Command::UserTotpRemove { name },
        Act::Totp(Totp { name, .. }) => Command::UserTotp { name },
        Act::Recover { name } => Command::UserRecover { name },
        Act::RequireFactor { name, required } => Command::UserRequireFactor { name, required: required.is_yes() },
        Act::Sessions { name } => Command::UserSessions { name },
        Act::Link { name, code } => Command::UserLink { name, code },
        Act::Logout { name, session } => Command::UserLogout { name, session },
    })
}
