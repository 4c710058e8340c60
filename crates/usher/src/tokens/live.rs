//! The keys in use: loaded once, replaced whole when they rotate, and read without a lock.

use super::macs::{MacRing, Macs};
use super::store::{self, SigningKeyRow};
use super::{KeyRing, KeyState, RotationRules, SigningKey, TooSoon};
use crate::cx::Cx;
use crate::seal::Vault;
use crate::secret::{MacKey, Rng};
use crate::time::Time;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;
use usher_db::{Db, Error, Tx};
use usher_verify::{Algorithm, CachedVerifier, Claims, Refusal, TokenType, Verifier};

/// The feed topic of rotated signing keys. Key: the new current key's id.
pub const ROTATED: &str = "signing_key";

/// Verified tokens kept in memory.
const CACHED: usize = 100_000;
/// How long others may hold a copy of our key set; the set is served with this lifetime.
pub const CACHE_FOR: Duration = Duration::from_secs(300);

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] Error),
    /// A key cannot be made or opened.
    #[error("signing key: {0}")]
    Key(#[from] super::KeyFailure),
    /// The rows do not make a ring.
    #[error("signing keys: {0}")]
    Ring(#[from] super::BrokenRing),
    /// A sealed MAC key cannot be opened.
    #[error("the MAC keys cannot be opened: {0}")]
    Sealed(String),
    /// The next key was published too recently.
    #[error(transparent)]
    TooSoon(#[from] TooSoon),
}

struct InUse {
    ring: KeyRing,
    verifier: CachedVerifier,
    jwks: String,
    usable_until: Time,
}

/// As whom this server signs, and as whom it is addressed.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The `iss` of every token.
    pub issuer: String,
    /// The `aud` of tokens for this server's own API.
    pub audience: String,
}

/// The signing keys in use.
pub struct Keys {
    identity: Identity,
    in_use: ArcSwap<InUse>,
    /// Held from reading the rows to putting them in use, so that an older reading is never put over a newer one.
    reading: tokio::sync::Mutex<()>,
}

impl Keys {
    /// Loads the ring of `algorithm`, making its first keys when there are none.
    pub async fn load(
        db: &Db,
        vault: &Vault,
        rng: &Rng,
        identity: Identity,
        algorithm: Algorithm,
        now: Time,
    ) -> Result<Keys, KeysError> {
        let ring = match read_ring(db, vault, algorithm).await? {
            Some(ring) => ring,
            None => {
                let ring =
                    KeyRing::new(SigningKey::generate(algorithm, rng)?, SigningKey::generate(algorithm, rng)?, now)?;
                write_ring(db, vault, rng, &ring, algorithm, now).await?;
                // Another node may have been first; then its keys are the keys.
                read_ring(db, vault, algorithm).await?.unwrap_or(ring)
            }
        };
        let in_use = ArcSwap::from_pointee(in_use(ring, &identity, now));
        Ok(Keys { identity, in_use, reading: tokio::sync::Mutex::default() })
    }

    /// Who issues: the `iss` of every token.
    pub fn issuer(&self) -> &str {
        &self.identity.issuer
    }

    /// For whom tokens are that no app asked for: the `aud` that this server itself demands.
    pub fn audience(&self) -> &str {
        &self.identity.audience
    }

    /// Verifies a token of this server for this server.
    pub fn verify(&self, token: &str, kind: TokenType, now: Time) -> Result<Arc<Claims>, Refusal> {
        self.in_use.load().verifier.verify(token, kind, now.seconds())
    }

    /// Verifies a token of this server for somebody who asks about it: it may be for this server or for one of these.
    pub fn verify_for(&self, token: &str, kind: TokenType, others: &[&str], now: Time) -> Result<Claims, Refusal> {
        let audiences: Vec<&str> = [self.audience()].into_iter().chain(others.iter().copied()).collect();
        self.in_use.load().verifier.verifier().verify_for(token, kind, &audiences, now.seconds())
    }

    /// Signs claims with the current key.
    pub fn sign(&self, claims: &Claims, kind: TokenType) -> Result<String, super::SigningFailed> {
        self.in_use.load().ring.signing().sign(claims, kind)
    }

    /// The public key set (RFC 7517 section 5).
    pub fn jwks(&self) -> String {
        self.in_use.load().jwks.clone()
    }

    /// The keys and their states, for lists.
    pub fn states(&self) -> Vec<(String, Algorithm, KeyState)> {
        let in_use = self.in_use.load();
        in_use.ring.states().map(|(key, state)| (key.kid().to_owned(), key.algorithm(), state)).collect()
    }

    /// Reads the rows again, after another node or a command rotated them, or when a retired key's time is over.
    pub async fn reload(&self, db: &Db, vault: &Vault, now: Time) -> Result<(), KeysError> {
        let _reading = self.reading.lock().await;
        let algorithm = self.in_use.load().ring.signing().algorithm();
        if let Some(ring) = read_ring(db, vault, algorithm).await? {
            self.in_use.store(Arc::new(in_use(ring, &self.identity, now)));
        }
        Ok(())
    }

    /// Whether a retired key must stop verifying.
    pub fn stale(&self, now: Time) -> bool {
        now >= self.in_use.load().usable_until
    }

    /// Whether rotation is due.
    pub fn due(&self, now: Time, rules: &RotationRules) -> bool {
        self.in_use.load().ring.is_due(now, rules)
    }
}

fn in_use(ring: KeyRing, identity: &Identity, now: Time) -> InUse {
    let set = ring.jwks(now);
    let usable_until = ring
        .states()
        .filter_map(|(_, state)| match state {
            KeyState::Retired { until, .. } if until > now => Some(until),
            _ => None,
        })
        .min()
        .unwrap_or(Time(i64::MAX));
    InUse {
        jwks: set.to_jwks(),
        verifier: CachedVerifier::new(Verifier::new(set, &*identity.issuer, &*identity.audience), CACHED),
        ring,
        usable_until,
    }
}

async fn read_ring(db: &Db, vault: &Vault, algorithm: Algorithm) -> Result<Option<KeyRing>, KeysError> {
    let mut keys = Vec::new();
    for row in store::signing_keys(db).await? {
        if row.algorithm != algorithm.name() {
            continue;
        }
        let key = Arc::new(SigningKey::open(vault, &row.kid, algorithm, &row.sealed)?);
        let state = match (row.state.as_str(), row.until) {
            ("current", _) => KeyState::Current { since: row.state_at },
            ("next", _) => KeyState::Next { published_at: row.state_at },
            (_, until) => KeyState::Retired { at: row.state_at, until: until.unwrap_or(row.state_at) },
        };
        keys.push((key, state));
    }
    if keys.is_empty() { Ok(None) } else { Ok(Some(KeyRing::from_states(algorithm, keys)?)) }
}

fn row(kid: &str, algorithm: Algorithm, sealed: String, state: KeyState, now: Time) -> SigningKeyRow {
    let (state, state_at, until) = match state {
        KeyState::Next { published_at } => ("next", published_at, None),
        KeyState::Current { since } => ("current", since, None),
        KeyState::Retired { at, until } => ("retired", at, Some(until)),
    };
    SigningKeyRow {
        kid: kid.to_owned(),
        algorithm: algorithm.name().to_owned(),
        sealed,
        state: state.to_owned(),
        made_at: now,
        state_at,
        until,
    }
}

async fn write_ring(
    db: &Db,
    vault: &Vault,
    rng: &Rng,
    ring: &KeyRing,
    algorithm: Algorithm,
    now: Time,
) -> Result<(), KeysError> {
    let mut rows = Vec::new();
    for key in [ring.signing(), ring.next()] {
        let state = ring.states().find(|(public, _)| public.kid() == key.kid()).map(|(_, state)| state);
        if let Some(state) = state {
            rows.push(row(key.kid(), algorithm, key.seal(vault, rng)?, state, now));
        }
    }
    db.write("keys.first", async move |tx| {
        // Of nodes that start together, one makes the keys.
        store::hold_keys(tx).await?;
        if store::has_signing_key(tx, algorithm.name()).await? {
            return Ok(());
        }
        for row in &rows {
            store::put_signing_key(tx, row).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

/// The rules of rotation, by configuration.
pub fn rules(cx: &Cx) -> RotationRules {
    let tokens = &cx.app.config.tokens;
    RotationRules {
        cache_for: tokens.publish_ahead.max(CACHE_FOR),
        rotate_after: tokens.rotate_every,
        // The longest token that is verified by signature lives as long as a session may.
        keep_for: cx.app.config.sessions.longest() + Duration::from_secs(60),
    }
}

/// Makes the next key current and publishes a fresh one in its place.
///
/// Of several rotations at once, on one node or many, one happens; the others are too soon after it.
pub async fn rotate(cx: &Cx, now_anyway: bool) -> Result<String, KeysError> {
    let app = &cx.app;
    let before = app.keys.in_use.load_full();
    let algorithm = before.ring.signing().algorithm();
    let fresh = SigningKey::generate(algorithm, &app.rng)?;
    let fresh_sealed = fresh.seal(&app.vault, &app.rng)?;
    let (ring, gone) = before.ring.promote(cx.now, &rules(cx), now_anyway, fresh)?.without_expired(cx.now);
    let rows: Vec<SigningKeyRow> = ring
        .states()
        .map(|(key, state)| {
            // A known key keeps its sealed text: the statement changes the state only.
            let sealed = if key.kid() == ring.next().kid() { fresh_sealed.clone() } else { String::new() };
            row(key.kid(), algorithm, sealed, state, cx.now)
        })
        .collect();
    let kid = ring.signing().kid().to_owned();
    let entry = crate::audit::Entry::new(cx, crate::audit::Event::KeyRotated, crate::audit::Outcome::Done).target(&kid);
    let (announced, now) = (kid.clone(), cx.now);
    let rotated = cx
        .write("keys.rotate", async move |tx| {
            if !store::promote_signing_key(tx, &announced, now).await? {
                return Ok(false);
            }
            for row in &rows {
                store::put_signing_key(tx, row).await?;
            }
            for kid in &gone {
                store::drop_signing_key(tx, kid).await?;
            }
            tx.announce(ROTATED, &announced, String::new(), now.0);
            entry.record(tx).await?;
            Ok(true)
        })
        .await?;
    app.keys.reload(&app.db, &app.vault, cx.now).await?;
    if rotated { Ok(kid) } else { Err(TooSoon { ready_at: cx.now + rules(cx).cache_for }.into()) }
}

const MAC_PURPOSES: [&str; 3] = ["cookie", "refresh", "media"];

/// What MAC keys are sealed for.
const MAC_SEAL: &str = "mac-key";

/// Where a MAC key is sealed.
fn mac_place(purpose: &str, kid: u8) -> String {
    format!("mac_keys:sealed:{purpose}:{kid}")
}

/// Every key of the database, sealed under another master key and not yet written.
pub struct Resealed {
    signing: Vec<(String, String)>,
    macs: Vec<(String, u8, String)>,
}

impl Resealed {
    /// How many.
    pub fn count(&self) -> usize {
        self.signing.len() + self.macs.len()
    }

    /// Writes them, in the transaction that names the new master key.
    pub async fn put(&self, tx: &mut Tx) -> Result<(), Error> {
        for (kid, sealed) in &self.signing {
            store::reseal_signing_key(tx, kid, sealed).await?;
        }
        for (purpose, kid, sealed) in &self.macs {
            store::reseal_mac_key(tx, purpose, *kid, sealed).await?;
        }
        Ok(())
    }
}

/// Seals every key under the vault's current master key; the vault holds the one before as well.
pub async fn reseal(cx: &Cx) -> Result<Resealed, KeysError> {
    let (db, vault, rng) = (&cx.app.db, &cx.app.vault, &cx.app.rng);
    let mut signing = Vec::new();
    for row in store::signing_keys(db).await? {
        signing.push((row.kid.clone(), SigningKey::reseal(vault, &row.kid, &row.sealed, rng)?));
    }
    let mut macs = Vec::new();
    for (purpose, kid, sealed) in store::mac_keys(db).await? {
        let sealed = vault.reseal(MAC_SEAL, &mac_place(&purpose, kid), &sealed, rng);
        macs.push((purpose, kid, sealed.map_err(|error| KeysError::Sealed(error.to_string()))?));
    }
    Ok(Resealed { signing, macs })
}

/// Loads the MAC keys, making those that do not exist.
pub async fn load_macs(db: &Db, vault: &Vault, rng: &Rng, now: Time) -> Result<(Macs, Vec<(u8, [u8; 32])>), KeysError> {
    let known = store::mac_keys(db).await?;
    let mut fresh = Vec::new();
    for purpose in MAC_PURPOSES {
        if !known.iter().any(|(of, _, _)| of == purpose) {
            let key: [u8; 32] = rng.bytes();
            let sealed = vault.seal(MAC_SEAL, &mac_place(purpose, 2), &key, rng);
            fresh.push((purpose, sealed.map_err(|error| KeysError::Sealed(error.to_string()))?));
        }
    }
    if !fresh.is_empty() {
        db.write("keys.first_macs", async move |tx| {
            for (purpose, sealed) in &fresh {
                store::put_mac_key(tx, purpose, 2, sealed, now).await?;
            }
            Ok(())
        })
        .await?;
    }
    let mut opened: Vec<(String, u8, [u8; 32])> = Vec::new();
    for (purpose, kid, sealed) in store::mac_keys(db).await? {
        let key = vault
            .open(MAC_SEAL, &mac_place(&purpose, kid), &sealed)
            .map_err(|error| KeysError::Sealed(error.to_string()))?;
        let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| KeysError::Sealed("wrong length".to_owned()))?;
        opened.push((purpose, kid, key));
    }
    let ring = |purpose: &str| {
        let keys =
            opened.iter().filter(|(of, _, _)| of == purpose).map(|(_, kid, key)| (*kid, MacKey::new(key))).collect();
        MacRing::new(keys).ok_or_else(|| KeysError::Sealed(format!("there is no key for {purpose}")))
    };
    let media = opened.iter().filter(|(of, _, _)| of == "media").map(|(_, kid, key)| (*kid, *key)).collect();
    Ok((Macs { cookie: ring("cookie")?, refresh: ring("refresh")? }, media))
}
