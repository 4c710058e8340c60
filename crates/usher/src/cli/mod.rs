//! The command line: the same acts as in the browser, from a terminal, for people and for scripts.
//!
//! Promises: what is printed on standard output is plain text, or JSON with `--json`; logs and refusals go to standard
//! error; a refusal says what happened, why and what to do, and has an exit code (`stop.rs`). A command works beside a
//! running server, through its control socket, and without one, on the database itself; nobody has to know which.
//! Refuses: secrets as arguments, and a database that a server holds and does not share.

mod apply;
pub mod commands;
pub mod control;
mod demo;
mod doctor;
mod group;
mod health;
pub mod import;
mod keeping;
mod lan;
mod migrate;
mod place;
mod rekey;
mod restore;
mod samples;
mod sealed_key;
mod secrets;
pub mod serve;
mod settings;
mod stop;
mod user;

pub use stop::{Code, Stop};

use crate::App;
use crate::config::{Overrides, Strings};
use clap::{Args, Parser, Subcommand};
use commands::{Command, Output};
use place::Place;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Usher logs people in, keeps them in, lets them and only them at their files, and shows them out everywhere at once.
#[derive(Debug, Parser)]
#[command(name = "usher", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    act: Act,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// The configuration file; else $USHER_CONFIG, else usher.toml in $CONFIGURATION_DIRECTORY or the data directory
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory; else $STATE_DIRECTORY, else the user's own data directory
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// A database elsewhere: sqlite:PATH or postgres://USER@HOST/DATABASE
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// The file with the master key, when it is not kept in the data directory
    #[arg(long, global = true, value_name = "FILE")]
    master_key_file: Option<String>,
    /// Start although the file system cannot keep the data directory to its owner
    #[arg(long, global = true)]
    trust_filesystem_modes: bool,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Serve folders to those who may see them
    Serve(serve::Arguments),
    /// Try it: made-up media and two accounts in a temporary folder
    Demo(demo::Arguments),
    /// Accounts
    #[command(subcommand)]
    User(user::Act),
    /// Groups of accounts
    #[command(subcommand)]
    Group(group::Act),
    /// Take over accounts from another system
    #[command(subcommand)]
    Import(import::Act),
    /// Make groups, apps, buckets and invitations as a file declares them
    Apply(apply::Arguments),
    /// Signing keys
    #[command(subcommand)]
    Key(keeping::KeyAct),
    /// The configuration
    #[command(subcommand)]
    Config(settings::Act),
    /// Say why a request was refused, by the id of its answer
    Explain {
        /// As in the answer's X-Request-Id, on the error page and in the log
        request: String,
    },
    /// Check the installation and say what to change
    Doctor,
    /// Ask the server on this machine whether it is ready
    Health,
    /// Copy the database while it is in use
    Backup(keeping::BackupArguments),
    /// Put a copy in place of the database; ends every session
    Restore(restore::Arguments),
    /// Move the installation to another kind of database, with the server stopped
    #[command(subcommand)]
    Migrate(migrate::Act),
}

/// Reads the arguments, does what they say, and gives the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>, env: Strings) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; both go where they belong.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::FAILURE };
        }
    };
    let json = cli.common.json;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(cli, &env)),
        Err(error) => Err(Stop::refused(format!("the system gives no threads: {error}"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => stop.tell(json),
    }
}

async fn run(cli: Cli, env: &Strings) -> Result<(), Stop> {
    let common = &cli.common;
    match cli.act {
        Act::Serve(arguments) => serve::run(common, arguments, env).await,
        Act::Demo(arguments) => demo::run(common, arguments, env).await,
        Act::User(act) => user::run(common, act, env).await,
        Act::Group(act) => perform(common, env, group::command(act), Begin::Existing).await,
        Act::Import(act) => import::run(common, act, env).await,
        Act::Apply(arguments) => apply::run(common, arguments, env).await,
        Act::Key(keeping::KeyAct::Rotate { master: true, .. }) => rekey::run(common, env).await,
        Act::Key(act) => perform(common, env, keeping::command(&act), Begin::Existing).await,
        Act::Config(act) => settings::run(common, act, env),
        Act::Explain { request } => perform(common, env, Command::Explain { request }, Begin::Existing).await,
        Act::Doctor => doctor::run(common, env).await,
        Act::Health => health::run(common, env).await,
        Act::Backup(arguments) => keeping::backup(common, arguments, env).await,
        Act::Restore(arguments) => restore::run(common, arguments, env).await,
        Act::Migrate(act) => migrate::run(common, act, env).await,
    }
}

/// Whether a command may be the first thing that happens in a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// It may make the installation.
    New,
    /// It needs one that was begun.
    Existing,
}

/// Does a command, in the server that runs or else here, and prints what it says.
async fn perform(common: &Common, env: &Strings, command: Command, begin: Begin) -> Result<(), Stop> {
    let output = ask(common, env, command, begin).await?;
    say(common, &output);
    Ok(())
}

/// Does a command, in the server that runs or else here, under the same lock.
async fn ask(common: &Common, env: &Strings, command: Command, begin: Begin) -> Result<Output, Stop> {
    let desk = Desk::find(common, env, begin).await?;
    let answer = desk.ask(command).await;
    desk.close().await;
    answer
}

/// Who does what is asked: the server that runs, or this process under the same lock.
enum Desk {
    /// The server behind this socket.
    Server(PathBuf),
    /// This process.
    Here(Arc<App>),
}

impl Desk {
    /// The server first: root may ask one that runs as another user, whose files root has no business opening.
    async fn find(common: &Common, env: &Strings, begin: Begin) -> Result<Desk, Stop> {
        let place = Place::find(common, Overrides::default(), env)?;
        let socket = place.data.join("control.sock");
        if control::answers(&socket).await? {
            return Ok(Desk::Server(socket));
        }
        let files = match begin {
            Begin::New => place.files()?,
            Begin::Existing => place.existing_files()?,
        };
        Ok(Desk::Here(files.app_without_folders(place.config).await?))
    }

    /// Does one command.
    async fn ask(&self, command: Command) -> Result<Output, Stop> {
        match self {
            Desk::Server(socket) => match control::ask(socket, &command).await? {
                Some(answer) => Ok(answer?),
                None => {
                    let what = "the server went away meanwhile; run the command again";
                    Err(Stop::new(Code::Unavailable, "server_unreachable", what))
                }
            },
            Desk::Here(app) => Ok(commands::run(app, command).await?),
        }
    }

    /// Gives the database up.
    async fn close(self) {
        if let Desk::Here(app) = self {
            app.db.clone().close().await;
        }
    }
}

/// Prints what a command said. A reader that went away (`| head`) is no failure.
fn say(common: &Common, output: &Output) {
    let text = if common.json { output.value.to_string() } else { output.text.clone() };
    print_line(&text);
}

fn print_line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
