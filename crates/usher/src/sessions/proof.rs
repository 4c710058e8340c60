//! A proof given in the middle of a session, and the new cookie secret that goes with it.

use super::{Kind, cookie, hot, store};
use crate::cx::Cx;
use crate::id::SessionId;
use crate::secret::Digest;
use crate::time::Time;
use std::time::Duration;
use usher_db::{Error, Tx};
use zeroize::Zeroizing;

/// A new cookie secret, drawn before the write that gives it to its session.
#[derive(Clone)]
pub struct Renewal {
    id: SessionId,
    secret: Zeroizing<[u8; 32]>,
    amr: String,
}

impl Renewal {
    /// Draws a secret for the session, which was proven by `amr`.
    pub fn draw(cx: &Cx, id: SessionId, amr: &str) -> Renewal {
        Renewal { id, secret: Zeroizing::new(cx.app.rng.bytes()), amr: amr.to_owned() }
    }

    /// Gives the secret to the session and notes the proof. The old cookie is refused from the commit on.
    /// `false` when the session has ended meanwhile.
    pub async fn apply(&self, tx: &mut Tx, now: Time) -> Result<bool, Error> {
        let Some(ver) = store::renew_secret(tx, self.id, &Digest::of(&*self.secret), &self.amr, now).await? else {
            return Ok(false);
        };
        hot::announce_renewal(tx, self.id, ver, now);
        Ok(true)
    }

    /// The new cookie's value, good after the commit.
    pub fn cookie(&self, cx: &Cx) -> String {
        cookie::mint(&cx.app.macs.cookie, self.id, &self.secret)
    }
}

/// Whoever asks is who they say, as of now or of a moment ago.
#[derive(Clone)]
pub enum Proof {
    /// The session's own last proof is recent enough.
    Recent,
    /// It was proven just now. The renewal belongs into the transaction of the act that asked for it.
    Now {
        /// The session's new secret.
        renewal: Renewal,
        /// What holds the session.
        kind: Kind,
        /// The session's absolute end.
        expires_at: Time,
    },
}

impl Proof {
    /// Writes the proof down with the act it was given for. `false` when the session has ended meanwhile.
    pub async fn apply(&self, tx: &mut Tx, now: Time) -> Result<bool, Error> {
        match self {
            Proof::Recent => Ok(true),
            Proof::Now { renewal, .. } => renewal.apply(tx, now).await,
        }
    }

    /// The cookie that the browser needs from now on, and for how long. Programs that hold tokens need none.
    pub fn cookie(&self, cx: &Cx) -> Option<(String, Duration)> {
        match self {
            Proof::Now { renewal, kind, expires_at } => {
                // A television's session lives by its cookie too; a device with tokens has none to renew.
                let by_cookie = cx.caller.as_ref().is_some_and(crate::gate::Caller::by_cookie);
                let wanted = *kind == Kind::Browser || by_cookie;
                wanted.then(|| (renewal.cookie(cx), expires_at.since(cx.now)))
            }
            Proof::Recent => None,
        }
    }
}
