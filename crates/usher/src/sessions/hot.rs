//! Live sessions in memory: what admission reads instead of the database.
//!
//! Filled on a miss, bounded, and told of every end by the change feed before the end is answered.
//! An end leaves a tombstone, so that a reader who fetched the row just before cannot put it back.

use super::Kind;
use super::store::{self, LiveRow};
use crate::id::{AccountId, SessionId};
use crate::secret::Digest;
use crate::time::Time;
use hashbrown::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use usher_db::{Change, Db, Error, Tx};

/// The feed topic of ended sessions. Key: session id. Body: its media grant.
pub const ENDED: &str = "session_ended";
/// The feed topic of renewed cookie secrets. Key: session id. Body: the row's version.
pub const RENEWED: &str = "session_renewed";

const SHARDS: usize = 64;
/// Live sessions kept per shard; beyond it an arbitrary half is dropped and read again when needed.
const PER_SHARD: usize = 32_768;
/// How long a tombstone is kept: longer than any read that began before the end can take.
const TOMBSTONE: Duration = Duration::from_secs(600);
/// How often a row is read for one request, when it changes under the reading, before the request is refused.
const READS: usize = 16;
/// A use is written down when the one on record is older than this. What is younger only memory knows, so whoever
/// judges a row asks memory too.
const USE_GRAIN: i64 = 60_000;

/// A live session, as small as admission allows.
#[derive(Debug)]
pub struct Live {
    /// The id.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// What holds it.
    pub kind: Kind,
    /// How it was proven.
    pub amr: Box<str>,
    /// What the cookie's secret digests to.
    pub secret: Digest,
    /// The version of the secret.
    pub ver: i64,
    /// The login.
    pub created_at: Time,
    /// The last proof of who is there.
    pub auth_at: Time,
    /// The absolute end.
    pub expires_at: Time,
    /// How long it may be idle.
    pub idle_for: Duration,
    /// The media grant.
    pub grant: u64,
    last_used: AtomicI64,
    written: AtomicI64,
}

impl Live {
    fn from_row(row: LiveRow) -> Live {
        Live {
            id: row.id,
            account: row.account,
            kind: row.kind,
            amr: row.amr.into_boxed_str(),
            secret: row.secret,
            ver: row.ver,
            created_at: row.created_at,
            auth_at: row.auth_at,
            expires_at: row.expires_at,
            idle_for: row.idle_for,
            grant: row.grant,
            last_used: AtomicI64::new(row.last_used_at.0),
            written: AtomicI64::new(row.last_used_at.0),
        }
    }

    /// The last use.
    pub fn last_used(&self) -> Time {
        Time(self.last_used.load(Ordering::Relaxed))
    }

    /// Until when it may be used if nobody uses it again.
    pub fn usable_until(&self) -> Time {
        self.expires_at.min(self.last_used() + self.idle_for)
    }
}

enum Slot {
    Live(Arc<Live>),
    /// The secret was renewed: copies below this version are out of date.
    Floor(i64),
    /// Ended; forgotten at this instant.
    Ended(Time),
}

#[derive(Default)]
struct Shard {
    slots: HashMap<SessionId, Slot>,
    by_grant: HashMap<u64, SessionId>,
    tombstones: usize,
}

/// The sessions in memory.
pub struct Sessions {
    shards: Vec<RwLock<Shard>>,
    uses: Mutex<HashMap<SessionId, Time>>,
    /// Rises whenever floors or tombstones are forgotten before their time.
    epoch: AtomicU64,
}

/// What became of a row that was read and brought to memory.
enum Brought {
    /// It is the session as it stands.
    Live(Arc<Live>),
    /// The session has ended meanwhile.
    Ended,
    /// It may be of yesterday, and what would tell is forgotten or newer: it has to be read again.
    Stale,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            uses: Mutex::default(),
            epoch: AtomicU64::new(0),
        }
    }
}

impl Sessions {
    fn shard(&self, id: SessionId) -> &RwLock<Shard> {
        // The last byte of a UUIDv7 is random.
        &self.shards[usize::from(id.bytes()[15]) % SHARDS]
    }

    /// The live session `id`: from memory, or from the database on a miss. Says nothing about its time limits.
    pub async fn live(&self, db: &Db, id: SessionId) -> Result<Option<Arc<Live>>, Error> {
        // Read again only when a renewal committed, or memory was shed, during the read before: seldom twice.
        for _ in 0..READS {
            let epoch = self.epoch.load(Ordering::Acquire);
            {
                let shard = self.shard(id).read().unwrap_or_else(PoisonError::into_inner);
                match shard.slots.get(&id) {
                    Some(Slot::Live(live)) => return Ok(Some(live.clone())),
                    Some(Slot::Ended(_)) => return Ok(None),
                    Some(Slot::Floor(_)) | None => {}
                }
            }
            let Some(row) = store::find_live(db, id).await? else { return Ok(None) };
            match self.bring(Live::from_row(row), epoch) {
                Brought::Live(live) => return Ok(Some(live)),
                Brought::Ended => return Ok(None),
                Brought::Stale => {}
            }
        }
        Err(Error::Unavailable {
            statement: "sessions::hot",
            message: "a session changes faster than it is read".into(),
        })
    }

