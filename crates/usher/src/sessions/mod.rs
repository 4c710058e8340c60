//! Sessions: the root from which every credential hangs.
//!
//! Promises: every way of logging in ends in one row here; the cookie, the refresh token, the access
//! token, the media token and every media URL carry its id and die with it. Ending is one function, one
//! commit, one event: when the answer to a logout is sent, nothing derived from the session is admitted
//! on this node, and transfers in flight are being stopped.
//! Refuses: to bring an ended session back, by any path; to let activity carry a session past its
//! absolute end; to accept a session's id as proof of anything.
//!
//! `hot.rs` is the copy in memory, `cookie.rs` and `refresh.rs` are the two secrets a browser or an app
//! holds, `data.rs` is what an application keeps with a session, `known.rs` the browsers that strangers' guesses do not slow.

pub mod api;
pub mod cookie;
pub mod data;
pub mod hot;
pub mod known;
pub mod own;
pub mod proof;
pub mod refresh;
mod store;

pub use proof::{Proof, Renewal};
pub use store::data::STATEMENTS as DATA_STATEMENTS;
pub use store::known::STATEMENTS as KNOWN_STATEMENTS;
pub use store::{STATEMENTS, find, list_live};

use crate::audit;
use crate::cx::Cx;
use crate::id::{AccountId, SessionId};
use crate::mail::Outgoing;
use crate::mail::letter::Letter;
use crate::secret::{Digest, Rng};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::Duration;
use usher_db::{Error, Tx};

/// What kind of thing holds the session; it decides how long it may be idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A web browser.
    Browser,
    /// A television, watch or player that was linked.
    Device,
    /// A program that holds tokens.
    Api,
}

impl Kind {
    /// The word in the table and in answers.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Browser => "browser",
            Kind::Device => "device",
            Kind::Api => "api",
        }
    }
}

impl FromStr for Kind {
    type Err = ();
    fn from_str(word: &str) -> Result<Kind, ()> {
        match word {
            "browser" => Ok(Kind::Browser),
            "device" => Ok(Kind::Device),
            "api" => Ok(Kind::Api),
            _ => Err(()),
        }
    }
}

/// Why a session ended. Written to its row and to the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its holder logged out.
    Logout,
    /// Its owner, or an admin, ended it from a list.
    Revoked,
    /// A used refresh token came back too late: a copy is in other hands.
    Replay,
    /// The account was disabled.
    Disabled,
    /// The password changed.
    PasswordChanged,
    /// A second factor was set up, without which this session began.
    FactorChanged,
    /// The account opened more sessions than it may have, and this one was idle longest.
    Evicted,
    /// It was idle too long, or reached its absolute end.
    Expired,
    /// A backup was restored; nobody can say what happened since it was made.
    Restored,
}

impl EndReason {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            EndReason::Logout => "logout",
            EndReason::Revoked => "revoked",
            EndReason::Replay => "replay",
            EndReason::Disabled => "disabled",
            EndReason::PasswordChanged => "password_changed",
            EndReason::FactorChanged => "factor_changed",
            EndReason::Evicted => "evicted",
            EndReason::Expired => "expired",
            EndReason::Restored => "restored",
        }
    }
}

/// A session as its row tells it, for lists.
#[derive(Clone, Debug)]
pub struct Session {
    /// The public id.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// What holds it.
    pub kind: Kind,
    /// How it was proven: `pwd`, `otp`, .. (RFC 8176), separated by spaces.
    pub amr: String,
    /// The login.
    pub created_at: Time,
    /// The last proof of who is there.
    pub auth_at: Time,
    /// The last use that was written down; up to a minute behind.
    pub last_used_at: Time,
    /// How long it may be idle.
    pub idle_for: Duration,
    /// The absolute end, which activity does not move.
    pub expires_at: Time,
    /// The device in its owner's words, or what its user agent says.
    pub label: String,
    /// Where the login came from.
    pub address: String,
    /// What the client called itself.
    pub agent: String,
    /// Whether it is over.
    pub state: State,
}

/// Whether a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It may be used until its limits.
    Live,
    /// It was ended.
    Ended {
        /// When.
        at: Time,
        /// Why, as [`EndReason::word`].
        reason: String,
    },
}

impl Session {
    /// Whether the session can be used at `now`.
    pub fn usable(&self, now: Time) -> bool {
        self.state == State::Live && now < self.expires_at && now < self.last_used_at + self.idle_for
    }
}

