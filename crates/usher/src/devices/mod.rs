//! Devices without a keyboard: a short code on one screen, approved at another (RFC 8628).
//!
//! Promises: one implementation behind every way in which a device is linked; a code is bound to the secret that was
//! given out with it and to the client that asked, lives for minutes, is decided once by the one person who looked at
//! it first, and is redeemed once; what begins is a session of its own, named, visible and revocable, that knows it was
//! linked and so never counts as a fresh proof. An approval dies when its account is disabled or changes its password
//! before the device comes for it.
//! Refuses: to guess along. Five wrong codes from one account or one address end the guessing for a while, also for
//! the right code (RFC 8628 section 5.1); making codes is bounded per network and in all.

pub mod code;
pub mod pages;
pub mod pin;
pub mod qr;
mod store;

pub use store::STATEMENTS;

use crate::accounts::{self, Standing};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::id::{AccountId, LinkCodeId};
use crate::login::{self, throttle};
use crate::ops;
use crate::secret::{Digest, Kind as SecretKind, MacKey, Plain};
use crate::sessions::{self, Kind, NewSession, refresh};
use crate::takeout;
use crate::time::Time;
use code::{Alphabet, UserCode};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;
use unicode_general_category::{GeneralCategory, get_general_category};
use usher_db::{Error, Tx};

/// Wrong codes of one account or one address within [`WINDOW`]; the next one is not looked at.
pub const WRONG_CODES: i64 = 5;
/// Wrong codes of everybody together within [`WINDOW`].
const WRONG_CODES_OF_ALL: i64 = 1_000;
/// Codes made from one network within [`WINDOW`].
const CODES_OF_NETWORK: i64 = 60;
/// Codes that wait at once, from anywhere.
const MOST_LIVE: i64 = 2_000;
/// How long wrong and made codes are counted.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);
/// How much sooner than told a poll may come: what clocks and networks do to an honest client.
const SLACK: Duration = Duration::from_secs(1);
/// What every poll that comes too soon adds to the interval (RFC 8628 section 3.5).
const SLOWER_BY: Duration = Duration::from_secs(5);
/// Where that stops.
const SLOWEST: Duration = Duration::from_secs(60);
/// How long the row of a code that is over is kept, to tell a late poll what became of it.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// How long a session may be idle whose refresh token does not rotate, and how long it lasts at most.
const FIXED_IDLE: Duration = Duration::from_secs(30 * 24 * 3600);
const FIXED_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// How a session that was linked says it was proven. Not among the values of RFC 8176, which has none for this.
pub const LINKED: &str = "link";

/// What asks to be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A program that follows RFC 8628: the built-in client `usher-device`.
    Device,
    /// The page that a television's own browser shows.
    Tv,
    /// One of TakeoutFM's apps.
    Takeout,
}

impl Client {
    const ALL: [Client; 3] = [Client::Device, Client::Tv, Client::Takeout];

    /// The client's id, in requests and in the table.
    pub fn id(self) -> &'static str {
        match self {
            Client::Device => "usher-device",
            Client::Tv => "usher-tv",
            Client::Takeout => "takeout",
        }
    }

    /// The letters of its codes.
    pub fn alphabet(self) -> Alphabet {
        match self {
            Client::Device | Client::Tv => Alphabet::Consonants,
            Client::Takeout => Alphabet::Takeout,
        }
    }

    /// How long a code lives.
    pub fn life(self) -> Duration {
        match self {
            Client::Device | Client::Tv => Duration::from_secs(600),
            Client::Takeout => Duration::from_secs(300),
        }
    }

    /// How often it may ask. Zero for one that is asked by hand and would take a refusal for the end of its code.
    pub fn interval(self) -> Duration {
        match self {
            Client::Device => Duration::from_secs(5),
            Client::Tv => Duration::from_secs(2),
            Client::Takeout => Duration::ZERO,
        }
    }

    /// Whether its session lives by a refresh token. One in a browser lives by its cookie.
    fn refreshes(self) -> bool {
        match self {
            Client::Device | Client::Takeout => true,
            Client::Tv => false,
        }
    }
}

