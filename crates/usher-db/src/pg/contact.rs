//! When the database was last heard, and what time it is there.
//!
//! Both are counted on this machine's clock of running time, which nobody sets and which goes on while the machine
//! sleeps. The wall clock of a node is not asked at all, so it cannot be wrong.
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Milliseconds since this machine was started.
pub(super) fn running_time() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}

/// What a node knows of its database without asking it.
#[derive(Debug)]
pub(super) struct Contact {
    /// The running time at which the last answered question was sent.
    heard: AtomicI64,
    /// The database's clock less the running time, in milliseconds.
    offset: AtomicI64,
    staleness: i64,
}

impl Contact {
    pub(super) fn new(staleness: Duration) -> Contact {
        let staleness = i64::try_from(staleness.as_millis()).unwrap_or(i64::MAX);
        Contact { heard: AtomicI64::new(i64::MIN / 2), offset: AtomicI64::new(0), staleness }
    }

    /// Takes in an answer: sent and received at these running times, it said that it is `told` in the database.
    pub(super) fn heard(&self, sent: i64, received: i64, told: i64) {
        let first = self.heard.load(Ordering::Relaxed) < 0;
        // The answer was given at some moment in between. Within that doubt the old offset stays, so that time does
        // not tremble with the network.
        let (middle, doubt) = ((sent + received) / 2, (received - sent) / 2 + 1);
        let offset = told - middle;
        if first || (offset - self.offset.load(Ordering::Relaxed)).abs() > doubt {
            self.offset.store(offset, Ordering::Relaxed);
        }
        self.heard.store(sent, Ordering::Release);
    }

    /// Whether what memory holds may be trusted.
    pub(super) fn is_fresh(&self) -> bool {
        running_time() - self.heard.load(Ordering::Acquire) <= self.staleness
    }

    /// The database's time, in milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        running_time() + self.offset.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_fresh_before_the_first_word_and_after_the_bound() {
        let contact = Contact::new(Duration::from_secs(5));
        assert!(!contact.is_fresh());
        let now = running_time();
        contact.heard(now - 4_000, now - 3_990, 1_000_000);
        assert!(contact.is_fresh());
        contact.heard(now - 5_001, now, 1_000_000);
        assert!(!contact.is_fresh(), "what counts is when the question was sent, not when its answer came");
    }

    #[test]
    fn time_is_the_databases_and_does_not_tremble_with_the_network() {
        let contact = Contact::new(Duration::from_secs(5));
        let now = running_time();
        contact.heard(now, now, 5_000_000);
        let first = contact.offset.load(Ordering::Relaxed);
        contact.heard(now, now + 40, 5_000_005);
        assert_eq!(contact.offset.load(Ordering::Relaxed), first, "15 ms are within the doubt of a slow answer");
        contact.heard(now + 100, now + 100, 5_003_700);
        assert!((contact.now() - 5_003_600 - (running_time() - now)).abs() < 50, "a step of the clock is followed");
    }
}
