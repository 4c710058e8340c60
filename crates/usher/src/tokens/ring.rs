//! The key ring: which key signs, which will, and which once did. A pure value: no SQL, no HTTP, no clock.

use super::keys::SigningKey;
use crate::time::Time;
use std::sync::Arc;
use std::time::Duration;
use usher_verify::{Algorithm, KeySet, PublicKey};

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, so that everybody knows it before its first signature.
    Next {
        /// Since when.
        published_at: Time,
    },
    /// Signs.
    Current {
        /// Since when.
        since: Time,
    },
    /// Signs no more; still published while tokens that it signed may live.
    Retired {
        /// When it stopped signing.
        at: Time,
        /// From then on nothing that it signed is alive, and it is dropped.
        until: Time,
    },
}

/// How a ring turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationRules {
    /// How long others may keep a copy of the key set: as long a next key is published before it signs.
    pub cache_for: Duration,
    /// How long a key signs before it is replaced by itself.
    pub rotate_after: Duration,
    /// The longest life of any token of this ring, and the difference of clocks on top.
    pub keep_for: Duration,
}

/// The next key was not published long enough; others would refuse what it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the next key is not known everywhere before {ready_at}")]
pub struct TooSoon {
    /// From when on it may sign.
    pub ready_at: Time,
}

/// The keys do not make a ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRing {
    /// No key signs, or more than one.
    #[error("{count} current signing keys for {}, where one is needed", .algorithm.name())]
    Current {
        /// Of which algorithm.
        algorithm: Algorithm,
        /// How many there are.
        count: usize,
    },
    /// No key waits, or more than one.
    #[error("{count} next signing keys for {}, where one is needed", .algorithm.name())]
    Next {
        /// Of which algorithm.
        algorithm: Algorithm,
        /// How many there are.
        count: usize,
    },
    /// A key of another algorithm.
    #[error("signing key {kid} is of another algorithm than its ring")]
    Stranger {
        /// The key's id.
        kid: String,
    },
}

/// The keys of one algorithm: one signs, one waits and is already published, the retired are kept.
#[derive(Debug, Clone)]
pub struct KeyRing {
    current: Current,
    next: Next,
    retired: Vec<Retired>,
}

#[derive(Debug, Clone)]
struct Current {
    key: Arc<SigningKey>,
    since: Time,
}

#[derive(Debug, Clone)]
struct Next {
    key: Arc<SigningKey>,
    published_at: Time,
}

#[derive(Debug, Clone)]
struct Retired {
    key: Arc<PublicKey>,
    at: Time,
    until: Time,
}

impl KeyRing {
    /// A first ring. Nobody can hold an older key set, so its current key may sign at once.
    pub fn new(current: SigningKey, next: SigningKey, now: Time) -> Result<KeyRing, BrokenRing> {
        let algorithm = current.algorithm();
        let keys = [
            (Arc::new(current), KeyState::Current { since: now }),
            (Arc::new(next), KeyState::Next { published_at: now }),
        ];
        KeyRing::from_states(algorithm, keys)
    }

    /// The ring of these keys, as they were kept.
    pub fn from_states(
        algorithm: Algorithm,
        keys: impl IntoIterator<Item = (Arc<SigningKey>, KeyState)>,
    ) -> Result<KeyRing, BrokenRing> {
        let (mut current, mut next, mut retired) = (Vec::new(), Vec::new(), Vec::new());
        for (key, state) in keys {
            if key.algorithm() != algorithm {
                return Err(BrokenRing::Stranger { kid: key.kid().to_owned() });
            }
            match state {
                KeyState::Current { since } => current.push(Current { key, since }),
                KeyState::Next { published_at } => next.push(Next { key, published_at }),
                KeyState::Retired { at, until } => retired.push(Retired { key: key.public().clone(), at, until }),
            }
        }
        let (currents, nexts) = (current.len(), next.len());
        match (current.pop(), next.pop(), currents, nexts) {
            (Some(current), Some(next), 1, 1) => Ok(KeyRing { current, next, retired }),
            (Some(_), _, 1, count) => Err(BrokenRing::Next { algorithm, count }),
            (_, _, count, _) => Err(BrokenRing::Current { algorithm, count }),
        }
    }

