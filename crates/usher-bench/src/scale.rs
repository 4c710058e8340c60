//! How much is measured: enough to stand in BENCHMARKS.md, or just enough to see that it works.

use std::time::Duration;

/// The size of a run.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Its name in the report.
    pub name: &'static str,
    /// Live sessions.
    pub sessions: usize,
    /// Live sessions of the small installation that look-ups are compared with.
    pub few: usize,
    /// Credentials of each kind that are used again and again.
    pub again: usize,
    /// Credentials of each kind that are used once.
    pub once: usize,
    /// Refresh tokens.
    pub refreshes: usize,
    /// Rounds; the numbers are their medians.
    pub rounds: usize,
    /// How long each stretch of a round is.
    pub stretch: Duration,
    /// How long a stretch of logins is, which are slow by design.
    pub logins: Duration,
    /// How long a server is left alone before its idle memory is read.
    pub rest: Duration,
    /// Size of the file whose ranges are read.
    pub file: usize,
    /// Readers who stop reading.
    pub slow: usize,
}

/// For BENCHMARKS.md.
pub const FULL: Scale = Scale {
    name: "full",
    sessions: 1_000_000,
    few: 1_000,
    again: 10_000,
    once: 100_000,
    refreshes: 2_000,
    rounds: 5,
    stretch: Duration::from_secs(3),
    logins: Duration::from_secs(8),
    rest: Duration::from_secs(60),
    file: 256 << 20,
    slow: 2_000,
};

/// To see that everything works.
pub const QUICK: Scale = Scale {
    name: "quick",
    sessions: 4_000,
    few: 1_000,
    again: 400,
    once: 1_000,
    refreshes: 100,
    rounds: 5,
    stretch: Duration::from_millis(300),
    logins: Duration::from_millis(1_000),
    rest: Duration::from_secs(2),
    file: 8 << 20,
    slow: 100,
};

/// Connections that ask as soon as they are answered.
pub const CONNECTIONS: usize = 16;
/// Connections of refreshing clients: enough for commits to be shared, as they are under load.
pub const REFRESHING: usize = 32;
/// Connections at a pace, and that pace: 1,000 requests a second, far from what fills a core.
pub const PACED: usize = 8;
/// See [`PACED`].
pub const PACE: Duration = Duration::from_millis(8);
/// One credential of so many requests was never seen before: 5 %.
pub const NEW_ONE_IN: usize = 20;
/// One of so many credentials is ended during the run: 1 %.
pub const END_ONE_IN: usize = 100;
