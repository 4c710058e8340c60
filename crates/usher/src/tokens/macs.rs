//! The keys behind cookies and refresh tokens: one that makes MACs, and older ones that still verify.

use crate::secret::MacKey;

/// Keys for one purpose, by number. The first makes; all verify.
pub struct MacRing {
    keys: Vec<(u8, MacKey)>,
}

impl MacRing {
    /// A ring of several keys, the making one first.
    pub fn new(keys: Vec<(u8, MacKey)>) -> Option<MacRing> {
        (!keys.is_empty()).then_some(MacRing { keys })
    }

    /// A ring of one key.
    pub fn of(key: [u8; 32]) -> MacRing {
        MacRing { keys: vec![(0, MacKey::new(&key))] }
    }

    /// The number of the making key, and the MAC over `parts`, each length-prefixed.
    pub fn tag(&self, parts: &[&[u8]]) -> (u8, [u8; 32]) {
        let (kid, key) = &self.keys[0];
        (*kid, key.tag(parts))
    }

    /// Whether `tag`, of at least 16 bytes, is the MAC (or its beginning) over `parts` by key `kid`. In constant time.
    pub fn verify(&self, kid: u8, parts: &[&[u8]], tag: &[u8]) -> bool {
        let Some((_, key)) = self.keys.iter().find(|(known, _)| *known == kid) else { return false };
        key.verify_short(parts, tag)
    }

    /// A secret derived from `parts` by the making key.
    pub fn derive(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.keys[0].1.tag(parts)
    }
}

/// The rings of the house.
pub struct Macs {
    /// Session cookies.
    pub cookie: MacRing,
    /// Refresh tokens.
    pub refresh: MacRing,
}
