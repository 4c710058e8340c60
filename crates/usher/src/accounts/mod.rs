//! Accounts: who exists, what they may do, and what they prove it with.
//!
//! Promises: a name, in all its spellings and look-alikes, belongs to one account (`username.rs`);
//! a password is kept only as a slow hash (`hash.rs`); every change of what an account may do raises
//! its rights version, and nothing that carries an older version is admitted; there is always an
//! admin who can still log in.
//! Refuses: deciding from memory. Rights are read from the row or from the copy of it that carries
//! the same version, and a change is one guarded statement.

pub mod api;
pub mod groups;
pub mod hash;
pub mod hasher;
pub mod hot;
pub mod import;
pub mod pages;
pub mod policy;
pub mod profile;
mod store;
pub mod username;

pub use store::groups::STATEMENTS as GROUP_STATEMENTS;
pub use store::{
    Credential, STATEMENTS, buckets_of, demand_factor, entered, factor_demanded, find, find_by_email, find_by_key,
    find_by_key_in, find_credential, find_credential_of, find_in, groups_of, key_of, linked, list, logged_in, rehash,
    set_display_name,
};

use crate::id::{AccountId, GroupId};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use username::Username;
use usher_db::{Error, Tx};

/// What an account may administer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May use what it was given.
    User,
    /// May also manage accounts, groups, sessions and keys.
    Admin,
}

impl Role {
    /// The word in tables, tokens and answers.
    pub fn word(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The word names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role `{0}`; the roles are `user` and `admin`")]
pub struct NoSuchRole(String);

impl FromStr for Role {
    type Err = NoSuchRole;
    fn from_str(word: &str) -> Result<Role, NoSuchRole> {
        match word {
            "user" => Ok(Role::User),
            "admin" => Ok(Role::Admin),
            other => Err(NoSuchRole(other.to_owned())),
        }
    }
}

/// Which buckets an account or a group may open. Nobody has any until given some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Buckets {
    /// None at all.
    #[default]
    None,
    /// These, by name.
    Named(BTreeSet<String>),
    /// Every bucket there is and will be.
    Every,
}

impl Buckets {
    /// The right to these names; no names is no bucket, and the name `all` is every bucket.
    pub fn from_names<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Buckets {
        let names: BTreeSet<String> =
            names.into_iter().map(Into::into).filter(|name: &String| !name.is_empty()).collect();
        if names.contains("all") {
            Buckets::Every
        } else if names.is_empty() {
            Buckets::None
        } else {
            Buckets::Named(names)
        }
    }

    /// Whether `bucket` may be opened.
    pub fn contains(&self, bucket: &str) -> bool {
        match self {
            Buckets::None => false,
            Buckets::Named(names) => names.contains(bucket),
            Buckets::Every => true,
        }
    }

    /// What both give together: an account's own rights and those of its groups add up.
    pub fn union(self, other: Buckets) -> Buckets {
        match (self, other) {
            (Buckets::Every, _) | (_, Buckets::Every) => Buckets::Every,
            (Buckets::None, one) | (one, Buckets::None) => one,
            (Buckets::Named(mut names), Buckets::Named(more)) => {
                names.extend(more);
                Buckets::Named(names)
            }
        }
    }

    /// The names, with `all` for every bucket: the inverse of [`Buckets::from_names`].
    pub fn names(&self) -> Vec<String> {
        match self {
            Buckets::None => Vec::new(),
            Buckets::Named(names) => names.iter().cloned().collect(),
            Buckets::Every => vec!["all".to_owned()],
        }
    }
}

/// Whether an account can be used, with the fact that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can log in.
    Active,
    /// An admin shut it out at this instant; everything it had is ended.
    Disabled {
        /// Since when.
        at: Time,
    },
}

/// An account as its row tells it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The id, never reused.
    pub id: AccountId,
    /// The name as its owner spells it.
    pub username: String,
    /// Where mail would go.
    pub email: Option<String>,
    /// How pages address its owner.
    pub display_name: Option<String>,
    /// What it may administer.
    pub role: Role,
    /// Whether it can be used.
    pub standing: Standing,
    /// Since when the address is proven to be its owner's.
    pub verified_at: Option<Time>,
    /// Since when a new password is demanded at the next login.
    pub must_change_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// The last login that succeeded.
    pub last_login_at: Option<Time>,
    /// Its own bucket rights, without those of its groups.
    pub every_bucket: bool,
    /// Rises with every change of what the account may do.
    pub ver: i64,
}

/// A set of accounts that carries rights.
#[derive(Clone, Debug)]
pub struct Group {
    /// The id.
    pub id: GroupId,
    /// The name, which appears in the `groups` claim.
    pub name: String,
    /// When it was made.
    pub created_at: Time,
    /// Whether it gives every bucket.
    pub every_bucket: bool,
}

