//! Following the feed: what other nodes commit comes into this node's memory, in the order of the commits.
//!
//! `NOTIFY` is a hint and may be lost; every 250 ms this node looks for itself, on a connection of its own. What it asks
//! is one statement, hence one snapshot: the changes after its cursor, both ends of the feed, and the time.
use super::contact::running_time;
use super::{Shared, connection::Connection};
use crate::feed::{Change, Feed};
use crate::{Error, Interruption, Kind, Row, Statement, args};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Between two looks when nobody hints.
const EVERY: Duration = Duration::from_millis(250);
/// After a hint, so that a crowd of commits is read at once.
const GATHERED: Duration = Duration::from_millis(2);
/// Changes of one look.
const SLICE: u32 = 1_000;
/// How often freshness is judged for those who are told.
const JUDGED_EVERY: Duration = Duration::from_millis(100);

/// PostgreSQL's own: `clock_timestamp` is the time now, not that of the transaction.
static LOOK: Statement = Statement::new(
    "usher_db::pg::LOOK",
    "SELECT f.head, f.floor, CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT), \
     c.seq, c.topic, c.key, c.body, c.at FROM feed f LEFT JOIN changes c ON c.seq > $1 WHERE f.id = 1 \
     ORDER BY c.seq LIMIT $2",
    Kind::Scan,
);

/// "Ushn" in ASCII: names the lock that everybody shares who has the database open.
const OPEN: i64 = 0x5573_686e;
static WHO: Statement = Statement::new("usher_db::pg::WHO", "SELECT CAST(pg_backend_pid() AS BIGINT)", Kind::Scan);
pub(super) static OTHERS: Statement = Statement::new(
    "usher_db::pg::OTHERS",
    "SELECT CAST(count(*) AS BIGINT) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
     WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objsubid = 1 AND CAST(l.objid AS BIGINT) = $1 \
     AND d.datname = current_database() AND CAST(l.pid AS BIGINT) <> $2",
    Kind::Scan,
);

/// How many others have the database open, as far as the server knows.
pub(super) async fn others(shared: &Shared, connection: &mut Connection) -> Result<u32, Error> {
    let rows = connection.all(&OTHERS, args![OPEN, shared.line.load(Ordering::Acquire)]).await?;
    rows.first().map_or(Ok(0), |row| row.get(0))
}

/// How far memory has followed.
#[derive(Default)]
pub(super) struct Progress {
    cursor: i64,
    /// Numbers beyond the cursor that this node committed itself and has taken in already.
    early: BTreeSet<i64>,
}

/// One look at the feed.
pub(super) struct Look {
    pub(super) feed: Feed,
    sent: i64,
    received: i64,
    told: i64,
}

/// Looks at the changes after `seq`.
pub(super) async fn look(connection: &mut Connection, seq: i64, limit: u32) -> Result<Look, Error> {
    let sent = running_time();
    // The row of the feed comes with the first change, so at least one is asked for.
    let rows = connection.all(&LOOK, args![seq, limit.max(1)]).await?;
    let received = running_time();
    let ends = rows.first().ok_or_else(|| Error::other(LOOK.name, "the row of the feed is missing"))?;
    let (head, floor, told) = (ends.get(0)?, ends.get(1)?, ends.get(2)?);
    let mut changes = Vec::new();
    for row in rows.iter().take(limit as usize) {
        if row.get::<Option<i64>>(3)?.is_some() {
            changes.push(change(row)?);
        }
    }
    Ok(Look { feed: Feed { changes, head, floor }, sent, received, told })
}

fn change(row: &Row) -> Result<Change, Error> {
    Ok(Change { seq: row.get(3)?, topic: row.get(4)?, key: row.get(5)?, body: row.get(6)?, at: row.get(7)? })
}

