//! Slowing down guesses.
//!
//! Failures are counted per account (all spellings are one counter), per address and per network. An
//! account under guessing is refused for a growing time. An address with many failures is not refused but
//! paced: a right password from it still gets in, a little later, because a school or a mobile network
//! sits behind one address. Live sessions are not touched by any of this, and a device that is known to the account is
//! judged by its own failures alone: guesses from elsewhere do not keep an account's owner out.

use super::links::LinkError;
use super::store::{self, Failures};
use super::{LoginError, SignupError};
use crate::audit::Entry;
use crate::config::Throttle;
use crate::cx::Cx;
use crate::id::AccountId;
use crate::secret::Digest;
use crate::sessions::known::Device;
use crate::time::Time;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use usher_db::{Error, Tx};

/// How long an attempt waits that comes from an address with many failures.
const PACE: Duration = Duration::from_secs(1);

/// What the failures of one attempt are counted under.
#[derive(Clone, Debug)]
pub struct Subjects {
    /// The account's name, digested: the table must not become a list of mistyped passwords.
    pub account: String,
    /// The client's address.
    pub address: String,
    /// The network it is in.
    pub network: String,
}

impl Subjects {
    /// The subjects of an attempt for `name` from `address`.
    pub fn of(name: &str, address: IpAddr) -> Subjects {
        Subjects {
            account: Subjects::account_of(name),
            address: format!("address:{address}"),
            network: format!("network:{}", crate::net::network_of(address)),
        }
    }

    /// The subjects of a second proof for an account that is known. Its failures are counted apart from those of the
    /// password, and a right password takes none of them away.
    pub fn of_factor(account: AccountId, address: IpAddr) -> Subjects {
        Subjects { account: Subjects::factor_of(account), ..Subjects::of("", address) }
    }

    fn factor_of(account: AccountId) -> String {
        format!("factor:{account}")
    }

    fn account_of(name: &str) -> String {
        format!("account:{}", Digest::of(name.as_bytes()))
    }
}

/// Attempts that are being judged right now, per account: without this, a burst that arrives together
/// would all pass the check before the first of them is counted.
#[derive(Default)]
pub struct InFlight(Mutex<HashMap<String, u32>>);

impl InFlight {
    /// Takes a place for `account`, and says how many were taken before.
    fn enter(places: &Arc<InFlight>, account: &str) -> (Ticket, u32) {
        let mut held = places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(account.to_owned()).or_insert(0);
        let before = *count;
        *count += 1;
        (Ticket { places: places.clone(), account: account.to_owned(), device: None }, before)
    }
}

/// Holds an attempt's place until it was judged and counted.
pub struct Ticket {
    places: Arc<InFlight>,
    account: String,
    device: Option<Device>,
}

impl Ticket {
    /// The device that is known to the account, when the attempt is made at one.
    pub fn device(&self) -> Option<Device> {
        self.device
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut places = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = places.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                places.remove(&self.account);
            }
        }
    }
}

/// As long as a password is refused that was guessed at too often: until it is reset or an admin forgives, which takes
/// the count away (NIST SP 800-63B-4 section 3.2.2). A count that began anew after a day would allow a hundred
/// guesses each day, for ever.
const UNTIL_RESET: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// The longest wait that is told. Whoever must wait for a reset may as well look again tomorrow.
const LONGEST_TOLD: Duration = Duration::from_secs(24 * 3600);

/// How long an account is refused after its `failures`-th failure in a row. Zero for the first few.
fn penalty(failures: i64, rules: &Throttle) -> Duration {
    if failures >= i64::from(rules.max_failures) {
        return UNTIL_RESET;
    }
    let over = failures - i64::from(rules.free_attempts);
    if over < 0 {
        return Duration::ZERO;
    }
    let doublings = u32::try_from(over.min(20)).unwrap_or(20);
    rules.first_delay.saturating_mul(1 << doublings).min(rules.longest_delay)
}

