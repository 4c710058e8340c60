//! The vault: recoverable secrets at rest, sealed under a master key that lives outside the database.
//!
//! It promises that what it sealed says nothing without the master key, and opens only where it was
//! sealed: under the same purpose and in the same `table:column:row`. A sealed text moved to another
//! row, or exchanged for one of another purpose, is refused. It never makes a master key; that is done
//! once, for an empty database, by the data directory.
//!
//! The master key itself encrypts nothing. HKDF-SHA-256 (RFC 5869) derives one key for each purpose;
//! sealing is AES-256-GCM-SIV (RFC 8452), which survives even a repeated nonce. Each sealed text names
//! its master key, so that a vault may hold an old one beside the new while everything is resealed.

mod again;
mod store;

pub use again::{Held, ResealError, seal_again};
pub use store::Resealed;

use crate::secret::{Rng, armor, unarmor, unhex};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use zeroize::Zeroizing;

/// Leak scanners find the key by it; no other secret shares it.
const MASTER_PREFIX: &str = "usk_";
const FORM: &str = "v1";
const NONCE: usize = 12;

/// 256 bits from which every key at rest is derived. Prints as stars; wiped when dropped.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// A new key. Only for an empty database, or to replace another.
    pub fn mint(rng: &Rng) -> MasterKey {
        MasterKey(Zeroizing::new(rng.bytes()))
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> MasterKey {
        MasterKey(Zeroizing::new(bytes))
    }

    /// Reads the key's file: our own form with its checksum, or 64 hexadecimal digits as an operator's
    /// tools may make them. Space around it is ignored; nothing else is.
    pub fn parse(text: &str) -> Option<MasterKey> {
        let text = text.trim_ascii();
        if let Some(bytes) = unarmor(MASTER_PREFIX, text) {
            return Some(MasterKey(bytes));
        }
        let lower = Zeroizing::new(text.to_ascii_lowercase());
        unhex(&lower).map(MasterKey::from_bytes)
    }

    /// The text of the key's file, without newline.
    pub fn expose(&self) -> Zeroizing<String> {
        armor(MASTER_PREFIX, &self.0)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// Why a sealed text does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a sealed text.
    #[error("not a sealed value")]
    Malformed,
    /// Sealed under a master key that this vault does not hold.
    #[error("sealed under another master key ({key_id})")]
    OtherKey {
        /// The id of the key that is missing.
        key_id: String,
    },
    /// Changed, moved from another row, or sealed for another purpose.
    #[error("the sealed value does not belong here or was changed")]
    Refused,
}

/// A value too large to seal: 64 GiB and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value cannot be sealed")]
pub struct SealError;

/// The database was made with another master key than the one at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database belongs to master key {wanted}, but the key at hand is {found}")]
pub struct WrongMasterKey {
    /// The id of the key that the database asks for.
    pub wanted: String,
    /// The id of the key that was given.
    pub found: String,
}

/// Seals and opens. See the module.
pub struct Vault {
    current: Master,
    previous: Vec<Master>,
}

impl Vault {
    /// A vault that seals and opens with this key.
    pub fn new(master: &MasterKey) -> Vault {
        Vault { current: Master::new(master), previous: Vec::new() }
    }

    /// Opens what another key sealed as well, but seals nothing with it: for the time of a rotation.
    pub fn with_previous(mut self, master: &MasterKey) -> Vault {
        self.previous.push(Master::new(master));
        self
    }

    /// Names the master key without saying anything about it: 32 hexadecimal digits, derived one way.
    /// The database keeps it, so that a wrong key is noticed at the start and asked for by name.
    pub fn check_value(&self) -> String {
        self.current.name.clone()
    }

    /// Whether the key at hand is the one that the database was made with.
    pub fn check(&self, kept: &str) -> Result<(), WrongMasterKey> {
        if self.current.name == kept {
            return Ok(());
        }
        let short = |name: &str| name.chars().take(16).collect();
        Err(WrongMasterKey { wanted: short(kept), found: short(&self.current.name) })
    }

    /// Seals `plaintext` for one purpose (`"signing keys"`) and one place (`"keys:pkcs8:abc"`).
    pub fn seal(&self, purpose: &str, place: &str, plaintext: &[u8], rng: &Rng) -> Result<String, SealError> {
        let nonce: [u8; NONCE] = rng.bytes();
        let key = self.current.sealing_key(purpose).ok_or(SealError)?;
        let aad = Aad::from(covered(purpose, place, self.current.id()));
        let mut sealed = Zeroizing::new(Vec::with_capacity(NONCE + plaintext.len() + AES_256_GCM_SIV.tag_len()));
        sealed.extend_from_slice(plaintext);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut *sealed).map_err(|_| SealError)?;
        sealed.splice(0..0, nonce);
        Ok(format!("{FORM}.{}.{}", self.current.id(), URL_SAFE_NO_PAD.encode(&*sealed)))
    }

    /// Opens what was sealed for this purpose and place.
    pub fn open(&self, purpose: &str, place: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (key_id, body) = parts(sealed).ok_or(OpenError::Malformed)?;
        let master = std::iter::once(&self.current)
            .chain(&self.previous)
            .find(|master| master.id() == key_id)
            .ok_or_else(|| OpenError::OtherKey { key_id: key_id.to_owned() })?;
        let mut body = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| OpenError::Malformed)?);
        let (nonce, ciphertext) = body.split_at_mut_checked(NONCE).ok_or(OpenError::Malformed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Malformed)?;
        let key = master.sealing_key(purpose).ok_or(OpenError::Refused)?;
        let aad = Aad::from(covered(purpose, place, key_id));
        let plaintext = key.open_in_place(nonce, aad, ciphertext).map_err(|_| OpenError::Refused)?;
        Ok(Zeroizing::new(plaintext.to_vec()))
    }

    /// Whether this text is sealed under the current key; what is not, a rotation has yet to reseal.
    pub fn is_current(&self, sealed: &str) -> bool {
        parts(sealed).is_some_and(|(key_id, _)| key_id == self.current.id())
    }

    /// The same value in the same place, sealed under the current key.
    pub fn reseal(&self, purpose: &str, place: &str, sealed: &str, rng: &Rng) -> Result<String, OpenError> {
        let plaintext = self.open(purpose, place, sealed)?;
        self.seal(purpose, place, &plaintext, rng).map_err(|SealError| OpenError::Refused)
    }

    /// 32 bytes for one purpose, the same each time: keys of MACs. They change with the master key.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.current.derive("derive", purpose))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.current.id())
    }
}

