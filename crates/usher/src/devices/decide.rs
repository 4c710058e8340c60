//! A person's part: looking at a device and letting it in, or not. Every code that is typed is counted before it is
//! looked at.

use super::code::UserCode;
use super::{LinkCode, State, WINDOW, store, this_window, user_key};
use crate::accounts::{self, Standing};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::id::AccountId;
use crate::login::throttle;
use crate::secret::Digest;
use crate::time::Time;
use std::net::IpAddr;
use std::time::Duration;
use usher_db::{Error, Tx};

/// Wrong codes of one account or one address within [`WINDOW`]; the next one is not looked at.
pub const WRONG_CODES: i64 = 5;
/// Wrong codes of everybody together within [`WINDOW`].
const WRONG_CODES_OF_ALL: i64 = 1_000;

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
