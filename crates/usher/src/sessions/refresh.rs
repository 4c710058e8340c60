//! The refresh token: rotating, with a successor that can be told again.
//!
//! A token is `session id | generation | secret | MAC`. The successor's secret is an HMAC over the old
//! secret and a nonce, so that the row keeps only digests and yet the same successor can be given to a
//! client that lost our answer. The rule (RFC 9700 section 4.14.2):
//!
//! - the current token rotates;
//! - its predecessor, within the grace time after it was used and while its successor is unused, gets
//!   that same successor again;
//! - an older one within the grace time of its use is a laggard among parallel requests: refused, no harm;
//! - anything later is a copy in other hands, or looks just like it: the session ends.
//!
//! A session that began so keeps its first token for good (`fixed_refresh`): the one client that drops every later
//! one would look like a thief. Such a session is shorter, and its beginning is told in the audit log.
//!
//! A token that an app's page or an app's login was given is that app's: the MAC covers the app's name, and the
//! token is exchanged for access tokens of that app's audience only (RFC 9700 section 4.14.2). Whoever steals it
//! from a page has what the page had, and not the account.

use super::store::{self, RefreshState};
use super::{EndReason, Which};
use crate::audit;
use crate::cx::Cx;
use crate::id::{AccountId, SessionId};
use crate::secret::{Digest, Kind};
use crate::time::Time;
use crate::tokens::macs::MacRing;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;
use usher_db::{Error, Tx};
use zeroize::Zeroizing;

const LENGTH: usize = 1 + 16 + 4 + 32 + 16;
/// Used-up generations that are remembered with their time; more in one grace time is no honest client.
const REMEMBERED: usize = 16;

/// The secret and nonce a session's first refresh token is made of.
#[derive(Clone)]
pub struct First {
    secret: Zeroizing<[u8; 32]>,
    nonce: [u8; 16],
}

impl std::fmt::Debug for First {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("First(***)")
    }
}

impl First {
    /// Drawn before the login's write.
    pub fn draw(rng: &crate::secret::Rng) -> First {
        First { secret: Zeroizing::new(rng.bytes()), nonce: rng.bytes() }
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(&*self.secret)
    }

    pub(super) fn nonce_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.nonce)
    }

    /// The token to give to a client of this server itself.
    pub fn token(&self, keys: &MacRing, session: SessionId) -> String {
        self.token_for(keys, session, None)
    }

    /// The token to give to an app, or to a client of this server itself.
    pub fn token_for(&self, keys: &MacRing, session: SessionId, app: Option<&str>) -> String {
        mint(keys, app, session, 1, &self.secret)
    }
}

/// What a well-formed token claims.
pub struct Presented {
    /// Which session.
    pub session: SessionId,
    /// Which of its tokens.
    pub generation: u32,
    /// The app whose it is; none for a client of this server itself, which may ask for any audience.
    pub app: Option<String>,
    secret: Zeroizing<[u8; 32]>,
}

/// What the MAC covers besides the token's own fields. Two purposes, so that no name makes an app's token another's.
fn holder(app: Option<&str>) -> [&[u8]; 2] {
    match app {
        None => [b"usher-refresh-v2", b""],
        Some(name) => [b"usher-refresh-app-v2", name.as_bytes()],
    }
}

fn mint(keys: &MacRing, app: Option<&str>, session: SessionId, generation: u32, secret: &[u8; 32]) -> String {
    let generation = generation.to_be_bytes();
    let [purpose, name] = holder(app);
    let (kid, mac) = keys.tag(&[purpose, name, &session.bytes(), &generation, secret]);
    let mut bytes = Zeroizing::new([0; LENGTH]);
    bytes[0] = kid;
    bytes[1..17].copy_from_slice(&session.bytes());
    bytes[17..21].copy_from_slice(&generation);
    bytes[21..53].copy_from_slice(secret);
    bytes[53..].copy_from_slice(&mac[..16]);
    crate::secret::armor(Kind::Refresh.prefix(), &bytes).to_string()
}

