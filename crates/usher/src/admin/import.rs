//! Taking over accounts from another system.
//!
//! Promises: a row becomes a whole account or none, with its event, in one commit; a row whose name is an account
//! already changes nothing, so that an import that was cut off is run again as it is; a trial does all of it and keeps
//! none of it.

use super::AdminError;
use crate::accounts::import::{Candidate, Fit, Proof, judge};
use crate::accounts::profile::{self, ProfileError};
use crate::accounts::{self, Buckets, CreateError, NewAccount, Role, Standing};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, GroupId};
use crate::login::factors::Adopted;
use crate::login::totp::Otpauth;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use usher_db::{Error, Tx};
use zeroize::Zeroizing;

/// How often a password that must be hashed waits for its turn behind logins.
const TURNS: u32 = 100;

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", content = "message", rename_all = "snake_case")]
pub enum Taken {
    /// An account was made, or would be if this were no trial.
    Made,
    /// There is an account of this name, which stays as it is.
    There,
    /// It cannot be made, for this reason.
    Refused(String),
}

/// Makes an account of a row. `from` says in the audit log where it came from.
///
/// # Errors
/// When the database does not do it, or no turn at hashing came: nothing of this row was kept.
pub async fn take(cx: &Cx, candidate: Candidate, from: &str, trial: bool) -> Result<Taken, AdminError> {
    let Fit { username, proof, email, display_name } = match judge(&candidate) {
        Ok(fit) => fit,
        Err(unfit) => return Ok(Taken::Refused(unfit.to_string())),
    };
    let otpauth = match candidate.otpauth.as_str() {
        "" => None,
        text => match Otpauth::parse(text) {
            Ok(told) => Some(told),
            Err(error) => return Ok(Taken::Refused(format!("its passcode cannot be taken over: {error}"))),
        },
    };
    // Asked before the work of hashing; the insert decides again.
    if accounts::find_by_key(&cx.app.db, username.key()).await?.is_some() {
        return Ok(Taken::There);
    }
    let mut groups = BTreeSet::new();
    for name in &candidate.groups {
        match accounts::groups::find_by_name(&cx.app.db, name).await? {
            Some(group) => drop(groups.insert(group.id)),
            None => return Ok(Taken::Refused(format!("there is no group called {name}; make it first"))),
        }
    }
    let password = match proof {
        Proof::None => None,
        Proof::Hash(text) => Some(text.to_string()),
        Proof::Plain(_) if trial => None,
        Proof::Plain(text) => Some(hashed(cx, text).await?),
    };
    let id = AccountId::new(cx.now, &cx.app.rng);
    let factor = match otpauth.map(|told| Adopted::new(cx, id, &told)).transpose() {
        Ok(factor) => factor,
        Err(error) => return Ok(Taken::Refused(error.to_string())),
    };
    let buckets = Buckets::from_names(candidate.buckets.iter().cloned());
    let key = username.key().to_owned();
    let entry = Entry::new(cx, Event::AccountCreated, Outcome::Done)
        .of(id)
        .target(username.display())
        .detail(format!("imported from {from}"));
    // Not an admin yet: one that is shut out at once would be counted as one that must not be.
    let row = NewAccount { id, username, password, role: Role::User, buckets, must_change: false };
    let facts = Facts {
        change: profile::Change { display_name: Some(display_name), email: Some(email) },
        verified: candidate.verified,
        disabled: candidate.disabled,
        admin: candidate.admin,
        groups,
        factor,
    };
    let now = cx.now;
    let taken = cx
        .write("admin.import", async move |tx| {
            if let Err(CreateError::UsernameTaken) = accounts::create(tx, &row, now).await? {
                return Ok(None);
            }
            if let Err(why) = facts.put(tx, id, now).await? {
                return Ok(tx.undo(Some(Taken::Refused(why))));
            }
            entry.record(tx).await?;
            Ok(if trial { tx.undo(Some(Taken::Made)) } else { Some(Taken::Made) })
        })
        .await?;
    Ok(match taken {
        Some(taken) => taken,
        None if accounts::find_by_key(&cx.app.db, &key).await?.is_some() => Taken::There,
        None => Taken::Refused("the name could be mistaken for the one of an account that exists".to_owned()),
    })
}

/// The hash of a password that came as it is. Logins go first.
async fn hashed(cx: &Cx, password: Zeroizing<String>) -> Result<String, AdminError> {
    let mut turn = 0;
    loop {
        match cx.app.hasher.hash(password.clone()).await {
            Ok(encoded) => return Ok(encoded),
            Err(busy) if turn == TURNS => return Err(AdminError::Busy(busy.retry_after)),
            Err(busy) => tokio::time::sleep(busy.retry_after).await,
        }
        turn += 1;
    }
}

/// What an account is besides its name and password.
struct Facts {
    change: profile::Change,
    verified: bool,
    disabled: bool,
    admin: bool,
    groups: BTreeSet<GroupId>,
    factor: Option<Adopted>,
}

impl Facts {
    /// Writes them for the account that this transaction made; `Err` is a sentence for whoever imports.
    async fn put(&self, tx: &mut Tx, id: AccountId, now: Time) -> Result<Result<(), String>, Error> {
        if let Err(error) = profile::change(tx, id, &self.change, now).await? {
            let why = match error {
                ProfileError::EmailTaken => "another account has its email address".to_owned(),
                other => other.to_string(),
            };
            return Ok(Err(why));
        }
        if let (true, Some(Some(email))) = (self.verified, &self.change.email) {
            profile::prove_email(tx, id, email, now).await?;
        }
        if let Err(error) = accounts::groups::set_groups(tx, id, &self.groups, now).await? {
            return Ok(Err(error.to_string()));
        }
        if let Some(factor) = &self.factor {
            factor.put(tx, now).await?;
        }
        let shut = Standing::Disabled { at: now };
        if self.disabled
            && let Err(error) = accounts::set_standing(tx, id, shut, now).await?
        {
            return Ok(Err(error.to_string()));
        }
        if self.admin
            && let Err(error) = accounts::set_role(tx, id, Role::Admin, now).await?
        {
            return Ok(Err(error.to_string()));
        }
        Ok(Ok(()))
    }
}