impl FromStr for Client {
    type Err = ();
    fn from_str(id: &str) -> Result<Client, ()> {
        Client::ALL.into_iter().find(|client| client.id() == id).ok_or(())
    }
}

/// A code as its row tells it.
#[derive(Clone, Debug)]
pub struct LinkCode {
    /// The public id, for the audit log.
    pub id: LinkCodeId,
    /// What its short code is looked up by.
    pub user_key: Digest,
    /// What asks.
    pub client: Client,
    /// What the device calls itself.
    pub label: String,
    /// Where it asked from.
    pub address: String,
    /// What its program calls itself.
    pub agent: String,
    /// When it asked.
    pub made_at: Time,
    /// When the code ends.
    pub expires_at: Time,
    /// How often it may ask whether it was approved.
    pub poll_every: Duration,
    /// When it last did.
    pub polled_at: Time,
    /// What became of it.
    pub state: State,
}

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has decided. Whoever looked at it first is the one who may.
    Waiting {
        /// Who looked at it.
        claimed_by: Option<AccountId>,
    },
    /// The device may come for its session.
    Approved {
        /// Whose it will be.
        by: AccountId,
        /// The account's rights version at the approval.
        ver: i64,
    },
    /// Somebody said no, or the approval was taken back.
    Refused,
    /// The device has its session.
    Redeemed {
        /// Whose it is.
        by: Option<AccountId>,
    },
}

/// A code that is about to exist: everything drawn before the write.
struct NewLinkCode {
    id: LinkCodeId,
    client: Client,
    device: Digest,
    label: String,
    address: String,
    agent: String,
    made_at: Time,
    expires_at: Time,
}

/// A code that was made, for the one answer that may carry it.
#[derive(Debug)]
pub struct Begun {
    /// What the device polls with.
    pub device: Plain,
    /// What it shows.
    pub user: UserCode,
    /// How long both live.
    pub life: Duration,
    /// How often it may ask.
    pub interval: Duration,
}

/// Why no code is made.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// Too many codes from this network, or too many waiting at all.
    #[error("too many codes; wait before asking for another")]
    RateLimited(Duration),
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// A device's name as it may stand on a page: one short line, no letter that turns or hides others.
fn clean(name: &str) -> String {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned};
    let shown = |c: &char| {
        !matches!(
            get_general_category(*c),
            Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Surrogate | Unassigned
        )
    };
    name.chars().filter(shown).take(60).collect::<String>().trim().to_owned()
}

/// The key under which a short code is looked up. A stolen table does not tell the codes in it.
fn user_key(cx: &Cx, code: &UserCode) -> Digest {
    let key = MacKey::new(&cx.app.vault.derive("link codes"));
    Digest::of(&key.tag(&[b"user code", code.as_str().as_bytes()]))
}

/// The number of the window that `now` is in, and how long it goes on. What is asked for all day long, as a waiting
/// television asks for codes, has a fresh count in each window; one that slides would never be quiet.
fn this_window(now: Time) -> (i64, Duration) {
    let length = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
    let into = now.0.rem_euclid(length);
    (now.0.div_euclid(length), Duration::from_millis(u64::try_from(length - into).unwrap_or(0)))
}

