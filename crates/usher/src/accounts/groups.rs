//! Groups: named sets of accounts that carry rights.
//!
//! What a group gives is part of what its members may do, so every change of a group raises the rights
//! version of everybody it concerns, in the commit that makes the change.

use super::{Buckets, Group, hold, raise, raise_members, store, username};
use crate::id::{AccountId, GroupId};
use crate::time::Time;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;
use usher_db::{Db, Error, Tx};

pub use store::groups::{find, is_member, list, members};

/// The longest name, in characters.
const LONGEST: usize = 64;

/// A name that a group may have. It stands in tokens and in lists, so it is plain text without commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName {
    display: String,
    key: String,
}

/// Why a group cannot have this name. Each is a sentence for the person who chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupNameError {
    /// Nothing, or nothing but spaces.
    #[error("Enter a name for the group.")]
    Empty,
    /// Longer than 64 characters.
    #[error("A group's name can be at most 64 characters long.")]
    TooLong,
    /// A character of no use in names.
    #[error("The name contains “{0}”, which cannot be used. Use letters, digits, spaces and - _ . & + ' ( ).")]
    Character(char),
}

impl GroupName {
    /// Reads a name as a person typed it. Spaces at the ends are left out, runs of them become one.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn parse(text: &str) -> Result<GroupName, GroupNameError> {
        if text.len() > 4 * LONGEST * 4 {
            return Err(GroupNameError::TooLong);
        }
        let normal: String = text.nfkc().collect();
        let display = normal.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        if display.is_empty() {
            return Err(GroupNameError::Empty);
        }
        if display.chars().count() > LONGEST {
            return Err(GroupNameError::TooLong);
        }
        if let Some(odd) = display.chars().find(|c| !c.is_alphanumeric() && !" -_.&+'()".contains(*c)) {
            return Err(GroupNameError::Character(odd));
        }
        let key = username::lookup_key(&display).ok_or(GroupNameError::TooLong)?;
        Ok(GroupName { display, key })
    }

    /// The form in which names are compared: two groups never have the same.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The name as its maker wrote it.
    pub fn display(&self) -> &str {
        &self.display
    }
}

/// Why a change of a group is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// There is no such group.
    #[error("there is no such group")]
    NotFound,
    /// There is no such account.
    #[error("there is no such account")]
    NoSuchAccount,
    /// Another group has this name, in some spelling.
    #[error("another group has this name")]
    NameTaken,
}

/// Makes a group. The name's uniqueness is decided by the insert itself.
pub async fn create(
    tx: &mut Tx,
    id: GroupId,
    name: &GroupName,
    buckets: &Buckets,
    now: Time,
) -> Result<Result<(), GroupError>, Error> {
    if !store::groups::insert(tx, id, &name.display, &name.key, now).await? {
        return Ok(Err(GroupError::NameTaken));
    }
    put_buckets(tx, id, buckets, now).await?;
    Ok(Ok(()))
}

/// Gives a group another name, which its members' tokens carry.
pub async fn rename(tx: &mut Tx, id: GroupId, name: &GroupName, now: Time) -> Result<Result<(), GroupError>, Error> {
    if store::groups::hold(tx, id).await?.is_none() {
        return Ok(Err(GroupError::NotFound));
    }
    if !store::groups::rename(tx, id, &name.display, &name.key).await? {
        return Ok(Err(GroupError::NameTaken));
    }
    raise_members(tx, id, now).await?;
    Ok(Ok(()))
}

/// Replaces the buckets that a group opens.
pub async fn set_buckets(
    tx: &mut Tx,
    id: GroupId,
    buckets: &Buckets,
    now: Time,
) -> Result<Result<(), GroupError>, Error> {
    if store::groups::hold(tx, id).await?.is_none() {
        return Ok(Err(GroupError::NotFound));
    }
    put_buckets(tx, id, buckets, now).await?;
    raise_members(tx, id, now).await?;
    Ok(Ok(()))
}

async fn put_buckets(tx: &mut Tx, id: GroupId, buckets: &Buckets, now: Time) -> Result<(), Error> {
    let every = (*buckets == Buckets::Every).then_some(now);
    store::groups::set_every_bucket(tx, id, every).await?;
    let holder = id.to_string();
    store::clear_buckets(tx, &holder).await?;
    if let Buckets::Named(names) = buckets {
        for name in names {
            store::add_bucket(tx, &holder, name).await?;
        }
    }
    Ok(())
}

/// Removes a group. Its members stay, without what it gave them. Returns its name.
pub async fn delete(tx: &mut Tx, id: GroupId, now: Time) -> Result<Result<String, GroupError>, Error> {
    let Some(group) = store::groups::hold(tx, id).await? else { return Ok(Err(GroupError::NotFound)) };
    // While there still are members to tell.
    raise_members(tx, id, now).await?;
    store::groups::delete(tx, id).await?;
    store::clear_buckets(tx, &id.to_string()).await?;
    store::demand_factor(tx, &id.to_string(), None).await?;
    Ok(Ok(group.name))
}

