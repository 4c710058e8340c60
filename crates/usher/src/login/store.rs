//! The statements of failed logins and single-use links.

pub mod factors;
pub mod passkeys;
pub mod signed;

use super::links::{Fate, Gifts, Invite, Kind, Link};
use crate::accounts::Buckets;
use crate::id::{AccountId, GroupId, LinkId};
use crate::secret::Digest;
use crate::time::Time;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    FAILURES: Point = "SELECT failures, last_at, blocked_until FROM login_failures WHERE subject = $1";
    COUNT: Write = "INSERT INTO login_failures (subject, failures, last_at, blocked_until) VALUES ($1, 1, $2, 0) \
        ON CONFLICT (subject) DO UPDATE SET failures = CASE WHEN login_failures.last_at < $3 THEN 1 \
        ELSE login_failures.failures + 1 END, last_at = excluded.last_at RETURNING failures";
    UNCOUNT: Write = "UPDATE login_failures SET failures = failures - 1 WHERE subject = $1 AND failures > 0";
    BLOCK: Write = "UPDATE login_failures SET blocked_until = $2 WHERE subject = $1";
    FORGET_FAILURES: Write = "DELETE FROM login_failures WHERE subject = $1";
    FORGET_EVERY_FAILURE: Write = "DELETE FROM login_failures";
    // Judged twice, so that a failure that is counted while the sweep waits for its row stays.
    SWEEP: Write = "DELETE FROM login_failures WHERE last_at < $1 AND blocked_until < $1 AND subject IN \
        (SELECT subject FROM login_failures WHERE last_at < $1 AND blocked_until < $1 LIMIT $2)";
    INSERT_LINK: Write = "INSERT INTO links (id, kind, digest, account_id, made_by, note, made_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    FIND_LINK: Point = "SELECT id, kind, account_id, note, made_at, expires_at FROM links \
        WHERE kind = $1 AND digest = $2 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $3";
    // The guard makes it single-use: of several that come at once, one finds it unused.
    SPEND_LINK: Write = "UPDATE links SET used_at = $3 WHERE kind = $1 AND digest = $2 AND used_at IS NULL \
        AND revoked_at IS NULL AND expires_at > $3 RETURNING id, kind, account_id, note, made_at, expires_at";
    GIVE_GROUP: Write = "INSERT INTO link_groups (link_id, group_id) VALUES ($1, $2)";
    GIVE_BUCKET: Write = "INSERT INTO link_buckets (link_id, bucket) VALUES ($1, $2)";
    GIVEN_GROUPS: Scan = "SELECT g.id, g.name FROM groups g JOIN link_groups l ON l.group_id = g.id \
        WHERE l.link_id = $1 ORDER BY g.name_key";
    GIVEN_BUCKETS: Scan = "SELECT bucket FROM link_buckets WHERE link_id = $1 ORDER BY bucket";
    LIST_INVITES: Scan = "SELECT id, note, made_by, made_at, expires_at, used_at, account_id, revoked_at FROM links \
        WHERE kind = 'invite' ORDER BY id DESC LIMIT $1";
    FIND_INVITE: Point = "SELECT id, note, made_by, made_at, expires_at, used_at, account_id, revoked_at FROM links \
        WHERE id = $1 AND kind = 'invite'";
    // Only one that can still be used: what was given is given.
    CHANGE_INVITE: Write = "UPDATE links SET note = $2 WHERE id = $1 AND kind = 'invite' AND used_at IS NULL \
        AND revoked_at IS NULL AND expires_at > $3";
    TAKE_GROUPS: Write = "DELETE FROM link_groups WHERE link_id = $1";
    TAKE_BUCKETS: Write = "DELETE FROM link_buckets WHERE link_id = $1";
    USED_BY: Write = "UPDATE links SET account_id = $2 WHERE id = $1";
    REVOKE_LINK: Write = "UPDATE links SET revoked_at = $2 WHERE id = $1 AND used_at IS NULL AND revoked_at IS NULL";
    REVOKE_KIND: Write = "UPDATE links SET revoked_at = $2 WHERE kind = $1 AND used_at IS NULL AND revoked_at IS NULL";
    REVOKE_OF_ACCOUNT: Write = "UPDATE links SET revoked_at = $2 WHERE account_id = $1 AND used_at IS NULL AND revoked_at IS NULL";
    REVOKE_KIND_OF_ACCOUNT: Write = "UPDATE links SET revoked_at = $3 WHERE account_id = $1 AND kind = $2 AND used_at IS NULL \
        AND revoked_at IS NULL";
    MADE_SINCE: Point = "SELECT CAST(count(*) AS BIGINT) FROM links WHERE account_id = $1 AND kind = $2 AND made_at > $3";
    REVOKE_MADE_BY: Write = "UPDATE links SET revoked_at = $2 WHERE made_by = $1 AND used_at IS NULL AND revoked_at IS NULL";
    REVOKE_ALL: Write = "UPDATE links SET revoked_at = $1 WHERE used_at IS NULL AND revoked_at IS NULL";
    SWEEP_LINKS: Write = "DELETE FROM links WHERE id IN (SELECT id FROM links WHERE expires_at < $1 LIMIT $2)";
}

