#![expect(clippy::unwrap_used, reason = "a service that does not start or answer is a failed test")]

use super::{Busy, Hasher, Settings, Verdict};
use crate::accounts::hash::{Encoded, HashFault, Memory, Params, Peppers};
use crate::secret::Rng;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use zeroize::Zeroizing;

const PASSWORD: &str = "correct horse battery";

fn settings(permits: usize, queue: usize) -> Settings {
    Settings { permits, queue, params: Params::new(64, 1, 1).unwrap(), ..Settings::default() }
}

fn service(permits: usize, queue: usize) -> Hasher {
    Hasher::start(settings(permits, queue), Arc::new(Rng::seeded(1))).unwrap()
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn read(text: &str) -> Option<Encoded> {
    Some(Encoded::parse(text).unwrap())
}

/// A stored hash of `PASSWORD` that costs `memory_kib`.
fn stored(memory_kib: u32, peppers: &Peppers) -> Option<Encoded> {
    let params = Params::new(memory_kib, 1, 1).unwrap();
    Some(Encoded::create(PASSWORD, [1; 16], params, peppers, &mut Memory::new()).unwrap())
}

/// Begins a future, as a caller who then waits does.
fn begin<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A job that says when it has begun and lasts until it is let go.
fn hold() -> (impl FnOnce(&mut Memory) -> Result<(), HashFault> + Send, mpsc::Receiver<()>, mpsc::SyncSender<()>) {
    let (begun, has_begun) = mpsc::sync_channel(1);
    let (let_go, wait) = mpsc::sync_channel(1);
    let job = move |_: &mut Memory| {
        begun.send(()).unwrap();
        let _ = wait.recv();
        Ok(())
    };
    (job, has_begun, let_go)
}

#[tokio::test]
async fn a_hashed_password_is_right_and_others_are_wrong() {
    let hasher = service(2, 8);
    let text = hasher.hash(secret(PASSWORD)).await.unwrap();
    assert_eq!(hasher.verify(secret(PASSWORD), read(&text)).await, Ok(Verdict::Right { rehash: false }));
    assert_eq!(hasher.verify(secret("wrong"), read(&text)).await, Ok(Verdict::Wrong));
    assert_ne!(hasher.hash(secret(PASSWORD)).await.unwrap(), text, "every hash has its own salt");
    assert_eq!((hasher.stats().done, hasher.stats().failed), (4, 0));
}

#[tokio::test]
async fn a_hash_of_other_cost_asks_to_be_replaced() {
    let hasher = service(1, 8);
    let other = stored(128, &Peppers::none());
    assert_eq!(hasher.verify(secret(PASSWORD), other).await, Ok(Verdict::Right { rehash: true }));
}

#[tokio::test]
async fn nobody_is_never_right_and_costs_a_hash() {
    let hasher = service(1, 8);
    for guess in ["", PASSWORD, "usher"] {
        assert_eq!(hasher.verify(secret(guess), None).await, Ok(Verdict::Wrong));
    }
    // The memory of a hash is there, so one was made.
    assert_eq!((hasher.stats().done, hasher.stats().memory_kib), (3, 64));
}

#[tokio::test]
async fn a_giant_password_is_wrong_without_a_hash() {
    let hasher = service(1, 8);
    let giant = "a".repeat(1025);
    assert_eq!(hasher.verify(secret(&giant), stored(64, &Peppers::none())).await, Ok(Verdict::Wrong));
    assert_eq!(hasher.verify(secret(&giant), None).await, Ok(Verdict::Wrong));
    assert_eq!((hasher.stats().done, hasher.stats().memory_kib), (0, 0));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_serves_those_in_it() {
    let hasher = service(1, 2);
    let (job, has_begun, let_go) = hold();
    let mut held = pin!(hasher.ask(job));
    assert!(begin(held.as_mut()).is_pending());
    has_begun.recv().unwrap();
    let mut first = pin!(hasher.hash(secret(PASSWORD)));
    let mut second = pin!(hasher.verify(secret(PASSWORD), None));
    assert!(begin(first.as_mut()).is_pending());
    assert!(begin(second.as_mut()).is_pending());
    let mut third = pin!(hasher.hash(secret(PASSWORD)));
    let refused = Busy { retry_after: Duration::from_secs(1) };
    assert_eq!(begin(third.as_mut()), Poll::Ready(Err(refused)));
    assert_eq!((hasher.stats().waiting, hasher.stats().running, hasher.stats().refused), (2, 1, 1));
    let_go.send(()).unwrap();
    assert_eq!(held.await, Ok(()));
    assert!(first.await.is_ok());
    assert_eq!(second.await, Ok(Verdict::Wrong));
    assert_eq!((hasher.stats().waiting, hasher.stats().running), (0, 0));
}

#[tokio::test]
async fn a_longer_queue_asks_for_more_patience_within_bounds() {
    let hasher = service(2, 0);
    for (waiting, seconds) in [(0, 1), (13, 2), (100, 8), (usize::MAX, 30)] {
        assert_eq!(hasher.shared.busy(waiting).retry_after, Duration::from_secs(seconds), "{waiting}");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_makes_room_and_is_not_worked_for() {
    let hasher = service(1, 1);
    let (job, has_begun, let_go) = hold();
    let mut held = pin!(hasher.ask(job));
    assert!(begin(held.as_mut()).is_pending());
    has_begun.recv().unwrap();
    {
        let mut gone = pin!(hasher.hash(secret(PASSWORD)));
        assert!(begin(gone.as_mut()).is_pending());
    }
    let mut next = pin!(hasher.hash(secret(PASSWORD)));
    assert!(begin(next.as_mut()).is_pending(), "the place of the one who left is free");
    let_go.send(()).unwrap();
    assert!(next.await.is_ok());
    assert_eq!((hasher.stats().done, hasher.stats().skipped), (2, 1));
}

#[tokio::test]
async fn a_caller_who_leaves_a_short_queue_is_not_worked_for_either() {
    let hasher = service(1, 8);
    let (job, has_begun, let_go) = hold();
    let mut held = pin!(hasher.ask(job));
    assert!(begin(held.as_mut()).is_pending());
    has_begun.recv().unwrap();
    {
        let mut gone = pin!(hasher.hash(secret(PASSWORD)));
        assert!(begin(gone.as_mut()).is_pending());
    }
    let_go.send(()).unwrap();
    assert!(hasher.hash(secret(PASSWORD)).await.is_ok());
    assert_eq!((hasher.stats().done, hasher.stats().skipped), (2, 1));
}

#[tokio::test]
async fn a_job_that_panics_leaves_the_thread_running() {
    let hasher = service(1, 4);
    for _ in 0..3 {
        let outcome = hasher.ask(|_: &mut Memory| -> Result<(), HashFault> { panic!("a planted panic") }).await;
        assert_eq!(outcome, Err(Busy { retry_after: Duration::from_secs(1) }));
    }
    assert!(hasher.hash(secret(PASSWORD)).await.is_ok());
    assert_eq!((hasher.stats().done, hasher.stats().failed), (1, 3));
}

#[tokio::test]
async fn no_more_jobs_run_at_once_than_there_are_permits() {
    let hasher = service(2, 8);
    let (a, a_began, a_go) = hold();
    let (b, b_began, b_go) = hold();
    let (c, c_began, c_go) = hold();
    let (mut a, mut b, mut c) = (pin!(hasher.ask(a)), pin!(hasher.ask(b)), pin!(hasher.ask(c)));
    assert!(begin(a.as_mut()).is_pending() && begin(b.as_mut()).is_pending() && begin(c.as_mut()).is_pending());
    a_began.recv().unwrap();
    b_began.recv().unwrap();
    assert_eq!((hasher.stats().running, hasher.stats().waiting), (2, 1));
    assert!(c_began.try_recv().is_err());
    a_go.send(()).unwrap();
    c_began.recv().unwrap();
    drop((b_go, c_go));
    assert_eq!((a.await, b.await, c.await), (Ok(()), Ok(()), Ok(())));
}

#[tokio::test]
async fn stopping_answers_those_who_wait() {
    let hasher = service(1, 8);
    let (job, has_begun, let_go) = hold();
    let shared = Arc::clone(&hasher.shared);
    let mut held = pin!(hasher.ask(job));
    assert!(begin(held.as_mut()).is_pending());
    has_begun.recv().unwrap();
    let mut waiting = pin!(hasher.hash(secret(PASSWORD)));
    assert!(begin(waiting.as_mut()).is_pending());
    shared.stop();
    assert!(waiting.await.is_err());
    assert!(hasher.hash(secret(PASSWORD)).await.is_err());
    let_go.send(()).unwrap();
    assert_eq!(held.await, Ok(()), "what was begun is finished");
}

#[tokio::test]
async fn memory_is_kept_between_jobs_and_given_back_when_idle() {
    let keeps = service(1, 4);
    keeps.hash(secret(PASSWORD)).await.unwrap();
    keeps.hash(secret(PASSWORD)).await.unwrap();
    assert_eq!(keeps.stats().memory_kib, 64);
    let idle = Settings { idle: Duration::from_millis(1), ..settings(2, 4) };
    let hasher = Hasher::start(idle, Arc::new(Rng::seeded(1))).unwrap();
    for _ in 0..4 {
        hasher.hash(secret(PASSWORD)).await.unwrap();
    }
    for _ in 0..10_000 {
        if hasher.stats().memory_kib == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(hasher.stats().memory_kib, 0);
    assert!(hasher.hash(secret(PASSWORD)).await.is_ok(), "and works again");
}

#[tokio::test]
async fn a_costly_imported_hash_does_not_raise_the_memory_for_good() {
    let hasher = service(1, 4);
    let large = stored(4096, &Peppers::none());
    assert_eq!(hasher.verify(secret(PASSWORD), large).await, Ok(Verdict::Right { rehash: true }));
    assert_eq!(hasher.stats().memory_kib, 64);
}

#[tokio::test]
async fn a_missing_pepper_is_a_failure_and_not_a_wrong_password() {
    let mut peppers = Peppers::none();
    peppers.add("k1", &[1; 32]).unwrap();
    let peppered = stored(64, &peppers);
    let lacks = service(1, 4);
    assert!(lacks.verify(secret(PASSWORD), peppered.clone()).await.is_err());
    assert_eq!(lacks.stats().failed, 1);
    let knows = Hasher::start(Settings { peppers, ..settings(1, 4) }, Arc::new(Rng::seeded(1))).unwrap();
    assert_eq!(knows.verify(secret(PASSWORD), peppered).await, Ok(Verdict::Right { rehash: false }));
    assert_eq!(knows.verify(secret(PASSWORD), None).await, Ok(Verdict::Wrong));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn hashing_threads_step_back_and_the_others_do_not() {
    let hasher = service(1, 4);
    let mine = rustix::process::getpriority_process(None).unwrap();
    let theirs = hasher.ask(|_: &mut Memory| Ok(rustix::process::getpriority_process(None))).await.unwrap().unwrap();
    assert!(theirs > mine, "{theirs} against {mine}");
}