/// Demands a second factor of a group's members, or demands it no more. `false` when it was so.
pub async fn demand_factor(
    tx: &mut Tx,
    id: GroupId,
    demanded: bool,
    now: Time,
) -> Result<Result<bool, GroupError>, Error> {
    if store::groups::hold(tx, id).await?.is_none() {
        return Ok(Err(GroupError::NotFound));
    }
    let changed = store::demand_factor(tx, &id.to_string(), demanded.then_some(now)).await?;
    if changed {
        raise_members(tx, id, now).await?;
    }
    Ok(Ok(changed))
}

/// Puts an account into a group. `false` when it was in it already.
pub async fn add_member(
    tx: &mut Tx,
    id: GroupId,
    account: AccountId,
    now: Time,
) -> Result<Result<bool, GroupError>, Error> {
    if store::groups::hold(tx, id).await?.is_none() {
        return Ok(Err(GroupError::NotFound));
    }
    if hold(tx, account).await?.is_none() {
        return Ok(Err(GroupError::NoSuchAccount));
    }
    let added = store::groups::add_member(tx, id, account).await?;
    if added {
        raise(tx, account, now).await?;
    }
    Ok(Ok(added))
}

/// Takes an account out of a group. `false` when it was not in it.
pub async fn remove_member(tx: &mut Tx, id: GroupId, account: AccountId, now: Time) -> Result<bool, Error> {
    let removed = store::groups::remove_member(tx, id, account).await?;
    if removed {
        raise(tx, account, now).await?;
    }
    Ok(removed)
}

/// Whether each of these groups exists. They stay until this transaction ends.
pub async fn hold_all(tx: &mut Tx, groups: &BTreeSet<GroupId>) -> Result<bool, Error> {
    for group in groups {
        if store::groups::hold(tx, *group).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes `wanted` the groups of an account. `false` when they were already.
pub async fn set_groups(
    tx: &mut Tx,
    account: AccountId,
    wanted: &BTreeSet<GroupId>,
    now: Time,
) -> Result<Result<bool, GroupError>, Error> {
    let had: BTreeSet<GroupId> = store::groups::ids_of(tx, account).await?.into_iter().collect();
    for gone in had.difference(wanted) {
        remove_member(tx, *gone, account, now).await?;
    }
    for new in wanted.difference(&had) {
        if let Err(error) = add_member(tx, *new, account, now).await? {
            return Ok(Err(error));
        }
    }
    Ok(Ok(had != *wanted))
}

/// A group with what it gives and demands, as one transaction sees it.
pub struct State {
    /// The group.
    pub group: Group,
    /// The buckets that it opens.
    pub buckets: Buckets,
    /// Whether its members must have a second factor.
    pub factor_demanded: bool,
}

/// How the group with this id stands. `None` when there is none.
pub async fn state(tx: &mut Tx, id: GroupId) -> Result<Option<State>, Error> {
    match store::groups::find_in(tx, id).await? {
        Some(group) => state_of(tx, group).await.map(Some),
        None => Ok(None),
    }
}

/// How the group of this name stands. `None` when there is none.
pub async fn state_by_name(tx: &mut Tx, name: &GroupName) -> Result<Option<State>, Error> {
    match store::groups::find_by_key_in(tx, &name.key).await? {
        Some(group) => state_of(tx, group).await.map(Some),
        None => Ok(None),
    }
}

async fn state_of(tx: &mut Tx, group: Group) -> Result<State, Error> {
    let holder = group.id.to_string();
    let buckets =
        if group.every_bucket { Buckets::Every } else { Buckets::from_names(store::buckets_held(tx, &holder).await?) };
    let factor_demanded = store::factor_demanded_in(tx, &holder).await?.is_some();
    Ok(State { group, buckets, factor_demanded })
}

/// The group with this name, in any spelling.
pub async fn find_by_name(db: &Db, name: &str) -> Result<Option<Group>, Error> {
    match GroupName::parse(name) {
        Ok(name) => store::groups::find_by_key(db, &name.key).await,
        Err(_) => Ok(None),
    }
}

/// The buckets that the group itself opens.
pub async fn buckets_of(db: &Db, group: &Group) -> Result<Buckets, Error> {
    if group.every_bucket {
        return Ok(Buckets::Every);
    }
    Ok(Buckets::from_names(store::buckets_of(db, &group.id.to_string()).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_are_one_name() {
        let one = GroupName::parse(" The  Family ").map(|name| (name.display, name.key));
        assert_eq!(one, Ok(("The Family".to_owned(), "the family".to_owned())));
        assert_eq!(GroupName::parse("THE FAMILY").map(|name| name.key), Ok("the family".to_owned()));
    }

    #[test]
    fn a_name_cannot_look_like_a_list_or_like_nothing() {
        assert_eq!(GroupName::parse("   "), Err(GroupNameError::Empty));
        assert_eq!(GroupName::parse("a,b"), Err(GroupNameError::Character(',')));
        assert_eq!(GroupName::parse("a\u{200b}b"), Err(GroupNameError::Character('\u{200b}')));
        assert_eq!(GroupName::parse(&"x".repeat(65)), Err(GroupNameError::TooLong));
    }
}