/// How often a subject failed.
#[derive(Clone, Copy, Debug)]
pub struct Failures {
    /// In a row.
    pub failures: i64,
    /// The last time.
    pub last_at: Time,
    /// Until when it is refused.
    pub blocked_until: Time,
}

pub(super) async fn failures(db: &Db, subject: &str) -> Result<Option<Failures>, Error> {
    let Some(row) = db.one(&FAILURES, args![subject]).await? else { return Ok(None) };
    Ok(Some(Failures { failures: row.get(0)?, last_at: row.get(1)?, blocked_until: row.get(2)? }))
}

pub(super) async fn count(tx: &mut Tx, subject: &str, now: Time, forget_before: Time) -> Result<i64, Error> {
    match tx.one(&COUNT, args![subject, now, forget_before]).await? {
        Some(row) => row.get(0),
        None => Ok(1),
    }
}

pub(super) async fn uncount(tx: &mut Tx, subject: &str) -> Result<(), Error> {
    tx.execute(&UNCOUNT, args![subject]).await.map(|_| ())
}

pub(super) async fn block(tx: &mut Tx, subject: &str, until: Time) -> Result<(), Error> {
    tx.execute(&BLOCK, args![subject, until]).await.map(|_| ())
}

/// Forgets the failures of an account: by its own success, a reset, or an admin.
pub async fn forget_failures(tx: &mut Tx, subject: &str) -> Result<(), Error> {
    tx.execute(&FORGET_FAILURES, args![subject]).await.map(|_| ())
}

pub(super) async fn forget_every_failure(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(&FORGET_EVERY_FAILURE, args![]).await.map(|_| ())
}

pub(super) async fn sweep(tx: &mut Tx, before: Time, limit: u32) -> Result<u64, Error> {
    tx.execute(&SWEEP, args![before, limit]).await
}

fn link(row: &Row) -> Result<Link, Error> {
    Ok(Link {
        id: row.get(0)?,
        kind: row.get::<String>(1)?.parse().map_err(|()| row.impossible(1))?,
        account: row.get(2)?,
        note: row.get::<Option<String>>(3)?.unwrap_or_default(),
        made_at: row.get(4)?,
        expires_at: row.get(5)?,
    })
}

pub(super) async fn insert_link(
    tx: &mut Tx,
    link: &Link,
    digest: &Digest,
    made_by: Option<AccountId>,
) -> Result<(), Error> {
    tx.execute(
        &INSERT_LINK,
        args![
            link.id,
            link.kind.word(),
            *digest,
            link.account,
            made_by,
            link.note.as_str(),
            link.made_at,
            link.expires_at
        ],
    )
    .await
    .map(|_| ())
}

/// Notes what the account gets that this link makes.
pub(super) async fn give(tx: &mut Tx, id: LinkId, gifts: &Gifts) -> Result<(), Error> {
    for group in &gifts.groups {
        tx.execute(&GIVE_GROUP, args![id, *group]).await?;
    }
    for bucket in gifts.buckets.names() {
        tx.execute(&GIVE_BUCKET, args![id, bucket]).await?;
    }
    Ok(())
}

/// What the account gets that this link makes. A group that is gone meanwhile is not among it.
pub(super) async fn given(tx: &mut Tx, id: LinkId) -> Result<Gifts, Error> {
    let groups = tx.all(&GIVEN_GROUPS, args![id]).await?;
    let buckets = tx.all(&GIVEN_BUCKETS, args![id]).await?;
    Ok(Gifts {
        groups: groups.iter().map(|row| row.get(0)).collect::<Result<_, Error>>()?,
        buckets: Buckets::from_names(buckets.iter().map(|row| row.get(0)).collect::<Result<Vec<String>, Error>>()?),
    })
}

async fn gifts_shown(db: &Db, id: LinkId) -> Result<(Vec<(GroupId, String)>, Buckets), Error> {
    let groups = db.all(&GIVEN_GROUPS, args![id]).await?;
    let buckets = db.all(&GIVEN_BUCKETS, args![id]).await?;
    Ok((
        groups.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<_, Error>>()?,
        Buckets::from_names(buckets.iter().map(|row| row.get(0)).collect::<Result<Vec<String>, Error>>()?),
    ))
}

pub(super) async fn find_link(db: &Db, kind: Kind, digest: &Digest, now: Time) -> Result<Option<Link>, Error> {
    db.one(&FIND_LINK, args![kind.word(), *digest, now]).await?.as_ref().map(link).transpose()
}