/// A session that is about to begin: everything drawn and decided before the write.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// A fresh id.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// What holds it.
    pub kind: Kind,
    /// How it was proven: `pwd`, `otp`, .. (RFC 8176), separated by spaces.
    pub amr: String,
    /// The device's name.
    pub label: String,
    /// The address of the client.
    pub address: String,
    /// The client's own name.
    pub agent: String,
    /// How long it may be idle.
    pub idle_for: Duration,
    /// How long it may last at all.
    pub absolute: Duration,
    /// The cookie's secret.
    pub secret: [u8; 32],
    /// The media grant that every media URL of this session stands on.
    pub grant: u64,
    /// The first refresh token's secret and nonce; none for a session that lives by its cookie alone.
    pub refresh: Option<refresh::First>,
    /// Whether that token stays the only one, for a client that would drop its successors.
    pub fixed_refresh: bool,
    /// Tells of the sessions that end because this one begins.
    eviction: audit::Entry,
    /// Tells the account's owner, when the device is a new one.
    notice: Option<Outgoing>,
}

/// How long sessions of a kind live, by configuration.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// The longest pause between two uses.
    pub idle: Duration,
    /// The longest life at all.
    pub absolute: Duration,
}

impl NewSession {
    /// Draws everything a session of `kind` needs.
    pub fn draw(cx: &Cx, account: AccountId, kind: Kind, amr: &str, label: String, life: Life) -> NewSession {
        let rng: &Rng = &cx.app.rng;
        let id = SessionId::new(cx.now, rng);
        let address = cx.request.address.to_string();
        let device = Letter::NewDevice { device: label.clone(), address, at: cx.now.rfc3339() };
        NewSession {
            id,
            account,
            kind,
            amr: amr.to_owned(),
            label,
            address: cx.request.address.to_string(),
            agent: cx.request.agent.clone(),
            idle_for: life.idle,
            absolute: life.absolute,
            secret: rng.bytes(),
            grant: grant_of(id),
            refresh: None,
            fixed_refresh: false,
            eviction: audit::Entry::new(cx, audit::Event::SessionEnded, audit::Outcome::Done)
                .of(account)
                .detail(EndReason::Evicted.word()),
            notice: Outgoing::notice(cx, &device),
        }
    }

    /// The digest of the cookie's secret, which is what the row keeps.
    pub fn secret_digest(&self) -> Digest {
        Digest::of(&self.secret)
    }
}

/// The methods of a session that was proven once more, by `method`: those before and this one (RFC 8176). Two of
/// different kinds are several factors, `mfa`.
pub fn proven_also(amr: &str, method: &str) -> String {
    let mut methods: Vec<&str> = amr.split(' ').filter(|word| !word.is_empty() && *word != "mfa").collect();
    if !methods.contains(&method) {
        methods.push(method);
    }
    // The password is one factor, what is at hand another; that a device was linked is none. A passkey (`pop`, proof of
    // possession) verifies its person besides, unless it cannot (`hwk`, a key in hardware).
    let beside = ["otp", "recovery", "hwk"].into_iter().any(|other| methods.contains(&other));
    let several = method == "pop" || amr.split(' ').any(|word| word == "mfa") || methods.contains(&"pwd") && beside;
    if several {
        methods.push("mfa");
    }
    methods.join(" ")
}

/// How strongly a session was proven, in the words of NIST SP 800-63B-4: `aal2` with several factors, else `aal1`.
pub fn acr(amr: &str) -> &'static str {
    if amr.split(' ').any(|word| word == "mfa") { "aal2" } else { "aal1" }
}

/// The media grant of a session: the low half of its id, without the sign bit so that it fits a BIGINT.
fn grant_of(id: SessionId) -> u64 {
    let (_, low) = id.halves();
    low & (u64::MAX >> 1)
}

/// Begins a session within a login's transaction, and ends the account's longest idle ones beyond `most`.
pub async fn start(tx: &mut Tx, new: &NewSession, most: u32, now: Time) -> Result<(), Error> {
    let mut evicted = Vec::new();
    for (id, grant) in store::beyond_limit(tx, new.account, most.saturating_sub(1)).await? {
        if store::end(tx, id, EndReason::Evicted, now).await? {
            hot::announce_end(tx, id, grant, now);
            evicted.push(id);
        }
    }
    match evicted.as_slice() {
        [] => {}
        [one] => new.eviction.about(new.account, *one).target(*one).record(tx).await?,
        // One act, one event: the sessions' own rows say which they were.
        many => new.eviction.clone().target(format!("{} sessions", many.len())).record(tx).await?,
    }
    if let Some(notice) = &new.notice
        && store::is_new_device(tx, new.account, &new.label).await?
    {
        notice.post(tx, new.account, now).await?;
    }
    store::insert(tx, new, now).await?;
    if new.fixed_refresh {
        store::fix_refresh(tx, new.id, now).await?;
    }
    Ok(())
}

