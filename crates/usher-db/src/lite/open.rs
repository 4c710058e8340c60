//! Opening: lock, look, and only then touch. A file that is damaged or not ours is left as it was.
use super::connection::Failure;
use super::{Connection, schema};
use crate::{Migration, OpenError};
use rusqlite::ErrorCode;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) lock: File,
    pub(super) connection: Connection,
}

pub(super) fn open(path: PathBuf, migrations: &'static [Migration]) -> Result<Opened, OpenError> {
    // Absolute, so that no change of directory moves it, and no name is taken for one of SQLite's URIs.
    let path = std::path::absolute(&path).map_err(|error| io(&path, "find it", error))?;
    let lock = lock(&path)?;
    let fresh = prepare_file(&path)?;
    let connection = Connection::writer(&path).map_err(|failure| sort(&path, "open it", failure))?;
    if !fresh {
        check(&path, &connection)?;
    }
    let mode: String = connection
        .raw()
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(|error| sort(&path, "switch it to a write-ahead log", Failure(error)))?;
    if mode != "wal" {
        let message = format!("the journal mode stays {mode}; is this a network file system?");
        return Err(OpenError::Io { path, doing: "switch it to a write-ahead log", message });
    }
    schema::bring_up(&path, &connection, migrations)?;
    sync_directory(&path).map_err(|error| io(&path, "make its name durable", error))?;
    Ok(Opened { path, lock, connection })
}

/// Looks at a database without changing anything in it: that it holds together, is ours, and is not newer than this build.
pub(crate) fn examine(path: &Path, migrations: &'static [Migration]) -> Result<(), OpenError> {
    let connection = Connection::reader(path, 256).map_err(|failure| sort(path, "open it", failure))?;
    check(path, &connection)?;
    schema::examine(path, &connection, migrations)
}

/// The path with something put behind its file name: `usher.db` and `.lock` give `usher.db.lock`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the names in the directory of `path` durable.
pub(super) fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// A failure of the engine while opening: damage is told apart from everything else.
pub(super) fn sort(path: &Path, doing: &'static str, failure: Failure) -> OpenError {
    let message = failure.0.to_string();
    match failure.0.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => corrupt(path, message),
        _ => OpenError::Io { path: path.to_owned(), doing, message },
    }
}

fn io(path: &Path, doing: &'static str, error: std::io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), doing, message: error.to_string() }
}

fn corrupt(path: &Path, message: impl Into<String>) -> OpenError {
    OpenError::Corrupt { path: path.to_owned(), message: message.into(), snapshot: newest_snapshot(path) }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let name = beside(path, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&name)
        .map_err(|error| io(&name, "make the lock file", error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(&name, "lock it", error)),
    }
}

/// Sees to it that the file exists and is its owner's only; SQLite gives its companions the same mode. Says whether
/// there was no database before.
fn prepare_file(path: &Path) -> Result<bool, OpenError> {
    let (log, index) = (beside(path, "-wal"), beside(path, "-shm"));
    let length = match fs::metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Err(io(path, "open it", std::io::Error::other("it is not a file"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(io(path, "look at it", error)),
    };
    if length == 0 {
        // SQLite would begin anew over both, and what they tell of would be gone for good.
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(corrupt(path, "the file is missing or empty, but its write-ahead log is there"));
        }
        if newest_snapshot(path).is_some() {
            return Err(corrupt(path, "the file is missing or empty, but snapshots of it are there"));
        }
    }
    if length > 0 && is_a_copy(path) && fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        // SQLite would play the log into a file that it does not belong to.
        return Err(corrupt(path, "a restored copy lies beside the write-ahead log of the file it replaces"));
    }
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| io(path, "open it for writing", error))?;
    for file in [path, &log, &index] {
        match fs::set_permissions(file, Permissions::from_mode(0o600)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io(file, "make it readable by its owner only", error));
            }
            _ => {}
        }
    }
    Ok(length == 0)
}

/// Whether the header says that the file is whole by itself, as backups and snapshots are, and open databases never.
fn is_a_copy(path: &Path) -> bool {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header[18..20] == [1, 1]
}

/// Asks SQLite whether the file holds together, and whether it is ours, before anything is written to it.
fn check(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let failed = |error| sort(path, "check it", Failure(error));
    let verdict: String = connection.raw().query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(failed)?;
    if verdict != "ok" {
        return Err(corrupt(path, verdict));
    }
    match schema::is_ours(connection).map_err(failed)? {
        true => Ok(()),
        false => Err(OpenError::Foreign { path: path.to_owned() }),
    }
}

/// The snapshot with the highest number beside the database.
fn newest_snapshot(path: &Path) -> Option<PathBuf> {
    let prefix = format!("{}{}", path.file_name()?.to_str()?, schema::SNAPSHOT);
    let numbered = |entry: fs::DirEntry| {
        let number: u32 = entry.file_name().to_str()?.strip_prefix(&prefix)?.parse().ok()?;
        Some((number, entry.path()))
    };
    let entries = fs::read_dir(path.parent()?).ok()?;
    entries.flatten().filter_map(numbered).max().map(|(_, path)| path)
}
