//! The data directory: where it is, and whether it may hold secrets.
//!
//! It promises a directory that only we can read, on a filesystem whose locks the database can trust,
//! and a master key that was made exactly once. It refuses, with the path, what was found and the
//! remedy: modes that let others read, another owner, a network filesystem, a key that is missing,
//! garbled or readable by others. It never mends a mode by itself: what others could read, they may
//! have read, and somebody should know.
//!
//! Nothing here reads the environment; what it says comes in as values ([`Places`], [`KeySource`]).

mod filesystem;
mod master_key;

pub use filesystem::network_filesystem;
pub use master_key::KeySource;

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the data directory may be, first match first. Empty values count as absent.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `--data DIR`.
    pub data: Option<PathBuf>,
    /// `$STATE_DIRECTORY`, as systemd sets it: several are parted by colons and the first is ours.
    pub state_directory: Option<PathBuf>,
    /// `$XDG_DATA_HOME`; ignored unless absolute, as the XDG base directory specification asks.
    pub xdg_data_home: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
}

impl Places {
    /// The data directory's path. Makes and checks nothing.
    pub fn data_directory(&self) -> Result<PathBuf, Refusal> {
        if let Some(data) = named(self.data.as_deref()) {
            return Ok(data.to_owned());
        }
        if let Some(state) = named(self.state_directory.as_deref()).map(first_of_list).filter(|p| p.is_absolute()) {
            return Ok(state);
        }
        if let Some(xdg) = named(self.xdg_data_home.as_deref()).filter(|path| path.is_absolute()) {
            return Ok(xdg.join("usher"));
        }
        match named(self.home.as_deref()).filter(|path| path.is_absolute()) {
            Some(home) => Ok(home.join(".local/share/usher")),
            None => Err(Refusal::Nowhere),
        }
    }
}

fn named(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

fn first_of_list(list: &Path) -> PathBuf {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let first = list.as_os_str().as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
    PathBuf::from(std::ffi::OsString::from_vec(first.to_vec()))
}

/// Whether the modes of the filesystem are to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modes {
    /// As everywhere: others must not be able to read.
    Checked,
    /// `--trust-filesystem-modes`: the filesystem cannot keep modes, and the operator vouches for it.
    Trusted,
}

/// Why Usher does not start here. Each says what was found and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No directory was named and there is no home to derive one from.
    #[error("no data directory: name one with --data DIR, or set HOME")]
    Nowhere,
    /// The path is something else.
    #[error("{} is not a directory; name another with --data DIR", path.display())]
    NotADirectory {
        /// Which.
        path: PathBuf,
    },
    /// Others may read it.
    #[error(
        "{} has mode {mode:04o}, so others on this machine may read it. Run: chmod {wanted:o} '{}' \
         (if the filesystem cannot keep modes: --trust-filesystem-modes)",
        path.display(), path.display()
    )]
    TooOpen {
        /// Which file or directory.
        path: PathBuf,
        /// Its mode, the last twelve bits.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// It belongs to somebody else.
    #[error(
        "{} belongs to user {owner}, but Usher runs as user {us}. Run: chown {us} '{}'",
        path.display(), path.display()
    )]
    NotOurs {
        /// Which file or directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// On a filesystem of another machine, whose locks do not protect a database.
    #[error(
        "{} is on a network filesystem ({kind}), where a database can be damaged by a second machine. \
         Keep the data directory on a local disk with --data DIR; media may stay where they are",
        path.display()
    )]
    Network {
        /// Which directory.
        path: PathBuf,
        /// Which filesystem.
        kind: &'static str,
    },
    /// The master key is not there, and a new one would open nothing.
    #[error(
        "the master key is missing: {} does not exist, but the database was made with one. Put the key file \
         back (usher backup --with-key keeps a copy), or name it with USHER_MASTER_KEY_FILE",
        path.display()
    )]
    KeyMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A key was named that does not exist. Only the data directory's own key is ever made.
    #[error(
        "the master key file {} does not exist. Make it once, and keep a copy: \
         (umask 077; openssl rand -hex 32 > '{}')",
        path.display(), path.display()
    )]
    NamedKeyMissing {
        /// The file that was named.
        path: PathBuf,
    },
    /// The key file holds something else.
    #[error(
        "{} holds no master key: it should be one line, either usk_ and 49 characters as Usher writes it, \
         or 64 hexadecimal digits. Put the right file back from its copy",
        path.display()
    )]
    KeyGarbled {
        /// Which file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Refusal {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Refusal {
        let path = path.to_owned();
        move |source| Refusal::Io { doing, path, source }
    }
}

/// A data directory that was found fit.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
    modes: Modes,
}

impl DataDir {
    /// Makes the directory (0700) when there is none, and checks it and the files in it.
    pub fn open(path: &Path, modes: Modes) -> Result<DataDir, Refusal> {
        if let Err(source) = DirBuilder::new().recursive(true).mode(0o700).create(path) {
            return Err(match source.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                    Refusal::NotADirectory { path: path.to_owned() }
                }
                _ => Refusal::Io { doing: "make", path: path.to_owned(), source },
            });
        }
        // From here on one absolute name, whatever the working directory becomes.
        let path = fs::canonicalize(path).map_err(Refusal::io("find", path))?;
        let dir = DataDir { path, modes };
        let metadata = fs::metadata(&dir.path).map_err(Refusal::io("look at", &dir.path))?;
        if let Some(kind) = network_filesystem(&dir.path).map_err(Refusal::io("look at", &dir.path))? {
            return Err(Refusal::Network { path: dir.path, kind });
        }
        dir.check(&dir.path, &metadata, 0o077)?;
        dir.check_files()?;
        Ok(dir)
    }

    /// The directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The embedded database.
    pub fn database(&self) -> PathBuf {
        self.path.join("usher.db")
    }

    /// The master key, when it is kept here.
    pub fn master_key_file(&self) -> PathBuf {
        self.path.join("master.key")
    }

    /// Where the running server listens for the command line.
    pub fn control_socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// Every file in the directory: database, write-ahead log, key. What lies here is secret.
    fn check_files(&self) -> Result<(), Refusal> {
        for entry in fs::read_dir(&self.path).map_err(Refusal::io("list", &self.path))? {
            let path = entry.map_err(Refusal::io("list", &self.path))?.path();
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_file() => self.check(&path, &metadata, 0o077)?,
                Ok(_) => {}
                // A write-ahead log may vanish while we look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Refusal::io("look at", &path)(error)),
            }
        }
        Ok(())
    }

    /// Whether only we (and root, who needs no permission) can read it; `forbidden` are the mode bits
    /// that must not be set.
    fn check(&self, path: &Path, metadata: &Metadata, forbidden: u32) -> Result<(), Refusal> {
        let us = rustix::process::geteuid().as_raw();
        let owner = metadata.uid();
        if owner != us && owner != 0 {
            return Err(Refusal::NotOurs { path: path.to_owned(), owner, us });
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if self.modes == Modes::Checked && mode & forbidden != 0 {
            let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
            return Err(Refusal::TooOpen { path: path.to_owned(), mode, wanted });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
