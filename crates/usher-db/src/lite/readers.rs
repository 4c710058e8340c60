//! Read-only connections, one for each thread that reads.
use super::Connection;
use crate::Error;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Page cache of a connection for point reads and for scans, in KiB. Allocated as it is used.
const POINT_CACHE: u32 = 2_048;
const SCAN_CACHE: u32 = 1_024;

/// Connections in numbered seats. A thread goes to its own seat, where nobody else is unless there are more threads
/// than seats; so a read costs no waiting. Owned here rather than by the threads, so that closing really closes.
pub(super) struct Readers {
    path: PathBuf,
    cache: u32,
    seats: Box<[Mutex<Option<Connection>>]>,
    closed: AtomicBool,
}

static NEXT_SEAT: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static SEAT: Cell<usize> = Cell::new(NEXT_SEAT.fetch_add(1, Ordering::Relaxed));
}

impl Readers {
    pub(super) fn points(path: PathBuf) -> Readers {
        let threads = std::thread::available_parallelism().map_or(4, usize::from);
        Readers::new(path, POINT_CACHE, (2 * threads).clamp(4, 64))
    }

    pub(super) fn scans(path: PathBuf, seats: usize) -> Readers {
        Readers::new(path, SCAN_CACHE, seats)
    }

    fn new(path: PathBuf, cache: u32, seats: usize) -> Readers {
        let seats = (0..seats).map(|_| Mutex::new(None)).collect();
        Readers { path, cache, seats, closed: AtomicBool::new(false) }
    }

    /// Runs `read` on a connection that nobody else uses meanwhile.
    pub(super) fn with<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut seat = self.seat();
        // Asked under the lock: after `close` has emptied this seat, it stays empty.
        if self.closed.load(Ordering::Acquire) {
            return Err(super::closed(name));
        }
        let connection = match &mut *seat {
            Some(connection) => connection,
            empty => empty.insert(Connection::reader(&self.path, self.cache).map_err(|error| error.named(name))?),
        };
        read(connection)
    }

    /// Closes every connection, waiting for the reads that run.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for seat in &self.seats {
            *seat.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn seat(&self) -> MutexGuard<'_, Option<Connection>> {
        let own = SEAT.with(Cell::get) % self.seats.len();
        let (before, from) = self.seats.split_at(own);
        for seat in from.iter().chain(before) {
            match seat.try_lock() {
                Ok(seat) => return seat,
                Err(TryLockError::Poisoned(seat)) => return seat.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.seats[own].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
