//! A PIN before one person's session on a television that several use.
//!
//! Promises: it is kept as a slow hash; every attempt is counted before it is judged, and the fifth wrong one in a row
//! ends the session it guards, which then has to be linked again. It guards the switching on that television and
//! nothing else.

use super::store;
use crate::accounts::hash::Encoded;
use crate::accounts::hasher::Verdict;
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, SessionId};
use crate::sessions::{self, EndReason, Which};
use std::time::Duration;
use usher_db::Error;
use zeroize::Zeroizing;

/// Wrong PINs in a row.
pub const ATTEMPTS: i64 = 5;

/// Why a PIN is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// It is not four to eight digits.
    #[error("a PIN is four to eight digits")]
    Form,
    /// It is wrong.
    #[error("that is not the PIN")]
    Wrong,
    /// It was wrong too often, and the session behind it is over.
    #[error("the PIN was wrong too often; link this person again")]
    Ended,
    /// More hashes at once than this machine can do.
    #[error("too busy right now")]
    Busy(Duration),
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// Whether this is the form of a PIN.
fn is_pin(text: &str) -> bool {
    (4..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a session has a PIN before it.
pub async fn guards(cx: &Cx, session: SessionId) -> Result<bool, Error> {
    Ok(store::find_pin(&cx.app.db, session).await?.is_some())
}

/// Sets the PIN of a session; an empty one removes it.
pub async fn set(cx: &Cx, session: SessionId, pin: &str) -> Result<(), PinError> {
    let now = cx.now;
    if pin.is_empty() {
        return Ok(cx.write("devices.remove_pin", async move |tx| store::remove_pin(tx, session).await).await?);
    }
    if !is_pin(pin) {
        return Err(PinError::Form);
    }
    let encoded = cx.app.hasher.hash(Zeroizing::new(pin.to_owned())).await;
    let encoded = encoded.map_err(|busy| PinError::Busy(busy.retry_after))?;
    Ok(cx.write("devices.set_pin", async move |tx| store::put_pin(tx, session, &encoded, now).await).await?)
}

/// Judges a PIN that was typed before `account`'s session.
pub async fn check(cx: &Cx, account: AccountId, session: SessionId, typed: &str) -> Result<(), PinError> {
    let Some(encoded) = store::find_pin(&cx.app.db, session).await? else { return Ok(()) };
    // Counted first: of many attempts at once, no more than allowed are judged.
    let counted = cx.write("devices.count_pin", async move |tx| store::count_pin(tx, session, ATTEMPTS).await).await?;
    let Some(attempt) = counted else { return Err(PinError::Ended) };
    let typed = Zeroizing::new(if is_pin(typed) { typed.to_owned() } else { String::new() });
    let verdict = cx.app.hasher.verify(typed, Encoded::parse(&encoded).ok()).await;
    let verdict = verdict.map_err(|busy| PinError::Busy(busy.retry_after))?;
    if verdict != Verdict::Wrong {
        cx.write("devices.right_pin", async move |tx| store::forgive_pin(tx, session).await).await?;
        return Ok(());
    }
    if attempt < ATTEMPTS {
        return Err(PinError::Wrong);
    }
    let (now, reason) = (cx.now, EndReason::Revoked);
    let entry =
        Entry::new(cx, Event::SessionEnded, Outcome::Done).about(account, session).target(session).detail("pin");
    cx.write("devices.end_by_pin", async move |tx| {
        if !sessions::end(tx, Which::OneOf(account, session), reason, now).await?.is_empty() {
            entry.record(tx).await?;
        }
        Ok(())
    })
    .await?;
    Err(PinError::Ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_four_to_eight_digits() {
        for good in ["0000", "12345678"] {
            assert!(is_pin(good), "{good}");
        }
        for bad in ["", "123", "123456789", "12a4", "１２３４", " 1234"] {
            assert!(!is_pin(bad), "{bad}");
        }
    }
}
