//! Copies of the database: consistent, complete in one file, its owner's only, on the disk before anyone is told.
use super::connection::Failure;
use super::{Connection, open};
use crate::Error;
use rusqlite::OpenFlags;
use rusqlite::backup::{Backup, StepResult};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Page cache of the reading side, in KiB. It reads every page once.
const CACHE: u32 = 256;

/// A copy for people: never over a file that is there.
pub(super) fn backup(from: &Path, to: &Path) -> Result<(), Error> {
    let to = std::path::absolute(to).map_err(|error| refused(&error))?;
    if to.symlink_metadata().is_ok() {
        return Err(Error::other("backup", format!("{} exists already; choose another name", to.display())));
    }
    snapshot(from, &to)
}

/// A copy that replaces an older one of the same name at once, or leaves it as it is.
pub(super) fn snapshot(from: &Path, to: &Path) -> Result<(), Error> {
    let part = open::beside(to, ".part");
    let made = copy(from, &part).and_then(|()| {
        File::open(&part)?.sync_all()?;
        fs::rename(&part, to)?;
        open::sync_directory(to)?;
        Ok(())
    });
    if made.is_err() {
        // Best effort: the failure that matters is the one we return.
        let _ = fs::remove_file(&part);
    }
    made.map_err(|failed| match failed {
        Failed::Engine(failure) => failure.named("backup"),
        Failed::System(error) => refused(&error),
    })
}

fn copy(from: &Path, part: &Path) -> Result<(), Failed> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(part)?;
    let source = Connection::reader(from, CACHE).map_err(Failed::Engine)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = rusqlite::Connection::open_with_flags(part, flags)?;
    // The whole file is synced at the end; a copy that is cut off is thrown away.
    target.pragma_update(None, "synchronous", "OFF")?;
    target.pragma_update(None, "journal_mode", "OFF")?;
    let backup = Backup::new(source.raw(), &mut target)?;
    // In one step, hence from one snapshot: the writer goes on beside it.
    match backup.step(-1)? {
        StepResult::Done => {}
        _ => return Err(std::io::Error::other("the copy was interrupted; try again").into()),
    }
    drop(backup);
    // The copy says that it has a write-ahead log; it has none, and shall be whole by itself.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

enum Failed {
    Engine(Failure),
    System(std::io::Error),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed::Engine(Failure(error))
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Failed {
        Failed::System(error)
    }
}

fn refused(error: &std::io::Error) -> Error {
    Error::unavailable("backup", error.to_string())
}