/// Reads a token that we minted, for ourselves or for one of these apps; `None` for anything else.
pub fn read<'a>(keys: &MacRing, apps: impl IntoIterator<Item = &'a str>, token: &str) -> Option<Presented> {
    let bytes = crate::secret::unarmor::<LENGTH>(Kind::Refresh.prefix(), token)?;
    let session = SessionId::from_bytes(bytes[1..17].try_into().ok()?);
    let generation: [u8; 4] = bytes[17..21].try_into().ok()?;
    let secret = Zeroizing::new(<[u8; 32]>::try_from(&bytes[21..53]).ok()?);
    let is_of = |app: Option<&str>| {
        let [purpose, name] = holder(app);
        keys.verify(bytes[0], &[purpose, name, &session.bytes(), &generation, &*secret], &bytes[53..])
    };
    let app = std::iter::once(None).chain(apps.into_iter().map(Some)).find(|app| is_of(*app))?;
    let (app, generation) = (app.map(str::to_owned), u32::from_be_bytes(generation));
    Some(Presented { session, generation, app, secret })
}

/// The token as this server reads it: an app that is registered no more has none.
pub fn presented(cx: &Cx, token: &str) -> Option<Presented> {
    read(&cx.app.macs.refresh, cx.app.apps.all().iter().map(|known| known.app.name.as_str()), token)
}

/// A refresh that succeeded.
pub struct Refreshed {
    /// Whose session.
    pub account: AccountId,
    /// Which.
    pub session: SessionId,
    /// The token that rotates next.
    pub token: String,
    /// The app whose it is, and for whose audience alone an access token may be given.
    pub app: Option<String>,
}

/// Why a refresh token is refused. To the client all of these are one `invalid_grant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// Not a token of ours, or of a session that is over.
    #[error("the refresh token is not valid")]
    Unknown,
    /// Used up a moment ago by a parallel request; the session lives.
    #[error("the refresh token was used a moment ago")]
    UsedUp,
    /// Used up long ago: the session was ended.
    #[error("the refresh token was used before; the session has ended")]
    Replayed,
}

enum Decision {
    Rotate,
    Keep,
    Again,
    UsedUp,
    Replayed,
    Unknown,
}

/// When the last generations were used up, as the row keeps it: `generation:milliseconds,..`.
struct Rotations(Vec<(u32, Time)>);

impl Rotations {
    fn parse(text: &str) -> Rotations {
        Rotations(
            text.split(',')
                .filter_map(|pair| {
                    let (generation, at) = pair.split_once(':')?;
                    Some((generation.parse().ok()?, Time(at.parse().ok()?)))
                })
                .collect(),
        )
    }

    fn used_at(&self, generation: u32) -> Option<Time> {
        self.0.iter().find(|(known, _)| *known == generation).map(|(_, at)| *at)
    }

    fn with(mut self, generation: u32, now: Time, grace: Duration) -> String {
        // The last use is always kept: it tells whether the predecessor may be answered again.
        self.0.retain(|(_, at)| now < *at + grace);
        self.0.push((generation, now));
        let surplus = self.0.len().saturating_sub(REMEMBERED);
        let pairs: Vec<String> =
            self.0[surplus..].iter().map(|(generation, at)| format!("{generation}:{}", at.0)).collect();
        pairs.join(",")
    }
}

fn decide(state: &RefreshState, presented: &Presented, now: Time, grace: Duration) -> Decision {
    let Some(current) = &state.digest else { return Decision::Unknown };
    if presented.generation == state.generation {
        return match (current.matches(&*presented.secret), state.fixed) {
            (true, false) => Decision::Rotate,
            (true, true) => Decision::Keep,
            (false, _) => Decision::Unknown,
        };
    }
    if presented.generation > state.generation {
        return Decision::Unknown;
    }
    let in_grace = Rotations::parse(&state.rotations).used_at(presented.generation).is_some_and(|at| now < at + grace);
    match (in_grace, presented.generation + 1 == state.generation) {
        (true, true) => Decision::Again,
        (true, false) => Decision::UsedUp,
        (false, _) => Decision::Replayed,
    }
}

fn successor(keys: &MacRing, secret: &[u8; 32], nonce: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(keys.derive(&[b"usher-refresh-successor-v1", secret, nonce.as_bytes()]))
}

