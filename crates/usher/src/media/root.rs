//! A bucket's root: opening what lies beneath it, and nothing else.
//!
//! One system call decides and opens: `openat2` with `RESOLVE_BENEATH`, so that no folder can be exchanged
//! for a link between a check and an open. A link is followed only when it stays inside; magic links
//! (`/proc/self/fd`) never are. What is no regular file is not read: a pipe is opened without waiting, looked
//! at and let go. Where the kernel or a sandbox refuses `openat2`, folders are walked one by one without
//! following any link: stricter, never laxer.
//!
//! Names are exact. Where a file system folds case, or trims names, the name is compared with the folder's
//! listing. A name that exists only in another Unicode normalization is found when it is the only one.
//! Hidden names (a leading dot, at any depth) do not exist unless the bucket serves them. A link with a
//! visible name may lead to a hidden one inside: whoever made that link meant it.

use super::names;
use super::path::CanonicalPath;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::path::Path;

const RETRIES: usize = 8;

/// Whether links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// Never; they are not listed either.
    Never,
    /// When they lead to something inside the bucket.
    #[default]
    Inside,
}

/// What happens to names with a leading dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hidden {
    /// They do not exist.
    #[default]
    Hide,
    /// They are like other names.
    Serve,
}

/// How a bucket is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RootOptions {
    /// Links.
    pub symlinks: Symlinks,
    /// Leading dots.
    pub hidden: Hidden,
    /// Other file systems mounted inside do not exist.
    pub one_file_system: bool,
}

/// Why nothing was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Nothing there that may be served, for whatever reason: 404.
    #[error("nothing there that may be served")]
    NotFound,
    /// The machine has no room for it now, or the folders keep changing: 503.
    #[error("too busy to open it now")]
    Busy,
    /// The bucket's folder is not on this machine now: 503.
    #[error("the folder is not here now")]
    Away,
    /// The disk or the kernel failed: 500, and worth a line in the log.
    #[error("opening failed: {0}")]
    Failed(Errno),
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::ACCESS | Errno::PERM => {
                OpenError::NotFound
            }
            // Out of the bucket; a socket or absent device; a folder; a name the file system cannot hold.
            Errno::XDEV | Errno::NXIO | Errno::NODEV | Errno::ISDIR | Errno::INVAL | Errno::ILSEQ | Errno::STALE => {
                OpenError::NotFound
            }
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::INTR => OpenError::Busy,
            other => OpenError::Failed(other),
        }
    }
}

/// What is known of an opened file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileMeta {
    /// The file system.
    pub dev: u64,
    /// The inode.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Last change, nanoseconds since the epoch.
    pub mtime_ns: i128,
}

/// An opened regular file.
#[derive(Debug)]
pub struct OpenFile {
    /// Its descriptor: it keeps the file as it was opened, whatever happens to the name.
    pub fd: OwnedFd,
    /// As it was when opened.
    pub meta: FileMeta,
}

/// An opened folder.
#[derive(Debug)]
pub struct OpenDir {
    pub(super) fd: OwnedFd,
    /// Where it is below the root.
    pub path: CanonicalPath,
}

/// What an entry turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    Folder(FileMeta),
    File(FileMeta),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Kernel,
    Walk,
}

/// An opened bucket.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    dev: u64,
    folds: bool,
    how: How,
    options: RootOptions,
}