    /// The ring after the next key took over: the current one retires, `fresh` waits in its place.
    ///
    /// Refused while somebody may hold a key set without the next key, unless `now_anyway`: then some
    /// verifications elsewhere may fail until they fetch the set again. Retired keys stay, as tokens
    /// they signed live on.
    pub fn promote(
        &self,
        now: Time,
        rules: &RotationRules,
        now_anyway: bool,
        fresh: SigningKey,
    ) -> Result<KeyRing, TooSoon> {
        let ready_at = self.ready_at(rules);
        if now < ready_at && !now_anyway {
            return Err(TooSoon { ready_at });
        }
        let mut retired = self.retired.clone();
        retired.push(Retired { key: self.current.key.public().clone(), at: now, until: now + rules.keep_for });
        Ok(KeyRing {
            current: Current { key: self.next.key.clone(), since: now },
            next: Next { key: Arc::new(fresh), published_at: now },
            retired,
        })
    }

    /// From when on the next key is known everywhere.
    pub fn ready_at(&self, rules: &RotationRules) -> Time {
        self.next.published_at + rules.cache_for
    }

    /// Whether the current key has signed long enough and the next one is ready.
    pub fn is_due(&self, now: Time, rules: &RotationRules) -> bool {
        now >= self.current.since + rules.rotate_after && now >= self.ready_at(rules)
    }

    /// The ring without the keys whose last token is dead, and the ids of those.
    pub fn without_expired(&self, now: Time) -> (KeyRing, Vec<String>) {
        let (kept, gone): (Vec<_>, Vec<_>) = self.retired.iter().cloned().partition(|old| now < old.until);
        let gone = gone.iter().map(|old| old.key.kid().to_owned()).collect();
        (KeyRing { retired: kept, ..self.clone() }, gone)
    }

    /// The key that signs.
    pub fn signing(&self) -> &Arc<SigningKey> {
        &self.current.key
    }

    /// The key that will sign.
    pub fn next(&self) -> &Arc<SigningKey> {
        &self.next.key
    }

    /// Every key with its state: current, next, then the retired in the order they retired.
    pub fn states(&self) -> impl Iterator<Item = (&Arc<PublicKey>, KeyState)> {
        let current = (self.current.key.public(), KeyState::Current { since: self.current.since });
        let next = (self.next.key.public(), KeyState::Next { published_at: self.next.published_at });
        let retired = self.retired.iter().map(|old| (&old.key, KeyState::Retired { at: old.at, until: old.until }));
        [current, next].into_iter().chain(retired)
    }