/// Exchanges a refresh token for its successor, for somebody who wants an access token for `app`'s audience, or
/// names none. A token of one app is no token to another: it is refused before it rotates.
///
/// Of any number of simultaneous exchanges of one token, one rotates and the others are told the same
/// successor. A replay ends the session in the same commit that notices it.
pub async fn exchange(cx: &Cx, token: &str, app: Option<&str>) -> Result<Result<Refreshed, RefreshError>, Error> {
    let Some(presented) = presented(cx, token) else { return Ok(Err(RefreshError::Unknown)) };
    if presented.app.as_deref().is_some_and(|holder| app.is_some_and(|asked| asked != holder)) {
        return Ok(Err(RefreshError::Unknown));
    }
    let nonce = URL_SAFE_NO_PAD.encode(cx.app.rng.bytes::<16>());
    let entry = audit::Entry::new(cx, audit::Event::RefreshReplayed, audit::Outcome::Refused);
    let (inner, session) = (cx.clone(), presented.session);
    let exchanged =
        cx.write("sessions.refresh", async move |tx| rotate(tx, &inner, &presented, &nonce, &entry).await).await?;
    // The row knows of this use already; memory must too, or it would hold the session for idle.
    if exchanged.is_ok()
        && let Some(live) = cx.app.sessions.live(&cx.app.db, session).await?
    {
        cx.app.sessions.used(&live, cx.now);
    }
    Ok(exchanged)
}

/// Whether this is the token that its live session would exchange, without exchanging it. One that was used up is not,
/// although its holder may be told its successor once more; and to look at one ends nothing.
pub async fn is_current(cx: &Cx, presented: &Presented) -> Result<bool, Error> {
    let (id, grace) = (presented.session, cx.app.config.sessions.refresh_grace);
    let state = store::look_at_refresh(&cx.app.db, id, cx.app.sessions.last_used(id)).await?;
    Ok(state.is_some_and(|state| {
        cx.now < state.usable_until
            && matches!(decide(&state, presented, cx.now, grace), Decision::Rotate | Decision::Keep)
    }))
}

async fn rotate(
    tx: &mut Tx,
    cx: &Cx,
    presented: &Presented,
    nonce: &str,
    replayed: &audit::Entry,
) -> Result<Result<Refreshed, RefreshError>, Error> {
    // Where others commit between our statements, one of them may have rotated first. What it left is judged once more,
    // and this token is the one before by then.
    for _ in 0..2 {
        if let Some(judged) = judge(tx, cx, presented, nonce, replayed).await? {
            return Ok(judged);
        }
    }
    Ok(Err(RefreshError::UsedUp))
}

