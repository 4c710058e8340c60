//! Secrets: what a person or program holds, and what we keep of it.
//!
//! Two types that cannot be confused. [`Plain`] is what the holder gets, once: 256 random bits behind a
//! prefix that says what it is, so that leak scanners find it, and a checksum, so that they and we tell
//! a secret from text that only looks like one without asking the database. [`Digest`] is what we keep.
//! A plain secret prints as stars, cannot be compared, stored or cloned, and is wiped when dropped.
//!
//! [`MacKey`] is for structured tokens: they prove themselves, and are looked up only afterwards.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

/// Where randomness comes from. Drawn before a write begins, never inside one.
pub enum Rng {
    /// The operating system. Asked itself: a generator of our own in between would gather jitter of the processor for
    /// tens of milliseconds at its first use, before the first request is answered.
    Os,
    /// A repeatable sequence for tests.
    Seeded(Mutex<(u64, u64)>),
}

impl Rng {
    /// The operating system's generator.
    pub fn os() -> Rng {
        Rng::Os
    }

    /// A repeatable sequence, for tests only.
    pub fn seeded(seed: u64) -> Rng {
        Rng::Seeded(Mutex::new((seed, 0)))
    }

    /// `N` fresh bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// Fills `out`. A machine that cannot give randomness cannot make credentials: the process ends.
    pub fn fill(&self, out: &mut [u8]) {
        match self {
            Rng::Os => {
                let mut rest = out;
                while !rest.is_empty() {
                    match getrandom(&mut *rest, GetRandomFlags::empty()) {
                        Ok(count) => rest = &mut rest[count..],
                        Err(Errno::INTR) => {}
                        Err(error) => {
                            tracing::error!(
                                %error,
                                "the operating system gives no randomness; stopping rather than making guessable secrets"
                            );
                            std::process::abort();
                        }
                    }
                }
            }
            Rng::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in out.chunks_mut(32) {
                    state.1 += 1;
                    let block = [state.0.to_le_bytes(), state.1.to_le_bytes()].concat();
                    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &block);
                    chunk.copy_from_slice(&digest.as_ref()[..chunk.len()]);
                }
            }
        }
    }
}

/// What a secret is for. Each kind has its own prefix, and its digests match no other kind's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A refresh token.
    Refresh,
    /// A personal token, for scripts.
    Personal,
    /// The link that makes the first admin.
    Setup,
    /// The link that invites a new account.
    Invite,
    /// The link that replaces a lost password.
    Reset,
    /// The link that proves an email address.
    Verify,
    /// What a device polls with until somebody approves it.
    Device,
    /// What a browser keeps in which a password was proven before. It opens nothing.
    Known,
    /// The link that stands in for a lost second factor.
    Recover,
}

impl Kind {
    /// Every kind, for tables and tests.
    pub const ALL: [Kind; 9] = [
        Kind::Refresh,
        Kind::Personal,
        Kind::Setup,
        Kind::Invite,
        Kind::Reset,
        Kind::Verify,
        Kind::Device,
        Kind::Known,
        Kind::Recover,
    ];

    /// The four characters that a secret of this kind begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Refresh => "usr_",
            Kind::Personal => "usp_",
            Kind::Setup => "ust_",
            Kind::Invite => "usi_",
            Kind::Reset => "usw_",
            Kind::Verify => "usv_",
            Kind::Device => "usd_",
            Kind::Known => "usb_",
            Kind::Recover => "usf_",
        }
    }

    /// The kind that this text claims to be; says nothing about whether it is one.
    pub fn of(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))
    }
}

/// The text is no secret of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a secret of this kind")]
pub struct NotASecret;

/// A secret as its holder has it.
pub struct Plain {
    kind: Kind,
    text: Zeroizing<String>,
}

impl Plain {
    /// A new secret of 256 random bits.
    pub fn mint(kind: Kind, rng: &Rng) -> Plain {
        Plain::from_bytes(kind, &Zeroizing::new(rng.bytes()))
    }

    /// The secret of these bytes, which must be as hard to guess as random ones: the derived successor
    /// of a refresh token is made so.
    pub fn from_bytes(kind: Kind, bytes: &[u8; 32]) -> Plain {
        Plain { kind, text: armor(kind.prefix(), bytes) }
    }

    /// Reads what somebody presents. Refuses another kind, length, alphabet or checksum. No secret is
    /// compared here, and prefix and checksum are judged together: a refusal does not say which failed.
    pub fn parse(kind: Kind, text: &str) -> Result<Plain, NotASecret> {
        let bytes = unarmor(kind.prefix(), text).ok_or(NotASecret)?;
        Ok(Plain::from_bytes(kind, &bytes))
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text, for the one answer that hands it out.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What we keep. The prefix is digested too, so that no digest is good for two kinds.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}***", self.kind.prefix())
    }
}

