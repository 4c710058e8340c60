//! Time is a value.
//!
//! `now` is read once per request or job, from the clock that `App` owns, and carried in `Cx`.
//! Nothing else in the house asks what time it is; `clippy.toml` bans the alternatives.
//! Tests hold the same clock and move it.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant: milliseconds since the Unix epoch, UTC. What tables store as BIGINT.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// Whole seconds since the epoch, the unit of JWT `NumericDate` (RFC 7519 section 2).
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The instant `seconds` after the epoch.
    pub fn from_seconds(seconds: i64) -> Time {
        Time(seconds.saturating_mul(1000))
    }

    /// How long ago `earlier` was; zero when it is not in the past.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds, the form of every API answer and log line.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => format!("{at:.3}"),
            Err(_) => format!("@{}", self.0),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, length: Duration) -> Time {
        Time(self.0.saturating_add(millis(length)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, length: Duration) -> Time {
        Time(self.0.saturating_sub(millis(length)))
    }
}

impl From<Time> for usher_db::Value {
    fn from(at: Time) -> Self {
        usher_db::Value::Int(at.0)
    }
}

impl usher_db::FromValue for Time {
    fn from_value(value: usher_db::Value) -> Option<Self> {
        match value {
            usher_db::Value::Int(millis) => Some(Time(millis)),
            _ => None,
        }
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Where `now` comes from: the machine, the database that several nodes share, or a value that a test moves.
#[derive(Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// The machine's clock, wrong by so many milliseconds: what a badly kept node would read.
    Wrong(i64),
    /// The clock of the database that several nodes share: what happened on one is then not in another's future.
    Database(usher_db::DatabaseClock),
    /// A clock that stands still until it is moved; clones share it.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A standing clock that starts at `at`.
    pub fn manual(at: Time) -> Clock {
        Clock::Manual(Arc::new(AtomicI64::new(at.0)))
    }

    /// The present instant.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    pub fn now(&self) -> Time {
        match self {
            Clock::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Time(millis(since_epoch))
            }
            Clock::Wrong(by) => Time(Clock::System.now().0 + by),
            Clock::Database(clock) => Time(clock.now()),
            Clock::Manual(at) => Time(at.load(Ordering::SeqCst)),
        }
    }

    /// The clock to go by with this database: its own where nodes share it, whatever the machine's says.
    #[must_use]
    pub fn with(self, db: &usher_db::Db) -> Clock {
        match (self, db.clock()) {
            (Clock::System | Clock::Wrong(_), Some(shared)) => Clock::Database(shared),
            (own, _) => own,
        }
    }

    /// Moves a standing clock forward. The machine's clock is not moved.
    pub fn advance(&self, length: Duration) {
        if let Clock::Manual(at) = self {
            at.fetch_add(millis(length), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_as_rfc_3339_in_utc() {
        assert_eq!(Time(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
    }

    #[test]
    fn a_length_since_the_future_is_zero() {
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
    }

    #[test]
    fn a_standing_clock_moves_only_when_told() {
        let clock = Clock::manual(Time(1000));
        let same = clock.clone();
        same.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Time(3000));
    }
}
