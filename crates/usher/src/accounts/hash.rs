//! Stored passwords: one text per password that says how it was made, and the arithmetic behind it.
//!
//! New passwords become argon2id (RFC 9106) over their NFC form, optionally keyed with a pepper: an HMAC
//! over the argon2id output whose key id stands in the text, so that a key can be replaced at each
//! person's next login. Passwords imported from elsewhere (scrypt, bcrypt, PBKDF2) are verified as they
//! were made and never made anew; `needs_rehash` says which to replace.
//!
//! Refused: texts whose parameters would take more than [`parse::MAX_MEMORY_KIB`] or minutes of work,
//! because an import file is input; scrypt below N = 2^15 or r = 8; every scheme not named above.
//! Comparisons take the same time whether the first or the last byte differs.

mod memory;
mod parse;
mod pepper;
mod scrypt;

use argon2::{Algorithm, Argon2, Version};
use aws_lc_rs::pbkdf2;
use std::fmt;
use std::num::NonZeroU32;
use subtle::ConstantTimeEq;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use zeroize::Zeroizing;

pub use memory::Memory;
pub use parse::{MAX_MEMORY_KIB, NotAHash};
pub use pepper::{BadPepper, Peppers};

/// Bytes of salt in a new hash.
pub const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;

/// The cost of a new argon2id hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The cost is outside what argon2id can do or what this server is willing to spend on one login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "argon2id parameters out of range: memory 8 to 262144 KiB per lane and in all, passes 1 to 16, lanes 1 to 8, \
     memory times passes at most 2097152 KiB"
)]
pub struct BadParams;

impl Params {
    /// `memory_kib` KiB filled `passes` times in `lanes` lanes.
    ///
    /// # Errors
    /// Outside the range that [`Encoded::parse`] accepts: what we write, we must be able to read.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Params, BadParams> {
        let fits = parse::argon2_fits(memory_kib, passes, lanes);
        if fits { Ok(Params { memory_kib, passes, lanes }) } else { Err(BadParams) }
    }

    /// Whether the cost reaches the least that OWASP's password storage guide asks of argon2id:
    /// 46 MiB once, 19 MiB twice, or 12 MiB three times.
    pub fn meets_floor(self) -> bool {
        match self.passes {
            0 => false,
            1 => self.memory_kib >= 47_104,
            2 => self.memory_kib >= 19_456,
            _ => self.memory_kib >= 12_288,
        }
    }

    /// KiB of memory that one hash takes.
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }
}

impl Default for Params {
    /// 64 MiB, three passes, one lane: about a tenth of a second on one core of 2026.
    fn default() -> Self {
        Params { memory_kib: 65_536, passes: 3, lanes: 1 }
    }
}

/// A stored password, read from its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded(Scheme);

#[derive(Clone, PartialEq, Eq)]
enum Scheme {
    Argon2id { params: Params, pepper: Option<String>, salt: Vec<u8>, tag: Vec<u8> },
    Scrypt { cost: scrypt::Cost, salt: Vec<u8>, tag: Vec<u8> },
    Bcrypt { text: String },
    Pbkdf2 { digest: Digest, rounds: NonZeroU32, salt: Vec<u8>, tag: Vec<u8> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha256,
    Sha512,
}

/// A password could not be checked or hashed. Not the same as a wrong password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashFault {
    /// The hash was made with a pepper that this server does not have.
    #[error("the password was hashed with pepper key {0:?}, which is not configured")]
    PepperMissing(String),
    /// The library refused the work, in practice for lack of memory.
    #[error("the hash function failed")]
    Failed,
}

impl Encoded {
    /// Reads a stored or imported hash.
    ///
    /// Known texts: `$argon2id$v=19$m=..,t=..,p=..$salt$tag`, the same as `$argon2id-hmac$..` with `,k=id` when
    /// peppered, `$scrypt$ln=15,r=8,p=1$salt$key`, `$2a$`/`$2b$`/`$2y$` bcrypt, `$pbkdf2-sha256$rounds$salt$key`
    /// and `$pbkdf2-sha512$..` (passlib), `pbkdf2_sha256$rounds$salt$key` and `pbkdf2_sha512$..` (Django).
    ///
    /// # Errors
    /// Another scheme, a malformed text, or parameters that are too weak to accept or too costly to run.
    pub fn parse(text: &str) -> Result<Encoded, NotAHash> {
        parse::encoded(text)
    }

    /// A Takeout account's password: scrypt N = 32768, r = 8, p = 1 over an 8-byte salt.
    ///
    /// # Errors
    /// A salt or key whose length is outside what [`Encoded::parse`] accepts.
    pub fn takeout(salt: &[u8], key: &[u8]) -> Result<Encoded, NotAHash> {
        parse::scrypt(scrypt::Cost { log_n: 15, r: 8, p: 1 }, salt.to_vec(), key.to_vec())
    }

    /// Hashes a new password: NFC, argon2id, and the current pepper if there is one.
    ///
    /// # Errors
    /// [`HashFault::Failed`] when the machine has not the memory.
    pub fn create(
        password: &str,
        salt: [u8; SALT_BYTES],
        params: Params,
        peppers: &Peppers,
        memory: &mut Memory,
    ) -> Result<Encoded, HashFault> {
        let pepper = peppers.current().map(str::to_owned);
        let raw = argon2id(params, nfc(password).as_bytes(), &salt, TAG_BYTES, memory)?;
        let tag = peppers.apply(pepper.as_deref(), &raw)?;
        Ok(Encoded(Scheme::Argon2id { params, pepper, salt: salt.to_vec(), tag }))
    }

