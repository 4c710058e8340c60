//! The statements of what files declared.

use super::{Declared, Kind, Mark};
use crate::config::{self, Symlinks};
use crate::id::{AccountId, GroupId};
use crate::media::buckets::Declared as DeclaredBucket;
use crate::time::Time;
use usher_db::{Db, Error, Row, Tx, args, statements};

statements! {
    // Two who apply at once come one after the other, and the second sees what the first did.
    HOLD: Write = "INSERT INTO guards (name, v) VALUES ('declared', 1) ON CONFLICT (name) DO UPDATE SET v = guards.v + 1";
    APPS: Scan = "SELECT a.name, a.origins, a.audience, m.owner FROM declared_apps a \
        JOIN declared_marks m ON m.kind = 'app' AND m.key = a.name ORDER BY a.name";
    BUCKETS: Scan = "SELECT b.name, b.path, b.symlinks, b.dotted, m.owner FROM declared_buckets b \
        JOIN declared_marks m ON m.kind = 'bucket' AND m.key = b.name ORDER BY b.name";
    PUT_APP: Write = "INSERT INTO declared_apps (name, origins, audience) VALUES ($1, $2, $3) \
        ON CONFLICT (name) DO UPDATE SET origins = excluded.origins, audience = excluded.audience";
    REMOVE_APP: Write = "DELETE FROM declared_apps WHERE name = $1";
    PUT_BUCKET: Write = "INSERT INTO declared_buckets (name, path, symlinks, dotted) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (name) DO UPDATE SET path = excluded.path, symlinks = excluded.symlinks, dotted = excluded.dotted";
    REMOVE_BUCKET: Write = "DELETE FROM declared_buckets WHERE name = $1";
    MARKS: Scan = "SELECT kind, key, owner, subject FROM declared_marks WHERE owner = $1 ORDER BY kind, key";
    MARKS_OF_KIND: Scan = "SELECT kind, key, owner, subject FROM declared_marks WHERE kind = $1 ORDER BY key";
    MARK: Point = "SELECT kind, key, owner, subject FROM declared_marks WHERE kind = $1 AND key = $2";
    PUT_MARK: Write = "INSERT INTO declared_marks (kind, key, owner, subject) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (kind, key) DO UPDATE SET owner = excluded.owner, subject = excluded.subject";
    REMOVE_MARK: Write = "DELETE FROM declared_marks WHERE kind = $1 AND key = $2";
    MEMBERS: Scan = "SELECT account_id FROM memberships WHERE group_id = $1 LIMIT $2";
    INVITES_TO: Scan = "SELECT l.id FROM links l JOIN link_groups g ON g.link_id = l.id WHERE g.group_id = $1 \
        AND l.used_at IS NULL AND l.revoked_at IS NULL AND l.expires_at > $2 LIMIT $3";
}

/// Keeps others who apply a declaration out until the commit.
pub(super) async fn hold(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(&HOLD, args![]).await.map(|_| ())
}

fn app(row: &Row) -> Result<Declared<config::App>, Error> {
    let origins: Vec<String> = serde_json::from_str(&row.get::<String>(1)?).map_err(|_| row.impossible(1))?;
    let origins: Result<_, _> = origins.iter().map(|origin| origin.parse()).collect();
    let app =
        config::App { name: row.get(0)?, origins: origins.map_err(|_| row.impossible(1))?, audience: row.get(2)? };
    Ok(Declared { what: app, owner: row.get(3)? })
}

fn bucket(row: &Row) -> Result<DeclaredBucket, Error> {
    let bucket = config::Bucket {
        name: row.get(0)?,
        path: row.get::<String>(1)?.into(),
        symlinks: match row.get::<String>(2)?.as_str() {
            "inside" => Symlinks::Inside,
            "never" => Symlinks::Never,
            _ => return Err(row.impossible(2)),
        },
        hidden: match row.get::<String>(3)?.as_str() {
            "serve" => true,
            "hide" => false,
            _ => return Err(row.impossible(3)),
        },
    };
    Ok(DeclaredBucket { bucket, owner: row.get(4)? })
}

