//! Steps of a login that takes more than one: what was proven so far, carried by the browser.
//!
//! Promises: a step says what it says only to us (sealed under the master key), for a few minutes, for one purpose,
//! and is good once: it is used up by the same commit that does what it is for. Nothing is written for a step that is
//! begun and left, so that a stranger fills no table by looking at the login page.
//! Refuses: to be a session. No door takes a step.

use super::store::factors as store;
use crate::cx::Cx;
use crate::secret::Digest;
use crate::time::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use usher_db::{Error, Tx};
use zeroize::Zeroizing;

/// For how long a step may be taken (WebAuthn Level 3 section 13.4.3 asks for five minutes at most).
pub const LIFE: Duration = Duration::from_secs(5 * 60);

/// What steps are sealed for.
const SEAL: &str = "login-step";

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Carried<T> {
    until: i64,
    nonce: [u8; 16],
    body: T,
}

/// A step that was presented in time. Whether it was used before is decided when it is spent.
pub struct Step<T> {
    /// What it says.
    pub body: T,
    /// For the transaction that uses it up.
    pub mark: Mark,
}

/// Uses a step up.
#[derive(Clone, Debug)]
pub struct Mark {
    digest: Digest,
    until: Time,
}

impl Mark {
    /// Uses the step up with the transaction it was for. `false` when it was used before.
    pub async fn spend(&self, tx: &mut Tx) -> Result<bool, Error> {
        store::spend_step(tx, &self.digest, self.until).await
    }

    /// Whether the step was used before, for those who only look.
    pub async fn is_spent(&self, cx: &Cx) -> Result<bool, Error> {
        store::step_spent(&cx.app.db, &self.digest).await
    }
}

/// A step's text: letters, digits, `-`, `_` and `.`. It is good for `purpose`, which names what it is for and, where
/// somebody is known already, for whom. `None` when it cannot be sealed.
pub fn mint<T: Serialize>(cx: &Cx, purpose: &str, body: &T) -> Option<String> {
    let carried = Carried { until: (cx.now + LIFE).0, nonce: cx.app.rng.bytes(), body };
    let text = Zeroizing::new(serde_json::to_vec(&carried).ok()?);
    cx.app.vault.seal(SEAL, purpose, &text, &cx.app.rng).ok()
}

/// Reads a step. `None` for another purpose's, for one whose time is over, and for anything that is none of ours.
pub fn open<T: DeserializeOwned>(cx: &Cx, purpose: &str, text: &str) -> Option<Step<T>> {
    let plain = cx.app.vault.open(SEAL, purpose, text).ok()?;
    let carried: Carried<T> = serde_json::from_slice(&plain).ok()?;
    let until = Time(carried.until);
    (cx.now < until).then(|| Step { mark: Mark { digest: Digest::of(&carried.nonce), until }, body: carried.body })
}
