//! The statements of accounts, groups and passwords.

pub mod groups;

use super::{Account, Buckets, Group, NewAccount, Rights, Role, Standing};
use crate::id::{AccountId, GroupId};
use crate::time::Time;
use std::collections::BTreeSet;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    TAKE_GUARD: Write = "UPDATE guards SET v = v + 1 WHERE name = $1";
    INSERT: Write = "INSERT INTO accounts (id, username, username_key, skeleton_key, role, created_at, must_change_at, ver) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, 1) ON CONFLICT DO NOTHING";
    INSERT_PASSWORD: Write = "INSERT INTO passwords (account_id, encoded, version, changed_at) VALUES ($1, $2, 1, $3)";
    PUT_PASSWORD: Write = "INSERT INTO passwords (account_id, encoded, version, changed_at) VALUES ($1, $2, 1, $3) \
        ON CONFLICT (account_id) DO UPDATE SET encoded = excluded.encoded, version = passwords.version + 1, changed_at = excluded.changed_at";
    // The version in the guard: of several changes that proved the same password, one finds it unchanged.
    REPLACE_PASSWORD: Write = "UPDATE passwords SET encoded = $3, version = version + 1, changed_at = $4 \
        WHERE account_id = $1 AND version = $2";
    // Another account's address is refused by the statement itself; a new address is nobody's proven one yet.
    SET_EMAIL: Write = "UPDATE accounts SET email = $2, email_key = $3, verified_at = NULL WHERE id = $1 \
        AND NOT EXISTS (SELECT 1 FROM accounts o WHERE o.email_key = $3 AND o.id <> $1)";
    // The address in the guard: a proof of the one before proves nothing of the one that took its place.
    PROVE_EMAIL: Write = "UPDATE accounts SET verified_at = $3 WHERE id = $1 AND email_key = $2";
    // Closes the race of a rehash after login with a password change in between.
    REHASH: Write = "UPDATE passwords SET encoded = $3, version = version + 1 WHERE account_id = $1 AND version = $2";
    FIND: Point = "SELECT id, username, email, display_name, role, disabled_at, verified_at, must_change_at, created_at, \
        last_login_at, every_bucket_at, ver FROM accounts WHERE id = $1";
    FIND_BY_KEY: Point = "SELECT id, username, email, display_name, role, disabled_at, verified_at, must_change_at, created_at, \
        last_login_at, every_bucket_at, ver FROM accounts WHERE username_key = $1";
    FIND_BY_EMAIL: Point = "SELECT id, username, email, display_name, role, disabled_at, verified_at, must_change_at, created_at, \
        last_login_at, every_bucket_at, ver FROM accounts WHERE email_key = $1";
    // Credential and standing in one read; the login's write checks both again.
    CREDENTIAL: Point = "SELECT a.id, a.username, p.encoded, p.version, a.disabled_at, a.role FROM accounts a \
        LEFT JOIN passwords p ON p.account_id = a.id WHERE a.username_key = $1";
    CREDENTIAL_OF: Point = "SELECT a.id, a.username, p.encoded, p.version, a.disabled_at, a.role FROM accounts a \
        LEFT JOIN passwords p ON p.account_id = a.id WHERE a.id = $1";
    LOGGED_IN: Write = "UPDATE accounts SET last_login_at = $3 WHERE id = $1 AND disabled_at IS NULL AND EXISTS \
        (SELECT 1 FROM passwords p WHERE p.account_id = $1 AND p.version = $2) RETURNING ver";
    LINKED: Write = "UPDATE accounts SET last_login_at = $2 WHERE id = $1";
    LIST: Scan = "SELECT id, username, email, display_name, role, disabled_at, verified_at, must_change_at, created_at, \
        last_login_at, every_bucket_at, ver FROM accounts WHERE username_key > $1 AND username_key LIKE $2 ESCAPE '!' \
        ORDER BY username_key LIMIT $3";
    // Locks the account until the commit, and reads it as it stands then.
    HOLD: Write = "UPDATE accounts SET ver = ver WHERE id = $1 RETURNING id, username, email, display_name, role, disabled_at, \
        verified_at, must_change_at, created_at, last_login_at, every_bucket_at, ver";
    SET_DISPLAY_NAME: Write = "UPDATE accounts SET display_name = $2 WHERE id = $1";
    KEY_OF: Point = "SELECT username_key FROM accounts WHERE id = $1";
    COUNT_USABLE_ADMINS: Point = "SELECT CAST(count(*) AS BIGINT) FROM accounts WHERE role = 'admin' AND disabled_at IS NULL";
    SET_ROLE: Write = "UPDATE accounts SET role = $2 WHERE id = $1";
    SET_DISABLED: Write = "UPDATE accounts SET disabled_at = $2 WHERE id = $1";
    SET_MUST_CHANGE: Write = "UPDATE accounts SET must_change_at = $2 WHERE id = $1";
    SET_EVERY_BUCKET: Write = "UPDATE accounts SET every_bucket_at = $2 WHERE id = $1";
    RAISE: Write = "UPDATE accounts SET ver = ver + 1 WHERE id = $1 RETURNING ver";
    RAISE_MEMBERS: Write = "UPDATE accounts SET ver = ver + 1 WHERE id IN \
        (SELECT account_id FROM memberships WHERE group_id = $1) RETURNING id, ver";
    DELETE: Write = "DELETE FROM accounts WHERE id = $1 RETURNING ver";
    // One row: how many factors the account has, and how many demands stand on it, its groups' among them.
    FACTORS: Point = "SELECT CAST((SELECT count(*) FROM totp t WHERE t.account_id = a.id AND t.state = 'active') \
        + (SELECT count(*) FROM passkeys k WHERE k.account_id = a.id) AS BIGINT), \
        CAST((SELECT count(*) FROM factor_policy p WHERE p.holder_id = a.id OR p.holder_id IN \
        (SELECT m.group_id FROM memberships m WHERE m.account_id = a.id)) AS BIGINT) FROM accounts a WHERE a.id = $1";
    DEMAND_FACTOR: Write = "INSERT INTO factor_policy (holder_id, required_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    DEMAND_NO_FACTOR: Write = "DELETE FROM factor_policy WHERE holder_id = $1";
    FACTOR_DEMANDED: Point = "SELECT required_at FROM factor_policy WHERE holder_id = $1";
    ENTERED: Write = "UPDATE accounts SET last_login_at = $2 WHERE id = $1 AND disabled_at IS NULL RETURNING ver";
    CLEAR_BUCKETS: Write = "DELETE FROM bucket_rights WHERE holder_id = $1";
    ADD_BUCKET: Write = "INSERT INTO bucket_rights (holder_id, bucket) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    BUCKETS_OF: Scan = "SELECT bucket FROM bucket_rights WHERE holder_id = $1 ORDER BY bucket";
    GROUPS_OF: Scan = "SELECT g.id, g.name, g.created_at, g.every_bucket_at FROM groups g \
        JOIN memberships m ON m.group_id = g.id WHERE m.account_id = $1 ORDER BY g.name_key";
    // What a request waits for whose account is not in memory: one account's rows by index, so they are read in place.
    RIGHTS_BUCKETS: Point = "SELECT bucket FROM bucket_rights WHERE holder_id = $1";
    RIGHTS_GROUPS: Point = "SELECT g.id, g.name, g.created_at, g.every_bucket_at FROM groups g \
        JOIN memberships m ON m.group_id = g.id WHERE m.account_id = $1 ORDER BY g.name_key";
    RIGHTS_GROUP_BUCKETS: Point = "SELECT b.bucket FROM bucket_rights b \
        JOIN memberships m ON m.group_id = b.holder_id WHERE m.account_id = $1";
}

