//! Media URLs that are over and are asked for all the same.
//!
//! A player of segments asks some 25 times a second for ever. Ten refusals are given as they come, then two
//! a second; in between the answer is "wait", which asks neither grants nor database. Only URLs whose MAC
//! held are counted, so that nobody can fill this memory with made-up ones, and it is bounded all the same.

use crate::time::Time;
use hashbrown::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// One refusal in this time is free for ever.
const EVERY: Duration = Duration::from_millis(500);
/// How many more are free at once.
const AT_ONCE: u32 = 10;
/// URLs remembered; beyond it what is paid for is forgotten, and if that is not enough, everything.
const CAPACITY: usize = 4096;

/// Refusals of late, by URL.
#[derive(Default)]
pub struct Dead {
    // Written under the lock, read without it: a house without dead URLs takes no lock.
    count: AtomicUsize,
    /// When all refusals given to a URL will have been paid for.
    paid: Mutex<HashMap<[u8; 16], Time>>,
}

impl Dead {
    /// How long the URL `id` has to wait for its next answer; none when it need not.
    pub fn wait(&self, id: &[u8; 16], now: Time) -> Option<Duration> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = paid.get(id)?.since(now);
        let over = owed.checked_sub(EVERY * AT_ONCE).filter(|over| !over.is_zero())?;
        Some(over)
    }

    /// Counts a refusal of the URL `id`.
    pub fn refused(&self, id: &[u8; 16], now: Time) {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        if paid.len() >= CAPACITY && !paid.contains_key(id) {
            paid.retain(|_, at| *at > now);
            if paid.len() >= CAPACITY {
                paid.clear();
            }
        }
        let at = paid.entry(*id).or_insert(now);
        *at = (*at).max(now) + EVERY;
        self.count.store(paid.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_795_000_000_000);
    const ID: [u8; 16] = [7; 16];

    #[test]
    fn a_dead_url_is_refused_twice_a_second_after_a_burst() {
        let dead = Dead::default();
        for n in 0..=AT_ONCE {
            assert_eq!(dead.wait(&ID, NOW), None, "{n}");
            dead.refused(&ID, NOW);
        }
        assert_eq!(dead.wait(&ID, NOW), Some(EVERY));
        assert_eq!(dead.wait(&[8; 16], NOW), None, "another URL is not to blame");
        assert_eq!(dead.wait(&ID, NOW + EVERY), None);
        dead.refused(&ID, NOW + EVERY);
        assert_eq!(dead.wait(&ID, NOW + EVERY), Some(EVERY));
    }

    #[test]
    fn memory_is_bounded() {
        let dead = Dead::default();
        for n in 0..10_000_u128 {
            dead.refused(&n.to_be_bytes(), NOW);
        }
        assert!(dead.paid.lock().unwrap_or_else(PoisonError::into_inner).len() <= CAPACITY);
    }
}
