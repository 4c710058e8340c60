//! The texts of stored passwords: read strictly, because an import file is input, and written in one form.

use super::{Digest, Encoded, Params, Scheme, pepper, scrypt::Cost};
use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// The most memory that checking one password may take, in KiB. A hasher needs as much per permit.
pub const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// No accepted text is longer; a longer one is not looked at.
const MAX_TEXT: usize = 512;
/// KiB written in all: about a second and a half of one core.
const MAX_ARGON2_TRAFFIC_KIB: u64 = 2 << 20;
/// bcrypt doubles per step; 2^16 rounds are some five seconds.
const BCRYPT_COSTS: RangeInclusive<u32> = 4..=16;
const PBKDF2_ROUNDS: RangeInclusive<u32> = 1_000..=5_000_000;
const SALTS: RangeInclusive<usize> = 8..=64;
const TAGS: RangeInclusive<usize> = 16..=64;

/// passlib's alphabet: standard base64 with `.` for `+`, no padding.
const PASSLIB: Option<GeneralPurpose> =
    match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./") {
        Ok(alphabet) => Some(GeneralPurpose::new(&alphabet, NO_PAD)),
        Err(_) => None,
    };

/// Why a text is not a stored password. Names the part, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAHash {
    /// None of the schemes.
    #[error(
        "unknown password scheme: argon2id, scrypt, bcrypt ($2a$, $2b$, $2y$) and pbkdf2 with SHA-256 or SHA-512 are known"
    )]
    Scheme,
    /// The scheme is known, the rest does not have its form.
    #[error("malformed password hash")]
    Form,
    /// The salt or the key has a length that no honest hash has.
    #[error("the salt or key of the password hash has an unusable length")]
    Length,
    /// Cheaper to guess than we are willing to keep.
    #[error(
        "the password hash was made too cheaply: scrypt needs N of at least 32768 and r of at least 8, pbkdf2 1000 rounds"
    )]
    TooCheap,
    /// Would take the machine's memory or minutes of its time.
    #[error("the password hash is too costly to check")]
    TooCostly,
}

pub fn encoded(text: &str) -> Result<Encoded, NotAHash> {
    if text.len() > MAX_TEXT || !text.is_ascii() {
        return Err(NotAHash::Form);
    }
    let (scheme, rest) = text.strip_prefix('$').unwrap_or(text).split_once('$').ok_or(NotAHash::Scheme)?;
    match (text.starts_with('$'), scheme) {
        (true, "argon2id" | "argon2id-hmac") => argon2id(scheme == "argon2id-hmac", rest),
        (true, "scrypt") => scrypt_text(rest),
        (true, "2a" | "2b" | "2y") => bcrypt(text),
        (true, "pbkdf2-sha256") => pbkdf2(Digest::Sha256, rest, passlib),
        (true, "pbkdf2-sha512") => pbkdf2(Digest::Sha512, rest, passlib),
        (false, "pbkdf2_sha256") => pbkdf2(Digest::Sha256, rest, django),
        (false, "pbkdf2_sha512") => pbkdf2(Digest::Sha512, rest, django),
        _ => Err(NotAHash::Scheme),
    }
}

/// RFC 9106 section 3.1 for the lower bounds; the upper ones are ours.
pub fn argon2_fits(memory_kib: u32, passes: u32, lanes: u32) -> bool {
    (1..=8).contains(&lanes)
        && (1..=16).contains(&passes)
        && (8 * lanes..=MAX_MEMORY_KIB).contains(&memory_kib)
        && u64::from(memory_kib) * u64::from(passes) <= MAX_ARGON2_TRAFFIC_KIB
}

fn argon2id(peppered: bool, rest: &str) -> Result<Encoded, NotAHash> {
    let [version, costs, salt, tag] = fields(rest)?;
    if version != "v=19" {
        return Err(NotAHash::Form);
    }
    let (costs, pepper) = match (peppered, costs.split_once(",k=")) {
        (false, None) => (costs, None),
        (true, Some((costs, id))) if pepper::is_id(id) => (costs, Some(id.to_owned())),
        _ => return Err(NotAHash::Form),
    };
    let [memory_kib, passes, lanes] = numbers(costs, ["m=", "t=", "p="])?;
    let params = Params::new(memory_kib, passes, lanes)
        .map_err(|_| if memory_kib < 8 || passes == 0 || lanes == 0 { NotAHash::Form } else { NotAHash::TooCostly })?;
    let (salt, tag) = (phc(salt)?, phc(tag)?);
    lengths(&salt, &tag)?;
    if peppered && tag.len() != 32 {
        return Err(NotAHash::Length);
    }
    Ok(Encoded(Scheme::Argon2id { params, pepper, salt, tag }))
}

fn scrypt_text(rest: &str) -> Result<Encoded, NotAHash> {
    let [costs, salt, tag] = fields(rest)?;
    let [log_n, r, p] = numbers(costs, ["ln=", "r=", "p="])?;
    let log_n = u8::try_from(log_n).map_err(|_| NotAHash::TooCostly)?;
    scrypt(Cost { log_n, r, p }, phc(salt)?, phc(tag)?)
}

