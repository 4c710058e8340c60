//! How the last day went, for the page that admins look at: a figure every five minutes, in memory.
//!
//! It is no replacement for `/metrics`: it knows this process since its start, and forgets after a day.

use super::{LoginLabels, LoginResult, Metrics};
use crate::time::Time;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// A day of samples, one every five minutes.
pub const KEPT: usize = 288;

/// What happened in the five minutes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Their end.
    pub at: Time,
    /// Logins that began a session.
    pub logins: u64,
    /// Logins that were refused: for what was typed, or for how often.
    pub failures: u64,
    /// Sessions that were live at their end.
    pub live: u64,
}

/// The samples, oldest first, and what was counted up to the last one.
#[derive(Debug, Default)]
pub struct History(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    samples: VecDeque<Sample>,
    logins: u64,
    failures: u64,
}

impl History {
    /// Takes a sample: what was counted since the one before.
    pub fn take(&self, metrics: &Metrics, now: Time) {
        let count = |result| metrics.logins.get_or_create(&LoginLabels { result }).get();
        let logins = count(LoginResult::Success);
        let failures = count(LoginResult::Refused) + count(LoginResult::Throttled);
        let live = u64::try_from(metrics.sessions_live.get()).unwrap_or(0);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = Sample {
            at: now,
            logins: logins.saturating_sub(kept.logins),
            failures: failures.saturating_sub(kept.failures),
            live,
        };
        (kept.logins, kept.failures) = (logins, failures);
        if kept.samples.len() >= KEPT {
            kept.samples.pop_front();
        }
        kept.samples.push_back(sample);
    }

    /// All samples, oldest first.
    pub fn samples(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).samples.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn a_sample_holds_what_came_since_the_one_before() {
        let (metrics, history) = (Metrics::default(), History::default());
        metrics.login(LoginResult::Success);
        metrics.login(LoginResult::Refused);
        metrics.login(LoginResult::Throttled);
        metrics.sessions_live.set(7);
        history.take(&metrics, Time(300_000));
        metrics.login(LoginResult::Success);
        history.take(&metrics, Time(600_000));
        let [first, second] = history.samples().try_into().expect("two samples");
        assert_eq!(first, Sample { at: Time(300_000), logins: 1, failures: 2, live: 7 });
        assert_eq!(second, Sample { at: Time(600_000), logins: 1, failures: 0, live: 7 });
    }

    #[test]
    fn a_day_is_remembered_and_no_more() {
        let (metrics, history) = (Metrics::default(), History::default());
        for at in 0..400 {
            history.take(&metrics, Time(at));
        }
        let samples = history.samples();
        assert_eq!(samples.len(), KEPT);
        assert_eq!(samples.last().map(|sample| sample.at), Some(Time(399)));
    }
}
