//! Chance that repeats: which credential is next and which piece of a file. Nothing here is secret.

/// A small generator (xorshift64*).
pub struct Rng(u64);

impl Rng {
    /// One of many independent sequences, always the same.
    pub fn of(seed: u64) -> Rng {
        // Neighboring seeds must not give neighboring sequences, and zero would stay zero.
        Rng((seed.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        // The bias is bound / 2^64: nothing here is large enough to show it.
        let bound = bound.max(1) as u64;
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}
