//! The memory that argon2id fills, kept between hashes: fetching 64 MiB from the system anew costs a
//! third of a hash. Once it is given up it goes back to the system, not only to the allocator, which would keep it for
//! somebody else who wants as much.

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

    /// Gives everything back, to the system.
    pub fn clear(&mut self) {
        self.0.zeroize();
        if self.0.capacity() > 0 {
            self.0 = Vec::new();
            give_back();
        }
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

/// Has the allocator return what this thread has freed. Where another allocator is in use, as in tests, it has nothing.
#[expect(unsafe_code, reason = "mi_collect has no safe binding; it takes no pointer, and may be called at any time")]
fn give_back() {
    // SAFETY: it only touches the allocator's own books, and its one argument is a boolean.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.clear();
    }
}