/// Makes a code for a device that calls itself `name` (empty: what its program says).
pub async fn begin(cx: &Cx, client: Client, name: &str) -> Result<Begun, BeginError> {
    let device = Plain::mint(SecretKind::Device, &cx.app.rng);
    let name = clean(name);
    let new = NewLinkCode {
        id: LinkCodeId::new(cx.now, &cx.app.rng),
        client,
        device: device.digest(),
        label: if name.is_empty() { clean(&login::label_of(&cx.request.agent)) } else { name },
        address: cx.request.address.to_string(),
        agent: cx.request.agent.clone(),
        made_at: cx.now,
        expires_at: cx.now + client.life(),
    };
    // Two codes alike are one in millions; a second and third draw make it never.
    let drawn: Vec<(UserCode, Digest)> = (0..3)
        .map(|_| {
            let code = UserCode::draw(client.alphabet(), &cx.app.rng);
            let key = user_key(cx, &code);
            (code, key)
        })
        .collect();
    let (window, rest) = this_window(cx.now);
    let subject = format!("link_made:{window}:{}", crate::net::network_of(cx.request.address));
    let now = cx.now;
    let made = cx.write("devices.begin", async move |tx| {
        let crowded = throttle::count_one(tx, &subject, WINDOW, now).await? > CODES_OF_NETWORK
            || store::count_live(tx, MOST_LIVE, now).await? >= MOST_LIVE;
        if crowded {
            return Ok(tx.undo(None));
        }
        for (code, key) in &drawn {
            if store::insert(tx, &new, key).await? {
                return Ok(Some(code.clone()));
            }
        }
        Ok(tx.undo(None))
    });
    let user = made.await?.ok_or(BeginError::RateLimited(rest))?;
    Ok(Begun { device, user, life: client.life(), interval: client.interval() })
}

/// Why a code cannot be decided.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// Unknown, over, decided already, or another person's.
    #[error("that code is not valid, or not any more")]
    Unknown,
    /// Too many wrong codes; this one was not looked at.
    #[error("too many wrong codes; wait before the next one")]
    RateLimited(Duration),
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// Whoever decides, with what their guesses are counted under.
#[derive(Clone)]
struct Decider {
    account: AccountId,
    subjects: [(String, i64); 3],
}

impl Decider {
    fn new(account: AccountId, address: IpAddr, now: Time) -> Decider {
        let of = |what: &str, who: String| format!("link_guess:{what}:{who}");
        Decider {
            account,
            subjects: [
                (of("account", account.to_string()), WRONG_CODES),
                (of("address", address.to_string()), WRONG_CODES),
                (of("all", this_window(now).0.to_string()), WRONG_CODES_OF_ALL),
            ],
        }
    }

