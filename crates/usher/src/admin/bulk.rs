//! One act on many accounts: each is a commit and an event of its own, so that one that is refused holds up no other.

use super::{AdminError, Change, change, groups, proven};
use crate::accounts::Buckets;
use crate::cx::Cx;
use crate::id::{AccountId, GroupId};
use std::collections::BTreeSet;

/// Accounts that one request names at most.
pub const MOST: usize = 200;

/// What is done to each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Shut out, with an end to everything it holds.
    Disable,
    /// Let in again.
    Enable,
    /// Put into a group.
    Join(GroupId),
    /// Taken out of a group.
    Leave(GroupId),
    /// Given these buckets of its own, and no others.
    Buckets(Buckets),
}

/// How it went.
#[derive(Debug, Default)]
pub struct Done {
    /// To how many it was done, or was so already.
    pub done: usize,
    /// Who was passed over, and why.
    pub refused: Vec<(AccountId, AdminError)>,
}

/// Does it to each of the accounts. What they refuse one by one is in the answer; what concerns all of them, a proof
/// that is too old or a database that does not answer, ends it.
pub async fn run(cx: &Cx, accounts: &BTreeSet<AccountId>, act: &Act) -> Result<Done, AdminError> {
    if *act == Act::Buckets(Buckets::Every) {
        proven(cx)?;
    }
    let mut all = Done::default();
    for id in accounts {
        match one(cx, *id, act).await {
            Ok(()) => all.done += 1,
            Err(error @ AdminError::Storage(_)) => return Err(error),
            Err(refused) => all.refused.push((*id, refused)),
        }
    }
    Ok(all)
}

async fn one(cx: &Cx, id: AccountId, act: &Act) -> Result<(), AdminError> {
    match act {
        Act::Disable => change(cx, id, Change { disabled: Some(true), ..Change::default() }).await,
        Act::Enable => change(cx, id, Change { disabled: Some(false), ..Change::default() }).await,
        Act::Buckets(buckets) => change(cx, id, Change { buckets: Some(buckets.clone()), ..Change::default() }).await,
        Act::Join(group) => groups::add_member(cx, *group, id).await,
        Act::Leave(group) => groups::remove_member(cx, *group, id).await,
    }
}
