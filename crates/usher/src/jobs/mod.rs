//! What happens by itself: uses written down, what is over swept away, keys rotated when their time has come.
//!
//! Promises: a job does a bounded slice of work and says how much; one that fails is logged and tried again at its
//! next turn, and the others go on. Nothing that admits anybody waits for a job: the gate judges times itself, so a job
//! that is late leaves rows behind, never rights.
//! Real time decides when a job has its turn; what it judges by is the application's clock.

use crate::cx::Cx;
use crate::ops::JobLabels;
use crate::{App, audit, declared, devices, login, mail, sessions, tokens};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Between two ticks.
const TICK: Duration = Duration::from_secs(10);
/// Rows per slice: far below what one write may take.
const SLICE: u32 = 200;
/// Slices per turn. What is left waits for the next turn, so that no backlog holds up the others.
const SLICES: u32 = 50;
/// How long changes are kept for those who follow the feed.
const FEED_KEPT: Duration = Duration::from_secs(24 * 3600);

/// How much a slice did, or why it did nothing.
type Done = Result<u64, JobError>;
type Run = fn(Cx, u32) -> Pin<Box<dyn Future<Output = Done> + Send>>;

/// Why a job did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] usher_db::Error),
    /// The keys could not be read or replaced.
    #[error(transparent)]
    Keys(#[from] tokens::live::KeysError),
}

/// One kind of work.
struct Job {
    name: &'static str,
    /// Its turn comes every so many ticks.
    every: u64,
    run: Run,
}

macro_rules! job {
    ($name:literal every $every:literal: $run:path) => {
        Job { name: $name, every: $every, run: |cx, limit| Box::pin(async move { $run(&cx, limit).await }) }
    };
}

/// All of them. What is only tidied up has its turn every five minutes: often enough that no turn is a long one.
static JOBS: &[Job] = &[
    job!("write down uses" every 3: uses),
    job!("end what expired" every 6: expired_sessions),
    job!("note how it goes" every 30: history),
    job!("drop tombstones" every 6: tombstones),
    job!("forget leases" every 6: leases),
    job!("forget failed logins" every 30: failures),
    job!("rotate signing keys" every 6: keys),
    job!("prune the change feed" every 30: feed),
    job!("remove old links" every 30: links),
    job!("remove old link codes" every 30: link_codes),
    job!("forget used signatures" every 30: signatures),
    job!("forget devices" every 30: devices),
    job!("remove old steps and notices" every 30: factors),
    job!("remove data of ended sessions" every 30: session_data),
    job!("remove ended sessions" every 30: ended_sessions),
    job!("remove old personal tokens" every 30: personal_tokens),
    job!("remove old events" every 30: events),
    job!("drop old letters" every 30: old_letters),
    job!("look for missing folders" every 3: folders),
];

/// Hands letters over. Apart from the others: a mail server that does not answer holds up letters only.
static LETTERS: Job = job!("send letters" every 1: letters);

/// Runs the jobs until the future is dropped.
pub async fn run(app: Arc<App>) {
    tokio::join!(take_turns(app.clone()), send_letters(app));
}

async fn send_letters(app: Arc<App>) {
    let mut ticker = tokio::time::interval(TICK);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticker.tick().await;
        turn(&app, &LETTERS).await;
    }
}

async fn take_turns(app: Arc<App>) {
    let mut ticker = tokio::time::interval(TICK);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticker.tick().await;
    for tick in 1_u64.. {
        ticker.tick().await;
        for job in JOBS.iter().filter(|job| tick.is_multiple_of(job.every)) {
            turn(&app, job).await;
        }
    }
}

/// Every job once, whoever's turn it is.
pub async fn once(app: &Arc<App>) {
    for job in JOBS.iter().chain([&LETTERS]) {
        turn(app, job).await;
    }
}

/// Everything that would be lost with the process, for its end.
pub async fn finish(app: &Arc<App>) {
    if let Err(error) = every_use(&Cx::internal(app, "shutdown")).await {
        tracing::warn!(target: "usher::jobs", %error, "the last uses could not be written down");
    }
}