fn account(row: &Row) -> Result<Account, Error> {
    Ok(Account {
        id: row.get(0)?,
        username: row.get(1)?,
        email: row.get(2)?,
        display_name: row.get(3)?,
        role: role(row, 4)?,
        standing: standing(row.get(5)?),
        verified_at: row.get(6)?,
        must_change_at: row.get(7)?,
        created_at: row.get(8)?,
        last_login_at: row.get(9)?,
        every_bucket: row.get::<Option<Time>>(10)?.is_some(),
        ver: row.get(11)?,
    })
}

fn role(row: &Row, column: usize) -> Result<Role, Error> {
    row.get::<String>(column)?.parse().map_err(|_| row.impossible(column))
}

fn standing(disabled_at: Option<Time>) -> Standing {
    disabled_at.map_or(Standing::Active, |at| Standing::Disabled { at })
}

/// What a login by password is judged against.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Whose password.
    pub account: AccountId,
    /// The name as its owner spells it.
    pub username: String,
    /// The hash; none when the account has no password.
    pub encoded: Option<String>,
    /// Which password this is.
    pub version: i64,
    /// Whether the account can be used.
    pub standing: Standing,
    /// Its role, which may have limits of its own.
    pub role: Role,
}

fn credential(row: &Row) -> Result<Credential, Error> {
    Ok(Credential {
        account: row.get(0)?,
        username: row.get(1)?,
        encoded: row.get(2)?,
        version: row.get::<Option<i64>>(3)?.unwrap_or(0),
        standing: standing(row.get(4)?),
        role: role(row, 5)?,
    })
}