fn mark(row: &Row) -> Result<Mark, Error> {
    Ok(Mark {
        kind: row.get::<String>(0)?.parse().map_err(|()| row.impossible(0))?,
        key: row.get(1)?,
        owner: row.get(2)?,
        subject: row.get(3)?,
    })
}

/// The declared apps, by name.
pub(super) async fn apps(db: &Db) -> Result<Vec<Declared<config::App>>, Error> {
    db.all(&APPS, args![]).await?.iter().map(app).collect()
}

/// The declared buckets, by name.
pub(super) async fn buckets(db: &Db) -> Result<Vec<DeclaredBucket>, Error> {
    db.all(&BUCKETS, args![]).await?.iter().map(bucket).collect()
}

/// [`apps`], as this transaction sees them.
pub(super) async fn apps_in(tx: &mut Tx) -> Result<Vec<Declared<config::App>>, Error> {
    tx.all(&APPS, args![]).await?.iter().map(app).collect()
}

/// [`buckets`], as this transaction sees them.
pub(super) async fn buckets_in(tx: &mut Tx) -> Result<Vec<DeclaredBucket>, Error> {
    tx.all(&BUCKETS, args![]).await?.iter().map(bucket).collect()
}

pub(super) async fn put_app(tx: &mut Tx, app: &config::App) -> Result<(), Error> {
    let origins: Vec<&str> = app.origins.iter().map(config::Origin::as_str).collect();
    let origins = serde_json::json!(origins).to_string();
    tx.execute(&PUT_APP, args![&app.name, origins, app.audience.clone()]).await.map(|_| ())
}

pub(super) async fn remove_app(tx: &mut Tx, name: &str) -> Result<(), Error> {
    tx.execute(&REMOVE_APP, args![name]).await.map(|_| ())
}

pub(super) async fn put_bucket(tx: &mut Tx, bucket: &config::Bucket) -> Result<(), Error> {
    let symlinks = match bucket.symlinks {
        Symlinks::Inside => "inside",
        Symlinks::Never => "never",
    };
    let dotted = if bucket.hidden { "serve" } else { "hide" };
    let path = bucket.path.to_string_lossy().into_owned();
    tx.execute(&PUT_BUCKET, args![&bucket.name, path, symlinks, dotted]).await.map(|_| ())
}

pub(super) async fn remove_bucket(tx: &mut Tx, name: &str) -> Result<(), Error> {
    tx.execute(&REMOVE_BUCKET, args![name]).await.map(|_| ())
}

/// Everything that this file marked.
pub(super) async fn marks(tx: &mut Tx, owner: &str) -> Result<Vec<Mark>, Error> {
    tx.all(&MARKS, args![owner]).await?.iter().map(mark).collect()
}

/// Everything of a kind that any file marked.
pub(super) async fn marks_of_kind(db: &Db, kind: Kind) -> Result<Vec<Mark>, Error> {
    db.all(&MARKS_OF_KIND, args![kind.word()]).await?.iter().map(mark).collect()
}

/// The mark on one thing, whoever's it is.
pub(super) async fn mark_on(tx: &mut Tx, kind: Kind, key: &str) -> Result<Option<Mark>, Error> {
    tx.one(&MARK, args![kind.word(), key]).await?.as_ref().map(mark).transpose()
}

pub(super) async fn put_mark(tx: &mut Tx, mark: &Mark) -> Result<(), Error> {
    tx.execute(&PUT_MARK, args![mark.kind.word(), &mark.key, &mark.owner, &mark.subject]).await.map(|_| ())
}

pub(super) async fn remove_mark(tx: &mut Tx, kind: Kind, key: &str) -> Result<(), Error> {
    tx.execute(&REMOVE_MARK, args![kind.word(), key]).await.map(|_| ())
}

/// Members of a group; so many at most.
pub(super) async fn members(tx: &mut Tx, group: GroupId, limit: u32) -> Result<Vec<AccountId>, Error> {
    tx.all(&MEMBERS, args![group, limit]).await?.iter().map(|row| row.get(0)).collect()
}

/// Open invitations to a group, by their ids; so many at most.
pub(super) async fn invites_to(tx: &mut Tx, group: GroupId, now: Time, limit: u32) -> Result<Vec<String>, Error> {
    tx.all(&INVITES_TO, args![group, now, limit]).await?.iter().map(|row| row.get(0)).collect()
}