/// Judges what is presented by the row as it stands. Nothing when the row changed before it could be rotated.
async fn judge(
    tx: &mut Tx,
    cx: &Cx,
    presented: &Presented,
    nonce: &str,
    replayed: &audit::Entry,
) -> Result<Option<Result<Refreshed, RefreshError>>, Error> {
    let (now, id, keys) = (cx.now, presented.session, &cx.app.macs.refresh);
    let grace = cx.app.config.sessions.refresh_grace;
    let used = cx.app.sessions.last_used(id);
    let Some(state) = store::refresh_state(tx, id, used).await? else { return Ok(Some(Err(RefreshError::Unknown))) };
    if now >= state.usable_until {
        super::end(tx, Which::One(id), EndReason::Expired, now).await?;
        return Ok(Some(Err(RefreshError::Unknown)));
    }
    let refreshed = |generation, secret: &[u8; 32]| Refreshed {
        account: state.account,
        session: id,
        token: mint(keys, presented.app.as_deref(), id, generation, secret),
        app: presented.app.clone(),
    };
    let judged = match decide(&state, presented, now, grace) {
        Decision::Rotate => {
            let next = successor(keys, &presented.secret, nonce);
            let rotations = Rotations::parse(&state.rotations).with(presented.generation, now, grace);
            let old = Digest::of(&*presented.secret);
            let step = store::Rotation { old: &old, new: &Digest::of(&*next), nonce, rotations: &rotations };
            let Some(generation) = store::rotate(tx, id, step, now).await? else { return Ok(None) };
            Ok(refreshed(generation, &next))
        }
        Decision::Keep => {
            store::touch(tx, id, now).await?;
            Ok(refreshed(state.generation, &presented.secret))
        }
        Decision::Again => {
            let again = successor(keys, &presented.secret, &state.nonce);
            match &state.digest {
                Some(current) if current.matches(&*again) => Ok(refreshed(state.generation, &again)),
                _ => Err(RefreshError::Unknown),
            }
        }
        Decision::UsedUp => Err(RefreshError::UsedUp),
        Decision::Replayed => {
            super::end(tx, Which::One(id), EndReason::Replay, now).await?;
            replayed.about(state.account, id).record(tx).await?;
            Err(RefreshError::Replayed)
        }
        Decision::Unknown => Err(RefreshError::Unknown),
    };
    Ok(Some(judged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Rng;

    const GRACE: Duration = Duration::from_secs(30);

    fn presented(generation: u32, secret: [u8; 32]) -> Presented {
        Presented { session: SessionId::from_bytes([1; 16]), generation, app: None, secret: Zeroizing::new(secret) }
    }

    fn state(generation: u32, rotations: &str) -> RefreshState {
        RefreshState {
            account: AccountId::from_bytes([2; 16]),
            generation,
            digest: Some(Digest::of(&[5; 32])),
            nonce: String::new(),
            rotations: rotations.to_owned(),
            usable_until: Time(i64::MAX),
            fixed: false,
        }
    }

    #[test]
    fn the_rule_of_the_four_cases() {
        let at = |ms: i64| Time(100_000 + ms);
        let now = at(0);
        let current = state(5, "3:90000,4:99000");
        assert!(matches!(decide(&current, &presented(5, [5; 32]), now, GRACE), Decision::Rotate));
        assert!(matches!(decide(&current, &presented(5, [6; 32]), now, GRACE), Decision::Unknown));
        assert!(matches!(decide(&current, &presented(6, [5; 32]), now, GRACE), Decision::Unknown));
        assert!(matches!(decide(&current, &presented(4, [9; 32]), now, GRACE), Decision::Again));
        assert!(matches!(decide(&current, &presented(3, [9; 32]), now, GRACE), Decision::UsedUp));
        assert!(matches!(decide(&current, &presented(2, [9; 32]), now, GRACE), Decision::Replayed));
        assert!(matches!(decide(&current, &presented(4, [9; 32]), at(28_999), GRACE), Decision::Again));
        assert!(matches!(decide(&current, &presented(4, [9; 32]), at(29_000), GRACE), Decision::Replayed));
    }

    #[test]
    fn a_fixed_token_stays_and_no_other_comes_in_with_it() {
        let fixed = RefreshState { fixed: true, ..state(1, "") };
        assert!(matches!(decide(&fixed, &presented(1, [5; 32]), Time(0), GRACE), Decision::Keep));
        assert!(matches!(decide(&fixed, &presented(1, [6; 32]), Time(0), GRACE), Decision::Unknown));
        assert!(matches!(decide(&fixed, &presented(2, [5; 32]), Time(0), GRACE), Decision::Unknown));
    }

    #[test]
    fn used_up_generations_are_forgotten_after_the_grace_time() {
        let text = Rotations::parse("1:1000,2:90000").with(3, Time(100_000), GRACE);
        assert_eq!(text, "2:90000,3:100000");
    }

    #[test]
    fn a_token_reads_back_and_another_kind_of_token_does_not() {
        let keys = MacRing::of([7; 32]);
        let first = First::draw(&Rng::seeded(1));
        let id = SessionId::new(Time(1), &Rng::seeded(2));
        let token = first.token(&keys, id);
        assert!(token.starts_with("usr_"));
        assert!(read(&keys, [], &token).is_some_and(|back| back.session == id && back.generation == 1));
        assert!(read(&keys, [], &token.replace("usr_", "usp_")).is_none());
        assert!(read(&MacRing::of([8; 32]), [], &token).is_none());
    }

    #[test]
    fn a_token_says_whose_it_is_and_an_app_that_is_gone_has_none() {
        let keys = MacRing::of([7; 32]);
        let first = First::draw(&Rng::seeded(1));
        let id = SessionId::new(Time(1), &Rng::seeded(2));
        let of = |app| first.token_for(&keys, id, app);
        let whose = |token: &str| read(&keys, ["shop", "shop2"], token).map(|back| back.app);
        assert_eq!(whose(&of(None)), Some(None));
        assert_eq!(whose(&of(Some("shop"))), Some(Some("shop".to_owned())));
        assert_eq!(whose(&of(Some("shop2"))), Some(Some("shop2".to_owned())));
        assert_eq!(whose(&of(Some("gone"))), None);
        assert_eq!(whose(&of(Some(""))), None, "no name is no app");
    }
}