/// One master key, ready to derive from.
struct Master {
    root: hkdf::Prk,
    name: String,
}

impl Master {
    fn new(key: &MasterKey) -> Master {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"usher master key v1").extract(key.0.as_ref());
        let mut master = Master { root, name: String::new() };
        let name: [u8; 32] = master.derive("name", "");
        master.name = name.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        master
    }

    /// The first half of the name: what sealed texts carry.
    fn id(&self) -> &str {
        self.name.get(..16).unwrap_or_default()
    }

    fn derive(&self, use_: &str, purpose: &str) -> [u8; 32] {
        let mut out = [0; 32];
        let info = [use_.as_bytes(), b"\0", purpose.as_bytes()];
        let filled = self.root.expand(&info, hkdf::HKDF_SHA256).and_then(|material| material.fill(&mut out));
        if filled.is_err() {
            // HKDF gives up to 8160 bytes and was asked for 32. A key of zeros must never be used.
            tracing::error!("a key could not be derived; stopping rather than working with a known key");
            std::process::abort();
        }
        out
    }

    fn sealing_key(&self, purpose: &str) -> Option<LessSafeKey> {
        let bytes = Zeroizing::new(self.derive("seal", purpose));
        UnboundKey::new(&AES_256_GCM_SIV, bytes.as_ref()).ok().map(LessSafeKey::new)
    }
}

/// What the seal covers beside the value: each part behind its length.
fn covered(purpose: &str, place: &str, key_id: &str) -> Vec<u8> {
    let parts = [FORM, key_id, purpose, place];
    parts.iter().flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.bytes())).collect()
}

