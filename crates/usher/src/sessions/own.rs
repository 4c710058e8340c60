//! What somebody does with their own sessions: see them, and end them.

use super::{EndReason, Ended, Session, Which, store};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, SessionId};
use crate::time::Time;
use usher_db::Error;

/// The account's sessions that can be used now, last used first, with the uses that only memory knows yet.
pub async fn list(cx: &Cx, account: AccountId) -> Result<Vec<Session>, Error> {
    let mut sessions = store::list_live(&cx.app.db, account).await?;
    for session in &mut sessions {
        session.last_used_at = session.last_used_at.max(cx.app.sessions.last_used(session.id).unwrap_or(Time(0)));
    }
    sessions.retain(|session| session.usable(cx.now));
    sessions.sort_by_key(|session| std::cmp::Reverse((session.last_used_at, session.id)));
    Ok(sessions)
}

/// Everybody's sessions that were not ended, newest first; those that began before `before` when it is given. For admins.
///
/// What rested too long and is not swept yet stands among them.
pub async fn newest(cx: &Cx, before: Option<SessionId>, limit: u32) -> Result<Vec<Session>, Error> {
    let before = before.unwrap_or(SessionId::from_bytes([u8::MAX; 16]));
    let mut sessions = store::newest(&cx.app.db, before, limit).await?;
    for session in &mut sessions {
        session.last_used_at = session.last_used_at.max(cx.app.sessions.last_used(session.id).unwrap_or(Time(0)));
    }
    Ok(sessions)
}

/// Ends sessions because their owner, or an admin, says so. What had ended before is not among the answer.
pub async fn end(cx: &Cx, which: Which) -> Result<Vec<Ended>, Error> {
    let entry = Entry::new(cx, Event::SessionEnded, Outcome::Done).detail(EndReason::Revoked.word());
    let now = cx.now;
    cx.write("sessions.end", async move |tx| {
        let ended = super::end(tx, which, EndReason::Revoked, now).await?;
        if let [one] = ended.as_slice() {
            entry.about(one.account, one.id).target(one.id).record(tx).await?;
        } else if let Some(first) = ended.first() {
            // One act, one event: the sessions' own rows say which they were.
            let target = format!("{} sessions", ended.len());
            entry.clone().of(first.account).target(target).record(tx).await?;
        }
        Ok(ended)
    })
    .await
}