/// What an account may do right now: the part of its rows that every request needs.
#[derive(Clone, Debug)]
pub struct Rights {
    /// Whose they are.
    pub account: AccountId,
    /// The name, for pages, claims and logs.
    pub username: String,
    /// The role.
    pub role: Role,
    /// The names of its groups, sorted.
    pub groups: Vec<String>,
    /// Own buckets and those of the groups.
    pub buckets: Buckets,
    /// Whether it can be used.
    pub standing: Standing,
    /// Whether its address is proven.
    pub verified: bool,
    /// Whether a new password is demanded first.
    pub must_change: bool,
    /// Whether it has a second factor.
    pub has_factor: bool,
    /// Whether the account itself or one of its groups must have a second factor; its role may demand it too.
    pub factor_demanded: bool,
    /// The version of these rights.
    pub ver: i64,
}

impl Rights {
    /// Whether the account is shut out.
    pub fn disabled(&self) -> bool {
        matches!(self.standing, Standing::Disabled { .. })
    }

    /// Whether the account may manage others.
    pub fn admin(&self) -> bool {
        self.role == Role::Admin
    }
}

/// An account that is about to exist. Everything in it was decided, drawn and hashed beforehand.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// A fresh id.
    pub id: AccountId,
    /// The name.
    pub username: Username,
    /// The hash of its password, when it has one.
    pub password: Option<String>,
    /// The role.
    pub role: Role,
    /// Its own buckets.
    pub buckets: Buckets,
    /// Whether the first login must choose a new password.
    pub must_change: bool,
}

/// Why an account cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The name, or one that looks like it, belongs to somebody.
    #[error("this username is taken, or too much like one that is")]
    UsernameTaken,
}

/// Why a change of an account is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such account.
    #[error("there is no such account")]
    NotFound,
    /// It would leave nobody who can manage accounts.
    #[error("this is the last admin who can log in; make another admin first")]
    LastAdmin,
}

/// Makes an account within a transaction. The name's uniqueness is decided by the insert itself.
pub async fn create(tx: &mut Tx, new: &NewAccount, now: Time) -> Result<Result<(), CreateError>, Error> {
    if !store::insert(tx, new, now).await? {
        return Ok(Err(CreateError::UsernameTaken));
    }
    if let Some(encoded) = &new.password {
        store::insert_password(tx, new.id, encoded, now).await?;
    }
    set_own_buckets(tx, new.id, &new.buckets, now).await?;
    Ok(Ok(()))
}

/// Whether an admin who can log in exists. While none does, the setup link is offered.
pub async fn has_admin(tx: &mut Tx) -> Result<bool, Error> {
    Ok(store::count_usable_admins(tx).await? > 0)
}

/// Takes the guard row of the last-admin rule, which closes the race of two admins demoting each other.
/// Returns whether there is an admin to keep.
async fn guard_admins(tx: &mut Tx) -> Result<bool, Error> {
    store::take_guard(tx, "admins").await?;
    has_admin(tx).await
}

/// Gives `role`, unless that would leave no admin.
pub async fn set_role(tx: &mut Tx, id: AccountId, role: Role, now: Time) -> Result<Result<(), ChangeError>, Error> {
    let guarded = guard_admins(tx).await?;
    if !store::set_role(tx, id, role).await? {
        return Ok(Err(ChangeError::NotFound));
    }
    if guarded && !has_admin(tx).await? {
        return Ok(tx.undo(Err(ChangeError::LastAdmin)));
    }
    raise(tx, id, now).await?;
    Ok(Ok(()))
}

/// Shuts an account out, or lets it in again. Ending its sessions is the caller's next step in the same transaction.
pub async fn set_standing(
    tx: &mut Tx,
    id: AccountId,
    standing: Standing,
    now: Time,
) -> Result<Result<(), ChangeError>, Error> {
    let guarded = guard_admins(tx).await?;
    if !store::set_standing(tx, id, standing).await? {
        return Ok(Err(ChangeError::NotFound));
    }
    if guarded && !has_admin(tx).await? {
        return Ok(tx.undo(Err(ChangeError::LastAdmin)));
    }
    raise(tx, id, now).await?;
    Ok(Ok(()))
}

/// Takes the rule of the last admin for this transaction: whoever changes roles and standings waits for its end.
///
/// For acts that touch other rows before they come to the admins; taken first by everybody, it cannot deadlock.
pub async fn hold_admins(tx: &mut Tx) -> Result<(), Error> {
    store::take_guard(tx, "admins").await
}