/// Whether somebody with so many failures, and so many attempts that are being judged already, may try once more.
fn may_try(cx: &Cx, failures: i64, blocked_until: Time, before: u32) -> Result<(), LoginError> {
    if cx.now < blocked_until {
        cx.because(format_args!("{failures} wrong passwords in a row; refused until {}", blocked_until.rfc3339()));
        return Err(LoginError::RateLimited(blocked_until.since(cx.now).min(LONGEST_TOLD)));
    }
    let places = i64::from(cx.app.config.throttle.free_attempts).saturating_sub(failures).max(1);
    if i64::from(before) >= places {
        cx.because(format_args!("{before} attempts at once, of which {places} are judged"));
        return Err(LoginError::RateLimited(Duration::from_secs(1)));
    }
    Ok(())
}

/// Lets an attempt begin: at once, after a pause, or not at all for now. `account` is whose password is tried, if it is
/// anybody's.
pub async fn admit(cx: &Cx, subjects: &Subjects, account: Option<AccountId>) -> Result<Ticket, LoginError> {
    let rules = &cx.app.config.throttle;
    if let (Some(shown), Some(account)) = (&cx.request.device, account) {
        let device = Device::of(account, shown);
        let (mut ticket, before) = InFlight::enter(&cx.app.attempts, &device.subject());
        if let Some(tries) = device.tries(&cx.app.db, cx.now).await? {
            may_try(cx, tries.failures, tries.blocked_until, before)?;
            ticket.device = Some(device);
            return Ok(ticket);
        }
    }
    // The place is taken before the failures are read: an attempt that leaves its place has been counted by then,
    // so that whoever comes later sees it in one or the other.
    let (ticket, before) = InFlight::enter(&cx.app.attempts, &subjects.account);
    let (failures, blocked_until) = store::failures(&cx.app.db, &subjects.account)
        .await?
        .map_or((0, Time(0)), |known| (known.failures, known.blocked_until));
    may_try(cx, failures, blocked_until, before)?;
    let mut pause = Duration::ZERO;
    for (subject, free) in [(&subjects.address, rules.per_address), (&subjects.network, rules.per_network)] {
        if let Some(known) = store::failures(&cx.app.db, subject).await?
            && known.last_at + rules.window > cx.now
            && known.failures >= i64::from(free)
        {
            pause = PACE;
        }
    }
    if pause > Duration::ZERO {
        tokio::time::sleep(pause).await;
    }
    Ok(ticket)
}

/// Counts a failure under all its subjects, and tells of it. Returns how long the account is refused from now on, if
/// it is.
///
/// What is guessed at names that nobody has (`known` is false), from where much was guessed already, is told by the
/// log alone: events are kept for a year, and a stranger must not be able to fill the disk with them. Guesses at an
/// account are few by themselves, and are always told.
///
/// What is tried at a known device is its own, and takes nothing away from the tries of the others.
pub async fn count_failure(
    cx: &Cx,
    subjects: &Subjects,
    device: Option<Device>,
    entry: Entry,
    known: bool,
) -> Result<Option<Duration>, Error> {
    let rules = cx.app.config.throttle;
    let (subjects, now) = (subjects.clone(), cx.now);
    cx.write("login.count_failure", async move |tx| {
        let forget_before = now - rules.window;
        let mut crowded = false;
        for (subject, most) in [(&subjects.address, rules.per_address), (&subjects.network, rules.per_network)] {
            crowded |= store::count(tx, subject, now, forget_before).await? > i64::from(most);
        }
        let at_device = match &device {
            Some(device) => device.failed(tx).await?,
            None => None,
        };
        let failures = match at_device {
            Some(failures) => failures,
            // The failures of an account are forgotten by its own success, or after a long quiet; never sooner.
            None => store::count(tx, &subjects.account, now, now - rules.forget_after).await?,
        };
        let wait = penalty(failures, &rules);
        if wait > Duration::ZERO {
            match &device {
                Some(device) if at_device.is_some() => device.block(tx, now + wait).await?,
                _ => store::block(tx, &subjects.account, now + wait).await?,
            }
        }
        if known || !crowded {
            entry.record(tx).await?;
        }
        Ok((wait > Duration::ZERO).then_some(wait.min(LONGEST_TOLD)))
    })
    .await
}

