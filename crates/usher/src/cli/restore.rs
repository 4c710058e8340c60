//! `usher restore`: a copy of the database in place of the database.
//!
//! What happened since the copy was made is unknown: sessions may have ended, links may have been used, tokens
//! revoked, people shut out. So nothing that logs anybody in survives a restore except passwords: every session ends,
//! every unused link is withdrawn, every personal token is revoked. The copy is prepared in a folder of its own and put
//! in place whole; the database that was there is kept beside it.

use super::place::{Files, Place};
use super::stop::Stop;
use super::{Common, keeping, print_line, sealed_key, secrets};
use crate::audit::{Entry, Event, Outcome};
use crate::config::{Config, Overrides, Strings};
use crate::cx::Cx;
use crate::datadir::KeySource;
use crate::login::links;
use crate::media::buckets::Folders;
use crate::seal::{MasterKey, Vault};
use crate::secret::Rng;
use crate::sessions::{self, EndReason};
use crate::time::Clock;
use crate::tokens::personal;
use crate::{App, Surroundings, installation, schema};
use clap::Args;
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use usher_db::{DatabaseUrl, Db};

/// Rows per write: far below what one may take.
const SLICE: u32 = 200;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The copy, as `usher backup` wrote it
    file: PathBuf,
    /// Only say whether it could be restored; change nothing
    #[arg(long)]
    check: bool,
    /// Take the master key from FILE.key, as `backup --with-key` wrote it
    #[arg(long)]
    with_key: bool,
    /// Read its passphrase from standard input instead of asking for it
    #[arg(long)]
    passphrase_stdin: bool,
}

pub async fn run(common: &Common, arguments: Arguments, env: &Strings) -> Result<(), Stop> {
    let place = Place::find(common, Overrides::default(), env)?;
    let files = place.files()?;
    let database = files.only_file("stop every node, restore with pg_restore, and end every session afterwards")?;
    // Held until the copy is in place: no server starts meanwhile.
    let _lock = if arguments.check { None } else { Some(lock(database)?) };
    let rng = Arc::new(Rng::os());
    let staging = Staging::make(files.data.path(), &rng)?;
    let copy = staging.0.join("usher.db");
    bring(&arguments.file, &copy)?;
    let db = Db::open(&DatabaseUrl::Sqlite(copy.clone()), schema::MIGRATIONS).await?;
    let master = key(&arguments, &files, &db, &rng).await?;
    let (text, value) = prepare(place.config, db, Vault::new(&master), rng).await?;
    if arguments.check {
        let value = json!({ "restorable": true, "would_end": value });
        let text = format!("{} can be restored with the key at hand; it would end {text}", arguments.file.display());
        print_line(&if common.json { value.to_string() } else { text });
        return Ok(());
    }
    let stamp = Clock::System.now().0;
    install_key(&files, &master, stamp)?;
    let kept = put_in_place(&copy, database, stamp).map_err(|error| {
        Stop::data(format!("the copy could not be put in place of {}: {error}", database.display()))
    })?;
    let kept_text =
        kept.as_ref().map_or_else(String::new, |kept| format!("\nThe database before is kept as {}", kept.display()));
    let text = format!(
        "{} was restored; it ended {text}.\nPasswords, roles and buckets are those of the copy: look through \
         `usher user list` for changes made since.{kept_text}",
        arguments.file.display()
    );
    print_line(&if common.json { json!({ "restored": true, "ended": value, "kept": kept }).to_string() } else { text });
    Ok(())
}

