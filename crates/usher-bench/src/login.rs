//! Logins by password, and the bare hash rate that no server can exceed.

use crate::cores::Cores;
use crate::http::{self, Answer};
use crate::load::Work;
use crate::stock::Stock;
use crate::{Told, clock};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// The cost of the server's own hashes: 64 MiB, three passes, one lane, 32 bytes.
const COST: (u32, u32, u32, usize) = (65_536, 3, 1, 32);

/// Hashes per second on all cores, each with its own memory, used again and again: argon2id and nothing around it.
pub fn bare_rate(cores: &Cores, length: Duration) -> Told<f64> {
    let count = cores.count();
    let begin = clock::now();
    let counts: Vec<Told<usize>> = thread::scope(|scope| {
        let running: Vec<_> = (0..count).map(|_| scope.spawn(|| hash_for(cores, length))).collect();
        running.into_iter().map(|one| one.join().unwrap_or_else(|_| Err("a hash panicked".into()))).collect()
    });
    let elapsed = clock::now() - begin;
    let done = counts.into_iter().sum::<Told<usize>>()?;
    Ok(done as f64 / elapsed.as_secs_f64())
}

fn hash_for(cores: &Cores, length: Duration) -> Told<usize> {
    cores.spread()?;
    let (memory, passes, lanes, tag) = COST;
    let params = Params::new(memory, passes, lanes, Some(tag)).map_err(|error| error.to_string())?;
    let mut blocks = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (mut out, mut done) = ([0_u8; 32], 0);
    let begin = clock::now();
    while clock::now() - begin < length {
        argon2
            .hash_password_into_with_memory(b"plum-anchor-violin-37", &[7; 16], &mut out, &mut blocks)
            .map_err(|error| error.to_string())?;
        done += 1;
    }
    Ok(done)
}

/// People who log in, one after the other, each to an own account.
pub struct Logins {
    stock: Arc<Stock>,
    next: Arc<AtomicUsize>,
    /// Logins that were refused.
    pub refused: u64,
}

/// Where the next login goes on, so that no account has more than a few.
#[derive(Clone, Default)]
pub struct Queue(Arc<AtomicUsize>);

impl Queue {
    /// The number of the next.
    pub fn take(&self) -> usize {
        self.0.fetch_add(1, Relaxed)
    }

    /// How many were taken.
    pub fn taken(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Work for `connections`.
    pub fn logins(&self, stock: &Arc<Stock>, connections: usize) -> Vec<Logins> {
        (0..connections).map(|_| Logins { stock: stock.clone(), next: self.0.clone(), refused: 0 }).collect()
    }
}

impl Work for Logins {
    fn next(&mut self, out: &mut Vec<u8>) {
        let account = self.next.fetch_add(1, Relaxed) % self.stock.accounts;
        let body = format!(r#"{{"username":"user{account}","password":"{}"}}"#, self.stock.password);
        out.extend(http::post("/api/v1/login", "", &body));
    }

    fn judge(&mut self, answer: &Answer<'_>) {
        self.refused += u64::from(answer.status != 200);
    }
}
