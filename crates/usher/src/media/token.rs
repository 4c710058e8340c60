//! The media URL token: a credential of 57 bytes that stands in the path.
//!
//! `ver u8 | kid u8 | flags u8 | depth u8 | exp u32 | gid u64 | gen u32 | bucket u32 | iptag 8 | nonce 9 | mac 16`,
//! integers big-endian, written as exactly 76 base64url characters without padding (RFC 4648 section 5).
//! The MAC covers the first 41 bytes and the scope: the decoded path of one file, or the first `depth`
//! segments of the path and a slash for a folder. What the MAC covers is what is opened, byte for byte.
//!
//! A `Token` has only been parsed; nothing of it may be believed. Only a `Verified` one shows its fields.
//! Whether the grant behind it lives, and whether it has expired, is asked after that, never before: an
//! answer to an unproven token must say nothing about grants, times or files.

use super::kind::Kind;
use super::path::{CanonicalPath, shown};
use crate::secret::Rng;
use crate::time::Time;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// The length of a token in a URL.
pub const ENCODED: usize = 76;
const LENGTH: usize = 57;
const SIGNED: usize = 41;
const VERSION: u8 = 1;
const MEDIA_DOMAIN: &[u8] = b"usher-media-v1\0";
const ADDRESS_DOMAIN: &[u8] = b"usher-media-ip-v1\0";

/// No media URL lives longer, whatever asked for it.
pub const CEILING: Duration = Duration::from_secs(7 * 24 * 3600);

const FOLDER: u8 = 1;
const DOWNLOAD: u8 = 2;
const IP_BOUND: u8 = 4;
const HLS: u8 = 8;

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not 76 characters of the alphabet: no token at all, 404.
    #[error("not a media token")]
    Malformed,
    /// Another version, or a key that is unknown or past its time, 403.
    #[error("the media token's key is not known")]
    UnknownKey,
    /// The MAC does not hold for this path, 403.
    #[error("the media token is not for this path")]
    Forged,
    /// A good token for one file, and the path asks for a folder of that name, 404.
    #[error("a file is not a folder")]
    NotAFolder,
}

/// What a URL opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// This file and nothing else.
    File(&'a CanonicalPath),
    /// Everything below this folder.
    Folder(&'a CanonicalPath),
}

/// What a token says, as minted and as verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// The end, in whole seconds; a lease may carry use beyond it.
    pub exp: Time,
    /// The grant it stands on.
    pub gid: u64,
    /// The grant's generation: ending all of a grant's URLs is one step of this number.
    pub generation: u32,
    /// The bucket.
    pub bucket: u32,
    /// May be saved as a file (`?dl=1`).
    pub download: bool,
    /// An HLS or DASH folder.
    pub hls: bool,
}

/// A parsed token. Nothing in it has been proved.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; LENGTH]);

/// A token whose MAC held for the path it was presented with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub fields: Fields,
    /// Whether it opens a folder.
    pub folder: bool,
    /// How many segments of the path its folder has.
    pub depth: u8,
    /// Names this very URL, for leases and for ending one URL. Not a credential by itself.
    pub id: [u8; 16],
    ip_tag: Option<[u8; 8]>,
    kid: u8,
}

struct Held {
    key: hmac::Key,
    /// Verifies until then; none for the signing key.
    not_after: Option<Time>,
}

/// The keys that tokens are made with: one signs, others only verify until their time is over.
pub struct MediaKeys {
    // Indexed by key id, so that a token costs no search.
    held: Vec<Option<Box<Held>>>,
    signing: u8,
}

impl MediaKeys {
    /// Keys of which `signing` makes new tokens. Key ids are 1 to 254; 0 and 255 stay unused, so that a
    /// blank token names no key.
    pub fn new(signing: u8, secret: &[u8; 32]) -> Option<Self> {
        let mut keys = MediaKeys { held: (0..=255).map(|_| None).collect(), signing };
        keys.put(signing, secret, None).then_some(keys)
    }

    /// Adds a key that only verifies, until `not_after`. False when the key id cannot be used or is taken.
    #[must_use]
    pub fn add_verifying(&mut self, kid: u8, secret: &[u8; 32], not_after: Time) -> bool {
        self.put(kid, secret, Some(not_after))
    }