pub(super) async fn spend_link(tx: &mut Tx, kind: Kind, digest: &Digest, now: Time) -> Result<Option<Link>, Error> {
    tx.one(&SPEND_LINK, args![kind.word(), *digest, now]).await?.as_ref().map(link).transpose()
}

/// Notes whose account a link made.
pub(super) async fn used_by(tx: &mut Tx, id: LinkId, account: AccountId) -> Result<(), Error> {
    tx.execute(&USED_BY, args![id, account]).await.map(|_| ())
}

fn invite(row: &Row, now: Time) -> Result<Invite, Error> {
    let expires_at: Time = row.get(4)?;
    let fate = match (row.get::<Option<Time>>(5)?, row.get::<Option<Time>>(7)?) {
        (Some(at), _) => Fate::Used { at, by: row.get(6)? },
        (None, Some(at)) => Fate::Revoked { at },
        (None, None) if expires_at <= now => Fate::Expired,
        (None, None) => Fate::Open,
    };
    Ok(Invite {
        id: row.get(0)?,
        note: row.get::<Option<String>>(1)?.unwrap_or_default(),
        made_by: row.get(2)?,
        made_at: row.get(3)?,
        expires_at,
        fate,
        groups: Vec::new(),
        buckets: Buckets::None,
    })
}

/// The latest invitations, whatever became of them, newest first.
pub(super) async fn list_invites(db: &Db, now: Time, limit: u32) -> Result<Vec<Invite>, Error> {
    let rows = db.all(&LIST_INVITES, args![limit]).await?;
    let mut invites: Vec<Invite> = rows.iter().map(|row| invite(row, now)).collect::<Result<_, Error>>()?;
    for one in &mut invites {
        (one.groups, one.buckets) = gifts_shown(db, one.id).await?;
    }
    Ok(invites)
}

/// The invitation as this transaction sees it, without what it gives.
pub(super) async fn find_invite(tx: &mut Tx, id: LinkId, now: Time) -> Result<Option<Invite>, Error> {
    tx.one(&FIND_INVITE, args![id]).await?.map(|row| invite(&row, now)).transpose()
}

/// Changes what an invitation says and gives. `false` when it cannot be used any more.
pub(super) async fn change_invite(
    tx: &mut Tx,
    id: LinkId,
    note: &str,
    gifts: &Gifts,
    now: Time,
) -> Result<bool, Error> {
    if tx.execute(&CHANGE_INVITE, args![id, note, now]).await? != 1 {
        return Ok(false);
    }
    tx.execute(&TAKE_GROUPS, args![id]).await?;
    tx.execute(&TAKE_BUCKETS, args![id]).await?;
    give(tx, id, gifts).await?;
    Ok(true)
}

/// Withdraws a link. `false` when it was used or withdrawn before.
pub async fn revoke_link(tx: &mut Tx, id: LinkId, now: Time) -> Result<bool, Error> {
    Ok(tx.execute(&REVOKE_LINK, args![id, now]).await? == 1)
}

pub(super) async fn revoke_kind(tx: &mut Tx, kind: Kind, now: Time) -> Result<(), Error> {
    tx.execute(&REVOKE_KIND, args![kind.word(), now]).await.map(|_| ())
}

pub(super) async fn revoke_kind_of(tx: &mut Tx, account: AccountId, kind: Kind, now: Time) -> Result<(), Error> {
    tx.execute(&REVOKE_KIND_OF_ACCOUNT, args![account, kind.word(), now]).await.map(|_| ())
}

/// Withdraws the links of an account.
pub async fn revoke_links_of(tx: &mut Tx, account: AccountId, now: Time) -> Result<(), Error> {
    tx.execute(&REVOKE_OF_ACCOUNT, args![account, now]).await.map(|_| ())
}

/// How many links of a kind were made for an account since then, whatever became of them.
pub(super) async fn made_since(tx: &mut Tx, account: AccountId, kind: Kind, since: Time) -> Result<i64, Error> {
    match tx.one(&MADE_SINCE, args![account, kind.word(), since]).await? {
        Some(row) => row.get(0),
        None => Ok(0),
    }
}

/// Withdraws the links that an account made.
pub(super) async fn revoke_links_made_by(tx: &mut Tx, account: AccountId, now: Time) -> Result<(), Error> {
    tx.execute(&REVOKE_MADE_BY, args![account, now]).await.map(|_| ())
}

/// Withdraws every link there is, as after a restore.
pub async fn revoke_every_link(tx: &mut Tx, now: Time) -> Result<(), Error> {
    tx.execute(&REVOKE_ALL, args![now]).await.map(|_| ())
}

/// Removes links that expired long ago.
pub async fn sweep_links(tx: &mut Tx, before: Time, limit: u32) -> Result<u64, Error> {
    tx.execute(&SWEEP_LINKS, args![before, limit]).await
}