impl Root {
    /// Opens the folder at `path`, links in `path` itself included: it comes from the configuration.
    pub fn open(path: &Path, options: RootOptions) -> Result<Self, OpenError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&dir)?;
        let mut root = Root { dev: stat.st_dev, folds: may_fold(&dir), dir, how: How::Kernel, options };
        // Asked once: no such call, or forbidden by a seccomp filter older than it.
        if matches!(root.raw(b"", flags), Err(Errno::NOSYS | Errno::PERM)) {
            root.how = How::Walk;
        }
        Ok(root)
    }

    /// Walks without `openat2`, as on a kernel that lacks it.
    #[cfg(test)]
    pub(super) fn walking(mut self) -> Self {
        self.how = How::Walk;
        self
    }

    /// How the bucket is served.
    pub fn options(&self) -> RootOptions {
        self.options
    }

    /// Opens a regular file for reading. A path asked for as a folder names no file.
    pub fn open_file(&self, path: &CanonicalPath) -> Result<OpenFile, OpenError> {
        if path.is_folder() {
            return Err(OpenError::NotFound);
        }
        // NONBLOCK: a pipe would wait for its writer here.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = self.open_exact(path, flags)?;
        match stat(&fd)? {
            Some(Found::File(meta)) => Ok(OpenFile { fd, meta }),
            _ => Err(OpenError::NotFound),
        }
    }

    /// Opens a regular file without waiting for a disk: from what the kernel remembers of its folders. None
    /// says nothing about the file; ask [`Root::open_file`], from a task that may block.
    pub fn open_remembered(&self, path: &CanonicalPath) -> Option<OpenFile> {
        let servable = !path.is_folder() && path.segments().all(|name| self.serves(name));
        if !servable || self.how != How::Kernel {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = self.resolve() | ResolveFlags::CACHED;
        let fd = rustix::fs::openat2(&self.dir, path.as_bytes(), flags, Mode::empty(), resolve).ok()?;
        let here = rustix::fs::fstat(&fd).ok()?;
        match found(&here) {
            Some(Found::File(meta)) if self.is_exact(path, &fd, &here) => Some(OpenFile { fd, meta }),
            _ => None,
        }
    }

    /// Opens a folder, whether or not the path ends in a slash.
    pub fn open_dir(&self, path: &CanonicalPath) -> Result<OpenDir, OpenError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = self.open_exact(path, flags)?;
        Ok(OpenDir { fd, path: path.clone().as_folder(true) })
    }

    /// Whether a name is served at all.
    pub fn serves(&self, name: &[u8]) -> bool {
        self.options.hidden == Hidden::Serve || !name.starts_with(b".")
    }

    /// What the entry `name` of an opened folder is; none when it is not to be seen.
    pub(super) fn entry(&self, dir: &OpenDir, name: &[u8]) -> Option<Found> {
        let stat_of = rustix::fs::statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let outside = self.options.one_file_system && stat_of.st_dev != self.dev;
        match FileType::from_raw_mode(stat_of.st_mode) {
            FileType::Symlink if self.options.symlinks == Symlinks::Inside => {
                let path = dir.path.child(name).ok()?;
                let fd = self.raw(path.as_bytes(), OFlags::PATH | OFlags::CLOEXEC).ok()?;
                stat(&fd).ok()?
            }
            _ if outside => None,
            _ => found(&stat_of),
        }
    }

    fn open_exact(&self, path: &CanonicalPath, flags: OFlags) -> Result<OwnedFd, OpenError> {
        if path.segments().any(|name| !self.serves(name)) {
            return Err(OpenError::NotFound);
        }
        match self.raw(path.as_bytes(), flags) {
            Ok(fd) => {
                let here = rustix::fs::fstat(&fd)?;
                if self.is_exact(path, &fd, &here) { Ok(fd) } else { Err(OpenError::NotFound) }
            }
            Err(Errno::NOENT) if !path.as_bytes().is_ascii() => {
                let found = names::normalized(self, path).ok_or(OpenError::NotFound)?;
                Ok(self.raw(&found, flags)?)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens beneath the root, by whatever means there is. `path` is empty for the root itself.
    pub(super) fn raw(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        match self.how {
            How::Kernel => self.raw_kernel(path, flags),
            How::Walk => self.raw_walk(path, flags),
        }
    }

    /// What the kernel is told of the ways it may go.
    fn resolve(&self) -> ResolveFlags {
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if self.options.symlinks == Symlinks::Never {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        if self.options.one_file_system {
            resolve |= ResolveFlags::NO_XDEV;
        }
        resolve
    }

    fn raw_kernel(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = self.resolve();
        let path = if path.is_empty() { b"." } else { path };
        let mut last = Errno::AGAIN;
        // AGAIN: something was renamed while the kernel looked, so that it cannot vouch for the result.
        for _ in 0..RETRIES {
            match rustix::fs::openat2(&self.dir, path, flags, Mode::empty(), resolve) {
                Err(errno @ (Errno::AGAIN | Errno::INTR)) => last = errno,
                decided => return decided,
            }
        }
        Err(last)
    }

    fn raw_walk(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = rustix::fs::openat(&self.dir, ".", step, Mode::empty())?;
        let mut segments = path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()).peekable();
        if segments.peek().is_none() {
            return rustix::fs::openat(&at, ".", flags, Mode::empty());
        }
        while let Some(segment) = segments.next() {
            // The path is canonical; this line keeps a mistake elsewhere from climbing.
            if segment == b".." || segment == b"." {
                return Err(Errno::XDEV);
            }
            let flags = if segments.peek().is_some() { step } else { flags | OFlags::NOFOLLOW };
            at = rustix::fs::openat(&at, segment, flags, Mode::empty())?;
            if self.options.one_file_system && rustix::fs::fstat(&at)?.st_dev != self.dev {
                return Err(Errno::XDEV);
            }
        }
        Ok(at)
    }

    /// Whether `path` is the entry's own spelling, and not one that the file system takes for it.
    ///
    /// The listing is read only when the path in the other case leads to the same file: on a file system
    /// that folds, or trims, or has short names, it does.
    fn is_exact(&self, path: &CanonicalPath, fd: &OwnedFd, here: &rustix::fs::Stat) -> bool {
        let folds = if here.st_dev == self.dev { self.folds } else { may_fold(fd) };
        if !folds {
            return true;
        }
        let Some(other) = names::other_case(path) else { return true };
        match rustix::fs::statat(&self.dir, other.as_slice(), AtFlags::NO_AUTOMOUNT) {
            Ok(there) if there.st_ino == here.st_ino && there.st_dev == here.st_dev => names::listed(self, path),
            _ => true,
        }
    }
}

/// Whether the file system may take one name for another. XFS and Btrfs never do; ext4, tmpfs and others do
/// in folders that were set so; FAT, NTFS and network file systems usually do.
fn may_fold(fd: &OwnedFd) -> bool {
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    rustix::fs::fstatfs(fd).map_or(true, |fs| !u64::try_from(fs.f_type).is_ok_and(|of| of == XFS || of == BTRFS))
}

fn stat(fd: impl AsFd) -> Result<Option<Found>, Errno> {
    Ok(found(&rustix::fs::fstat(fd)?))
}

fn found(stat: &rustix::fs::Stat) -> Option<Found> {
    let meta = FileMeta {
        dev: stat.st_dev,
        ino: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Some(Found::File(meta)),
        FileType::Directory => Some(Found::Folder(meta)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
