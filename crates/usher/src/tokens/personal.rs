//! Personal tokens: what people give to their scripts.
//!
//! Opaque, with scopes, an optional end and the time of the last use. The row keeps the digest. A personal
//! token never enters its owner's account pages, and dies with its revocation or its owner's account.

use super::store;
use crate::cx::Cx;
use crate::id::{AccountId, PersonalTokenId};
use crate::secret::{Digest, Kind, Plain};
use crate::time::Time;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use usher_db::{Change, Error, Tx};

/// The feed topic of revoked tokens. Key: token id. Body: its media grant.
pub const REVOKED: &str = "personal_token_revoked";
/// Tokens kept in memory. Beyond it all are dropped and read again when needed.
const CAPACITY: usize = 50_000;

/// What a personal token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// List and play what its owner may.
    Media,
    /// Read its owner's own facts.
    Profile,
    /// The admin API, if its owner is an admin.
    Admin,
    /// To ask what other people's tokens are worth, if its owner is an admin: what an API behind this server needs,
    /// and nothing else.
    Introspect,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 4] = [Scope::Media, Scope::Profile, Scope::Admin, Scope::Introspect];

    /// The word in tables, forms and answers.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Media => "media",
            Scope::Profile => "profile",
            Scope::Admin => "admin",
            Scope::Introspect => "introspect",
        }
    }

    /// Whether only an admin's token may have it.
    pub fn admins_only(self) -> bool {
        matches!(self, Scope::Admin | Scope::Introspect)
    }
}

impl FromStr for Scope {
    type Err = ();
    fn from_str(word: &str) -> Result<Scope, ()> {
        Scope::ALL.into_iter().find(|scope| scope.word() == word).ok_or(())
    }
}

/// A personal token that was not revoked.
#[derive(Clone, Debug)]
pub struct PersonalToken {
    /// The public id.
    pub id: PersonalTokenId,
    /// Whose.
    pub account: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The media grant of its own.
    pub grant: u64,
    /// When it was made.
    pub made_at: Time,
    /// Its end, if it has one.
    pub expires_at: Option<Time>,
    /// The last use on record.
    pub last_used_at: Option<Time>,
}

/// How long a revocation is remembered: longer than any read that began before it can take.
const TOMBSTONE: Duration = Duration::from_secs(600);

/// Personal tokens in memory.
#[derive(Default)]
pub struct Personal {
    known: RwLock<Known>,
    revoked: RwLock<HashMap<PersonalTokenId, Time>>,
    /// Rises when everything is forgotten: what was read before is then of yesterday.
    epoch: AtomicU64,
    uses: Mutex<HashMap<PersonalTokenId, Time>>,
}

/// Live tokens, by what a script shows and by what a media URL stands on.
#[derive(Default)]
struct Known {
    by_digest: HashMap<Digest, Arc<PersonalToken>>,
    by_grant: HashMap<u64, Arc<PersonalToken>>,
}

impl Personal {
    /// Takes in a revocation that was committed. Returns the media grant whose transfers must stop.
    pub fn apply(&self, change: &Change) -> Option<u64> {
        if let Ok(id) = change.key.parse::<PersonalTokenId>() {
            let until = Time(change.at) + TOMBSTONE;
            self.revoked.write().unwrap_or_else(PoisonError::into_inner).insert(id, until);
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.by_digest.retain(|_, token| token.id != id);
            known.by_grant.retain(|_, token| token.id != id);
        }
        change.body.parse().ok()
    }

    fn remember(&self, digest: Option<Digest>, token: PersonalToken, epoch: u64) -> Option<Arc<PersonalToken>> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if self.epoch.load(Ordering::Acquire) != epoch {
            return None;
        }
        // Looked at under the lock that a revocation takes: a row read before it is not put back after it.
        if self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains_key(&token.id) {
            return None;
        }
        if known.by_grant.len() >= CAPACITY {
            *known = Known::default();
        }
        let token = Arc::new(token);
        if let Some(digest) = digest {
            known.by_digest.insert(digest, token.clone());
        }
        known.by_grant.insert(token.grant, token.clone());
        Some(token)
    }

    /// Forgets every token; each is read again when it is next used.
    pub fn forget_all(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        *known = Known::default();
    }

    /// Drops revocations that no reader can need any more.
    pub fn drop_tombstones(&self, now: Time) -> usize {
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        let before = revoked.len();
        revoked.retain(|_, until| now < *until);
        before - revoked.len()
    }

    /// The last use that is not written down yet.
    pub fn last_use(&self, id: PersonalTokenId) -> Option<Time> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    /// Gives back uses whose write failed.
    fn put_back_uses(&self, uses: Vec<(PersonalTokenId, Time)>) {
        let mut held = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, at) in uses {
            let latest = held.entry(id).or_insert(at);
            *latest = (*latest).max(at);
        }
    }

    /// The uses that are not written down yet.
    pub fn take_uses(&self) -> Vec<(PersonalTokenId, Time)> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }
}

/// The live token with this text, from memory or, on a miss, from the database. Looking it up is a use of it.
pub async fn use_of(cx: &Cx, token: &str) -> Result<Option<Arc<PersonalToken>>, Error> {
    let found = look_up(cx, token).await?;
    if let Some(token) = &found {
        cx.app.personal.uses.lock().unwrap_or_else(PoisonError::into_inner).insert(token.id, cx.now);
    }
    Ok(found)
}

