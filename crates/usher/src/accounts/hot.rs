//! The rights of accounts in memory: what every request needs without asking the database.
//!
//! A copy of the rights carries the version of the row it was read from. A change announces the new
//! version with its commit; from then on an older copy is neither used nor put back, so a slow reader
//! cannot bring rights back that were just taken.

use super::{Rights, store};
use crate::id::AccountId;
use crate::time::Time;
use hashbrown::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use usher_db::{Change, Db, Error, Tx};

/// The feed topic under which a raised rights version is told. Key: account id. Body: the version.
pub const TOPIC: &str = "account";

/// Above this many accounts in memory, those without a reader are dropped and read again when needed.
const CAPACITY: usize = 200_000;

/// How often rights are read for one request, when they change under the reading, before the request is refused.
const READS: usize = 16;

struct Slot {
    /// Copies below this version are out of date.
    floor: i64,
    rights: Option<Arc<Rights>>,
}

/// The rights that are in memory.
#[derive(Default)]
pub struct Accounts {
    /// Rises whenever floors are forgotten.
    epoch: AtomicU64,
    slots: RwLock<HashMap<AccountId, Slot>>,
}

impl Accounts {
    /// The rights of `id`: from memory, or from the database on a miss. `None` when there is no such account.
    pub async fn rights(&self, db: &Db, id: AccountId) -> Result<Option<Arc<Rights>>, Error> {
        // Read again only when they changed during the read before, or when memory forgot whether they did.
        for _ in 0..READS {
            if let Some(rights) = self.remembered(id) {
                return Ok(Some(rights));
            }
            let epoch = self.epoch.load(Ordering::Acquire);
            let Some(rights) = store::load_rights(db, id).await? else { return Ok(None) };
            if let Some(rights) = self.remember(Arc::new(rights), epoch) {
                return Ok(Some(rights));
            }
        }
        Err(Error::Unavailable {
            statement: "accounts::hot",
            message: "rights change faster than they are read".into(),
        })
    }

    /// The copy in memory, when it is current.
    pub fn remembered(&self, id: AccountId) -> Option<Arc<Rights>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(&id).and_then(|slot| slot.rights.clone())
    }

    /// Puts a copy that was read in the given epoch into memory. `None` when it may be of yesterday: then it is not
    /// used at all, not even by the request that read it.
    fn remember(&self, rights: Arc<Rights>, epoch: u64) -> Option<Arc<Rights>> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if self.epoch.load(Ordering::Acquire) != epoch {
            return None;
        }
        let slot = slots.entry(rights.account).or_insert(Slot { floor: rights.ver, rights: None });
        if rights.ver < slot.floor {
            return None;
        }
        slot.floor = rights.ver;
        slot.rights = Some(rights.clone());
        if slots.len() > CAPACITY {
            // What is dropped here loses its floor too. The epoch keeps a reader that began before
            // from using a copy which the lost floor would have refused.
            slots.retain(|_, slot| slot.rights.as_ref().is_some_and(|rights| Arc::strong_count(rights) > 1));
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        Some(rights)
    }

    /// Forgets everything; rights are read again when they are next used.
    pub fn forget_all(&self) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.clear();
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes in a change that was committed, here or on another node.
    pub fn apply(&self, change: &Change) {
        let (Ok(id), Ok(ver)) = (change.key.parse::<AccountId>(), change.body.parse::<i64>()) else {
            tracing::error!(topic = TOPIC, key = %change.key, "a change that cannot be read; forgetting all rights");
            return self.forget_all();
        };
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(id).or_insert(Slot { floor: ver, rights: None });
        if ver >= slot.floor {
            slot.floor = ver;
            if slot.rights.as_ref().is_some_and(|rights| rights.ver < ver) {
                slot.rights = None;
            }
        }
    }
}

/// Tells, with the commit, that copies of the rights below `ver` are out of date.
pub fn announce(tx: &mut Tx, id: AccountId, ver: i64, now: Time) {
    tx.announce(TOPIC, id, ver.to_string(), now.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Buckets, Role, Standing};

    fn rights(ver: i64) -> Arc<Rights> {
        Arc::new(Rights {
            account: AccountId::from_bytes([1; 16]),
            username: "alice".to_owned(),
            role: Role::User,
            groups: Vec::new(),
            buckets: Buckets::Every,
            standing: Standing::Active,
            verified: false,
            must_change: false,
            has_factor: false,
            factor_demanded: false,
            ver,
        })
    }

    fn change(body: &str) -> Change {
        let key = AccountId::from_bytes([1; 16]).to_string();
        Change { seq: 1, topic: TOPIC.to_owned(), key, body: body.to_owned(), at: 1 }
    }

    #[test]
    fn rights_read_before_they_were_taken_are_used_by_nobody() {
        let accounts = Accounts::default();
        accounts.apply(&change("2"));
        assert!(accounts.remember(rights(1), 0).is_none(), "not even by the request that read them");
        assert!(accounts.remembered(AccountId::from_bytes([1; 16])).is_none());
        assert!(accounts.remember(rights(2), 0).is_some());
    }

    #[test]
    fn a_change_takes_the_copy_in_memory_away() {
        let accounts = Accounts::default();
        assert!(accounts.remember(rights(1), 0).is_some());
        accounts.apply(&change("1"));
        assert!(accounts.remembered(AccountId::from_bytes([1; 16])).is_some(), "told of what is known already");
        accounts.apply(&change("2"));
        assert!(accounts.remembered(AccountId::from_bytes([1; 16])).is_none());
    }

    #[test]
    fn a_change_that_cannot_be_read_forgets_everything_and_whatever_was_being_read() {
        let accounts = Accounts::default();
        assert!(accounts.remember(rights(1), 0).is_some());
        accounts.apply(&change("garbage"));
        assert!(accounts.remembered(AccountId::from_bytes([1; 16])).is_none());
        assert!(accounts.remember(rights(1), 0).is_none(), "it may be what the change took away");
        assert!(accounts.remember(rights(1), 1).is_some());
    }
}