/// Key id and body of a sealed text.
fn parts(sealed: &str) -> Option<(&str, &str)> {
    sealed.strip_prefix(FORM)?.strip_prefix('.')?.split_once('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Kind, Rng};
    use proptest::prelude::*;

    const PLACE: &str = "keys:pkcs8:one";

    fn master(n: u8) -> MasterKey {
        MasterKey::from_bytes([n; 32])
    }

    fn opened(vault: &Vault, purpose: &str, place: &str, sealed: &str) -> Result<Vec<u8>, OpenError> {
        vault.open(purpose, place, sealed).map(|bytes| bytes.to_vec())
    }

    fn sealed() -> String {
        Vault::new(&master(1)).seal("keys", PLACE, b"value", &Rng::seeded(1)).unwrap_or_default()
    }

    #[test]
    fn no_other_secret_looks_like_the_master_key() {
        assert!(Kind::ALL.iter().all(|kind| kind.prefix() != MASTER_PREFIX));
    }

    #[test]
    fn a_sealed_value_opens_where_it_was_sealed_and_nowhere_else() {
        let vault = Vault::new(&master(1));
        assert_eq!(opened(&vault, "keys", PLACE, &sealed()), Ok(b"value".to_vec()));
        assert_eq!(opened(&vault, "keys", "keys:pkcs8:two", &sealed()), Err(OpenError::Refused));
        assert_eq!(opened(&vault, "totp", PLACE, &sealed()), Err(OpenError::Refused));
        // The border between purpose and place is covered too.
        assert_eq!(opened(&vault, "keysk", "eys:pkcs8:one", &sealed()), Err(OpenError::Refused));
    }

    #[test]
    fn a_sealed_value_shows_nothing_of_itself() {
        let vault = Vault::new(&master(1));
        let rng = Rng::seeded(1);
        let once = vault.seal("keys", PLACE, b"the same words", &rng).unwrap_or_default();
        let twice = vault.seal("keys", PLACE, b"the same words", &rng).unwrap_or_default();
        assert_ne!(once, twice);
        assert!(!once.contains("same") && !once.contains(&URL_SAFE_NO_PAD.encode("the same words")[..8]), "{once}");
        assert_eq!(format!("{:?}", master(1)), "MasterKey(***)");
    }

    #[test]
    fn another_master_key_is_asked_for_by_name() {
        let (one, two) = (Vault::new(&master(1)), Vault::new(&master(2)));
        let key_id = one.check_value()[..16].to_owned();
        assert_eq!(opened(&two, "keys", PLACE, &sealed()), Err(OpenError::OtherKey { key_id: key_id.clone() }));
        assert_eq!(one.check(&one.check_value()), Ok(()));
        assert_eq!(two.check(&one.check_value()).map_err(|wrong| wrong.wanted), Err(key_id));
        assert_ne!(one.check_value(), two.check_value());
    }

    #[test]
    fn a_rotation_reseals_and_then_needs_the_old_key_no_more() {
        let between = Vault::new(&master(2)).with_previous(&master(1));
        assert!(!between.is_current(&sealed()));
        assert_eq!(opened(&between, "keys", PLACE, &sealed()), Ok(b"value".to_vec()));
        let moved = between.reseal("keys", PLACE, &sealed(), &Rng::seeded(9)).unwrap_or_default();
        assert!(between.is_current(&moved));
        assert_eq!(opened(&Vault::new(&master(2)), "keys", PLACE, &moved), Ok(b"value".to_vec()));
    }

    #[test]
    fn a_sealed_value_under_a_renamed_key_is_refused() {
        let (one, two) = (Vault::new(&master(1)), Vault::new(&master(2)));
        let renamed = sealed().replace(&one.check_value()[..16], &two.check_value()[..16]);
        assert_eq!(opened(&two, "keys", PLACE, &renamed), Err(OpenError::Refused));
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_master_and_are_no_sealing_keys() {
        let vault = Vault::new(&master(1));
        assert_eq!(*vault.derive("cookie"), *vault.derive("cookie"));
        assert_ne!(*vault.derive("cookie"), *vault.derive("media"));
        assert_ne!(*vault.derive("cookie"), *Vault::new(&master(2)).derive("cookie"));
        assert_ne!(*vault.derive("cookie"), vault.current.derive("seal", "cookie"));
        assert!(!vault.derive("").starts_with(&[1; 4]));
    }

    #[test]
    fn a_master_key_is_read_in_two_forms_and_no_other() {
        let key = MasterKey::mint(&Rng::seeded(5));
        let text = key.expose();
        let name = |key: &MasterKey| Vault::new(key).check_value();
        let read = |text: &str| MasterKey::parse(text).map(|key| name(&key));
        assert_eq!(read(&text), Some(name(&key)));
        assert_eq!(read(&format!("  {}\n", *text)), Some(name(&key)));
        assert_eq!(read(&"01".repeat(32)), Some(name(&master(1))));
        assert_eq!(read(&"AB".repeat(32)), Some(name(&master(0xab))));
        let changed = text.replacen("usk_", "usr_", 1);
        for wrong in ["", "usk_", &text[1..], &text[..52], &changed, &"01".repeat(31), &"0g".repeat(32)] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_sealed_text_is_refused() {
        let vault = Vault::new(&master(1));
        let id = &vault.check_value()[..16];
        for text in ["", "v1", "v1.", &format!("v1.{id}"), &format!("v2.{id}.AAAA"), &format!("v1.{id}.AAAA")] {
            assert_eq!(opened(&vault, "keys", PLACE, text), Err(OpenError::Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_noticed(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut bytes = sealed().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            prop_assert!(Vault::new(&master(1)).open("keys", PLACE, &String::from_utf8_lossy(&bytes)).is_err());
        }

        #[test]
        fn any_value_survives_sealing(value in prop::collection::vec(any::<u8>(), 0..300), place in ".{0,40}") {
            let vault = Vault::new(&master(1));
            let sealed = vault.seal("any", &place, &value, &Rng::os());
            prop_assert_eq!(opened(&vault, "any", &place, &sealed.unwrap_or_default()), Ok(value));
        }
    }
}
