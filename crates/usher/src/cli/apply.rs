//! `usher apply FILE`: groups, apps, buckets and invitations as a file declares them.
//!
//! The file is read by whoever runs the command, and meant by the server that runs, or else by this process.

use super::commands::Command;
use super::stop::{Code, Stop};
use super::{Begin, Common, ask, say};
use crate::config::Strings;
use clap::Args;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longer files are something else.
const LONGEST_FILE: u64 = 256 * 1024;

#[derive(Debug, Args)]
pub struct Arguments {
    /// What should be: groups, apps, buckets and invitations, as TOML
    file: PathBuf,
    /// Say what would change, and change nothing; ends with 6 when something would
    #[arg(long)]
    plan: bool,
}

pub async fn run(common: &Common, arguments: Arguments, env: &Strings) -> Result<(), Stop> {
    let Arguments { file, plan } = arguments;
    let text = text_of(&file)?;
    // Folders in the file are meant from where it lies, wherever the server was started.
    let file = std::path::absolute(&file).map_err(|error| unreadable(&file, error))?;
    let output = ask(common, env, Command::Apply { file, text, plan }, Begin::Existing).await?;
    say(common, &output);
    let changes = output.value["changes"].as_array().map_or(0, Vec::len);
    if plan && changes > 0 { Err(Stop::silent(Code::Changes)) } else { Ok(()) }
}

fn text_of(path: &Path) -> Result<String, Stop> {
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, error))?;
    let mut text = String::new();
    file.take(LONGEST_FILE + 1).read_to_string(&mut text).map_err(|error| unreadable(path, error))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LONGEST_FILE {
        return Err(unreadable(path, "it is longer than 256 KiB"));
    }
    Ok(text)
}

fn unreadable(path: &Path, error: impl std::fmt::Display) -> Stop {
    Stop::new(Code::Configuration, "declaration_invalid", format!("{} cannot be read: {error}", path.display()))
}