pub fn scrypt(cost: Cost, salt: Vec<u8>, tag: Vec<u8>) -> Result<Encoded, NotAHash> {
    if cost.log_n < 15 || cost.r < 8 || cost.p == 0 {
        return Err(NotAHash::TooCheap);
    }
    // Memory is 128 * N * r bytes and time goes with N * r * p: 2^15 * 8 is 32 MiB and a twentieth of a second.
    let unit = 1_u64.checked_shl(cost.log_n.into()).and_then(|n| n.checked_mul(cost.r.into())).unwrap_or(u64::MAX);
    let work = unit.saturating_mul(cost.p.into());
    if cost.log_n > 21 || unit / 8 > u64::from(MAX_MEMORY_KIB) || work > (1 << 15) * 8 * 32 {
        return Err(NotAHash::TooCostly);
    }
    lengths(&salt, &tag)?;
    Ok(Encoded(Scheme::Scrypt { cost, salt, tag }))
}

fn bcrypt(text: &str) -> Result<Encoded, NotAHash> {
    let parts: ::bcrypt::HashParts = text.parse().map_err(|_| NotAHash::Form)?;
    if !text[4..6].bytes().all(|b| b.is_ascii_digit()) || parts.get_cost() < *BCRYPT_COSTS.start() {
        return Err(NotAHash::Form);
    }
    if parts.get_cost() > *BCRYPT_COSTS.end() {
        return Err(NotAHash::TooCostly);
    }
    Ok(Encoded(Scheme::Bcrypt { text: text.to_owned() }))
}

type Decode = fn(&str, &str) -> Result<(Vec<u8>, Vec<u8>), NotAHash>;

fn pbkdf2(digest: Digest, rest: &str, decode: Decode) -> Result<Encoded, NotAHash> {
    let [rounds, salt, tag] = fields(rest)?;
    let rounds = number(rounds)?;
    if rounds < *PBKDF2_ROUNDS.start() {
        return Err(NotAHash::TooCheap);
    }
    if rounds > *PBKDF2_ROUNDS.end() {
        return Err(NotAHash::TooCostly);
    }
    let (salt, tag) = decode(salt, tag)?;
    lengths(&salt, &tag)?;
    let rounds = NonZeroU32::new(rounds).ok_or(NotAHash::TooCheap)?;
    Ok(Encoded(Scheme::Pbkdf2 { digest, rounds, salt, tag }))
}

fn passlib(salt: &str, tag: &str) -> Result<(Vec<u8>, Vec<u8>), NotAHash> {
    let decode = |text| PASSLIB.and_then(|engine| engine.decode(text).ok()).ok_or(NotAHash::Form);
    Ok((decode(salt)?, decode(tag)?))
}

/// Django salts with the characters themselves and pads its key.
fn django(salt: &str, tag: &str) -> Result<(Vec<u8>, Vec<u8>), NotAHash> {
    Ok((salt.as_bytes().to_vec(), STANDARD.decode(tag).map_err(|_| NotAHash::Form)?))
}

fn phc(text: &str) -> Result<Vec<u8>, NotAHash> {
    STANDARD_NO_PAD.decode(text).map_err(|_| NotAHash::Form)
}

fn lengths(salt: &[u8], tag: &[u8]) -> Result<(), NotAHash> {
    if SALTS.contains(&salt.len()) && TAGS.contains(&tag.len()) { Ok(()) } else { Err(NotAHash::Length) }
}

/// Exactly `N` fields between dollar signs.
fn fields<const N: usize>(rest: &str) -> Result<[&str; N], NotAHash> {
    rest.split('$').collect::<Vec<_>>().try_into().map_err(|_| NotAHash::Form)
}

/// `names` in this order, each with a number, and nothing else.
fn numbers<const N: usize>(text: &str, names: [&str; N]) -> Result<[u32; N], NotAHash> {
    let mut out = [0; N];
    let mut parts = text.split(',');
    for (slot, name) in out.iter_mut().zip(names) {
        let value = parts.next().and_then(|part| part.strip_prefix(name)).ok_or(NotAHash::Form)?;
        *slot = number(value)?;
    }
    if parts.next().is_some() { Err(NotAHash::Form) } else { Ok(out) }
}

/// A decimal number in its only spelling. One too large for us is costly rather than malformed.
fn number(text: &str) -> Result<u32, NotAHash> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(NotAHash::Form);
    }
    text.parse().map_err(|_| NotAHash::TooCostly)
}

pub fn write(scheme: &Scheme, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match scheme {
        Scheme::Argon2id { params: Params { memory_kib, passes, lanes }, pepper, salt, tag } => {
            let (salt, tag) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(tag));
            match pepper {
                None => write!(f, "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${tag}"),
                Some(id) => write!(f, "$argon2id-hmac$v=19$m={memory_kib},t={passes},p={lanes},k={id}${salt}${tag}"),
            }
        }
        Scheme::Scrypt { cost: Cost { log_n, r, p }, salt, tag } => {
            let (salt, tag) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(tag));
            write!(f, "$scrypt$ln={log_n},r={r},p={p}${salt}${tag}")
        }
        Scheme::Bcrypt { text } => f.write_str(text),
        Scheme::Pbkdf2 { digest, rounds, salt, tag } => {
            let engine = PASSLIB.ok_or(fmt::Error)?;
            write!(f, "${}${rounds}${}${}", digest.name(), engine.encode(salt), engine.encode(tag))
        }
    }
}
