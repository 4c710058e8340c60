//! Work that may wait for a disk: done away from the tasks that answer, and only so much of it at once.
//!
//! A disk that hangs fills the places of its own sort of work and no more: the server goes on answering what
//! needs no disk.

use super::root::OpenError;
use rustix::io::Errno;
use tokio::sync::Semaphore;

/// Files being opened for sending.
static OPENING: Semaphore = Semaphore::const_new(64);
/// Folders being listed or searched, and files being looked into.
static BROWSING: Semaphore = Semaphore::const_new(16);

/// Opens something that is about to be sent.
pub async fn opening<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    away(&OPENING, work).await
}

/// Lists, searches or looks into something.
pub async fn browsing<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    away(&BROWSING, work).await
}

async fn away<T: Send + 'static>(
    places: &'static Semaphore,
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    // The semaphore is never closed, and a task ends early only when it panicked or the runtime is gone.
    let lost = || OpenError::Failed(Errno::CANCELED);
    let place = places.acquire().await.map_err(|_| lost())?;
    let done = tokio::task::spawn_blocking(move || {
        // Held by the work itself: a client that goes away does not make room for more of it.
        let _place = place;
        work()
    });
    done.await.unwrap_or_else(|_| Err(lost()))
}
