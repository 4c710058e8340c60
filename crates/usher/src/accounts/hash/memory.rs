//! The memory that argon2id fills, kept between hashes: fetching 64 MiB from the system anew costs a
//! third of a hash.

use argon2::Block;
use zeroize::Zeroize;

/// Blocks to hash in. Wiped when dropped.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl Memory {
    /// No memory yet; the first hash fetches it.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// KiB held at the moment.
    pub fn kib(&self) -> usize {
        self.0.capacity().saturating_mul(Block::SIZE) / 1024
    }

    /// Gives back what exceeds `kib`, so that one costly imported hash does not raise the level for good.
    pub fn shrink_to(&mut self, kib: u32) {
        let kib = usize::try_from(kib).unwrap_or(usize::MAX);
        if self.0.len() > kib {
            self.0[kib..].iter_mut().for_each(Block::zeroize);
            self.0.truncate(kib);
            self.0.shrink_to_fit();
        }
    }

    /// Gives everything back.
    pub fn clear(&mut self) {
        self.0.zeroize();
        self.0 = Vec::new();
    }

    /// `count` blocks, or nothing when the machine has not the memory: a refused login is better
    /// than an aborted server.
    pub(super) fn blocks(&mut self, count: usize) -> Option<&mut [Block]> {
        if self.0.len() < count {
            self.clear();
            self.0.try_reserve_exact(count).ok()?;
            self.0.resize(count, Block::new());
        }
        self.0.get_mut(..count)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.clear();
    }
}