    /// Counts this guess before it is looked at, so that of many at once no more than allowed are.
    /// `false` when there were too many.
    async fn count(&self, tx: &mut Tx, now: Time) -> Result<bool, Error> {
        for (subject, most) in &self.subjects {
            if throttle::count_one(tx, subject, WINDOW, now).await? > *most {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A guess that was right is none.
    async fn uncount(&self, tx: &mut Tx) -> Result<(), Error> {
        for (subject, _) in &self.subjects {
            throttle::uncount_one(tx, subject).await?;
        }
        Ok(())
    }
}

fn decider(cx: &Cx) -> Result<Decider, DecideError> {
    let caller = cx.caller.as_ref().map(Caller::account).ok_or(DecideError::Unknown)?;
    Ok(Decider::new(caller, cx.request.address, cx.now))
}

/// What is done with a code, in the transaction that counted the guess.
#[derive(Clone, Copy)]
enum Act {
    Open,
    Approve,
    Refuse,
    OpenAndApprove,
}

async fn decide(cx: &Cx, who: Decider, typed: &str, act: Act) -> Result<LinkCode, DecideError> {
    let key = UserCode::parse(typed).map(|code| user_key(cx, &code));
    let (account, now) = (who.account, cx.now);
    let entry = |event, outcome| Entry::new(cx, event, outcome).of(account).by(account);
    let approved = entry(Event::DeviceApproved, Outcome::Done);
    let refused = entry(Event::DeviceRefused, Outcome::Done);
    let wrong = entry(Event::DeviceApproved, Outcome::Refused).detail("code");
    cx.write("devices.decide", async move |tx| {
        if !who.count(tx, now).await? {
            return Ok(tx.undo(Err(DecideError::RateLimited(WINDOW))));
        }
        let found = match &key {
            Some(key) => judge(tx, key, account, act, now).await?,
            None => None,
        };
        let Some(code) = found else {
            wrong.record(tx).await?;
            return Ok(Err(DecideError::Unknown));
        };
        who.uncount(tx).await?;
        match act {
            Act::Approve | Act::OpenAndApprove => {
                approved.clone().target(code.id).detail(&code.label).record(tx).await?
            }
            Act::Refuse => refused.clone().target(code.id).detail(&code.label).record(tx).await?,
            Act::Open => {}
        }
        Ok(Ok(code))
    })
    .await?
}

async fn judge(tx: &mut Tx, key: &Digest, by: AccountId, act: Act, now: Time) -> Result<Option<LinkCode>, Error> {
    // The account as it stands in this very transaction: an approval carries its rights version.
    let owner = accounts::hold(tx, by).await?.filter(|owner| owner.standing == Standing::Active);
    let Some(owner) = owner else { return Ok(None) };
    let done = match act {
        Act::Open => store::claim(tx, key, by, now).await?,
        Act::Approve => store::approve(tx, key, by, owner.ver, now).await?,
        Act::Refuse => store::refuse(tx, key, by, now).await?,
        Act::OpenAndApprove => {
            store::claim(tx, key, by, now).await? && store::approve(tx, key, by, owner.ver, now).await?
        }
    };
    let code = store::find_by_user(tx, key).await?;
    // Pressed twice: what this person approved stays approved.
    let approved_before = |code: &LinkCode| match code.state {
        State::Approved { by: who, .. } => who == by,
        State::Redeemed { by: who } => who == Some(by),
        State::Waiting { .. } | State::Refused => false,
    };
    Ok(code.filter(|code| done || matches!(act, Act::Approve) && approved_before(code)))
}

/// Looks at the device behind a code, for the person who will decide. From here on nobody else can.
pub async fn open(cx: &Cx, typed: &str) -> Result<LinkCode, DecideError> {
    decide(cx, decider(cx)?, typed, Act::Open).await
}

/// Lets the device in as the caller, who has looked at it.
pub async fn approve(cx: &Cx, typed: &str) -> Result<LinkCode, DecideError> {
    decide(cx, decider(cx)?, typed, Act::Approve).await
}

/// Turns the device away, by the caller who has looked at it.
pub async fn refuse(cx: &Cx, typed: &str) -> Result<LinkCode, DecideError> {
    decide(cx, decider(cx)?, typed, Act::Refuse).await
}

/// Lets the device in as `account`, whose owner, or the machine's, has just said so with the code in hand.
pub async fn approve_as(cx: &Cx, account: AccountId, typed: &str) -> Result<LinkCode, DecideError> {
    decide(cx, Decider::new(account, cx.request.address, cx.now), typed, Act::OpenAndApprove).await
}

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

/// Removes codes that are over.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let before = cx.now - REMEMBERED;
    cx.write("devices.sweep", async move |tx| store::sweep(tx, before, limit).await).await
}

/// Forgets every code, as after a restore: one may have been redeemed since the copy was made.
pub async fn begin_anew(cx: &Cx) -> Result<(), Error> {
    cx.write("devices.begin_anew", async move |tx| store::forget_all(tx).await).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_s_name_is_one_short_line_in_which_nothing_is_hidden() {
        assert_eq!(clean("  Living\nroom\u{202e} TV\u{200b}\u{0} "), "Livingroom TV");
        assert_eq!(clean(&"x".repeat(500)).len(), 60);
        assert_eq!(clean("Wohnzimmer é 電視"), "Wohnzimmer é 電視");
    }

    #[test]
    fn a_client_is_known_by_its_id() {
        for client in Client::ALL {
            assert_eq!(client.id().parse(), Ok(client));
        }
        assert_eq!("usher".parse::<Client>(), Err(()));
    }
}