    /// Whether a live session's time is not over. Another node may have written down later uses than those that this
    /// one knows of, so what seems idle is looked at once more before it is refused.
    pub async fn usable(&self, db: &Db, live: &Live, now: Time) -> Result<bool, Error> {
        if now >= live.usable_until() && now < live.expires_at && db.is_shared() {
            let Some(row) = store::find_live(db, live.id).await? else { return Ok(false) };
            live.last_used.fetch_max(row.last_used_at.0, Ordering::Relaxed);
        }
        Ok(now < live.usable_until())
    }

    /// The live session a media grant belongs to.
    pub async fn by_grant(&self, db: &Db, grant: u64) -> Result<Option<Arc<Live>>, Error> {
        // A grant's low byte is that of its session's id, so both are in the same shard.
        let shard = &self.shards[usize::from(grant.to_be_bytes()[7]) % SHARDS];
        let known = shard.read().unwrap_or_else(PoisonError::into_inner).by_grant.get(&grant).copied();
        if let Some(id) = known {
            return self.live(db, id).await;
        }
        let Some(id) = store::find_by_grant(db, grant).await? else { return Ok(None) };
        let live = self.live(db, id).await?;
        if let Some(live) = &live {
            self.learn_grant(live);
        }
        Ok(live)
    }

    /// Remembers whose a grant is, of a session that is in memory still. Most sessions never play anything, so only those
    /// that do take the room.
    fn learn_grant(&self, live: &Live) {
        let mut shard = self.shard(live.id).write().unwrap_or_else(PoisonError::into_inner);
        if matches!(shard.slots.get(&live.id), Some(Slot::Live(_))) {
            shard.by_grant.insert(live.grant, live.id);
        }
    }

    /// Puts a row that was read into memory, unless memory knows better.
    fn bring(&self, live: Live, epoch: u64) -> Brought {
        let mut shard = self.shard(live.id).write().unwrap_or_else(PoisonError::into_inner);
        match shard.slots.get(&live.id) {
            Some(Slot::Ended(_)) => return Brought::Ended,
            Some(Slot::Live(known)) if known.ver >= live.ver => return Brought::Live(known.clone()),
            // A renewal committed after our read: the caller's copy is of yesterday's secret.
            Some(Slot::Floor(floor)) if live.ver < *floor => return Brought::Stale,
            _ => {}
        }
        // The row does not know yet of uses that wait to be written down.
        if let Some(used) = self.noted(live.id) {
            live.last_used.fetch_max(used.0, Ordering::Relaxed);
        }
        // Looked at under the lock: what was forgotten since our read began may have been the end of this very session.
        if self.epoch.load(Ordering::Acquire) != epoch {
            return Brought::Stale;
        }
        let live = Arc::new(live);
        if shard.slots.len() - shard.tombstones >= PER_SHARD {
            self.shed(&mut shard);
        }
        shard.slots.insert(live.id, Slot::Live(live.clone()));
        Brought::Live(live)
    }