    /// The public halves that verify at `now`: a retired key whose time is over no longer does, even
    /// before the job that drops it ran.
    pub fn public_keys(&self, now: Time) -> Vec<Arc<PublicKey>> {
        self.states()
            .filter(|(_, state)| !matches!(state, KeyState::Retired { until, .. } if now >= *until))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// This ring's key set at `now`. A server with rings of several algorithms publishes their
    /// [`public_keys`](KeyRing::public_keys) together.
    pub fn jwks(&self, now: Time) -> KeySet {
        // Ids have 96 random bits, so two of them are never equal; an empty set verifies nothing.
        KeySet::new(self.public_keys(now)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Rng;
    use crate::tokens::KeyFailure;

    const HOUR: Duration = Duration::from_secs(3600);
    const RULES: RotationRules = RotationRules {
        cache_for: HOUR,
        rotate_after: Duration::from_secs(90 * 86_400),
        keep_for: Duration::from_secs(86_400),
    };
    const START: Time = Time(1_000_000);

    fn key() -> Result<SigningKey, KeyFailure> {
        SigningKey::generate(Algorithm::Ed25519, &Rng::os())
    }

    fn ring() -> Result<KeyRing, Box<dyn std::error::Error>> {
        Ok(KeyRing::new(key()?, key()?, START)?)
    }

    type Done = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn the_next_key_is_published_before_it_signs() -> Done {
        let ring = ring()?;
        assert!(ring.jwks(START).find(ring.next().kid()).is_some());
        let early = ring.promote(START + HOUR - Duration::from_millis(1), &RULES, false, key()?);
        assert_eq!(early.err(), Some(TooSoon { ready_at: START + HOUR }));
        let next = ring.next().kid().to_owned();
        let turned = ring.promote(START + HOUR, &RULES, false, key()?)?;
        assert_eq!(turned.signing().kid(), next);
        assert!(turned.jwks(START + HOUR).find(turned.next().kid()).is_some());
        Ok(())
    }

    #[test]
    fn whoever_asks_for_it_may_rotate_at_once() -> Done {
        let ring = ring()?;
        let turned = ring.promote(START, &RULES, true, key()?)?;
        assert_eq!(turned.signing().kid(), ring.next().kid());
        // But the key that was just made must again wait.
        assert_eq!(turned.promote(START, &RULES, false, key()?).err(), Some(TooSoon { ready_at: START + HOUR }));
        Ok(())
    }

    #[test]
    fn a_retired_key_is_kept_until_its_last_token_is_dead() -> Done {
        let ring = ring()?;
        let old = ring.signing().kid().to_owned();
        let at = START + HOUR;
        let turned = ring.promote(at, &RULES, false, key()?)?;
        let until = at + RULES.keep_for;
        let before = until - Duration::from_millis(1);
        assert!(turned.jwks(before).find(&old).is_some());
        assert!(turned.jwks(until).find(&old).is_none(), "even before the job ran");
        assert_eq!(turned.without_expired(before).1, Vec::<String>::new());
        let (left, gone) = turned.without_expired(until);
        assert_eq!(gone, std::slice::from_ref(&old));
        assert!(left.jwks(START).find(&old).is_none());
        assert_eq!(left.states().count(), 2);
        Ok(())
    }

    #[test]
    fn rotation_is_due_when_the_key_is_old_and_the_next_one_ready() -> Done {
        let ring = ring()?;
        let old = START + RULES.rotate_after;
        assert!(!ring.is_due(old - Duration::from_millis(1), &RULES));
        assert!(ring.is_due(old, &RULES));
        let slow_caches = RotationRules { cache_for: RULES.rotate_after + HOUR, ..RULES };
        assert!(!ring.is_due(old, &slow_caches));
        assert!(ring.is_due(old + HOUR, &slow_caches));
        Ok(())
    }

    #[test]
    fn many_rotations_lose_no_key_that_still_counts() -> Done {
        let mut ring = ring()?;
        let mut signed = Vec::new();
        let mut now = START;
        for _ in 0..30 {
            signed.push((ring.signing().kid().to_owned(), now + RULES.cache_for));
            now = now + RULES.cache_for;
            ring = ring.promote(now, &RULES, false, key()?)?.without_expired(now).0;
            for (kid, last) in &signed {
                let alive = now < *last + RULES.keep_for;
                assert_eq!(ring.jwks(now).find(kid).is_some(), alive, "{kid} at {now}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_ring_has_one_key_that_signs_and_one_that_waits() -> Done {
        let since = KeyState::Current { since: START };
        let published = KeyState::Next { published_at: START };
        let retired = KeyState::Retired { at: START, until: START + HOUR };
        let of = |states: &[KeyState]| -> Result<_, KeyFailure> {
            let keys = states.iter().map(|state| Ok((Arc::new(key()?), *state)));
            Ok(KeyRing::from_states(Algorithm::Ed25519, keys.collect::<Result<Vec<_>, KeyFailure>>()?).err())
        };
        let algorithm = Algorithm::Ed25519;
        assert_eq!(of(&[retired, published, since, retired])?, None);
        assert_eq!(of(&[])?, Some(BrokenRing::Current { algorithm, count: 0 }));
        assert_eq!(of(&[published, retired])?, Some(BrokenRing::Current { algorithm, count: 0 }));
        assert_eq!(of(&[since, since, published])?, Some(BrokenRing::Current { algorithm, count: 2 }));
        assert_eq!(of(&[since])?, Some(BrokenRing::Next { algorithm, count: 0 }));
        assert_eq!(of(&[since, published, published])?, Some(BrokenRing::Next { algorithm, count: 2 }));
        let stranger = SigningKey::generate(Algorithm::Es256, &Rng::os())?;
        let kid = stranger.kid().to_owned();
        assert_eq!(KeyRing::new(key()?, stranger, START).err(), Some(BrokenRing::Stranger { kid }));
        Ok(())
    }

    #[test]
    fn a_ring_survives_being_taken_apart() -> Done {
        let ring = ring()?.promote(START, &RULES, true, key()?)?;
        let kept: Vec<_> = ring.states().map(|(key, state)| (key.kid().to_owned(), state)).collect();
        assert_eq!(kept.len(), 3);
        assert!(matches!(kept[0], (ref kid, KeyState::Current { since: START }) if kid == ring.signing().kid()));
        assert!(matches!(kept[1], (ref kid, KeyState::Next { published_at: START }) if kid == ring.next().kid()));
        assert!(matches!(kept[2].1, KeyState::Retired { at: START, until } if until == START + RULES.keep_for));
        Ok(())
    }
}
