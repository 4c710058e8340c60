//! The master key in a file of its own, under a passphrase: what `backup --with-key` writes and `restore` reads.
//!
//! Four lines of text: `usher master key 1`, then the cost of argon2id as `m=… t=… p=…`, the salt in base64url, and
//! the key in the form of the vault, sealed (AES-256-GCM-SIV) under what argon2id made of the passphrase. The first
//! three lines are covered by the seal.

use crate::seal::{MasterKey, Vault};
use crate::secret::Rng;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

const FIRST: &str = "usher master key 1";
const PURPOSE: &str = "backup key";
/// A file is opened seldom and guessed at for ever: four times what a login costs.
const COST: Cost = Cost { memory_kib: 262_144, passes: 3, lanes: 1 };

/// What one guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Why the key cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// The machine lacks the memory, or the cost in the file is out of bounds.
    #[error("the passphrase could not be worked on: it takes 256 MiB of memory")]
    Cost,
    /// The file is something else.
    #[error("this is no key file of `usher backup --with-key`")]
    NotAKeyFile,
    /// It does not open.
    #[error("the passphrase is wrong, or the key file was changed")]
    WrongPassphrase,
}

fn vault(passphrase: &str, salt: &[u8], cost: Cost) -> Result<Vault, KeyFileError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|_| KeyFileError::Cost)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
        .map_err(|_| KeyFileError::Cost)?;
    Ok(Vault::new(&MasterKey::from_bytes(*key)))
}

fn head(cost: Cost, salt: &str) -> String {
    format!("{FIRST}\nm={} t={} p={}\n{salt}\n", cost.memory_kib, cost.passes, cost.lanes)
}

/// The text of a key file.
pub fn seal(master: &MasterKey, passphrase: &str, rng: &Rng) -> Result<String, KeyFileError> {
    seal_at(COST, master, passphrase, rng)
}

fn seal_at(cost: Cost, master: &MasterKey, passphrase: &str, rng: &Rng) -> Result<String, KeyFileError> {
    let salt: [u8; 16] = rng.bytes();
    let head = head(cost, &URL_SAFE_NO_PAD.encode(salt));
    let vault = vault(passphrase, &salt, cost)?;
    let sealed = vault.seal(PURPOSE, &head, master.expose().as_bytes(), rng).map_err(|_| KeyFileError::Cost)?;
    Ok(format!("{head}{sealed}\n"))
}

/// The master key in a key file.
pub fn open(text: &str, passphrase: &str) -> Result<MasterKey, KeyFileError> {
    let lines: Vec<&str> = text.lines().collect();
    let [first, costs, salt, sealed] = lines[..] else { return Err(KeyFileError::NotAKeyFile) };
    let number =
        |name: &str| costs.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.parse::<u32>().ok());
    let cost = match (first == FIRST, number("m"), number("t"), number("p")) {
        (true, Some(memory_kib), Some(passes), Some(lanes)) => Cost { memory_kib, passes, lanes },
        _ => return Err(KeyFileError::NotAKeyFile),
    };
    // Somebody else may have written the file: it must not make us take all memory.
    if cost.memory_kib > 4 * COST.memory_kib || cost.passes > 16 || cost.lanes > 16 {
        return Err(KeyFileError::Cost);
    }
    let bytes = URL_SAFE_NO_PAD.decode(salt).map_err(|_| KeyFileError::NotAKeyFile)?;
    let opened = vault(passphrase, &bytes, cost)?.open(PURPOSE, &head(cost, salt), sealed);
    let opened = opened.map_err(|_| KeyFileError::WrongPassphrase)?;
    let key = std::str::from_utf8(&opened).ok().and_then(MasterKey::parse);
    key.ok_or(KeyFileError::WrongPassphrase)
}

/// Writes a new file for its owner alone, on the disk when this returns.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn the_key_comes_back_with_the_passphrase_and_not_with_another() {
        let rng = Rng::seeded(1);
        let master = MasterKey::mint(&rng);
        let text = seal_at(CHEAP, &master, "correct horse", &rng).unwrap_or_default();
        assert!(!text.contains(&*master.expose()));
        let read = |text: &str, passphrase: &str| open(text, passphrase).map(|key| key.expose().to_string());
        assert_eq!(read(&text, "correct horse"), Ok(master.expose().to_string()));
        assert_eq!(read(&text, "correct house"), Err(KeyFileError::WrongPassphrase));
        assert_eq!(read(&text.replace("t=1", "t=2"), "correct horse"), Err(KeyFileError::WrongPassphrase));
        assert_eq!(read(&text.replace("m=64", "m=4000000"), "correct horse"), Err(KeyFileError::Cost));
        assert_eq!(read("usk_nonsense\n", "correct horse"), Err(KeyFileError::NotAKeyFile));
    }
}
