//! The gate: live credentials at random, some never seen before, some ended while we ask.

use crate::http::{self, Answer, Connection};
use crate::load::Work;
use crate::rng::Rng;
use crate::scale::NEW_ONE_IN;
use crate::{Told, clock};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// What is asked for: the cheapest thing that only somebody who is logged in gets. It is answered from memory, so that
/// what is measured is the gate and not what stands behind it.
pub const DOOR: &str = "/api/v1/buckets";

/// How a credential is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// As the session cookie.
    Cookie,
    /// The same under TLS, where it has another name.
    SecureCookie,
    /// As a bearer token.
    Bearer,
}

impl By {
    fn field(self) -> &'static str {
        match self {
            By::Cookie => "Cookie: usher=",
            By::SecureCookie => "Cookie: __Host-usher=",
            By::Bearer => "Authorization: Bearer ",
        }
    }
}

impl By {
    /// The header line that shows `value`.
    pub fn fields(self, value: &str) -> String {
        format!("{}{value}\r\n", self.field())
    }
}

/// A request at the door that shows `value`.
pub fn knock(by: By, value: &str) -> Vec<u8> {
    http::get(DOOR, &by.fields(value))
}

struct Credential {
    value: String,
    /// Its logout is on its way: from now on it may be refused.
    ending: AtomicBool,
    /// Its logout was answered: from now on it must be refused.
    ended: AtomicBool,
}

impl Credential {
    fn new(value: String) -> Credential {
        Credential { value, ending: AtomicBool::new(false), ended: AtomicBool::new(false) }
    }
}

/// Credentials of one kind, and what became of the requests that showed them.
pub struct Pool {
    by: By,
    again: Vec<Credential>,
    once: Vec<String>,
    next_once: AtomicUsize,
    counts: Counts,
}

/// What the answers were.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests.
    pub asked: AtomicU64,
    /// Requests with a credential the server had not seen.
    pub new: AtomicU64,
    /// Requests with a credential whose end had been answered before.
    pub ended: AtomicU64,
    /// Of these, those that were admitted all the same. One is too many.
    pub wrong_admits: AtomicU64,
    /// Requests with a live credential that were not admitted.
    pub wrong_refusals: AtomicU64,
}

impl Pool {
    /// Of these values: to show again and again, and to show once.
    pub fn new(by: By, again: Vec<String>, once: Vec<String>) -> Arc<Pool> {
        let again = again.into_iter().map(Credential::new).collect();
        Arc::new(Pool { by, again, once, next_once: AtomicUsize::new(0), counts: Counts::default() })
    }

    /// How many there are to show again and again.
    pub fn size(&self) -> usize {
        self.again.len()
    }

    /// What became of the requests.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A connection's work. With `all_known`, it shows nothing that is new.
    pub fn knocking(self: &Arc<Pool>, connections: usize, round: usize, all_known: bool) -> Vec<Knocking> {
        let seed = |number: usize| (round * 1000 + number) as u64;
        let one = |number| Knocking {
            pool: self.clone(),
            rng: Rng::of(seed(number)),
            all_known,
            shown: Shown::Live,
            last: 0,
        };
        (0..connections).map(one).collect()
    }

    /// Ends `count` sessions, evenly over `length`, as their owners would. From each answer on, that credential must
    /// open nothing.
    pub async fn end_some(self: Arc<Pool>, to: SocketAddr, count: usize, length: Duration, round: usize) -> Told<()> {
        let mut connection = Connection::open(to).await?;
        let mut rng = Rng::of(1_000_000 + round as u64);
        let (begin, steps) = (clock::now(), u32::try_from(count + 1)?);
        for step in 1..steps {
            tokio::time::sleep_until((begin + length * step / steps).into()).await;
            let one = &self.again[rng.below(self.again.len())];
            let fields = format!("{}{}\r\nSec-Fetch-Site: same-origin\r\n", self.by.field(), one.value);
            one.ending.store(true, Relaxed);
            let answer = connection.exchange(&http::post("/api/v1/logout", &fields, "{}")).await?;
            if answer.status != 204 {
                return Err(format!("a logout is answered with {}", answer.status).into());
            }
            one.ended.store(true, Relaxed);
        }
        Ok(())
    }

    /// Shows every ended credential once more. Says how many there are.
    pub async fn try_ended(&self, to: SocketAddr) -> Told<usize> {
        let mut connection = Connection::open(to).await?;
        let ended: Vec<&Credential> = self.again.iter().filter(|one| one.ended.load(Relaxed)).collect();
        for one in &ended {
            let answer = connection.exchange(&knock(self.by, &one.value)).await?;
            self.counts.take(Shown::Ended, answer.status, true);
        }
        Ok(ended.len())
    }
}

impl Counts {
    fn take(&self, shown: Shown, status: u16, ending_by_now: bool) {
        self.asked.fetch_add(1, Relaxed);
        match (shown, status) {
            (Shown::Ended, status) => {
                self.ended.fetch_add(1, Relaxed);
                self.wrong_admits.fetch_add(u64::from(status != 401), Relaxed);
            }
            (_, 200) => {}
            // Its logout was on its way together with this request: either answer is right.
            (_, 401) if ending_by_now => {}
            _ => {
                self.wrong_refusals.fetch_add(1, Relaxed);
            }
        }
        self.new.fetch_add(u64::from(shown == Shown::New), Relaxed);
    }
}

/// What the last request showed, as it stood when the request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Live,
    New,
    Ended,
}

/// One connection's work.
pub struct Knocking {
    pool: Arc<Pool>,
    rng: Rng,
    all_known: bool,
    shown: Shown,
    last: usize,
}

impl Work for Knocking {
    fn next(&mut self, out: &mut Vec<u8>) {
        let pool = &*self.pool;
        let new = !self.all_known && self.rng.below(NEW_ONE_IN) == 0;
        let fresh = if new { pool.once.get(pool.next_once.fetch_add(1, Relaxed)) } else { None };
        let value = match fresh {
            Some(value) => {
                self.shown = Shown::New;
                value
            }
            None => {
                self.last = self.rng.below(pool.again.len());
                let one = &pool.again[self.last];
                self.shown = if one.ended.load(Relaxed) { Shown::Ended } else { Shown::Live };
                &one.value
            }
        };
        for part in ["GET ", DOOR, " HTTP/1.1\r\nHost: localhost\r\n", pool.by.field(), value, "\r\n\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn judge(&mut self, answer: &Answer<'_>) {
        let ending_by_now = self.shown != Shown::New && self.pool.again[self.last].ending.load(Relaxed);
        self.pool.counts.take(self.shown, answer.status, ending_by_now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_judged_by_what_was_known_when_it_was_asked_for() {
        let counts = Counts::default();
        counts.take(Shown::Live, 200, false);
        counts.take(Shown::Live, 401, true);
        counts.take(Shown::Live, 200, true);
        counts.take(Shown::Ended, 401, true);
        assert_eq!((counts.wrong_admits.load(Relaxed), counts.wrong_refusals.load(Relaxed)), (0, 0));
        counts.take(Shown::Ended, 200, true);
        counts.take(Shown::New, 401, false);
        counts.take(Shown::Live, 503, true);
        assert_eq!((counts.wrong_admits.load(Relaxed), counts.wrong_refusals.load(Relaxed)), (1, 2));
        assert_eq!((counts.asked.load(Relaxed), counts.new.load(Relaxed), counts.ended.load(Relaxed)), (7, 1, 2));
    }
}
