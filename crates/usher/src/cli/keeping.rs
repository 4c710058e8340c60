//! `usher key …` and `usher backup`

use super::commands::Command;
use super::place::Place;
use super::stop::Stop;
use super::{Begin, Common, ask, print_line, sealed_key, secrets};
use crate::config::{Overrides, Strings};
use crate::secret::Rng;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub enum KeyAct {
    /// List the keys that sign and verify tokens
    List,
    /// Make the next key current
    Rotate {
        /// Also when it was published so recently that others may not know it yet
        #[arg(long)]
        now: bool,
        /// Replace the master key instead, with the server stopped
        #[arg(long, conflicts_with = "now")]
        master: bool,
    },
}

pub fn command(act: &KeyAct) -> Command {
    match act {
        KeyAct::List => Command::KeyList {},
        KeyAct::Rotate { now, .. } => Command::KeyRotate { now: *now },
    }
}

#[derive(Debug, Args)]
pub struct BackupArguments {
    /// Where to write the copy; nothing is overwritten
    file: PathBuf,
    /// Also write the master key, under a passphrase, to FILE.key
    #[arg(long)]
    with_key: bool,
    /// Read the passphrase from standard input instead of asking for it
    #[arg(long)]
    passphrase_stdin: bool,
}

/// The name of the key's copy beside the copy of the database.
pub fn key_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

/// Copies the database; the copy opens nothing without the master key, which stays away unless asked for.
pub async fn backup(common: &Common, arguments: BackupArguments, env: &Strings) -> Result<(), Stop> {
    let to = std::path::absolute(&arguments.file).map_err(Stop::refused)?;
    let key_file = key_beside(&to);
    let place = Place::find(common, Overrides::default(), env)?;
    place.existing_files()?.only_file("copy with pg_dump or its own archive, and keep the master key apart from it")?;
    let key = if arguments.with_key {
        if key_file.symlink_metadata().is_ok() {
            return Err(Stop::refused(format!("{} exists already; choose another name", key_file.display())));
        }
        let files = place.existing_files()?;
        let rng = Rng::os();
        let master = files.data.master_key(&files.key, false, &rng)?;
        let passphrase = secrets::new("Passphrase for the key", arguments.passphrase_stdin)?;
        Some(sealed_key::seal(&master, &passphrase, &rng).map_err(Stop::refused)?)
    } else {
        None
    };
    let mut output = ask(common, env, Command::Backup { to }, Begin::Existing).await?;
    if let Some(sealed) = key {
        sealed_key::write(&key_file, &sealed).map_err(|error| {
            Stop::refused(format!("the key could not be written to {}: {error}", key_file.display()))
        })?;
        output.text = format!("{}\nthe master key was sealed into {}", output.text, key_file.display());
        output.value["key_file"] = json!(key_file);
    } else {
        output
            .text
            .push_str("\nIt opens nothing without the master key, which is not in it; keep a copy of that elsewhere.");
    }
    print_line(&if common.json { output.value.to_string() } else { output.text });
    Ok(())
}