    fn put(&mut self, kid: u8, secret: &[u8; 32], not_after: Option<Time>) -> bool {
        match self.held.get_mut(usize::from(kid)) {
            Some(slot @ None) if kid != 0 && kid != 255 => {
                *slot = Some(Box::new(Held { key: hmac::Key::new(hmac::HMAC_SHA256, secret), not_after }));
                true
            }
            _ => false,
        }
    }

    fn find(&self, kid: u8, now: Time) -> Option<&hmac::Key> {
        let held = self.held.get(usize::from(kid))?.as_ref()?;
        held.not_after.is_none_or(|end| now < end).then_some(&held.key)
    }

    fn ip_tag(&self, kid: u8, client: IpAddr, now: Time) -> Option<[u8; 8]> {
        let mut context = hmac::Context::with_key(self.find(kid, now)?);
        context.update(ADDRESS_DOMAIN);
        // The network, not the address: a phone's address moves within it all day.
        match client.to_canonical() {
            IpAddr::V4(v4) => context.update(&v4.octets()[..3]),
            IpAddr::V6(v6) => context.update(&v6.octets()[..6]),
        }
        first(context.sign().as_ref())
    }
}

impl fmt::Debug for MediaKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaKeys({} keys, {} signs)", self.held.iter().flatten().count(), self.signing)
    }
}

/// Makes the token of a new URL, bound to `client`'s network when one is given.
///
/// An end later than the ceiling of seven days is brought down to it. None when the folder is deeper than
/// a token can say or the signing key is gone, which no caller can bring about.
pub fn mint(
    keys: &MediaKeys,
    fields: &Fields,
    scope: Scope<'_>,
    client: Option<IpAddr>,
    now: Time,
    rng: &Rng,
) -> Option<String> {
    let exp = fields.exp.min(now + CEILING).seconds();
    let (path, depth, mut flags) = match scope {
        Scope::File(path) => (path, 0, 0),
        Scope::Folder(path) => (path, u8::try_from(path.depth()).ok()?, FOLDER),
    };
    flags |= if fields.download { DOWNLOAD } else { 0 } | if fields.hls { HLS } else { 0 };
    let ip_tag = match client {
        Some(client) => {
            flags |= IP_BOUND;
            keys.ip_tag(keys.signing, client, now)?
        }
        None => [0; 8],
    };
    let mut bytes = [0; LENGTH];
    let mut rest = bytes.as_mut_slice();
    for part in [
        &[VERSION, keys.signing, flags, depth][..],
        &u32::try_from(exp.max(0)).unwrap_or(u32::MAX).to_be_bytes(),
        &fields.gid.to_be_bytes(),
        &fields.generation.to_be_bytes(),
        &fields.bucket.to_be_bytes(),
        &ip_tag,
        &rng.bytes::<9>(),
    ] {
        let (here, after) = rest.split_at_mut(part.len());
        here.copy_from_slice(part);
        rest = after;
    }
    let mac = mac(keys.find(keys.signing, now)?, &bytes[..SIGNED], scope_of(flags, depth, path)?)?;
    bytes[SIGNED..].copy_from_slice(&mac);
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// What the MAC covers of a path: its bytes, and whether a slash follows.
fn scope_of(flags: u8, depth: u8, path: &CanonicalPath) -> Option<(&[u8], bool)> {
    if flags & FOLDER == 0 {
        return Some((path.as_bytes(), false));
    }
    path.prefix(usize::from(depth)).map(|prefix| (prefix, true))
}

fn mac(key: &hmac::Key, signed: &[u8], (scope, folder): (&[u8], bool)) -> Option<[u8; 16]> {
    let length = u32::try_from(scope.len()).ok()?.checked_add(u32::from(folder))?;
    let mut context = hmac::Context::with_key(key);
    context.update(MEDIA_DOMAIN);
    context.update(signed);
    context.update(&length.to_be_bytes());
    context.update(scope);
    if folder {
        context.update(b"/");
    }
    first(context.sign().as_ref())
}

fn first<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk::<N>().copied()
}

