//! Load: connections that ask again as soon as they are answered, or at a given pace, for a given time.

use crate::http::{Answer, Connection, Target};
use crate::process::Running;
use crate::stats::{micros, percentile};
use crate::{Told, clock};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What one connection asks, and what it makes of the answers.
pub trait Work: Send + 'static {
    /// Puts the next request into `out`, which is empty.
    fn next(&mut self, out: &mut Vec<u8>);
    /// Judges its answer.
    fn judge(&mut self, answer: &Answer<'_>);
}

/// What a stretch of load came to.
pub struct Tally {
    /// The time of each answer in nanoseconds, sorted.
    times: Vec<u64>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Tally {
    /// Answers.
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The median time in microseconds.
    pub fn p50(&self) -> f64 {
        micros(percentile(&self.times, 0.50))
    }

    /// The time in microseconds that one of a hundred exceeds.
    pub fn p99(&self) -> f64 {
        micros(percentile(&self.times, 0.99))
    }
}

/// Runs each of `works` on a connection of its own for `length`. With a `pace`, a connection asks no more often than
/// that. Gives the works back.
pub async fn drive<W: Work>(
    to: impl Into<Target>,
    works: Vec<W>,
    length: Duration,
    pace: Option<Duration>,
) -> Told<(Tally, Vec<W>)> {
    let (to, mut connections) = (to.into(), Vec::with_capacity(works.len()));
    for work in works {
        connections.push((Connection::open(to.clone()).await?, work));
    }
    let begin = clock::now();
    let mut running = JoinSet::new();
    for (number, (connection, work)) in connections.into_iter().enumerate() {
        // Paced connections take turns instead of asking all at the same instant.
        let offset = pace.map(|pace| pace / 16 * u32::try_from(number % 16).unwrap_or(0));
        running.spawn(converse(connection, work, begin + offset.unwrap_or_default(), begin + length, pace));
    }
    let mut times = Vec::new();
    let mut back = Vec::new();
    while let Some(done) = running.join_next().await {
        let (mine, work) = done??;
        times.extend(mine);
        back.push(work);
    }
    let elapsed = clock::now() - begin;
    times.sort_unstable();
    Ok((Tally { times, elapsed }, back))
}

async fn converse<W: Work>(
    mut connection: Connection,
    mut work: W,
    begin: Instant,
    end: Instant,
    pace: Option<Duration>,
) -> Told<(Vec<u64>, W)> {
    let mut times = Vec::with_capacity(4096);
    let mut request = Vec::with_capacity(2048);
    let mut due = begin;
    loop {
        let mut from = clock::now();
        if let Some(pace) = pace {
            if from < due {
                tokio::time::sleep_until(due.into()).await;
                // A timer that is late is our own lateness.
                from = clock::now();
            } else {
                // The answer before came after this request was due: the wait is the server's.
                from = due;
            }
            due += pace;
        }
        if clock::now() >= end {
            return Ok((times, work));
        }
        request.clear();
        work.next(&mut request);
        let answer = connection.exchange(&request).await?;
        times.push(u64::try_from((clock::now() - from).as_nanos()).unwrap_or(u64::MAX));
        work.judge(&answer);
    }
}

/// The same request over and over, which must be answered with one status.
pub struct Same {
    request: Vec<u8>,
    status: u16,
    /// Answers with another status.
    pub wrong: u64,
}

impl Same {
    /// `connections` of them.
    pub fn times(connections: usize, request: &[u8], status: u16) -> Vec<Same> {
        (0..connections).map(|_| Same { request: request.to_vec(), status, wrong: 0 }).collect()
    }
}

impl Work for Same {
    fn next(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.request);
    }

    fn judge(&mut self, answer: &Answer<'_>) {
        self.wrong += u64::from(answer.status != self.status);
    }
}

/// A stretch of load and what it cost the server.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Processor time of an answer, in microseconds.
    pub cpu: f64,
    /// Answers per second.
    pub rate: f64,
    /// The median time, in microseconds.
    pub p50: f64,
    /// The time that one of a hundred exceeds, in microseconds.
    pub p99: f64,
}

/// Drives `server` and reads its processor time before and after.
pub async fn measure<W: Work>(
    server: &Running,
    works: Vec<W>,
    length: Duration,
    pace: Option<Duration>,
) -> Told<(Stretch, Vec<W>)> {
    let before = server.usage()?;
    let (tally, works) = drive(server.target(), works, length, pace).await?;
    let used = server.usage()?.since(&before);
    let count = tally.count();
    let cpu = micros(used) / count.max(1) as f64;
    Ok((Stretch { cpu, rate: tally.rate(), p50: tally.p50(), p99: tally.p99() }, works))
}