/// The account as it stands, locked until this transaction ends: a rule over what it owns (how many tokens,
/// how much data) is decided by one transaction after the other.
pub async fn hold(tx: &mut Tx, id: AccountId) -> Result<Option<Account>, Error> {
    store::hold(tx, id).await
}

/// The account's own buckets as they stand in this transaction.
pub async fn own_buckets(tx: &mut Tx, account: &Account) -> Result<Buckets, Error> {
    if account.every_bucket {
        return Ok(Buckets::Every);
    }
    Ok(Buckets::from_names(store::buckets_held(tx, &account.id.to_string()).await?))
}

/// Removes an account and, by the tables' own rules, everything that belongs to it.
pub async fn delete(tx: &mut Tx, id: AccountId, now: Time) -> Result<Result<(), ChangeError>, Error> {
    let guarded = guard_admins(tx).await?;
    let Some(ver) = store::delete(tx, id).await? else {
        return Ok(Err(ChangeError::NotFound));
    };
    if guarded && !has_admin(tx).await? {
        return Ok(tx.undo(Err(ChangeError::LastAdmin)));
    }
    store::clear_buckets(tx, &id.to_string()).await?;
    store::demand_factor(tx, &id.to_string(), None).await?;
    hot::announce(tx, id, ver + 1, now);
    Ok(Ok(()))
}

/// Replaces an account's own buckets.
pub async fn set_buckets(
    tx: &mut Tx,
    id: AccountId,
    buckets: &Buckets,
    now: Time,
) -> Result<Result<(), ChangeError>, Error> {
    if !set_own_buckets(tx, id, buckets, now).await? {
        return Ok(Err(ChangeError::NotFound));
    }
    raise(tx, id, now).await?;
    Ok(Ok(()))
}

async fn set_own_buckets(tx: &mut Tx, id: AccountId, buckets: &Buckets, now: Time) -> Result<bool, Error> {
    let every = (*buckets == Buckets::Every).then_some(now);
    if !store::set_every_bucket(tx, id, every).await? {
        return Ok(false);
    }
    let holder = id.to_string();
    store::clear_buckets(tx, &holder).await?;
    if let Buckets::Named(names) = buckets {
        for name in names {
            store::add_bucket(tx, &holder, name).await?;
        }
    }
    Ok(true)
}

/// Replaces the password, whoever asked for it. Outstanding logins that hashed against the old one fail.
pub async fn set_password(
    tx: &mut Tx,
    id: AccountId,
    encoded: &str,
    must_change: bool,
    now: Time,
) -> Result<Result<(), ChangeError>, Error> {
    if !store::set_must_change(tx, id, must_change.then_some(now)).await? {
        return Ok(Err(ChangeError::NotFound));
    }
    store::put_password(tx, id, encoded, now).await?;
    raise(tx, id, now).await?;
    Ok(Ok(()))
}

/// Replaces the password by its owner, if the one that was proven (`version`) is still the password.
/// `false` when it is not: of several who change it at once, one does.
pub async fn replace_password(
    tx: &mut Tx,
    id: AccountId,
    version: i64,
    encoded: &str,
    now: Time,
) -> Result<bool, Error> {
    if !store::replace_password(tx, id, version, encoded, now).await? {
        return Ok(false);
    }
    store::set_must_change(tx, id, None).await?;
    raise(tx, id, now).await?;
    Ok(true)
}

/// Raises the rights version and tells everybody who holds an older copy.
pub async fn raise(tx: &mut Tx, id: AccountId, now: Time) -> Result<(), Error> {
    if let Some(ver) = store::raise(tx, id).await? {
        hot::announce(tx, id, ver, now);
    }
    Ok(())
}

/// Raises the rights version of every member of a group.
pub async fn raise_members(tx: &mut Tx, group: GroupId, now: Time) -> Result<(), Error> {
    for (id, ver) in store::raise_members(tx, group).await? {
        hot::announce(tx, id, ver, now);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_a_bucket_until_given_one() {
        assert!(!Buckets::from_names([""; 0]).contains("films"));
        assert!(!Buckets::from_names([""]).contains(""));
    }

    #[test]
    fn all_the_named_buckets_count_and_all_means_every_bucket() {
        let two = Buckets::from_names(["films", "music"]);
        assert!(two.contains("films") && two.contains("music") && !two.contains("photos"));
        assert!(Buckets::from_names(["films", "all"]).contains("photos"));
    }

    #[test]
    fn the_rights_of_account_and_groups_add_up() {
        let own = Buckets::from_names(["films"]);
        let group = Buckets::from_names(["music"]);
        assert_eq!(own.clone().union(group), Buckets::from_names(["films", "music"]));
        assert_eq!(own.clone().union(Buckets::None), own);
        assert_eq!(own.union(Buckets::Every), Buckets::Every);
    }
}