/// The SHA-256 of a secret: finds its row and opens nothing. Enough for 256 random bits; never for
/// anything a person chose.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Digest(out)
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this is the digest of `secret`. In constant time.
    pub fn matches(&self, secret: &[u8]) -> bool {
        *self == Digest::of(secret)
    }
}

/// In constant time: how far two digests agree says how near a guess came.
impl PartialEq for Digest {
    fn eq(&self, other: &Digest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// 64 lower-case hexadecimal digits, as tables keep it.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Enough to tell two apart in a log.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a digest")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;
    fn from_str(text: &str) -> Result<Digest, NotADigest> {
        unhex(text).map(Digest).ok_or(NotADigest)
    }
}

impl From<Digest> for usher_db::Value {
    fn from(digest: Digest) -> Self {
        usher_db::Value::Text(digest.to_string())
    }
}

impl usher_db::FromValue for Digest {
    fn from_value(value: usher_db::Value) -> Option<Self> {
        match value {
            usher_db::Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// A key for tags (HMAC-SHA-256, RFC 2104) over structured tokens.
pub struct MacKey(hmac::Key);

impl MacKey {
    /// The key of these 32 bytes, which must be random or derived for this one use.
    pub fn new(key: &[u8; 32]) -> MacKey {
        MacKey(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The tag over these parts. Each goes in behind its length, so that no other cut of the same
    /// bytes has the same tag.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }

    /// Whether `tag` is the whole tag over these parts, compared in constant time.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.tag(parts).ct_eq(tag).into()
    }

    /// Whether `tag` is the beginning, at least 16 bytes long, of the tag over these parts. In constant time.
    pub fn verify_short(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let whole = self.tag(parts);
        (16..=whole.len()).contains(&tag.len()) && bool::from(whole[..tag.len()].ct_eq(tag))
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(***)")
    }
}

/// The length of a CRC-32 in base64url without padding.
const CHECK: usize = 6;

/// The length of `bytes` in base64url without padding.
const fn body(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// `prefix`, the bytes in base64url, and the CRC-32 of both in base64url.
pub(crate) fn armor<const N: usize>(prefix: &str, bytes: &[u8; N]) -> Zeroizing<String> {
    // The room is taken at once: a string that grows leaves copies of itself behind.
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + body(N) + CHECK));
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    let check = crc32(text.as_bytes());
    URL_SAFE_NO_PAD.encode_string(check.to_be_bytes(), &mut text);
    text
}

/// The bytes of such a text, or nothing. Only a wrong length ends early; every other text of this
/// prefix costs one decoding, one checksum and comparisons in constant time.
pub(crate) fn unarmor<const N: usize>(prefix: &str, text: &str) -> Option<Zeroizing<[u8; N]>> {
    let text = text.as_bytes();
    if text.len() != prefix.len() + body(N) + CHECK {
        return None;
    }
    let (covered, check) = text.split_at(prefix.len() + body(N));
    let (head, body) = covered.split_at(prefix.len());
    // The decoder wants some room beyond the exact length.
    let mut bytes = Zeroizing::new(vec![0_u8; N + 8]);
    let mut sum = [0_u8; 8];
    let body_length = URL_SAFE_NO_PAD.decode_slice(body, bytes.as_mut_slice()).unwrap_or(0);
    let sum_length = URL_SAFE_NO_PAD.decode_slice(check, &mut sum).unwrap_or(0);
    let good = head.ct_eq(prefix.as_bytes())
        & sum[..4].ct_eq(&crc32(covered).to_be_bytes())
        & Choice::from(u8::from(body_length == N))
        & Choice::from(u8::from(sum_length == 4));
    let mut out = Zeroizing::new([0_u8; N]);
    out.copy_from_slice(&bytes[..N]);
    bool::from(good).then_some(out)
}

/// 32 bytes from 64 lower-case hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    if text.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => {
                out.zeroize();
                return None;
            }
        }
    }
    Some(out)
}

/// CRC-32 as in IEEE 802.3, the checksum that leak scanners know. It guards against typing errors and
/// look-alikes, not against forgers.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low_bit = crc & 1;
            crc = crc >> 1 ^ 0xEDB8_8320 & low_bit.wrapping_neg();
        }
    }
    !crc
}

/// How a text that is wiped when dropped goes through serde, where it has to: `#[serde(with = "carried")]`.
pub mod carried {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    /// As plain text.
    pub fn serialize<S: Serializer>(text: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text)
    }

    /// From plain text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(from).map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests;