    fn shed(&self, shard: &mut Shard) {
        let mut keep = false;
        shard.slots.retain(|_, slot| match slot {
            Slot::Live(live) => {
                keep = !keep;
                if !keep {
                    self.let_go(live);
                }
                keep
            }
            Slot::Floor(_) => false,
            Slot::Ended(_) => true,
        });
        let Shard { slots, by_grant, .. } = shard;
        by_grant.retain(|_, id| slots.contains_key(id));
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The session in memory, if it is there and live.
    pub fn remembered(&self, id: SessionId) -> Option<Arc<Live>> {
        match self.shard(id).read().unwrap_or_else(PoisonError::into_inner).slots.get(&id) {
            Some(Slot::Live(live)) => Some(live.clone()),
            Some(Slot::Floor(_) | Slot::Ended(_)) | None => None,
        }
    }

    /// Notes a use. It is written down later, by the minute.
    pub fn used(&self, live: &Live, now: Time) {
        live.last_used.fetch_max(now.0, Ordering::Relaxed);
        let written = live.written.load(Ordering::Relaxed);
        if now.0 - written >= USE_GRAIN
            && live.written.compare_exchange(written, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.uses.lock().unwrap_or_else(PoisonError::into_inner).insert(live.id, now);
        }
    }

    /// The last use of a session that memory knows of. A row may lag behind it; what ends a session for idleness asks.
    pub fn last_used(&self, id: SessionId) -> Option<Time> {
        self.remembered(id).map(|live| live.last_used()).max(self.noted(id))
    }

    fn noted(&self, id: SessionId) -> Option<Time> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    /// Keeps the last use of a session that memory forgets, which may be too young to be written down yet.
    fn let_go(&self, live: &Live) {
        if live.last_used.load(Ordering::Relaxed) > live.written.load(Ordering::Relaxed) {
            self.uses.lock().unwrap_or_else(PoisonError::into_inner).insert(live.id, live.last_used());
        }
    }

    /// The uses that are not written down yet. They stay noted until [`Sessions::wrote_uses`].
    pub fn uses_to_write(&self) -> Vec<(SessionId, Time)> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(id, at)| (*id, *at)).collect()
    }

    /// Notes every use that only memory knows, however young: for the end of the process.
    pub fn note_every_use(&self) {
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.slots.values().for_each(|slot| {
                if let Slot::Live(live) = slot {
                    self.let_go(live);
                }
            });
        }
    }

    /// Forgets uses that are in the rows by now; of a session that was used again meanwhile, the later use stays.
    pub fn wrote_uses(&self, uses: &[(SessionId, Time)]) {
        let mut held = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, at) in uses {
            if held.get(id) == Some(at) {
                held.remove(id);
            }
        }
    }

    /// Takes in an end or a renewal that was committed, here or on another node.
    /// Returns the media grant whose transfers must stop.
    pub fn apply(&self, change: &Change) -> Option<u64> {
        let (Ok(id), Ok(number)) = (change.key.parse::<SessionId>(), change.body.parse::<i64>()) else {
            tracing::error!(topic = %change.topic, key = %change.key, "a change that cannot be read; forgetting all sessions");
            self.forget_all();
            return None;
        };
        let mut shard = self.shard(id).write().unwrap_or_else(PoisonError::into_inner);
        if change.topic == ENDED {
            let until = Time(change.at) + TOMBSTONE;
            if !matches!(shard.slots.insert(id, Slot::Ended(until)), Some(Slot::Ended(_))) {
                shard.tombstones += 1;
            }
            let grant = u64::try_from(number).ok();
            if let Some(grant) = grant {
                shard.by_grant.remove(&grant);
            }
            return grant;
        }
        match shard.slots.get(&id) {
            Some(Slot::Ended(_)) => {}
            Some(Slot::Live(live)) if live.ver >= number => {}
            Some(Slot::Floor(floor)) if *floor >= number => {}
            _ => {
                if let Some(Slot::Live(before)) = shard.slots.insert(id, Slot::Floor(number)) {
                    self.let_go(&before);
                }
            }
        }
        None
    }

    /// Forgets everything; each session is read again when it is next used.
    pub fn forget_all(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for shard in &self.shards {
            let before = std::mem::take(&mut *shard.write().unwrap_or_else(PoisonError::into_inner));
            before.slots.values().for_each(|slot| {
                if let Slot::Live(live) = slot {
                    self.let_go(live);
                }
            });
        }
    }

    /// Drops tombstones that no reader can need any more, and says how many.
    pub fn drop_tombstones(&self, now: Time) -> usize {
        let mut dropped = 0;
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let before = shard.slots.len();
            shard.slots.retain(|_, slot| !matches!(slot, Slot::Ended(until) if *until <= now));
            dropped += before - shard.slots.len();
            shard.tombstones = shard.slots.values().filter(|slot| matches!(slot, Slot::Ended(_))).count();
        }
        dropped
    }

    /// How many live sessions are in memory.
    pub fn len(&self) -> usize {
        let live = |shard: &RwLock<Shard>| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.slots.values().filter(|slot| matches!(slot, Slot::Live(_))).count()
        };
        self.shards.iter().map(live).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Tells, with the commit, that a session is over.
pub(super) fn announce_end(tx: &mut Tx, id: SessionId, grant: u64, now: Time) {
    tx.announce(ENDED, id, grant.to_string(), now.0);
}

