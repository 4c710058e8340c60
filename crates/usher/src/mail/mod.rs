//! Letters: the link that proves an address, the link that replaces a lost password, and notices of what happened.
//!
//! Promises: a letter is put into the outbox in the commit that it tells of, so that there is neither a letter without
//! its act nor an act without its letter; handing it to the mail server happens afterwards and by itself, again and
//! again until it is too old, and no login and no answer waits for it. What a letter says is sealed in the database:
//! a copy of it holds no link that works. A notice goes only to an address that is proven.
//! Refuses: to fill up. One account has at most `MOST_WAITING` letters waiting, and all together `MOST_IN_ALL`;
//! what comes beyond is not sent, and nothing else suffers.
//!
//! Without `mail.server` nothing is put anywhere, and everything else works as before.

pub mod letter;
mod smtp;
mod store;

pub use smtp::{Courier, NoCourier};
pub use store::STATEMENTS;

use crate::cx::Cx;
use crate::id::{AccountId, LetterId};
use crate::seal::{Held, ResealError, Resealed, seal_again};
use crate::time::Time;
use letter::Letter;
use smtp::NotTaken;
use std::time::Duration;
use usher_db::{Error, Tx};

/// Letters that one account may have waiting.
const MOST_WAITING: i64 = 10;
/// Letters that may wait in all: a mail server that is away for a day must not fill the disk.
const MOST_IN_ALL: i64 = 10_000;
/// How long a notice is worth sending.
const NOTICE_LIFE: Duration = Duration::from_secs(2 * 24 * 3600);
/// What a letter is sealed for.
const PURPOSE: &str = "mail";

/// How long to wait after the `tries`-th failure: a minute at first, four times as long each time, six hours at most.
fn pause(tries: i64) -> Duration {
    let quadruplings = u32::try_from(tries.clamp(1, 6) - 1).unwrap_or(5);
    Duration::from_secs(60).saturating_mul(4_u32.pow(quadruplings)).min(Duration::from_secs(6 * 3600))
}

/// A letter that is about to be posted: drawn and sealed before the write that it tells of.
#[derive(Clone, Debug)]
pub struct Outgoing {
    id: LetterId,
    /// Where it goes; none for the proven address of the account, whatever it is when the letter is posted.
    recipient: Option<String>,
    sealed: String,
    expires_at: Time,
}

impl Outgoing {
    /// A notice to the account's owner. `None` when no mail is sent here.
    pub fn notice(cx: &Cx, letter: &Letter) -> Option<Outgoing> {
        Outgoing::draw(cx, letter, None, NOTICE_LIFE)
    }

    /// A letter to this address, proven or not, that is of use for `life`.
    pub fn to(cx: &Cx, letter: &Letter, address: &str, life: Duration) -> Option<Outgoing> {
        Outgoing::draw(cx, letter, Some(address.to_owned()), life)
    }

    fn draw(cx: &Cx, letter: &Letter, recipient: Option<String>, life: Duration) -> Option<Outgoing> {
        cx.app.courier.as_ref()?;
        let id = LetterId::new(cx.now, &cx.app.rng);
        let sealed = cx.app.vault.seal(PURPOSE, &place(id), letter.to_json().as_bytes(), &cx.app.rng);
        let sealed =
            sealed.inspect_err(|error| tracing::error!(target: "usher::mail", %error, "a letter was not sealed"));
        Some(Outgoing { id, recipient, sealed: sealed.ok()?, expires_at: cx.now + life })
    }

    /// Puts it into the outbox, with the transaction that it tells of. `false` when it goes nowhere: the account has no
    /// proven address, or too much waits already.
    pub async fn post(&self, tx: &mut Tx, account: AccountId, now: Time) -> Result<bool, Error> {
        store::insert(tx, self, account, now).await
    }
}

fn place(id: LetterId) -> String {
    format!("outbox:sealed:{id}")
}

/// A letter that this process took in hand.
struct Due {
    id: LetterId,
    recipient: String,
    sealed: String,
    made_at: Time,
    tries: i64,
}

/// Hands over letters that are due, at most `limit`, until the mail server takes one not now. Says how many it took in
/// hand; none when there is no use in going on at once.
///
/// Each is taken by a guarded update that also sets when it is due again, so that of several nodes one sends it, and a
/// process that dies over it has counted as one failure.
pub async fn send_due(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let Some(courier) = &cx.app.courier else { return Ok(0) };
    let mut taken = 0;
    for id in store::due(&cx.app.db, cx.now, limit).await? {
        let now = cx.now;
        let Some(due) = cx.write("mail.take", async move |tx| take(tx, id, now).await).await? else { continue };
        taken += 1;
        let (id, tries) = (due.id, due.tries);
        match send(cx, courier, due).await {
            Ok(()) => {}
            Err(NotTaken { for_good: true, why }) => {
                tracing::warn!(target: "usher::mail", letter = %id, why, "refused for good; the letter is dropped");
            }
            Err(NotTaken { for_good: false, why }) => {
                tracing::warn!(target: "usher::mail", letter = %id, tries, why, "not handed over; tried again later");
                // A server that is away is asked once, and not for each of the letters that wait.
                return Ok(0);
            }
        }
        cx.write("mail.done", async move |tx| store::delete(tx, id).await).await?;
    }
    Ok(taken)
}

async fn take(tx: &mut Tx, id: LetterId, now: Time) -> Result<Option<Due>, Error> {
    let Some(due) = store::take(tx, id, now).await? else { return Ok(None) };
    store::postpone(tx, id, now + pause(due.tries)).await?;
    Ok(Some(due))
}

async fn send(cx: &Cx, courier: &Courier, due: Due) -> Result<(), NotTaken> {
    let unreadable = |why: String| NotTaken { for_good: true, why };
    let opened =
        cx.app.vault.open(PURPOSE, &place(due.id), &due.sealed).map_err(|error| unreadable(error.to_string()))?;
    let letter = Letter::from_json(&opened).ok_or_else(|| unreadable("it is of another version".to_owned()))?;
    let written = letter.written(cx).map_err(unreadable)?;
    courier.send(&due.recipient, &written, due.id, due.made_at).await
}

/// Drops letters that are too old to be of use. Says how many.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let now = cx.now;
    let dropped = cx.write("mail.sweep", async move |tx| store::sweep(tx, now, limit).await).await?;
    if dropped > 0 {
        tracing::warn!(target: "usher::mail", dropped, "letters were dropped that could not be handed over in time");
    }
    Ok(dropped)
}

/// Drops every letter, as after a restore: those that waited when the copy was made were sent since, and their links
/// are withdrawn.
pub async fn begin_anew(cx: &Cx) -> Result<(), Error> {
    cx.write("mail.begin_anew", async move |tx| store::forget(tx).await).await
}

/// Seals every waiting letter under the vault's current master key.
pub async fn reseal(cx: &Cx) -> Result<Resealed, ResealError> {
    let held = store::all(&cx.app.db).await?.into_iter().map(|(id, sealed)| Held {
        id: id.to_string(),
        place: place(id),
        sealed,
        what: format!("the waiting letter {id}"),
    });
    Ok(store::resealed(seal_again(&cx.app.vault, &cx.app.rng, PURPOSE, held)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_to_six_hours() {
        let minutes = [1, 2, 3, 4, 5, 6, 99].map(|tries| pause(tries).as_secs() / 60);
        assert_eq!(minutes, [1, 4, 16, 64, 256, 360, 360]);
    }
}