/// As [`use_of`], for somebody who only asks about it.
pub async fn look_up(cx: &Cx, token: &str) -> Result<Option<Arc<PersonalToken>>, Error> {
    let Ok(secret) = Plain::parse(Kind::Personal, token) else { return Ok(None) };
    let digest = secret.digest();
    let personal = &cx.app.personal;
    let epoch = personal.epoch.load(Ordering::Acquire);
    let known = personal.known.read().unwrap_or_else(PoisonError::into_inner).by_digest.get(&digest).cloned();
    match known {
        Some(token) => Ok(Some(token)),
        None => {
            let found = store::find_personal(&cx.app.db, &digest).await?;
            Ok(found.and_then(|token| personal.remember(Some(digest), token, epoch)))
        }
    }
}

/// The live token whose media grant this is.
pub async fn by_grant(cx: &Cx, grant: u64) -> Result<Option<Arc<PersonalToken>>, Error> {
    let personal = &cx.app.personal;
    let epoch = personal.epoch.load(Ordering::Acquire);
    let known = personal.known.read().unwrap_or_else(PoisonError::into_inner).by_grant.get(&grant).cloned();
    match known {
        Some(token) => Ok(Some(token)),
        None => {
            let found = store::find_personal_by_grant(&cx.app.db, grant).await?;
            Ok(found.and_then(|token| personal.remember(None, token, epoch)))
        }
    }
}

/// A token that is about to exist.
pub struct NewPersonalToken {
    /// The row.
    pub token: PersonalToken,
    /// What its owner sees once.
    pub plain: Plain,
    digest: Digest,
}

impl NewPersonalToken {
    /// Draws a token for the account.
    pub fn draw(
        cx: &Cx,
        account: AccountId,
        name: &str,
        scopes: Vec<Scope>,
        expires_at: Option<Time>,
    ) -> NewPersonalToken {
        let secret = Plain::mint(Kind::Personal, &cx.app.rng);
        let id = PersonalTokenId::new(cx.now, &cx.app.rng);
        let (_, low) = id.halves();
        NewPersonalToken {
            digest: secret.digest(),
            plain: secret,
            token: PersonalToken {
                id,
                account,
                name: name.to_owned(),
                scopes,
                grant: low & (u64::MAX >> 1),
                made_at: cx.now,
                expires_at,
                last_used_at: None,
            },
        }
    }

    /// Writes the row.
    pub async fn insert(&self, tx: &mut Tx) -> Result<(), Error> {
        store::insert_personal(tx, &self.token, &self.digest).await
    }

    /// What a write needs of it: all but the secret, which stays with whoever answers.
    pub fn row(&self) -> NewRow {
        NewRow { token: self.token.clone(), digest: self.digest }
    }
}

/// The row of a token that is about to exist.
#[derive(Clone)]
pub struct NewRow {
    token: PersonalToken,
    digest: Digest,
}

impl NewRow {
    /// Writes the row.
    pub async fn insert(&self, tx: &mut Tx) -> Result<(), Error> {
        store::insert_personal(tx, &self.token, &self.digest).await
    }
}

/// Revokes a token if this account owns it. `false` when there is no such live token.
pub async fn revoke(tx: &mut Tx, account: AccountId, id: PersonalTokenId, now: Time) -> Result<bool, Error> {
    match store::revoke_personal(tx, account, id, now).await? {
        Some(grant) => {
            tx.announce(REVOKED, id, grant.to_string(), now.0);
            Ok(true)
        }
        None => Ok(false),
    }
}

/// Revokes every token of an account, as when it is disabled or removed.
pub async fn revoke_all(tx: &mut Tx, account: AccountId, now: Time) -> Result<usize, Error> {
    let revoked = store::revoke_all_personal(tx, account, now).await?;
    for (id, grant) in &revoked {
        tx.announce(REVOKED, id, grant.to_string(), now.0);
    }
    Ok(revoked.len())
}

/// Revokes up to `limit` of all the tokens there are, as after a restore. Returns how many.
pub async fn revoke_some(cx: &Cx, limit: u32) -> Result<usize, Error> {
    let now = cx.now;
    cx.write("tokens.revoke_some_personal", async move |tx| {
        let revoked = store::revoke_some_personal(tx, limit, now).await?;
        for (id, grant) in &revoked {
            tx.announce(REVOKED, id, grant.to_string(), now.0);
        }
        Ok(revoked.len())
    })
    .await
}

/// Writes down the last uses that memory has seen. Returns how many.
pub async fn flush_uses(cx: &Cx) -> Result<usize, Error> {
    let uses = cx.app.personal.take_uses();
    let count = uses.len();
    for slice in uses.chunks(200) {
        let slice = slice.to_vec();
        let written = cx
            .write("tokens.flush_personal_uses", async move |tx| {
                for (id, at) in &slice {
                    store::touch_personal(tx, *id, *at).await?;
                }
                Ok(())
            })
            .await;
        if let Err(error) = written {
            cx.app.personal.put_back_uses(uses);
            return Err(error);
        }
    }
    Ok(count)
}