/// Tells, with the commit, that a session's cookie secret was renewed.
pub(super) fn announce_renewal(tx: &mut Tx, id: SessionId, ver: i64, now: Time) {
    tx.announce(RENEWED, id, ver.to_string(), now.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Rng;

    fn live(rng: &Rng, ver: i64) -> Live {
        Live::from_row(LiveRow { ver, ..row_of(SessionId::new(Time(1_000), rng)) })
    }

    fn row_of(id: SessionId) -> LiveRow {
        LiveRow {
            id,
            account: AccountId::new(Time(1_000), &Rng::seeded(9)),
            kind: Kind::Browser,
            amr: "pwd".to_owned(),
            secret: Digest::of(b"secret"),
            ver: 1,
            auth_at: Time(1_000),
            last_used_at: Time(1_000),
            idle_for: Duration::from_secs(60),
            expires_at: Time(10_000_000),
            grant: 7,
            created_at: Time(1_000),
        }
    }

    fn change(topic: &str, id: SessionId, body: &str) -> Change {
        Change { seq: 1, topic: topic.to_owned(), key: id.to_string(), body: body.to_owned(), at: 2_000 }
    }

    #[test]
    fn a_row_read_before_the_end_is_not_put_back_after_it() {
        let sessions = Sessions::default();
        let row = live(&Rng::seeded(1), 1);
        assert_eq!(sessions.apply(&change(ENDED, row.id, "7")), Some(7));
        assert!(matches!(sessions.bring(row, 0), Brought::Ended));
        assert_eq!(sessions.len(), 0);
    }

    #[test]
    fn a_row_read_before_memory_forgot_the_end_is_read_again() {
        let sessions = Sessions::default();
        let rng = Rng::seeded(1);
        let (row, later) = (live(&rng, 1), live(&rng, 1));
        sessions.apply(&change(ENDED, row.id, "7"));
        sessions.forget_all();
        assert!(matches!(sessions.bring(row, 0), Brought::Stale), "the tombstone is gone, and so is what it said");
        assert!(matches!(sessions.bring(later, 1), Brought::Live(_)), "a read that began afterwards is as good as any");
    }

    #[test]
    fn a_row_read_before_a_renewal_is_not_used_after_it() {
        let sessions = Sessions::default();
        let row = live(&Rng::seeded(1), 1);
        let id = row.id;
        sessions.apply(&change(RENEWED, id, "2"));
        assert!(matches!(sessions.bring(row, 0), Brought::Stale));
    }

    #[test]
    fn a_change_that_cannot_be_read_forgets_everything() {
        let sessions = Sessions::default();
        let row = live(&Rng::seeded(1), 1);
        let id = row.id;
        assert!(matches!(sessions.bring(row, 0), Brought::Live(_)));
        sessions.apply(&change(ENDED, id, "garbage"));
        assert!(sessions.is_empty());
    }

    #[test]
    fn tombstones_go_when_no_reader_can_need_them() {
        let sessions = Sessions::default();
        let row = live(&Rng::seeded(1), 1);
        let id = row.id;
        sessions.apply(&change(ENDED, id, "7"));
        sessions.drop_tombstones(Time(2_000) + TOMBSTONE);
        assert!(matches!(sessions.bring(row, 0), Brought::Live(_)));
    }

    #[test]
    fn a_use_is_written_down_by_the_minute() {
        let sessions = Sessions::default();
        let live = live(&Rng::seeded(1), 1);
        sessions.used(&live, Time(30_000));
        assert!(sessions.uses_to_write().is_empty());
        sessions.used(&live, Time(61_000));
        sessions.used(&live, Time(62_000));
        assert_eq!(sessions.uses_to_write(), vec![(live.id, Time(61_000))]);
        assert_eq!(live.last_used(), Time(62_000));
    }

    #[test]
    fn a_use_too_young_to_be_written_down_outlives_what_memory_forgets() {
        let rng = Rng::seeded(1);
        let row = live(&rng, 1);
        let id = row.id;
        let again = || Live::from_row(LiveRow { ver: 2, ..row_of(id) });

        let sessions = Sessions::default();
        assert!(matches!(sessions.bring(row, 0), Brought::Live(_)));
        let known = sessions.remembered(id);
        assert!(known.is_some_and(|live| {
            sessions.used(&live, Time(30_000));
            true
        }));
        sessions.apply(&change(RENEWED, id, "2"));
        assert!(matches!(sessions.bring(again(), 0), Brought::Live(live) if live.last_used() == Time(30_000)));
        sessions.forget_all();
        assert_eq!(sessions.last_used(id), Some(Time(30_000)));
        assert!(matches!(sessions.bring(again(), 1), Brought::Live(live) if live.last_used() == Time(30_000)));
    }

    #[test]
    fn a_use_stays_noted_until_the_latest_one_is_written() {
        let sessions = Sessions::default();
        let live = live(&Rng::seeded(1), 1);
        sessions.used(&live, Time(61_000));
        let uses = sessions.uses_to_write();
        sessions.used(&live, Time(130_000));
        sessions.wrote_uses(&uses);
        assert_eq!(sessions.last_used(live.id), Some(Time(130_000)));
        sessions.wrote_uses(&sessions.uses_to_write());
        assert_eq!(sessions.last_used(live.id), None);
    }
}
