//! Secrets: what a person or program holds, and what we keep of it.
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::sync::{Mutex, PoisonError};

/// Where randomness comes from. Drawn before a write begins, never inside one.
pub enum Rng {
    /// The operating system.
    Os(SystemRandom),
    /// A repeatable sequence for tests.
    Seeded(Mutex<(u64, u64)>),
}

impl Rng {
    /// The operating system's generator.
    pub fn os() -> Rng {
        Rng::Os(SystemRandom::new())
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

    /// Fills `out`. A machine that cannot give randomness cannot make credentials: the process ends (L26).
    pub fn fill(&self, out: &mut [u8]) {
        match self {
            Rng::Os(os) => {
                if os.fill(out).is_err() {
                    tracing::error!(
                        "the operating system gives no randomness; stopping rather than making guessable secrets"
                    );
                    std::process::abort();
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