pub(super) async fn take_guard(tx: &mut Tx, name: &str) -> Result<(), Error> {
    tx.execute(&TAKE_GUARD, args![name]).await.map(|_| ())
}

/// Whether the row was made; it is not when a name or look-alike exists.
pub(super) async fn insert(tx: &mut Tx, new: &NewAccount, now: Time) -> Result<bool, Error> {
    let must_change = new.must_change.then_some(now);
    let name = &new.username;
    let made = tx
        .execute(
            &INSERT,
            args![new.id, name.display(), name.key(), name.skeleton_key(), new.role.word(), now, must_change],
        )
        .await?;
    Ok(made == 1)
}

pub(super) async fn insert_password(tx: &mut Tx, id: AccountId, encoded: &str, now: Time) -> Result<(), Error> {
    tx.execute(&INSERT_PASSWORD, args![id, encoded, now]).await.map(|_| ())
}

pub(super) async fn put_password(tx: &mut Tx, id: AccountId, encoded: &str, now: Time) -> Result<(), Error> {
    tx.execute(&PUT_PASSWORD, args![id, encoded, now]).await.map(|_| ())
}

pub(super) async fn replace_password(
    tx: &mut Tx,
    id: AccountId,
    version: i64,
    encoded: &str,
    now: Time,
) -> Result<bool, Error> {
    Ok(tx.execute(&REPLACE_PASSWORD, args![id, version, encoded, now]).await? == 1)
}

/// Whether the address was taken over; it is not when another account has it.
pub(super) async fn set_email(
    tx: &mut Tx,
    id: AccountId,
    email: Option<&str>,
    key: Option<&str>,
) -> Result<bool, Error> {
    Ok(tx.execute(&SET_EMAIL, args![id, email, key]).await? == 1)
}

/// Whether the account has this address, which is its owner's from now on.
pub(super) async fn prove_email(tx: &mut Tx, id: AccountId, key: &str, now: Time) -> Result<bool, Error> {
    Ok(tx.execute(&PROVE_EMAIL, args![id, key, now]).await? == 1)
}

/// Replaces the hash of an unchanged password with one of today's strength.
///
/// `false` when it is another password by now.
pub async fn rehash(tx: &mut Tx, id: AccountId, version: i64, encoded: &str) -> Result<bool, Error> {
    Ok(tx.execute(&REHASH, args![id, version, encoded]).await? == 1)
}

/// The account, when it exists.
pub async fn find(db: &Db, id: AccountId) -> Result<Option<Account>, Error> {
    db.one(&FIND, args![id]).await?.as_ref().map(account).transpose()
}

/// The account with this name, in the form of `username::lookup_key`.
pub async fn find_by_key(db: &Db, key: &str) -> Result<Option<Account>, Error> {
    db.one(&FIND_BY_KEY, args![key]).await?.as_ref().map(account).transpose()
}

/// The account with this name, as this transaction sees it.
pub async fn find_by_key_in(tx: &mut Tx, key: &str) -> Result<Option<Account>, Error> {
    tx.one(&FIND_BY_KEY, args![key]).await?.as_ref().map(account).transpose()
}

/// The account, as this transaction sees it.
pub async fn find_in(tx: &mut Tx, id: AccountId) -> Result<Option<Account>, Error> {
    tx.one(&FIND, args![id]).await?.as_ref().map(account).transpose()
}

/// Since when a second factor is demanded of this holder, as this transaction sees it.
pub(super) async fn factor_demanded_in(tx: &mut Tx, holder: &str) -> Result<Option<Time>, Error> {
    tx.one(&FACTOR_DEMANDED, args![holder]).await?.map(|row| row.get(0)).transpose()
}

