//! A device's part: asking whether it was let in, and beginning its session, once.

use super::code::UserCode;
use super::{Client, LINKED, LinkCode, State, store, user_key};
use crate::accounts::{self, Standing};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::AccountId;
use crate::login;
use crate::ops;
use crate::secret::{Digest, Kind as SecretKind, Plain};
use crate::sessions::{self, Kind, NewSession, refresh};
use crate::takeout;
use std::time::Duration;
use usher_db::Error;

/// How much sooner than told a poll may come: what clocks and networks do to an honest client.
const SLACK: Duration = Duration::from_secs(1);
/// What every poll that comes too soon adds to the interval (RFC 8628 section 3.5).
const SLOWER_BY: Duration = Duration::from_secs(5);
/// Where that stops.
const SLOWEST: Duration = Duration::from_secs(60);
/// How long a session may be idle whose refresh token does not rotate, and how long it lasts at most.
const FIXED_IDLE: Duration = Duration::from_secs(30 * 24 * 3600);
const FIXED_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// A device that was let in. The session is committed.
#[derive(Debug)]
pub struct Linked {
    /// Whose it is.
    pub account: AccountId,
    /// The session with its secrets, for the one answer that may carry them.
    pub session: NewSession,
}

/// Why a device has no session yet, or gets none.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// Nobody has decided yet.
    #[error("nobody has approved this yet")]
    Pending,
    /// Nobody has decided yet, and the device asks too often.
    #[error("asked too often; wait longer between two questions")]
    SlowDown,
    /// Somebody said no, or whoever said yes is shut out now.
    #[error("the request was refused")]
    Refused,
    /// The code's time is over.
    #[error("the code has expired")]
    Expired,
    /// No code of this client, or one that was redeemed.
    #[error("no such code, or it was used")]
    Unknown,
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// The device asks whether it was let in; if so, its session begins here, once.
pub async fn poll(cx: &Cx, client: Client, device: &str) -> Result<Linked, PollError> {
    ask(cx, client, device, None).await
}

/// The same, by a device that sends its short code along: it must be the one that was made with the secret.
pub async fn poll_with(cx: &Cx, client: Client, device: &str, typed: &str) -> Result<Linked, PollError> {
    let code = UserCode::parse(typed).ok_or(PollError::Unknown)?;
    ask(cx, client, device, Some(user_key(cx, &code))).await
}

async fn ask(cx: &Cx, client: Client, device: &str, key: Option<Digest>) -> Result<Linked, PollError> {
    let device = Plain::parse(SecretKind::Device, device).map_err(|_| PollError::Unknown)?.digest();
    let found = store::find_by_device(&cx.app.db, &device).await?.filter(|code| code.client == client);
    let code = found.filter(|code| key.is_none_or(|key| key == code.user_key)).ok_or(PollError::Unknown)?;
    match code.state {
        State::Redeemed { .. } => Err(PollError::Unknown),
        State::Refused => Err(PollError::Refused),
        _ if cx.now >= code.expires_at => Err(PollError::Expired),
        State::Waiting { .. } => Err(wait(cx, code).await?),
        State::Approved { by, ver } => redeem(cx, code, by, ver).await,
    }
}

async fn wait(cx: &Cx, code: LinkCode) -> Result<PollError, Error> {
    let now = cx.now;
    if code.poll_every.is_zero() {
        return Ok(PollError::Pending);
    }
    let hurried = now + SLACK < code.polled_at + code.poll_every;
    // One that does not listen costs no further writes.
    if hurried && code.poll_every >= SLOWEST {
        return Ok(PollError::SlowDown);
    }
    let every = if hurried { code.poll_every + SLOWER_BY } else { code.poll_every };
    let first = cx.write("devices.poll", async move |tx| store::polled(tx, &code, every, now).await).await?;
    Ok(if hurried || !first { PollError::SlowDown } else { PollError::Pending })
}

async fn redeem(cx: &Cx, code: LinkCode, by: AccountId, ver: i64) -> Result<Linked, PollError> {
    let rights = cx.app.accounts.rights(&cx.app.db, by).await?.ok_or(PollError::Refused)?;
    let life = login::life(cx, Kind::Device, rights.role);
    let mut session = NewSession::draw(cx, by, Kind::Device, LINKED, code.label.clone(), life);
    if code.client.refreshes() {
        session.refresh = Some(refresh::First::draw(&cx.app.rng));
    }
    let mut done = Entry::new(cx, Event::Login, Outcome::Done).about(by, session.id).by(by).detail(LINKED);
    if code.client == Client::Takeout && takeout::App::of(&cx.request.agent) == takeout::App::Playout {
        session.fixed_refresh = true;
        session.idle_for = session.idle_for.min(FIXED_IDLE);
        session.absolute = session.absolute.min(FIXED_LIFE);
        done = done.target("keeps one refresh token");
    }
    let shut = Entry::new(cx, Event::Login, Outcome::Refused).of(by).target(code.id).detail(LINKED);
    let (new, now, most) = (session.clone(), cx.now, cx.app.config.sessions.max_per_account);
    let begun = cx.write("devices.redeem", async move |tx| {
        let owner = accounts::hold(tx, by).await?;
        let same = owner.is_some_and(|owner| owner.standing == Standing::Active && owner.ver == ver);
        if !same {
            // Disabled, deleted, or with another password than when it was approved.
            if store::take_back(tx, code.id, now).await? {
                shut.record(tx).await?;
            }
            return Ok(Err(PollError::Refused));
        }
        if !store::redeem(tx, code.id, by, now).await? {
            return Ok(Err(PollError::Unknown));
        }
        accounts::linked(tx, by, now).await?;
        sessions::start(tx, &new, most, now).await?;
        done.record(tx).await?;
        Ok(Ok(()))
    });
    begun.await??;
    cx.app.metrics.login(ops::LoginResult::Success);
    Ok(Linked { account: by, session })
}
