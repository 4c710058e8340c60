//! One length for every login's answer.
//!
//! An account whose password is still kept in an imported form costs another time to check than an unknown
//! name does. So every answer waits until twice the time that a check lately took, measured while nobody
//! queued, and what is left to see is the same for everybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest that an answer is held back: under a storm the queue decides, not we.
const LONGEST: Duration = Duration::from_millis(1_000);

/// The time that checks lately took: rises at once, falls slowly.
#[derive(Default)]
pub struct Floor(AtomicU64);

/// A login that is being answered.
pub struct Started(Instant);

impl Started {
    /// Now.
    #[expect(
        clippy::disallowed_methods,
        reason = "a length on this machine, not an instant that is stored or compared"
    )]
    pub fn now() -> Started {
        Started(Instant::now())
    }

    /// How long ago.
    #[expect(
        clippy::disallowed_methods,
        reason = "a length on this machine, not an instant that is stored or compared"
    )]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Floor {
    /// Takes in how long one check took that did not queue.
    pub fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let known = self.0.load(Ordering::Relaxed);
        let next = if took >= known { took } else { known - (known - took) / 256 };
        self.0.store(next, Ordering::Relaxed);
    }

    /// Waits until the answer to a login that began at `started` may be given.
    pub async fn hold(&self, started: &Started) {
        let floor = Duration::from_micros(self.0.load(Ordering::Relaxed).saturating_mul(2)).min(LONGEST);
        if let Some(rest) = floor.checked_sub(started.elapsed()) {
            tokio::time::sleep(rest).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_rises_at_once_and_falls_slowly() {
        let floor = Floor::default();
        floor.observe(Duration::from_millis(100));
        assert_eq!(floor.0.load(Ordering::Relaxed), 100_000);
        floor.observe(Duration::from_millis(50));
        assert!((99_000..100_000).contains(&floor.0.load(Ordering::Relaxed)));
        floor.observe(Duration::from_millis(120));
        assert_eq!(floor.0.load(Ordering::Relaxed), 120_000);
    }
}