/// The account with this address, in the form of `profile::Email::key`; proven or not.
pub async fn find_by_email(db: &Db, key: &str) -> Result<Option<Account>, Error> {
    db.one(&FIND_BY_EMAIL, args![key]).await?.as_ref().map(account).transpose()
}

/// The credential of the account with this name.
pub async fn find_credential(db: &Db, key: &str) -> Result<Option<Credential>, Error> {
    db.one(&CREDENTIAL, args![key]).await?.as_ref().map(credential).transpose()
}

/// The credential of this account.
pub async fn find_credential_of(db: &Db, id: AccountId) -> Result<Option<Credential>, Error> {
    db.one(&CREDENTIAL_OF, args![id]).await?.as_ref().map(credential).transpose()
}

/// Notes a login, if the password that was checked is still the password and the account still stands.
pub async fn logged_in(tx: &mut Tx, id: AccountId, version: i64, now: Time) -> Result<bool, Error> {
    // The account is locked before its password is looked at. Where transactions see each other's commits, a statement
    // that waited for a row sees that row anew, and every other table as it stood before the wait.
    if tx.one(&HOLD, args![id]).await?.is_none() {
        return Ok(false);
    }
    Ok(tx.one(&LOGGED_IN, args![id, version, now]).await?.is_some())
}

/// Notes a login that needed no password: the caller holds the account and has judged its standing.
pub async fn linked(tx: &mut Tx, id: AccountId, now: Time) -> Result<(), Error> {
    tx.execute(&LINKED, args![id, now]).await.map(|_| ())
}

/// Notes a login that no password was asked for, if the account still stands.
pub async fn entered(tx: &mut Tx, id: AccountId, now: Time) -> Result<bool, Error> {
    Ok(tx.one(&ENTERED, args![id, now]).await?.is_some())
}

/// Demands a second factor of an account or of a group's members, or demands it no more. `false` when it was so.
///
/// The rights version of whom it concerns is the caller's to raise.
pub async fn demand_factor(tx: &mut Tx, holder: &str, since: Option<Time>) -> Result<bool, Error> {
    let changed = match since {
        Some(since) => tx.execute(&DEMAND_FACTOR, args![holder, since]).await?,
        None => tx.execute(&DEMAND_NO_FACTOR, args![holder]).await?,
    };
    Ok(changed == 1)
}

/// Since when a second factor is demanded of this account itself, or of this group's members.
pub async fn factor_demanded(db: &Db, holder: &str) -> Result<Option<Time>, Error> {
    db.one(&FACTOR_DEMANDED, args![holder]).await?.map(|row| row.get(0)).transpose()
}

/// Accounts in the order of their names, after `after` (empty for the first page), whose name holds `part`.
pub async fn list(db: &Db, after: &str, part: &str, limit: u32) -> Result<Vec<Account>, Error> {
    let escaped = part.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    let rows = db.all(&LIST, args![after, format!("%{escaped}%"), limit]).await?;
    rows.iter().map(account).collect()
}

/// The sort key of an account, from which the next page of a list goes on.
pub async fn key_of(db: &Db, id: AccountId) -> Result<Option<String>, Error> {
    db.one(&KEY_OF, args![id]).await?.map(|row| row.get(0)).transpose()
}

pub(super) async fn count_usable_admins(tx: &mut Tx) -> Result<i64, Error> {
    match tx.one(&COUNT_USABLE_ADMINS, args![]).await? {
        Some(row) => row.get(0),
        None => Ok(0),
    }
}

pub(super) async fn set_role(tx: &mut Tx, id: AccountId, role: Role) -> Result<bool, Error> {
    Ok(tx.execute(&SET_ROLE, args![id, role.word()]).await? == 1)
}

pub(super) async fn set_standing(tx: &mut Tx, id: AccountId, standing: Standing) -> Result<bool, Error> {
    let disabled_at = match standing {
        Standing::Active => None,
        Standing::Disabled { at } => Some(at),
    };
    Ok(tx.execute(&SET_DISABLED, args![id, disabled_at]).await? == 1)
}

pub(super) async fn hold(tx: &mut Tx, id: AccountId) -> Result<Option<Account>, Error> {
    tx.one(&HOLD, args![id]).await?.as_ref().map(account).transpose()
}

/// Sets how pages address the account's owner, which is no right and raises nothing.
pub async fn set_display_name(tx: &mut Tx, id: AccountId, name: Option<&str>) -> Result<(), Error> {
    tx.execute(&SET_DISPLAY_NAME, args![id, name]).await.map(|_| ())
}

