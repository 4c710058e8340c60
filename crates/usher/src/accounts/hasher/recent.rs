//! What checks of passwords took lately.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// As many are remembered.
const KEPT: usize = 100;

/// The last checks, each by its length. One hiccup of the machine is forgotten at once; what happens twice counts.
#[derive(Default)]
pub struct Recent(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    lengths: Vec<Duration>,
    next: usize,
}

impl Recent {
    /// Does `work` and remembers how long it took.
    #[expect(
        clippy::disallowed_methods,
        reason = "a length on this machine, not an instant that is stored or compared"
    )]
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let done = work();
        self.note(begin.elapsed());
        done
    }

    fn note(&self, took: Duration) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.lengths.len() < KEPT {
            ring.lengths.push(took);
        } else {
            let at = ring.next;
            ring.lengths[at] = took;
            ring.next = (at + 1) % KEPT;
        }
    }

    /// The second longest; of a single one, itself.
    pub fn p99(&self) -> Duration {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = ring.lengths.iter().fold([Duration::ZERO; 2], |[first, second], &one| {
            if one > first { [one, first] } else { [first, second.max(one)] }
        });
        if ring.lengths.len() == 1 { longest[0] } else { longest[1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(milliseconds: impl IntoIterator<Item = u64>) -> u128 {
        let recent = Recent::default();
        milliseconds.into_iter().for_each(|one| recent.note(Duration::from_millis(one)));
        recent.p99().as_millis()
    }

    #[test]
    fn one_hiccup_counts_for_nothing_and_two_do() {
        assert_eq!(after([]), 0);
        assert_eq!(after([100]), 100, "the first is all that is known");
        assert_eq!(after([100, 101, 900, 99]), 101);
        assert_eq!(after([100, 900, 101, 800]), 800);
        assert_eq!(after([100, 100, 100]), 100);
    }

    #[test]
    fn what_is_a_hundred_checks_ago_is_forgotten() {
        assert_eq!(after([900, 900].into_iter().chain(std::iter::repeat_n(100, 98))), 900);
        assert_eq!(after([900, 900].into_iter().chain(std::iter::repeat_n(100, 99))), 100);
    }
}