/// The lock that a server on this database holds.
fn lock(database: &Path) -> Result<File, Stop> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let failed = |error: io::Error| Stop::data(format!("cannot lock {}: {error}", database.display()));
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(name);
    let file = opened.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Stop::data(format!(
            "{} is in use by a running server: stop it, then restore. Nothing was changed",
            database.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// A folder that goes with the value.
struct Staging(PathBuf);

impl Staging {
    fn make(data: &Path, rng: &Rng) -> Result<Staging, Stop> {
        let path = data.join(format!("restore-{:016x}", u64::from_be_bytes(rng.bytes())));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Stop::data(format!("cannot make {}: {error}", path.display())))?;
        Ok(Staging(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("usher: {} could not be removed: {error}", self.0.display());
        }
    }
}

fn bring(from: &Path, to: &Path) -> Result<(), Stop> {
    let failed = |error: io::Error| Stop::data(format!("{} cannot be read as a copy: {error}", from.display()));
    let mut source = File::open(from).map_err(failed)?;
    let found = source.metadata().map_err(failed)?;
    if !found.is_file() || found.len() == 0 {
        return Err(Stop::data(format!("{} is empty or no file, hence no copy of a database", from.display())));
    }
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(failed)
}

/// The master key that the copy belongs to, or a refusal that names it.
async fn key(arguments: &Arguments, files: &Files, db: &Db, rng: &Rng) -> Result<MasterKey, Stop> {
    let master = if arguments.with_key {
        let path = keeping::key_beside(&arguments.file);
        let text = fs::read_to_string(&path)
            .map_err(|error| Stop::data(format!("the key file {} cannot be read: {error}", path.display())))?;
        let passphrase = secrets::known("Passphrase of the key", arguments.passphrase_stdin)?;
        sealed_key::open(&text, &passphrase).map_err(Stop::data)?
    } else {
        let name = installation::master_key_name(db).await?.unwrap_or_default();
        let name: String = name.chars().take(16).collect();
        files.data.master_key(&files.key, false, rng).map_err(|refusal| {
            Stop::data(format!("{refusal}. The copy asks for master key {name}; --with-key takes it from FILE.key"))
        })?
    };
    installation::check_master_key(db, &Vault::new(&master)).await?;
    Ok(master)
}

/// Ends in the copy what must not live on. Says how much that was.
async fn prepare(config: Config, db: Db, vault: Vault, rng: Arc<Rng>) -> Result<(String, Value), Stop> {
    let around = Surroundings { db, vault, clock: Clock::System, rng, folders: Folders::default() };
    let app = App::build(config, around).await?;
    installation::keep_master_key_name(&app.db, &app.vault).await?;
    let cx = Cx::internal(&app, "restore");
    let (mut ended, mut revoked) = (0, 0);
    loop {
        let slice = sessions::end_some(&cx, EndReason::Restored, SLICE).await?;
        ended += slice;
        if slice == 0 {
            break;
        }
    }
    loop {
        let slice = personal::revoke_some(&cx, SLICE).await?;
        revoked += slice;
        if slice == 0 {
            break;
        }
    }
    links::begin_anew(&cx).await?;
    crate::devices::begin_anew(&cx).await?;
    crate::mail::begin_anew(&cx).await?;
    let detail = format!("{ended} sessions ended, {revoked} personal tokens revoked, every unused link withdrawn");
    let entry = Entry::new(&cx, Event::BackupRestored, Outcome::Done).detail(&detail);
    cx.write("restore.record", async move |tx| entry.record(tx).await).await?;
    app.db.clone().close().await;
    let text = format!("{ended} sessions, {revoked} personal tokens and every unused link");
    Ok((text, json!({ "sessions": ended, "personal_tokens": revoked })))
}

/// Puts the key of the copy where the server looks for it, and keeps another one that lies there.
fn install_key(files: &Files, master: &MasterKey, stamp: i64) -> Result<(), Stop> {
    let same = |found: &MasterKey| Vault::new(found).check_value() == Vault::new(master).check_value();
    if files.data.master_key(&files.key, false, &Rng::os()).is_ok_and(|found| same(&found)) {
        return Ok(());
    }
    if files.key != KeySource::DataDirectory {
        return Err(Stop::data(
            "the master key is kept outside the data directory: put the copy's key there, then restore",
        ));
    }
    let path = files.data.master_key_file();
    let failed =
        |error: io::Error| Stop::data(format!("the master key could not be written to {}: {error}", path.display()));
    if path.symlink_metadata().is_ok() {
        fs::rename(&path, path.with_extension(format!("key.replaced-{stamp}"))).map_err(failed)?;
    }
    sealed_key::write(&path, &format!("{}\n", *master.expose())).map_err(failed)
}

/// Puts the copy in place, whole or not at all, and returns where the old database is.
///
/// The old files get second names first; then its write-ahead log goes, which must never be played into another
/// file; then one rename replaces the database.
fn put_in_place(copy: &Path, database: &Path, stamp: i64) -> io::Result<Option<PathBuf>> {
    let beside = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let kept = beside(database, &format!(".replaced-{stamp}"));
    let had = database.symlink_metadata().is_ok();
    if had {
        fs::hard_link(database, &kept)?;
        let log = beside(database, "-wal");
        if log.symlink_metadata().is_ok() {
            fs::hard_link(&log, beside(&kept, "-wal"))?;
        }
        for gone in [log, beside(database, "-shm")] {
            match fs::remove_file(gone) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    fs::rename(copy, database)?;
    File::open(database.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    Ok(had.then_some(kept))
}
