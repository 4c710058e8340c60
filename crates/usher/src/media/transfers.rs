//! Transfers in flight, by grant: what has to stop when a grant ends.
//!
//! The order that leaves no gap: **register, then ask whether the grant lives, then send**. A grant is dead
//! in memory before `stop` is called, so a transfer either is registered in time to be stopped or sees the
//! dead grant when it asks.
//!
//! A stopped body fails at its next piece. A reader that has stopped reading asks for no next piece: the
//! connection itself has to wait on `Cancel::cancelled` and be dropped, with its socket buffer (`SO_LINGER`
//! of zero), or the kernel would go on sending what it holds.

use hashbrown::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

const SHARDS: usize = 16;

/// Says "stop" once, to everybody who holds a clone.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Signal>);

#[derive(Default)]
struct Signal {
    stopped: AtomicBool,
    wake: Notify,
    /// Who hears of it besides, once for each.
    besides: Option<Arc<Notify>>,
}

impl Cancel {
    /// One that has not been told to stop.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that, when it is told, also wakes somebody who looks after several.
    pub fn telling(besides: Arc<Notify>) -> Self {
        Cancel(Arc::new(Signal { besides: Some(besides), ..Signal::default() }))
    }

    /// Tells everybody to stop. Telling twice changes nothing.
    pub fn cancel(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        self.0.wake.notify_waiters();
        if let Some(besides) = &self.0.besides {
            besides.notify_one();
        }
    }

    /// Whether it has been told.
    pub fn is_cancelled(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Waits until it is told.
    pub async fn cancelled(&self) {
        let woken = self.0.wake.notified();
        let mut woken = std::pin::pin!(woken);
        // Waiting begins before the flag is read: a call in between wakes us.
        woken.as_mut().enable();
        if !self.is_cancelled() {
            woken.await;
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_cancelled() { "cancelled" } else { "running" })
    }
}

type Shard = Mutex<HashMap<u64, Vec<(u64, Cancel)>>>;

/// The transfers of this node.
#[derive(Clone, Default)]
pub struct Transfers(Arc<Registry>);

#[derive(Default)]
struct Registry {
    shards: [Shard; SHARDS],
    next: AtomicU64,
}

impl Registry {
    fn shard(&self, gid: u64) -> &Shard {
        // Grant ids are random, so that their low bits spread by themselves.
        &self.shards[usize::try_from(gid % 16).unwrap_or(0)]
    }
}

impl Transfers {
    /// None in flight.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a transfer of the grant `gid`, until the guard is dropped.
    pub fn register(&self, gid: u64) -> Guard {
        self.register_with(gid, Cancel::new())
    }

    /// Registers a transfer that stops through `cancel`: its connection's own, so that stopping the grant
    /// drops the connection even when nobody reads from it.
    pub fn register_with(&self, gid: u64, cancel: Cancel) -> Guard {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut shard = self.0.shard(gid).lock().unwrap_or_else(PoisonError::into_inner);
        shard.entry(gid).or_default().push((id, cancel.clone()));
        Guard { cancel, at: Some((self.0.clone(), gid, id)) }
    }

    /// Stops every transfer of a grant, and says how many there were.
    pub fn stop(&self, gid: u64) -> usize {
        let shard = self.0.shard(gid).lock().unwrap_or_else(PoisonError::into_inner);
        let transfers = shard.get(&gid).map_or(&[][..], Vec::as_slice);
        for (_, cancel) in transfers {
            cancel.cancel();
        }
        transfers.len()
    }

    /// Stops everything, as when every key is retired.
    pub fn stop_all(&self) -> usize {
        let mut count = 0;
        for shard in &self.0.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (_, cancel) in shard.values().flatten() {
                cancel.cancel();
                count += 1;
            }
        }
        count
    }

    /// How many are in flight.
    pub fn count(&self) -> usize {
        let lock =
            |shard: &Shard| shard.lock().unwrap_or_else(PoisonError::into_inner).values().map(Vec::len).sum::<usize>();
        self.0.shards.iter().map(lock).sum()
    }
}

/// A transfer's place in the registry; dropping it gives the place back.
pub struct Guard {
    cancel: Cancel,
    at: Option<(Arc<Registry>, u64, u64)>,
}

impl Guard {
    /// For a transfer that no grant stands behind.
    pub fn unregistered(cancel: Cancel) -> Self {
        Guard { cancel, at: None }
    }

    /// What stops this transfer.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some((registry, gid, id)) = self.at.take() else { return };
        let mut shard = registry.shard(gid).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transfers) = shard.get_mut(&gid) {
            transfers.retain(|(other, _)| *other != id);
            if transfers.is_empty() {
                shard.remove(&gid);
            }
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({:?})", self.cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_a_grant_stops_all_of_its_transfers_and_no_other() {
        let transfers = Transfers::new();
        let (a, b, other) = (transfers.register(1), transfers.register(1), transfers.register(17));
        assert_eq!(transfers.stop(1), 2);
        assert!(a.cancel().is_cancelled() && b.cancel().is_cancelled());
        assert!(!other.cancel().is_cancelled());
        assert_eq!(transfers.stop(99), 0);
        assert_eq!(transfers.stop_all(), 3);
        assert!(other.cancel().is_cancelled());
    }

    #[test]
    fn a_dropped_guard_leaves_no_trace() {
        let transfers = Transfers::new();
        let kept = transfers.register(1);
        drop(transfers.register(1));
        drop(transfers.register(2));
        assert_eq!(transfers.count(), 1);
        drop(kept);
        assert!(transfers.0.shards.iter().all(|shard| shard.lock().is_ok_and(|shard| shard.is_empty())));
    }

    #[tokio::test]
    async fn waiting_ends_whether_the_word_comes_before_or_after() {
        let early = Cancel::new();
        early.cancel();
        early.cancelled().await;
        let late = Cancel::new();
        let waiting = tokio::spawn({
            let late = late.clone();
            async move { late.cancelled().await }
        });
        tokio::task::yield_now().await;
        late.cancel();
        assert!(waiting.await.is_ok());
    }

    #[test]
    fn registering_and_stopping_at_once_from_many_threads_loses_nothing() {
        let transfers = Transfers::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for n in 0..500_u64 {
                        let guard = transfers.register(n % 20);
                        transfers.stop(n % 20);
                        assert!(guard.cancel().is_cancelled(), "registered before the stop, so stopped by it");
                    }
                });
            }
        });
        assert_eq!(transfers.count(), 0);
    }
}