/// Follows until the runtime ends.
pub(super) async fn run(shared: Arc<Shared>) {
    let hint = Arc::new(Notify::new());
    let mut line: Option<Connection> = None;
    let mut said = false;
    loop {
        let looked = match &mut line {
            Some(connection) => shared.look_on(connection).await,
            None => match shared.line(&hint).await {
                Ok(connection) => {
                    line = Some(connection);
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        match looked {
            Ok(true) => continue,
            Ok(false) => {
                if said {
                    tracing::info!(target: "usher_db", "the database is heard again");
                    said = false;
                }
                if timeout(EVERY, hint.notified()).await.is_ok() {
                    sleep(GATHERED).await;
                }
            }
            Err(error) => {
                line = None;
                if !said {
                    tracing::warn!(target: "usher_db", %error, "the database is not heard; asking on");
                    said = true;
                }
                sleep(EVERY).await;
            }
        }
    }
}

/// Tells of lost and regained contact.
pub(super) async fn judge(shared: Arc<Shared>) {
    let mut fresh = true;
    loop {
        sleep(JUDGED_EVERY).await;
        if shared.contact.is_fresh() != fresh {
            fresh = !fresh;
            shared.interrupt(if fresh { Interruption::Restored } else { Interruption::Cut });
        }
    }
}

impl Shared {
    /// A connection that hears hints.
    async fn line(&self, hint: &Arc<Notify>) -> Result<Connection, Error> {
        let mut connection = self.pool.connector().open(Some(Arc::clone(hint))).await?;
        connection.limit_to(self.look_limit);
        let who = connection.all(&WHO, args![]).await?;
        // Known before the lock is taken, so that nobody takes us for another.
        self.line.store(who.first().map_or(Ok(0), |row| row.get(0))?, Ordering::Release);
        connection.control("LISTEN", &format!("SELECT pg_advisory_lock_shared({OPEN}); LISTEN usher_feed")).await?;
        Ok(connection)
    }

    /// Looks, lets memory follow, and says whether there is more.
    async fn look_on(&self, connection: &mut Connection) -> Result<bool, Error> {
        let cursor = self.progress().cursor;
        let look = look(connection, cursor, SLICE).await?;
        // While nobody follows there is no memory that could be behind; whoever begins to hears of all of it.
        let following = self.follower.get().is_some();
        let more = following && look.feed.changes.len() == SLICE as usize;
        if following {
            self.take_in(look.feed)?;
        }
        // Only what has been followed to its end says anything about memory.
        if !more {
            self.contact.heard(look.sent, look.received, look.told);
        }
        Ok(more)
    }

    /// The first word of the database: memory is empty, so it follows from here.
    pub(super) fn begin_at(&self, look: &Look) {
        self.progress().cursor = look.feed.head;
        self.contact.heard(look.sent, look.received, look.told);
    }

    /// The number of the last change that memory has followed.
    pub(super) fn followed(&self) -> i64 {
        self.progress().cursor
    }

    /// Lets memory follow a stretch that begins at its cursor.
    fn take_in(&self, feed: Feed) -> Result<(), Error> {
        let mut progress = self.progress();
        let gapless = feed.changes.iter().map(|it| it.seq).eq((progress.cursor + 1..).take(feed.changes.len()));
        let reaches = !feed.changes.is_empty() || feed.head == progress.cursor;
        if !gapless || !reaches || feed.head < progress.cursor {
            // Pruned before this node read it, or another database than before: nothing in memory is known to be true.
            tracing::warn!(target: "usher_db", cursor = progress.cursor, head = feed.head, "changes were missed; memory begins anew");
            progress.cursor = feed.head;
            progress.early.retain(|seq| *seq > feed.head);
            // Under the lock, so that no later change is taken in before everything was forgotten.
            self.interrupt(Interruption::Missed);
            return Ok(());
        }
        let Some(last) = feed.changes.last().map(|it| it.seq) else { return Ok(()) };
        let new: Vec<Change> = feed.changes.into_iter().filter(|it| !progress.early.remove(&it.seq)).collect();
        progress.cursor = last;
        self.tell(&new)
    }

    /// Takes this node's own changes into memory, before the answer leaves and before the feed brings them.
    pub(super) fn deliver_own(&self, changes: &[Change]) -> Result<(), Error> {
        if changes.is_empty() || self.follower.get().is_none() {
            return Ok(());
        }
        let mut progress = self.progress();
        let cursor = progress.cursor;
        let new: Vec<Change> =
            changes.iter().filter(|it| it.seq > cursor && progress.early.insert(it.seq)).cloned().collect();
        self.tell(&new)
    }

    /// Memory follows the commit. If it cannot, nobody may be told that all is well, now or later.
    fn tell(&self, changes: &[Change]) -> Result<(), Error> {
        let Some(follower) = self.follower.get().filter(|_| !changes.is_empty()) else { return Ok(()) };
        catch_unwind(AssertUnwindSafe(|| follower(changes))).map_err(|_| self.break_off())
    }

    fn interrupt(&self, interruption: Interruption) {
        if let Some(told) = self.interrupted.get()
            && catch_unwind(AssertUnwindSafe(|| told(interruption))).is_err()
        {
            self.break_off();
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
