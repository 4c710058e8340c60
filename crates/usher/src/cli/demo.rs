//! `usher demo`: a whole server to try, with made-up media and two accounts, that leaves nothing behind.
//!
//! It reads no configuration: a demonstration must not touch the data of the real thing.

use super::commands::{self, Command, Password};
use super::place::Place;
use super::serve::{Listening, Server};
use super::stop::Stop;
use super::{Common, samples};
use crate::config::{Overrides, Strings};
use crate::log;
use crate::secret::Rng;
use clap::Args;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    listening: Listening,
}

/// A folder that goes with the demonstration.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("usher: {} could not be removed: {error}", self.0.display());
        }
    }
}

pub async fn run(common: &Common, arguments: Arguments, _env: &Strings) -> Result<(), Stop> {
    let rng = Rng::os();
    let name = format!("usher-demo-{:016x}", u64::from_be_bytes(rng.bytes()));
    let folder = Folder(std::env::temp_dir().join(name));
    let failed = |error: std::io::Error| Stop::refused(format!("cannot fill {}: {error}", folder.0.display()));
    DirBuilder::new().mode(0o700).create(&folder.0).map_err(failed)?;
    let media = folder.0.join("media");
    samples::make(&media).map_err(failed)?;
    let server = start(&folder.0, &media, arguments).await?;
    let mut accounts = Vec::new();
    for (name, admin, buckets) in [("alice", true, "all"), ("bob", false, "music")] {
        let password = random_password(&rng);
        let command = Command::UserAdd {
            name: name.to_owned(),
            admin,
            buckets: vec![buckets.to_owned()],
            password: Password(Zeroizing::new(password.clone())),
            must_change: false,
        };
        commands::run(&server.app, command).await?;
        let what = if admin { "admin, every folder" } else { "music only" };
        accounts.push((name.to_owned(), password, what.to_owned()));
    }
    server.announce(common, &accounts).await?;
    server.run().await
}

async fn start(folder: &Path, media: &Path, arguments: Arguments) -> Result<Server, Stop> {
    let common = Common { data: Some(folder.join("data").display().to_string()), ..Common::default() };
    let bucket = |name: &str| format!("{name}={}", media.join(name).display());
    let flags = Overrides {
        listen: arguments.listening.listen,
        // Nobody watches a demonstration, and the real server may have the usual port.
        ops_listen: Some(arguments.listening.ops_listen.unwrap_or_else(|| "off".to_owned())),
        lan: arguments.listening.lan,
        buckets: vec![bucket("music"), bucket("pictures")],
        ..Overrides::default()
    };
    let place = Place::find(&common, flags, &Strings::new())?;
    log::init(&place.config.log);
    Server::start(place.files()?, place.config).await
}

/// Twenty characters of 32, without those that look alike: 100 bits, in groups that can be read out.
fn random_password(rng: &Rng) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let drawn: [u8; 20] = rng.bytes();
    let letters: Vec<char> = drawn.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}