/// Counts a sign-up, and refuses when this address made too many.
pub async fn count_signup(cx: &Cx) -> Result<(), SignupError> {
    let rules = cx.app.config.throttle;
    let (subject, now) = (format!("signup:{}", crate::net::network_of(cx.request.address)), cx.now);
    let made = cx
        .write("login.count_signup", async move |tx| store::count(tx, &subject, now, now - rules.window).await)
        .await?;
    if made > i64::from(rules.signups_per_address) { Err(SignupError::RateLimited(rules.window)) } else { Ok(()) }
}

/// Counts one more of what `subject` names, and says how many that makes within `window`. Counted before it is judged:
/// the row is held until the commit, so that of many at once each has a number of its own.
pub async fn count_one(tx: &mut Tx, subject: &str, window: Duration, now: Time) -> Result<i64, Error> {
    store::count(tx, subject, now, now - window).await
}

/// Takes one back that [`count_one`] counted.
pub async fn uncount_one(tx: &mut Tx, subject: &str) -> Result<(), Error> {
    store::uncount(tx, subject).await
}

/// Counts an attempt with an invitation, and refuses too many. A name that is taken is told, so that another can be
/// chosen, and does not spend the link: without a bound, whoever was invited could ask for every name there is.
pub async fn count_invited(cx: &Cx, link: &Digest) -> Result<(), LinkError> {
    let rules = cx.app.config.throttle;
    let (subject, now) = (format!("invite:{link}"), cx.now);
    let tried = cx
        .write("login.count_invited", async move |tx| store::count(tx, &subject, now, now - rules.window).await)
        .await?;
    if tried > i64::from(rules.signups_per_address) { Err(LinkError::RateLimited(rules.window)) } else { Ok(()) }
}

/// Counts a request for a new password against the caller's network, whoever it is for.
pub async fn count_reset(cx: &Cx) -> Result<(), LoginError> {
    let rules = cx.app.config.throttle;
    let (subject, now) = (format!("reset:{}", crate::net::network_of(cx.request.address)), cx.now);
    let asked = cx
        .write("login.count_reset", async move |tx| store::count(tx, &subject, now, now - rules.window).await)
        .await?;
    if asked > i64::from(rules.signups_per_address) { Err(LoginError::RateLimited(rules.window)) } else { Ok(()) }
}

/// What was guessed at an account of late, for admins; `None` when nothing was.
pub async fn guessed(cx: &Cx, username: &str) -> Result<Option<Failures>, Error> {
    let key = crate::accounts::username::lookup_key(username).unwrap_or_default();
    store::failures(&cx.app.db, &Subjects::account_of(&key)).await
}

impl Failures {
    /// Whether the password is refused until it is reset or an admin forgives.
    pub fn until_reset(&self, now: Time) -> bool {
        self.blocked_until > now + UNTIL_RESET / 2
    }
}

/// Forgets the failures of an account, by an admin's word: its owner may try again at once.
pub async fn forgive(tx: &mut Tx, account: AccountId, username: &str) -> Result<(), Error> {
    let key = crate::accounts::username::lookup_key(username).unwrap_or_default();
    crate::sessions::known::forgive(tx, account).await?;
    store::forget_failures(tx, &Subjects::account_of(&key)).await
}

/// Forgets the wrong passcodes of an account, with the factor they were guessed at.
pub async fn forgive_factor(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    store::forget_failures(tx, &Subjects::factor_of(account)).await
}

/// Forgets failures that no longer count.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let before: Time = cx.now - cx.app.config.throttle.forget_after;
    cx.write("login.sweep_failures", async move |tx| store::sweep(tx, before, limit).await).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failures_are_free_then_the_wait_doubles_up_to_its_longest() {
        let rules = Throttle::default();
        let wait = |failures| penalty(failures, &rules).as_secs();
        assert_eq!([1, 4, 5, 6, 7, 14, 15, 99].map(wait), [0, 0, 1, 2, 4, 512, 900, 900]);
        assert_eq!((penalty(100, &rules), penalty(101, &rules)), (UNTIL_RESET, UNTIL_RESET));
    }

    #[test]
    fn names_are_counted_by_digest() {
        let subjects = Subjects::of("hunter2", IpAddr::from([192, 0, 2, 1]));
        assert!(!format!("{subjects:?}").contains("hunter2"));
    }
}
