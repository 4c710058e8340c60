//! Finding the master key, or making it for an empty database and never else.

use super::{DataDir, Refusal, named};
use crate::seal::MasterKey;
use crate::secret::Rng;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The name of the key among systemd credentials.
const CREDENTIAL: &str = "usher-master-key";
/// More than any key file; whatever is longer is something else.
const MAX_KEY_FILE: u64 = 4096;

/// Where the master key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In the data directory, where it is made with the database.
    DataDirectory,
    /// In a file that the operator named (`USHER_MASTER_KEY_FILE`) and made.
    File(PathBuf),
    /// Among the credentials that systemd hands to the service.
    Credential(PathBuf),
}

impl KeySource {
    /// The source that these settings name: the file if one is named, else the credential if systemd
    /// hands one over under our name, else the data directory.
    pub fn choose(key_file: Option<&Path>, credentials_directory: Option<&Path>) -> KeySource {
        if let Some(file) = named(key_file) {
            return KeySource::File(file.to_owned());
        }
        match named(credentials_directory).map(|directory| directory.join(CREDENTIAL)) {
            Some(credential) if credential.exists() => KeySource::Credential(credential),
            _ => KeySource::DataDirectory,
        }
    }
}

impl DataDir {
    /// The master key.
    ///
    /// One is made only in the data directory and only while the database is empty; it is on the disk,
    /// with its name, before this returns, so that no database can outlive a key that was lost with
    /// the power. A key that should exist and does not is asked for, never replaced.
    pub fn master_key(&self, source: &KeySource, database_is_empty: bool, rng: &Rng) -> Result<MasterKey, Refusal> {
        match source {
            KeySource::File(path) => {
                self.read_key(path, 0o077)?.ok_or_else(|| Refusal::NamedKeyMissing { path: path.clone() })
            }
            // systemd may lend a credential to the service's user through an access list, which shows
            // as group bits; nobody else can enter its directory.
            KeySource::Credential(path) => {
                self.read_key(path, 0o007)?.ok_or_else(|| Refusal::NamedKeyMissing { path: path.clone() })
            }
            KeySource::DataDirectory => {
                let path = self.master_key_file();
                match self.read_key(&path, 0o077)? {
                    Some(key) => Ok(key),
                    None if database_is_empty => self.make_key(&path, rng),
                    None => Err(Refusal::KeyMissing { path }),
                }
            }
        }
    }

    fn read_key(&self, path: &Path, forbidden: u32) -> Result<Option<MasterKey>, Refusal> {
        // Without waiting: a pipe in the key's place must not hang the start.
        let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = match OpenOptions::new().read(true).custom_flags(no_wait).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Refusal::io("read the master key", path)(error)),
        };
        // The opened file is what is checked, not what its name means a moment later.
        let metadata = file.metadata().map_err(Refusal::io("look at", path))?;
        if !metadata.is_file() {
            return Err(Refusal::KeyGarbled { path: path.to_owned() });
        }
        self.check(path, &metadata, forbidden)?;
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE as usize));
        file.take(MAX_KEY_FILE).read_to_end(&mut text).map_err(Refusal::io("read the master key", path))?;
        let key = std::str::from_utf8(&text).ok().and_then(MasterKey::parse);
        key.map(Some).ok_or_else(|| Refusal::KeyGarbled { path: path.to_owned() })
    }

    fn make_key(&self, path: &Path, rng: &Rng) -> Result<MasterKey, Refusal> {
        let draft = path.with_extension(format!("{:016x}.new", u64::from_be_bytes(rng.bytes())));
        let made = write_whole(&draft, &MasterKey::mint(rng).expose()).and_then(|()| {
            // A link, unlike a rename, never replaces: of two starts at once one key stands.
            match fs::hard_link(&draft, path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            }
        });
        let removed = fs::remove_file(&draft);
        made.and(removed)
            .and_then(|()| File::open(&self.path)?.sync_all())
            .map_err(Refusal::io("make the master key", path))?;
        // What the disk says counts, in case another start made it first.
        self.read_key(path, 0o077)?.ok_or_else(|| Refusal::KeyMissing { path: path.to_owned() })
    }
}

/// A new file, readable by us alone, that is on the disk when this returns.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}
