//! Use-leases: a URL in use does not end in the middle of a film.
//!
//! A token past its end stays good while it was last used within the window (15 minutes), at most twelve
//! hours past that end, and only while its grant lives: ending the grant ends the lease, because grants are
//! asked first. Memory is bounded: a use is remembered only from one window before the end on, and when a
//! shard is full the use longest ago is forgotten. Leases are per node and do not survive a restart; a
//! player then asks for a new URL.

use crate::time::Time;
use hashbrown::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SHARDS: usize = 16;

/// How a token stands in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Before its end.
    Fresh,
    /// Past its end, and kept alive by use.
    Leased,
    /// Over: answered 410.
    Expired,
}

/// The uses that keep tokens alive.
pub struct Leases {
    shards: [Mutex<HashMap<[u8; 16], Time>>; SHARDS],
    window: Duration,
    ceiling: Duration,
    per_shard: usize,
}

impl Leases {
    /// Leases of 15 minutes, for 12 hours, remembering at most 65,536 tokens (about 3 MiB when full).
    pub fn standard() -> Self {
        Self::new(Duration::from_secs(15 * 60), Duration::from_secs(12 * 3600), 65_536)
    }

    /// Leases of `window` after each use, at most `ceiling` past the end, for at most `capacity` tokens.
    /// A window of zero switches leases off.
    pub fn new(window: Duration, ceiling: Duration, capacity: usize) -> Self {
        Leases {
            shards: std::array::from_fn(|_| Mutex::new(HashMap::new())),
            window,
            ceiling,
            per_shard: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// Counts a use of the token `id` that ends at `exp`, and says how it stands. Call it only for a token
    /// whose MAC held and whose grant lives.
    pub fn used(&self, id: &[u8; 16], exp: Time, now: Time) -> Standing {
        if now < exp {
            // Far from the end nothing is written: most uses of most tokens cost one comparison.
            if exp.since(now) <= self.window && !self.window.is_zero() {
                self.note(id, now);
            }
            return Standing::Fresh;
        }
        if self.window.is_zero() || now.since(exp) > self.ceiling {
            return Standing::Expired;
        }
        let mut shard = self.shard(id);
        match shard.get_mut(id) {
            Some(last) if now.since(*last) <= self.window => {
                *last = now.max(*last);
                Standing::Leased
            }
            _ => Standing::Expired,
        }
    }

    /// Forgets uses that no longer keep anything alive, and says how many.
    pub fn sweep(&self, now: Time) -> usize {
        let mut gone = 0;
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = shard.len();
            shard.retain(|_, last| now.since(*last) <= self.window);
            gone += before - shard.len();
        }
        gone
    }

    fn note(&self, id: &[u8; 16], now: Time) {
        let mut shard = self.shard(id);
        if shard.len() >= self.per_shard && !shard.contains_key(id) {
            shard.retain(|_, last| now.since(*last) <= self.window);
            if shard.len() >= self.per_shard
                && let Some(oldest) = shard.iter().min_by_key(|(_, last)| **last).map(|(id, _)| *id)
            {
                shard.remove(&oldest);
            }
        }
        let last = shard.entry(*id).or_insert(now);
        *last = now.max(*last);
    }

    // The id is a MAC, so its first byte is as good as a hash.
    fn shard(&self, id: &[u8; 16]) -> std::sync::MutexGuard<'_, HashMap<[u8; 16], Time>> {
        self.shards[usize::from(id[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXP: Time = Time(1_795_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const ID: [u8; 16] = [1; 16];

    #[test]
    fn a_token_in_use_outlives_its_end_until_it_rests() {
        let leases = Leases::standard();
        assert_eq!(leases.used(&ID, EXP, EXP - MINUTE), Standing::Fresh);
        assert_eq!(leases.used(&ID, EXP, EXP + MINUTE * 14), Standing::Leased);
        assert_eq!(leases.used(&ID, EXP, EXP + MINUTE * 29), Standing::Leased);
        assert_eq!(leases.used(&ID, EXP, EXP + MINUTE * 45), Standing::Expired);
        assert_eq!(leases.used(&ID, EXP, EXP + MINUTE * 46), Standing::Expired, "asking again revives nothing");
    }

    #[test]
    fn an_unused_token_ends_at_its_end() {
        let leases = Leases::standard();
        assert_eq!(leases.used(&ID, EXP, EXP - MINUTE * 16), Standing::Fresh);
        assert_eq!(leases.used(&ID, EXP, EXP), Standing::Expired);
        assert_eq!(leases.used(&[2; 16], EXP, EXP + MINUTE), Standing::Expired);
    }

    #[test]
    fn use_carries_a_token_twelve_hours_and_no_further() {
        let leases = Leases::standard();
        let mut now = EXP - MINUTE;
        while now <= EXP + MINUTE * 720 {
            assert_ne!(leases.used(&ID, EXP, now), Standing::Expired);
            now = now + MINUTE * 10;
        }
        assert_eq!(leases.used(&ID, EXP, EXP + MINUTE * 720 + Duration::from_millis(1)), Standing::Expired);
    }

    #[test]
    fn a_window_of_zero_switches_leases_off() {
        let leases = Leases::new(Duration::ZERO, MINUTE, 10);
        assert_eq!(leases.used(&ID, EXP, EXP - Duration::from_millis(1)), Standing::Fresh);
        assert_eq!(leases.used(&ID, EXP, EXP), Standing::Expired);
    }

    #[test]
    fn memory_is_bounded_and_the_use_longest_ago_goes_first() {
        let leases = Leases::new(MINUTE * 15, MINUTE * 720, SHARDS * 4);
        for n in 0..40_u8 {
            let id = [0, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            leases.used(&id, EXP, EXP - MINUTE + Duration::from_millis(u64::from(n)));
        }
        assert_eq!(leases.shard(&[0; 16]).len(), 4);
        assert_eq!(leases.used(&[0, 39, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], EXP, EXP), Standing::Leased);
        assert_eq!(leases.used(&[0; 16], EXP, EXP), Standing::Expired);
        assert_eq!(leases.sweep(EXP + MINUTE * 60), 4);
    }
}