    /// A hash of nothing, as costly to check as a real one of `params`, for names that nobody has.
    pub fn dummy(params: Params, peppers: &Peppers) -> Encoded {
        let pepper = peppers.current().map(str::to_owned);
        Encoded(Scheme::Argon2id { params, pepper, salt: vec![0x75; SALT_BYTES], tag: vec![0; TAG_BYTES] })
    }

    /// Whether `password` is the one.
    ///
    /// A password that NFC changes is tried in both forms: ours were hashed in NFC, imported ones as
    /// they were typed. Which forms are tried depends on the password alone, so a wrong one costs the same
    /// whoever it is tried on.
    ///
    /// # Errors
    /// See [`HashFault`]. The work is done before the fault is told.
    pub fn verify(&self, password: &str, peppers: &Peppers, memory: &mut Memory) -> Result<bool, HashFault> {
        let normal = nfc(password);
        let ours = matches!(self.0, Scheme::Argon2id { .. });
        let (first, second) = if ours { (normal.as_str(), password) } else { (password, normal.as_str()) };
        if self.matches(first, peppers, memory)? {
            return Ok(true);
        }
        if first == second { Ok(false) } else { self.matches(second, peppers, memory) }
    }

    fn matches(&self, password: &str, peppers: &Peppers, memory: &mut Memory) -> Result<bool, HashFault> {
        let password = password.as_bytes();
        match &self.0 {
            Scheme::Argon2id { params, pepper, salt, tag } => {
                let raw = argon2id(*params, password, salt, tag.len(), memory)?;
                Ok(same(&peppers.apply(pepper.as_deref(), &raw)?, tag))
            }
            Scheme::Scrypt { cost, salt, tag } => {
                let mut out = Zeroizing::new(vec![0; tag.len()]);
                scrypt::derive(*cost, password, salt, &mut out).map_err(|_| HashFault::Failed)?;
                Ok(same(&out, tag))
            }
            // bcrypt reads the first 72 bytes and no more. An imported password was made that way and
            // is checked that way; its replacement after this login reads all of it.
            Scheme::Bcrypt { text } => bcrypt::verify(password, text).map_err(|_| HashFault::Failed),
            Scheme::Pbkdf2 { digest, rounds, salt, tag } => {
                let mut out = Zeroizing::new(vec![0; tag.len()]);
                pbkdf2::derive(digest.algorithm(), *rounds, salt, password, &mut out);
                Ok(same(&out, tag))
            }
        }
    }

    /// Whether the next login should replace the hash: another scheme, other parameters, a shorter salt or tag
    /// than new ones have, or another pepper than the current one.
    pub fn needs_rehash(&self, params: &Params, peppers: &Peppers) -> bool {
        match &self.0 {
            Scheme::Argon2id { params: mine, pepper, salt, tag } => {
                mine != params
                    || pepper.as_deref() != peppers.current()
                    || salt.len() < SALT_BYTES
                    || tag.len() != TAG_BYTES
            }
            Scheme::Scrypt { .. } | Scheme::Bcrypt { .. } | Scheme::Pbkdf2 { .. } => true,
        }
    }

    /// The scheme's name, for lists and logs.
    pub fn scheme(&self) -> &'static str {
        match &self.0 {
            Scheme::Argon2id { .. } => "argon2id",
            Scheme::Scrypt { .. } => "scrypt",
            Scheme::Bcrypt { .. } => "bcrypt",
            Scheme::Pbkdf2 { digest, .. } => digest.name(),
        }
    }
}

impl Digest {
    fn name(self) -> &'static str {
        match self {
            Digest::Sha256 => "pbkdf2-sha256",
            Digest::Sha512 => "pbkdf2-sha512",
        }
    }

    fn algorithm(self) -> pbkdf2::Algorithm {
        match self {
            Digest::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Digest::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

/// The text to store.
impl fmt::Display for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        parse::write(&self.0, f)
    }
}

/// A hash can be guessed at offline, so it does not belong in a log.
impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} ***)", self.scheme())
    }
}

/// NFC, so that one password typed on two keyboards is one password (RFC 8265 section 4.2.2).
pub fn nfc(password: &str) -> Zeroizing<String> {
    if is_nfc_quick(password.chars()) == IsNormalized::Yes {
        return Zeroizing::new(password.to_owned());
    }
    // With room enough from the start: a string that grows leaves copies of itself behind.
    let mut normal = Zeroizing::new(String::with_capacity(password.len().saturating_mul(3)));
    normal.extend(password.nfc());
    normal
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn argon2id(
    params: Params,
    password: &[u8],
    salt: &[u8],
    length: usize,
    memory: &mut Memory,
) -> Result<Zeroizing<Vec<u8>>, HashFault> {
    let costs = argon2::Params::new(params.memory_kib, params.passes, params.lanes, Some(length))
        .map_err(|_| HashFault::Failed)?;
    let blocks = memory.blocks(costs.block_count()).ok_or(HashFault::Failed)?;
    let mut out = Zeroizing::new(vec![0; length]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, costs)
        .hash_password_into_with_memory(password, salt, &mut out, blocks)
        .map_err(|_| HashFault::Failed)?;
    Ok(out)
}

#[cfg(test)]
mod tests;