async fn turn(app: &Arc<App>, job: &Job) {
    let mut total = 0;
    for _ in 0..SLICES {
        match (job.run)(Cx::internal(app, "job"), SLICE).await {
            Ok(count) => {
                total += count;
                if count < u64::from(SLICE) {
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(target: "usher::jobs", job = job.name, %error, "failed; tried again at its next turn");
                break;
            }
        }
    }
    if total > 0 {
        app.metrics.job_items.get_or_create(&JobLabels { job: job.name }).inc_by(total);
        tracing::debug!(target: "usher::jobs", job = job.name, count = total, "done");
    }
}

fn counted(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The uses are few enough to be written whole: one row a minute for each session in use.
async fn uses(cx: &Cx, _: u32) -> Done {
    sessions::flush_uses(cx).await?;
    tokens::personal::flush_uses(cx).await?;
    Ok(0)
}

async fn every_use(cx: &Cx) -> Result<(), JobError> {
    sessions::flush_every_use(cx).await?;
    tokens::personal::flush_uses(cx).await?;
    Ok(())
}

async fn history(cx: &Cx, _: u32) -> Done {
    cx.app.history.take(&cx.app.metrics, cx.now);
    Ok(0)
}

async fn expired_sessions(cx: &Cx, limit: u32) -> Done {
    Ok(counted(sessions::sweep(cx, limit).await?))
}

async fn session_data(cx: &Cx, limit: u32) -> Done {
    Ok(sessions::data::sweep(cx, limit).await?)
}

async fn personal_tokens(cx: &Cx, limit: u32) -> Done {
    Ok(tokens::issue::sweep(cx, limit).await?)
}

async fn ended_sessions(cx: &Cx, limit: u32) -> Done {
    Ok(counted(sessions::forget(cx, limit).await?))
}

async fn tombstones(cx: &Cx, _: u32) -> Done {
    Ok(counted(cx.app.sessions.drop_tombstones(cx.now) + cx.app.personal.drop_tombstones(cx.now)))
}

async fn leases(cx: &Cx, _: u32) -> Done {
    Ok(counted(cx.app.media.leases.sweep(cx.now)))
}

async fn failures(cx: &Cx, limit: u32) -> Done {
    Ok(login::throttle::sweep(cx, limit).await?)
}

async fn devices(cx: &Cx, limit: u32) -> Done {
    Ok(sessions::known::sweep(cx, limit).await?)
}

async fn links(cx: &Cx, limit: u32) -> Done {
    Ok(login::links::sweep(cx, limit).await?)
}

async fn link_codes(cx: &Cx, limit: u32) -> Done {
    Ok(devices::sweep(cx, limit).await?)
}

async fn signatures(cx: &Cx, limit: u32) -> Done {
    Ok(login::signed::sweep(cx, limit).await?)
}

async fn factors(cx: &Cx, limit: u32) -> Done {
    Ok(login::factors::sweep(cx, limit).await?)
}

async fn events(cx: &Cx, limit: u32) -> Done {
    Ok(audit::forget(cx, limit).await?)
}

async fn letters(cx: &Cx, limit: u32) -> Done {
    Ok(mail::send_due(cx, limit).await?)
}

async fn folders(cx: &Cx, _: u32) -> Done {
    declared::live::retry(&cx.app).await?;
    Ok(0)
}

async fn old_letters(cx: &Cx, limit: u32) -> Done {
    Ok(mail::sweep(cx, limit).await?)
}

async fn feed(cx: &Cx, _: u32) -> Done {
    Ok(cx.app.db.prune_changes((cx.now - FEED_KEPT).0).await?)
}

async fn keys(cx: &Cx, _: u32) -> Done {
    let app = &cx.app;
    if app.keys.due(cx.now, &tokens::live::rules(cx)) {
        let kid = tokens::live::rotate(cx, false).await?;
        tracing::info!(target: "usher::jobs", kid, "a new signing key is current");
        return Ok(1);
    } else if app.keys.stale(cx.now) {
        app.keys.reload(&app.db, &app.vault, cx.now).await?;
    }
    Ok(0)
}
