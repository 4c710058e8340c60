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
mod decide;
pub mod pages;
pub mod pin;
pub mod qr;
mod redeem;
mod store;

pub use decide::{DecideError, WRONG_CODES, approve, approve_as, open, refuse};
pub use redeem::{Linked, PollError, poll, poll_with};
pub use store::STATEMENTS;

use crate::cx::Cx;
use crate::id::{AccountId, LinkCodeId};
use crate::login::{self, throttle};
use crate::secret::{Digest, Kind as SecretKind, MacKey, Plain};
use crate::time::Time;
use code::{Alphabet, UserCode};
use std::str::FromStr;
use std::time::Duration;
use unicode_general_category::{GeneralCategory, get_general_category};
use usher_db::Error;

/// Codes made from one network within [`WINDOW`].
const CODES_OF_NETWORK: i64 = 60;
/// Codes that wait at once, from anywhere.
const MOST_LIVE: i64 = 2_000;
/// How long wrong and made codes are counted.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);
/// How long the row of a code that is over is kept, to tell a late poll what became of it.
const REMEMBERED: Duration = Duration::from_secs(3600);
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
