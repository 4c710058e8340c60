//! The statements of groups and their members.

use super::group;
use crate::accounts::Group;
use crate::id::{AccountId, GroupId};
use crate::time::Time;
use usher_db::{Db, Error, Tx, args, statements};

statements! {
    INSERT: Write = "INSERT INTO groups (id, name, name_key, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    // Locks the group until the commit, so that nobody joins a group that is being removed.
    HOLD: Write = "UPDATE groups SET name = name WHERE id = $1 RETURNING id, name, created_at, every_bucket_at";
    RENAME: Write = "UPDATE groups SET name = $2, name_key = $3 WHERE id = $1 AND NOT EXISTS \
        (SELECT 1 FROM groups other WHERE other.name_key = $3 AND other.id <> $1)";
    SET_EVERY_BUCKET: Write = "UPDATE groups SET every_bucket_at = $2 WHERE id = $1";
    DELETE: Write = "DELETE FROM groups WHERE id = $1";
    FIND: Point = "SELECT id, name, created_at, every_bucket_at FROM groups WHERE id = $1";
    FIND_BY_KEY: Point = "SELECT id, name, created_at, every_bucket_at FROM groups WHERE name_key = $1";
    LIST: Scan = "SELECT g.id, g.name, g.created_at, g.every_bucket_at, \
        CAST((SELECT count(*) FROM memberships m WHERE m.group_id = g.id) AS BIGINT) FROM groups g ORDER BY g.name_key LIMIT $1";
    MEMBERS: Scan = "SELECT a.id, a.username FROM accounts a JOIN memberships m ON m.account_id = a.id \
        WHERE m.group_id = $1 AND a.username_key > $2 ORDER BY a.username_key LIMIT $3";
    ADD_MEMBER: Write = "INSERT INTO memberships (account_id, group_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    REMOVE_MEMBER: Write = "DELETE FROM memberships WHERE account_id = $1 AND group_id = $2";
    IS_MEMBER: Point = "SELECT 1 FROM memberships WHERE account_id = $1 AND group_id = $2";
    IDS_OF: Scan = "SELECT group_id FROM memberships WHERE account_id = $1 ORDER BY group_id";
}

pub(in crate::accounts) async fn insert(
    tx: &mut Tx,
    id: GroupId,
    name: &str,
    key: &str,
    now: Time,
) -> Result<bool, Error> {
    Ok(tx.execute(&INSERT, args![id, name, key, now]).await? == 1)
}

pub(in crate::accounts) async fn hold(tx: &mut Tx, id: GroupId) -> Result<Option<Group>, Error> {
    tx.one(&HOLD, args![id]).await?.as_ref().map(group).transpose()
}

/// Whether the name was free, or the group's own in another spelling.
pub(in crate::accounts) async fn rename(tx: &mut Tx, id: GroupId, name: &str, key: &str) -> Result<bool, Error> {
    Ok(tx.execute(&RENAME, args![id, name, key]).await? == 1)
}

pub(in crate::accounts) async fn set_every_bucket(tx: &mut Tx, id: GroupId, at: Option<Time>) -> Result<(), Error> {
    tx.execute(&SET_EVERY_BUCKET, args![id, at]).await.map(|_| ())
}

pub(in crate::accounts) async fn delete(tx: &mut Tx, id: GroupId) -> Result<(), Error> {
    tx.execute(&DELETE, args![id]).await.map(|_| ())
}

/// The group, when it exists.
pub async fn find(db: &Db, id: GroupId) -> Result<Option<Group>, Error> {
    db.one(&FIND, args![id]).await?.as_ref().map(group).transpose()
}

pub(in crate::accounts) async fn find_by_key(db: &Db, key: &str) -> Result<Option<Group>, Error> {
    db.one(&FIND_BY_KEY, args![key]).await?.as_ref().map(group).transpose()
}

/// The groups in the order of their names, each with the number of its members.
pub async fn list(db: &Db, limit: u32) -> Result<Vec<(Group, u64)>, Error> {
    let rows = db.all(&LIST, args![limit]).await?;
    rows.iter().map(|row| Ok((group(row)?, u64::try_from(row.get::<i64>(4)?).unwrap_or(0)))).collect()
}

/// The members of a group in the order of their names, after the name `after`.
pub async fn members(db: &Db, id: GroupId, after: &str, limit: u32) -> Result<Vec<(AccountId, String)>, Error> {
    let rows = db.all(&MEMBERS, args![id, after, limit]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

pub(in crate::accounts) async fn add_member(tx: &mut Tx, id: GroupId, account: AccountId) -> Result<bool, Error> {
    Ok(tx.execute(&ADD_MEMBER, args![account, id]).await? == 1)
}

pub(in crate::accounts) async fn remove_member(tx: &mut Tx, id: GroupId, account: AccountId) -> Result<bool, Error> {
    Ok(tx.execute(&REMOVE_MEMBER, args![account, id]).await? == 1)
}

pub(in crate::accounts) async fn find_in(tx: &mut Tx, id: GroupId) -> Result<Option<Group>, Error> {
    tx.one(&FIND, args![id]).await?.as_ref().map(group).transpose()
}

pub(in crate::accounts) async fn find_by_key_in(tx: &mut Tx, key: &str) -> Result<Option<Group>, Error> {
    tx.one(&FIND_BY_KEY, args![key]).await?.as_ref().map(group).transpose()
}

/// Whether the account is in the group.
pub async fn is_member(tx: &mut Tx, id: GroupId, account: AccountId) -> Result<bool, Error> {
    Ok(tx.one(&IS_MEMBER, args![account, id]).await?.is_some())
}

pub(in crate::accounts) async fn ids_of(tx: &mut Tx, account: AccountId) -> Result<Vec<GroupId>, Error> {
    tx.all(&IDS_OF, args![account]).await?.iter().map(|row| row.get(0)).collect()
}
