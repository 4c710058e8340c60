//! What a file declares (`usher apply`): groups, apps, buckets and invitations.
//!
//! Promises: all of a file or nothing of it, in one commit; applied twice it changes nothing the second time, also when
//! both run at once; every change has its event. What a file made carries its mark: it is taken away when the file no
//! longer names it. What people made is used and never taken: a group that is theirs loses what the file gave it and
//! stays, and so does a file's group that people have put something into.
//! Refuses: a name that the configuration has, a thing that another file declared, an account or bucket that nobody
//! knows; each with its key and line. A declaration makes no account and touches none but by its groups.
//!
//! Apps and buckets are rows. A change of them is told in the feed, and every node reads them anew (`live.rs`).

mod act;
pub mod live;
mod plan;
mod step;
mod store;
mod wanted;

pub use step::{Act, Step};
pub use store::STATEMENTS;

use crate::config::{Declaration, File, Problems};
use crate::cx::Cx;
use crate::id::GroupId;
use crate::login::links::MadeLink;
use plan::Plan;
use std::collections::BTreeMap;
use std::str::FromStr;
use usher_db::{Db, Error};
use wanted::Wanted;

/// The name that stands for every bucket.
const ALL: &str = "all";

/// How often a declaration is planned anew when people change things at the same moment, before it gives up.
const TRIES: usize = 10;

/// What a mark is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An app. Key: its name.
    App,
    /// A bucket. Key: its name.
    Bucket,
    /// A group that the file made. Key: its name, as names are compared. Subject: its id.
    Group,
    /// A group that people made and the file gives something to. Key and subject as above.
    Used,
    /// A member of a group. Key: group and account.
    Member,
    /// A bucket that a group opens. Key: group and bucket. Subject of every bucket: the ones that people had given.
    Grant,
    /// The second factor that a group demands. Key: the group.
    Factor,
    /// An invitation. Key: its own. Subject: the link's id.
    Invite,
}

impl Kind {
    const ALL: [(Kind, &'static str); 8] = [
        (Kind::App, "app"),
        (Kind::Bucket, "bucket"),
        (Kind::Group, "group"),
        (Kind::Used, "used"),
        (Kind::Member, "member"),
        (Kind::Grant, "grant"),
        (Kind::Factor, "factor"),
        (Kind::Invite, "invite"),
    ];

    /// The word in the table.
    pub fn word(self) -> &'static str {
        Kind::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }
}

impl FromStr for Kind {
    type Err = ();
    fn from_str(word: &str) -> Result<Kind, ()> {
        Kind::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind).ok_or(())
    }
}

/// Says that a file made a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What sort of thing.
    pub kind: Kind,
    /// Which, by [`Kind`].
    pub key: String,
    /// The name of the file.
    pub owner: String,
    /// The row that it stands for, by [`Kind`].
    pub subject: String,
}

/// Something with the name of the file that declared it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared<T> {
    /// What.
    pub what: T,
    /// Which file.
    pub owner: String,
}

/// Whether a plan is made only, or carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is made and told.
    Plan,
    /// It is carried out.
    Apply,
}

/// What applying a declaration did, or would do.
#[derive(Debug)]
pub struct Applied {
    /// The name under which its things are marked.
    pub owner: String,
    /// The changes, in the order in which they are made. None when everything is as declared.
    pub steps: Vec<Step>,
    /// What is worth knowing and no change.
    pub notes: Vec<String>,
    /// The links of the invitations that were made, by their keys: shown this once.
    pub links: Vec<(String, MadeLink)>,
}

/// Why a declaration is not applied. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It cannot be meant so.
    #[error("{0}")]
    Problems(Problems),
    /// People kept changing what it is about.
    #[error("what it is about changes faster than it can be planned; try again")]
    Restless,
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

impl From<Problems> for ApplyError {
    fn from(problems: Problems) -> ApplyError {
        ApplyError::Problems(problems)
    }
}

/// Makes everything as `file` declares it, or says what that would change.
///
/// # Errors
/// Every problem of the file at once; see [`ApplyError`].
pub async fn apply(cx: &Cx, file: &File, mode: Mode) -> Result<Applied, ApplyError> {
    let (declaration, lines) = Declaration::read(file)?;
    let wanted = Wanted::judge(cx, declaration, lines, file).await??;
    for _ in 0..TRIES {
        let plan = planned(cx, &wanted).await??;
        let links = match mode {
            Mode::Plan => Some(Vec::new()),
            Mode::Apply => act::carry_out(cx, &wanted, &plan).await?,
        };
        if let Some(links) = links {
            if mode == Mode::Apply && plan.steps.iter().any(Step::is_followed) {
                live::follow(&cx.app).await?;
            }
            let Plan { steps, notes, .. } = plan;
            return Ok(Applied { owner: wanted.owner, steps, notes, links });
        }
    }
    Err(ApplyError::Restless)
}

/// Plans in a transaction that is rolled back: all of it is seen as it stands at one moment.
async fn planned(cx: &Cx, wanted: &Wanted) -> Result<Result<Plan, Problems>, Error> {
    let (wanted, now) = (wanted.clone(), cx.now);
    cx.write_at_length("declared.plan", async move |tx| {
        let plan = plan::plan(tx, &wanted, now).await?;
        Ok(tx.undo(plan))
    })
    .await
}

/// The file that declares a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// It made the group, and takes it away again.
    Made(String),
    /// It gives something to a group that people made.
    Uses(String),
}

/// Which groups files declare, by their ids.
///
/// # Errors
/// The database did not answer.
pub async fn groups(db: &Db) -> Result<BTreeMap<String, Keeper>, Error> {
    let mut groups = BTreeMap::new();
    for mark in store::marks_of_kind(db, Kind::Used).await? {
        groups.insert(mark.subject, Keeper::Uses(mark.owner));
    }
    for mark in store::marks_of_kind(db, Kind::Group).await? {
        groups.insert(mark.subject, Keeper::Made(mark.owner));
    }
    Ok(groups)
}

/// Which members of a group files put in, by the accounts' ids, each with the name of the file.
///
/// # Errors
/// The database did not answer.
pub async fn members(db: &Db, group: GroupId) -> Result<BTreeMap<String, String>, Error> {
    let inside = plan::of(group, "");
    let of = |mark: Mark| mark.key.strip_prefix(&inside).map(|account| (account.to_owned(), mark.owner));
    Ok(store::marks_of_kind(db, Kind::Member).await?.into_iter().filter_map(of).collect())
}

/// Which invitations files declare, by the links' ids, each with the name of the file.
///
/// # Errors
/// The database did not answer.
pub async fn invites(db: &Db) -> Result<BTreeMap<String, String>, Error> {
    let marks = store::marks_of_kind(db, Kind::Invite).await?;
    Ok(marks.into_iter().map(|mark| (mark.subject, mark.owner)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_mark_has_a_word_that_reads_back() {
        for (kind, word) in Kind::ALL {
            assert_eq!((kind.word(), word.parse()), (word, Ok(kind)));
        }
        assert_eq!("account".parse::<Kind>(), Err(()));
    }
}