impl Token {
    /// Reads a path segment. One spelling only: 76 characters leave no spare bits.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut bytes = [0; LENGTH];
        if text.len() != ENCODED {
            return Err(TokenError::Malformed);
        }
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(LENGTH) => Ok(Token(bytes)),
            _ => Err(TokenError::Malformed),
        }
    }

    /// Proves the token for `path`, the path after it in the URL. Constant time in the MAC.
    pub fn verify(&self, keys: &MediaKeys, path: &CanonicalPath, now: Time) -> Result<Verified, TokenError> {
        let [version, kid, flags, depth, ..] = self.0;
        let key = keys.find(kid, now).filter(|_| version == VERSION).ok_or(TokenError::UnknownKey)?;
        let scope = scope_of(flags, depth, path).ok_or(TokenError::Forged)?;
        let expected = mac(key, &self.0[..SIGNED], scope).ok_or(TokenError::Forged)?;
        if !bool::from(expected.ct_eq(&self.0[SIGNED..])) {
            return Err(TokenError::Forged);
        }
        let folder = flags & FOLDER != 0;
        if !folder && path.is_folder() {
            return Err(TokenError::NotAFolder);
        }
        Ok(Verified {
            fields: Fields {
                exp: Time::from_seconds(i64::from(u32::from_be_bytes(self.field(4)))),
                gid: self.gid(),
                generation: u32::from_be_bytes(self.field(16)),
                bucket: u32::from_be_bytes(self.field(20)),
                download: flags & DOWNLOAD != 0,
                hls: flags & HLS != 0,
            },
            folder,
            depth,
            id: self.field(SIGNED),
            ip_tag: (flags & IP_BOUND != 0).then(|| self.field(24)),
            kid,
        })
    }

    fn gid(&self) -> u64 {
        u64::from_be_bytes(self.field(8))
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0.get(at..).and_then(first).unwrap_or([0; N])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.field(SIGNED);
        write!(f, "{:x}#{a:02x}{b:02x}{c:02x}{d:02x}", self.gid())
    }
}

impl Verified {
    /// Whether `client` may use it: any client unless the token is bound to a network.
    pub fn admits(&self, keys: &MediaKeys, client: IpAddr, now: Time) -> bool {
        match self.ip_tag {
            None => true,
            Some(tag) => keys.ip_tag(self.kid, client, now).is_some_and(|here| bool::from(here.ct_eq(&tag))),
        }
    }
}

/// When a new URL ends: twice the playing time and an hour, within `least` and `most`, and never after
/// `parent`. What plays for an unknown time gets the most, since a URL has to outlive its playback and is
/// ended through its grant; what does not play gets the least.
pub fn expiry(
    kind: Kind,
    plays_for: Option<Duration>,
    (least, most): (Duration, Duration),
    parent: Option<Time>,
    now: Time,
) -> Time {
    let life = match (kind, plays_for) {
        (Kind::Video | Kind::Audio, None) => most,
        (_, None) => least,
        (_, Some(length)) => length.saturating_mul(2).saturating_add(Duration::from_secs(3600)).min(most).max(least),
    };
    let end = now + life;
    parent.map_or(end, |parent| parent.min(end))
}

/// A request target or `Referer` for the log: a token becomes `{gid}#{first 4 bytes of its MAC}`, which
/// names the URL and opens nothing, and what stands in a token's place without being one is left out.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_m = false;
    let mut seen = false;
    for (at, segment) in text.split('/').enumerate() {
        if at > 0 {
            out.push('/');
        }
        let (token, tail) = segment.split_at(segment.find(['?', '#']).unwrap_or(segment.len()));
        match Token::parse(token) {
            Ok(parsed) if after_m || parsed.0[0] == VERSION => {
                out.push_str(&format!("{parsed:?}"));
                out.push_str(&shown(tail.as_bytes()));
            }
            // A damaged token may still hold most of a good one.
            _ if after_m => out.push_str("[malformed]"),
            _ => out.push_str(&shown(segment.as_bytes())),
        }
        after_m = !seen && segment == "m";
        seen |= after_m;
    }
    out
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