/// One session that was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// Its media grant.
    pub grant: u64,
}

/// Which sessions to end.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// This one, whoever owns it.
    One(SessionId),
    /// This one, if this account owns it.
    OneOf(AccountId, SessionId),
    /// All of the account's.
    All(AccountId),
    /// All of the account's but this one.
    Others(AccountId, SessionId),
    /// Every session there is.
    Everyone,
}

/// Ends sessions: the one way in which a session ends.
///
/// Idempotent: what is ended already is not ended again and not told again. The caller's write commits
/// it; before anybody hears of that commit, memory has forgotten the sessions and their transfers stop. When all of an
/// account's sessions end, its devices are known no more either.
pub async fn end(tx: &mut Tx, which: Which, reason: EndReason, now: Time) -> Result<Vec<Ended>, Error> {
    let ended = store::end_which(tx, which, reason, now).await?;
    for one in &ended {
        hot::announce_end(tx, one.id, one.grant, now);
    }
    match which {
        Which::All(account) => known::forget_all(tx, account).await?,
        Which::Everyone => known::forget_everyone(tx).await?,
        Which::One(_) | Which::OneOf(..) | Which::Others(..) => {}
    }
    Ok(ended)
}

/// Writes down the last uses that memory has seen. Returns how many rows were touched.
pub async fn flush_uses(cx: &Cx) -> Result<usize, Error> {
    let uses = cx.app.sessions.uses_to_write();
    for slice in uses.chunks(200) {
        let given = slice.to_vec();
        cx.write("sessions.flush_uses", async move |tx| {
            for (id, at) in &given {
                store::touch(tx, *id, *at).await?;
            }
            Ok(())
        })
        .await?;
        cx.app.sessions.wrote_uses(slice);
    }
    Ok(uses.len())
}

/// Writes down every last use, also those that are too young to be worth it while the process runs.
pub async fn flush_every_use(cx: &Cx) -> Result<usize, Error> {
    cx.app.sessions.note_every_use();
    flush_uses(cx).await
}

/// How much longer than it may be idle a session's row is left alone: another node may know of a use that it has not
/// written down yet. Nobody is admitted by such a row.
const SWEPT_AFTER: Duration = Duration::from_secs(180);

/// Ends sessions whose time is over, so that lists and counts are true. Admission never waits for this:
/// it judges the times themselves. A row may lag behind its session's last use, so memory is asked first, and what it
/// knows better is written in place of the end.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<usize, Error> {
    let (now, idle_since) = (cx.now, cx.now - SWEPT_AFTER);
    let expired = store::expired(&cx.app.db, limit, now, idle_since).await?;
    if expired.is_empty() {
        return Ok(0);
    }
    let app = cx.app.clone();
    cx.write("sessions.sweep", async move |tx| {
        let mut count = 0;
        for id in &expired {
            if let Some(used) = app.sessions.last_used(*id) {
                store::touch(tx, *id, used).await?;
            }
            if let Some(one) = store::end_expired(tx, *id, now, idle_since).await? {
                hot::announce_end(tx, one.id, one.grant, now);
                count += 1;
            }
        }
        Ok(count)
    })
    .await
}

/// Ends up to `limit` of all the sessions there are, as after a restore. Returns how many.
pub async fn end_some(cx: &Cx, reason: EndReason, limit: u32) -> Result<usize, Error> {
    let now = cx.now;
    cx.write("sessions.end_some", async move |tx| {
        let ended = store::end_some(tx, reason, limit, now).await?;
        for one in &ended {
            hot::announce_end(tx, one.id, one.grant, now);
        }
        Ok(ended.len())
    })
    .await
}

/// How long the row of an ended session is kept, for those who ask what happened.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Removes sessions that ended long ago and keep no data.
pub async fn forget(cx: &Cx, limit: u32) -> Result<usize, Error> {
    let before = cx.now - REMEMBERED;
    let gone = cx.write("sessions.forget", async move |tx| store::forget(tx, before, limit).await).await?;
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}

/// Gives a session a new cookie secret after a new proof. The old cookie is refused from the commit on.
/// Returns the new cookie's value; `None` when the session has ended meanwhile.
pub async fn renew_secret(cx: &Cx, id: SessionId, amr: &str) -> Result<Option<String>, Error> {
    let renewal = Renewal::draw(cx, id, amr);
    let (given, now) = (renewal.clone(), cx.now);
    let renewed = cx.write("sessions.renew_secret", async move |tx| given.apply(tx, now).await).await?;
    Ok(renewed.then(|| renewal.cookie(cx)))
}
