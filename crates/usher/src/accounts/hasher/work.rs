//! The queue and the threads behind the hashing service.

use super::Busy;
use super::recent::Recent;
use crate::accounts::hash::{HashFault, Memory};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What one hash takes on one core, for telling callers when to come back. An estimate; nothing waits on it.
const ONE_HASH: Duration = Duration::from_millis(150);
/// How much the threads step back behind the threads that serve requests.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// A job and the way to its caller.
pub struct Task(Box<dyn Work>);

/// Working and answering are two steps, so that the books are right before the caller looks at them.
trait Work: Send {
    fn is_wanted(&self) -> bool;
    fn run(&mut self, memory: &mut Memory);
    fn answer(self: Box<Self>);
}

struct Ask<T, F> {
    job: Option<F>,
    outcome: Option<Result<T, HashFault>>,
    caller: oneshot::Sender<Result<T, HashFault>>,
}

impl<T, F> Work for Ask<T, F>
where
    T: Send,
    F: FnOnce(&mut Memory) -> Result<T, HashFault> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.caller.is_closed()
    }

    fn run(&mut self, memory: &mut Memory) {
        self.outcome = self.job.take().map(|job| job(memory));
    }

    /// A job that panicked has no outcome; dropping `caller` tells its caller so.
    fn answer(self: Box<Self>) {
        let Ask { outcome, caller, .. } = *self;
        if let Some(outcome) = outcome {
            // A caller who left meanwhile has nobody to tell.
            let _ = caller.send(outcome);
        }
    }
}

impl Task {
    /// `job`, and where its outcome will arrive.
    pub fn new<T, F>(job: F) -> (Task, oneshot::Receiver<Result<T, HashFault>>)
    where
        T: Send + 'static,
        F: FnOnce(&mut Memory) -> Result<T, HashFault> + Send + 'static,
    {
        let (caller, outcome) = oneshot::channel();
        (Task(Box::new(Ask { job: Some(job), outcome: None, caller })), outcome)
    }
}

/// See `Stats`.
#[derive(Default)]
pub struct Counters {
    pub running: AtomicUsize,
    pub memory_kib: AtomicUsize,
    pub done: AtomicU64,
    pub refused: AtomicU64,
    pub skipped: AtomicU64,
    pub failed: AtomicU64,
}

/// What the threads and the callers share.
pub struct Shared {
    pub permits: usize,
    pub counters: Counters,
    pub checks: Recent,
    capacity: usize,
    idle: Duration,
    /// Memory that a thread may keep between jobs.
    keep_kib: u32,
    queue: Mutex<Queue>,
    work_came: Condvar,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    /// Threads without a job: each will take a task that does not count as waiting.
    free: usize,
    stopped: bool,
}

/// Starts `permits` threads, or none.
pub fn start(permits: usize, capacity: usize, idle: Duration, keep_kib: u32) -> io::Result<Arc<Shared>> {
    let shared = Arc::new(Shared {
        permits,
        counters: Counters::default(),
        checks: Recent::default(),
        capacity,
        idle,
        keep_kib,
        queue: Mutex::new(Queue { free: permits, ..Queue::default() }),
        work_came: Condvar::new(),
    });
    for number in 0..permits {
        let mine = Arc::clone(&shared);
        let started = std::thread::Builder::new().name(format!("hash-{number}")).spawn(move || mine.serve());
        if let Err(why) = started {
            shared.stop();
            return Err(why);
        }
    }
    Ok(shared)
}

impl Shared {
    /// Tasks in the queue.
    pub fn waiting(&self) -> usize {
        self.lock().tasks.len()
    }

    /// Queues a task, or refuses at once.
    pub fn submit(&self, task: Task) -> Result<(), Busy> {
        let mut queue = self.lock();
        let room = self.capacity.saturating_add(queue.free);
        if queue.tasks.len() >= room {
            // Only when it matters: those who left make room.
            let before = queue.tasks.len();
            queue.tasks.retain(|task| task.0.is_wanted());
            self.counters.skipped.fetch_add((before - queue.tasks.len()) as u64, Relaxed);
        }
        if queue.stopped || queue.tasks.len() >= room {
            self.counters.refused.fetch_add(1, Relaxed);
            return Err(self.busy(queue.tasks.len()));
        }
        queue.tasks.push_back(task);
        drop(queue);
        self.work_came.notify_one();
        Ok(())
    }

    /// When to come back with `waiting` jobs ahead: at least a second, at most thirty.
    pub fn busy(&self, waiting: usize) -> Busy {
        let rounds = u32::try_from(waiting.div_ceil(self.permits)).unwrap_or(u32::MAX);
        let seconds = ONE_HASH.saturating_mul(rounds).as_millis().div_ceil(1000);
        Busy { retry_after: Duration::from_secs(u64::try_from(seconds).unwrap_or(30).clamp(1, 30)) }
    }

    /// Ends the threads after their present jobs, and forgets the waiting ones.
    pub fn stop(&self) {
        let forgotten = {
            let mut queue = self.lock();
            queue.stopped = true;
            std::mem::take(&mut queue.tasks)
        };
        self.work_came.notify_all();
        drop(forgotten);
    }

    /// A thread's life.
    fn serve(&self) {
        step_back();
        let mut memory = Memory::new();
        while let Some(mut task) = self.next(&mut memory) {
            let counter = if task.0.is_wanted() { self.work(&mut task, &mut memory) } else { &self.counters.skipped };
            counter.fetch_add(1, Relaxed);
            self.lock().free += 1;
            task.0.answer();
        }
        self.counters.memory_kib.fetch_sub(memory.kib(), Relaxed);
    }

    /// Does one job, and names the counter it belongs to.
    fn work(&self, task: &mut Task, memory: &mut Memory) -> &AtomicU64 {
        let before = memory.kib();
        self.counters.running.fetch_add(1, Relaxed);
        // A panicking job leaves the memory half filled, which the next one overwrites.
        let outcome = catch_unwind(AssertUnwindSafe(|| task.0.run(memory)));
        memory.shrink_to(self.keep_kib);
        self.counters.running.fetch_sub(1, Relaxed);
        self.counters.memory_kib.fetch_add(memory.kib(), Relaxed);
        self.counters.memory_kib.fetch_sub(before, Relaxed);
        if outcome.is_ok() { &self.counters.done } else { &self.counters.failed }
    }

    /// The next task; nothing once the service stops. Without work for a while, gives `memory` back.
    fn next(&self, memory: &mut Memory) -> Option<Task> {
        let mut queue = self.lock();
        loop {
            if queue.stopped {
                return None;
            }
            if let Some(task) = queue.tasks.pop_front() {
                queue.free -= 1;
                return Some(task);
            }
            if memory.kib() == 0 {
                queue = self.work_came.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (after, wait) = self.work_came.wait_timeout(queue, self.idle).unwrap_or_else(PoisonError::into_inner);
            queue = after;
            if wait.timed_out() && queue.tasks.is_empty() {
                // Wiping takes a while; the others must not wait for it.
                drop(queue);
                self.counters.memory_kib.fetch_sub(memory.kib(), Relaxed);
                memory.clear();
                queue = self.lock();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// On Linux a priority belongs to the thread, so this leaves the rest of the server alone; elsewhere it
/// would not, and is left out. A system that refuses costs us fairness, not correctness.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(why) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%why, "the hashing threads could not lower their priority");
    }
}