pub(super) async fn buckets_held(tx: &mut Tx, holder: &str) -> Result<BTreeSet<String>, Error> {
    tx.all(&BUCKETS_OF, args![holder]).await?.iter().map(|row| row.get(0)).collect()
}

pub(super) async fn set_must_change(tx: &mut Tx, id: AccountId, at: Option<Time>) -> Result<bool, Error> {
    Ok(tx.execute(&SET_MUST_CHANGE, args![id, at]).await? == 1)
}

pub(super) async fn set_every_bucket(tx: &mut Tx, id: AccountId, at: Option<Time>) -> Result<bool, Error> {
    Ok(tx.execute(&SET_EVERY_BUCKET, args![id, at]).await? == 1)
}

pub(super) async fn raise(tx: &mut Tx, id: AccountId) -> Result<Option<i64>, Error> {
    tx.one(&RAISE, args![id]).await?.map(|row| row.get(0)).transpose()
}

pub(super) async fn raise_members(tx: &mut Tx, group: GroupId) -> Result<Vec<(AccountId, i64)>, Error> {
    let rows = tx.all(&RAISE_MEMBERS, args![group]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

pub(super) async fn delete(tx: &mut Tx, id: AccountId) -> Result<Option<i64>, Error> {
    tx.one(&DELETE, args![id]).await?.map(|row| row.get(0)).transpose()
}

pub(super) async fn clear_buckets(tx: &mut Tx, holder: &str) -> Result<(), Error> {
    tx.execute(&CLEAR_BUCKETS, args![holder]).await.map(|_| ())
}

pub(super) async fn add_bucket(tx: &mut Tx, holder: &str, bucket: &str) -> Result<(), Error> {
    tx.execute(&ADD_BUCKET, args![holder, bucket]).await.map(|_| ())
}

/// The buckets named for an account or a group itself.
pub async fn buckets_of(db: &Db, holder: &str) -> Result<BTreeSet<String>, Error> {
    let rows = db.all(&BUCKETS_OF, args![holder]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// The groups an account is in, by name.
pub async fn groups_of(db: &Db, id: AccountId) -> Result<Vec<Group>, Error> {
    let rows = db.all(&GROUPS_OF, args![id]).await?;
    rows.iter().map(group).collect()
}

fn group(row: &Row) -> Result<Group, Error> {
    Ok(Group {
        id: row.get(0)?,
        name: row.get(1)?,
        created_at: row.get(2)?,
        every_bucket: row.get::<Option<Time>>(3)?.is_some(),
    })
}

/// The rights of an account, put together from its rows.
///
/// The version is read first. A change that commits between these reads has a higher version, and its
/// announcement makes this copy unusable.
pub(super) async fn load_rights(db: &Db, id: AccountId) -> Result<Option<Rights>, Error> {
    let Some(account) = find(db, id).await? else { return Ok(None) };
    let names = |rows: Vec<Row>| rows.iter().map(|row| row.get(0)).collect::<Result<Vec<String>, Error>>();
    let groups = db.few(&RIGHTS_GROUPS, args![id]).await?;
    let groups = groups.iter().map(group).collect::<Result<Vec<Group>, Error>>()?;
    let own = if account.every_bucket {
        Buckets::Every
    } else {
        Buckets::from_names(names(db.few(&RIGHTS_BUCKETS, args![id]).await?)?)
    };
    let through_groups = if groups.is_empty() {
        Buckets::None
    } else if groups.iter().any(|group| group.every_bucket) {
        Buckets::Every
    } else {
        Buckets::from_names(names(db.few(&RIGHTS_GROUP_BUCKETS, args![id]).await?)?)
    };
    let (factors, demands) = match db.one(&FACTORS, args![id]).await? {
        Some(row) => (row.get::<i64>(0)?, row.get::<i64>(1)?),
        None => return Ok(None),
    };
    Ok(Some(Rights {
        account: id,
        username: account.username,
        role: account.role,
        groups: groups.into_iter().map(|group| group.name).collect(),
        buckets: own.union(through_groups),
        standing: account.standing,
        verified: account.verified_at.is_some(),
        must_change: account.must_change_at.is_some(),
        has_factor: factors > 0,
        factor_demanded: demands > 0,
        ver: account.ver,
    }))
}
