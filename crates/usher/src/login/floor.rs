//! One length for every login's answer.
//!
//! An account whose password is still kept in an imported form costs another time to check than an unknown
//! name does. So every answer waits until twice the time that a check takes, of the last hundred checks all but
//! the slowest, and what is left to see is the same for everybody. The wait holds no thread and no place in the
//! queue of those who hash: it costs whoever waits, and nobody else.

use std::time::{Duration, Instant};

/// The longest that an answer is held back: under a storm the queue decides, not we.
const LONGEST: Duration = Duration::from_millis(1_000);

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

    /// Waits until the answer may be given, on a machine where a check usually takes so long.
    pub async fn hold(&self, usual: Duration) {
        let floor = usual.saturating_mul(2).min(LONGEST);
        tokio::time::sleep_until((self.0 + floor).into()).await;
    }
}
