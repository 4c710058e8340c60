//! What has to change so that things are as they are declared. It looks, and changes nothing.

mod groups;
mod invites;

use super::step::{Step, Which};
use super::wanted::Wanted;
use super::{ALL, Kind, Mark, store};
use crate::config::{Problem, Problems};
use crate::id::GroupId;
use crate::media::buckets;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use usher_db::{Error, Tx};

/// The changes, and the marks of things that are gone by themselves.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Plan {
    pub steps: Vec<Step>,
    pub notes: Vec<String>,
    /// Marks on what is used as it is.
    pub marks: Vec<Mark>,
    /// Marks whose thing nobody has to take away any more.
    pub spent: Vec<(Kind, String)>,
}

/// Looks at what there is, and says what to change, or everything that speaks against it.
pub(super) async fn plan(tx: &mut Tx, wanted: &Wanted, now: Time) -> Result<Result<Plan, Problems>, Error> {
    let marks = store::marks(tx, &wanted.owner).await?;
    let mut planner = Planner { wanted, now, marks, plan: Plan::default(), last: Vec::new(), found: Vec::new() };
    planner.buckets(tx).await?;
    planner.apps(tx).await?;
    let groups = planner.groups(tx).await?;
    planner.invites(tx, &groups).await?;
    let Planner { mut plan, last, found, .. } = planner;
    plan.steps.extend(last);
    Ok(if found.is_empty() { Ok(plan) } else { Err(Problems(found)) })
}

struct Planner<'a> {
    wanted: &'a Wanted,
    now: Time,
    marks: Vec<Mark>,
    plan: Plan,
    /// Steps that come after all others, because those may still need what these take away.
    last: Vec<Step>,
    found: Vec<Problem>,
}

/// The groups that invitations may be to, by their names as names are compared.
type Groups = BTreeMap<String, (Which, String)>;

impl Planner<'_> {
    fn refuse(&mut self, key: &str, value: &str, expected: impl ToString, remedy: impl ToString) {
        self.found.push(self.wanted.lines.problem(key, Some(value), expected, remedy));
    }

    fn mark(&self, kind: Kind, key: &str) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.kind == kind && mark.key == key)
    }

    fn marked(&self, kind: Kind) -> Vec<Mark> {
        self.marks.iter().filter(|mark| mark.kind == kind).cloned().collect()
    }

    /// Refuses what another file declared.
    async fn foreign(&mut self, tx: &mut Tx, kind: Kind, name: &str, at: &str, shown: &str) -> Result<bool, Error> {
        let mark = store::mark_on(tx, kind, name).await?;
        let Some(other) = mark.filter(|mark| mark.owner != self.wanted.owner) else { return Ok(false) };
        let said = format!("{} declares this already", other.owner);
        let remedy = format!(
            "Declare it in one file. If this is that file under another name, write name = \"{}\" at its top.",
            other.owner.escape_debug()
        );
        self.refuse(at, shown, said, remedy);
        Ok(true)
    }

    async fn buckets(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let standing = store::buckets_in(tx).await?;
        for (index, bucket) in self.wanted.buckets.iter().enumerate() {
            let at = format!("bucket[{index}].name");
            if self.foreign(tx, Kind::Bucket, &bucket.name, &at, &bucket.name).await? {
                continue;
            }
            let before = standing.iter().find(|known| known.bucket.name == bucket.name).map(|known| &known.bucket);
            if before != Some(bucket) {
                self.plan.steps.push(Step::PutBucket { bucket: bucket.clone(), before: before.cloned() });
            }
        }
        for mark in self.marked(Kind::Bucket) {
            if !self.wanted.buckets.iter().any(|bucket| bucket.name == mark.key) {
                self.last.push(Step::RemoveBucket { name: mark.key });
            }
        }
        Ok(())
    }

    async fn apps(&mut self, tx: &mut Tx) -> Result<(), Error> {
        let standing = store::apps_in(tx).await?;
        for (index, app) in self.wanted.apps.iter().enumerate() {
            let at = format!("app[{index}].name");
            if self.foreign(tx, Kind::App, &app.name, &at, &app.name).await? {
                continue;
            }
            let twin = standing
                .iter()
                .find(|other| other.owner != self.wanted.owner && other.what.audience() == app.audience());
            if let Some(twin) = twin {
                let said = format!("the app {} of {} has this audience", twin.what.name, twin.owner);
                let remedy = "Tokens tell apps apart by it: choose another.";
                self.refuse(&format!("app[{index}].audience"), app.audience(), said, remedy);
            }
            let before = standing.iter().find(|known| known.what.name == app.name).map(|known| &known.what);
            if before != Some(app) {
                self.plan.steps.push(Step::PutApp { app: app.clone(), before: before.cloned() });
            }
        }
        for mark in self.marked(Kind::App) {
            if !self.wanted.apps.iter().any(|app| app.name == mark.key) {
                self.last.push(Step::RemoveApp { name: mark.key });
            }
        }
        Ok(())
    }

    /// Refuses a bucket that never was one: a slip would give nobody anything, and say nothing.
    async fn known_buckets(&mut self, tx: &mut Tx, at: &str, names: &BTreeSet<String>) -> Result<(), Error> {
        for name in names.iter().filter(|name| *name != ALL) {
            let declared = self.wanted.buckets.iter().any(|bucket| bucket.name == *name);
            if !declared && self.mark(Kind::Bucket, name).is_some() {
                let remedy = "Declare it, or name it no more.";
                self.refuse(&format!("{at}.buckets"), name, "this file takes this bucket away", remedy);
                continue;
            }
            if declared || self.wanted.configured.contains(name) || buckets::was_known(tx, name).await? {
                continue;
            }
            let remedy = "Declare it as a [[bucket]], here or in the server's configuration, or correct its name.";
            self.refuse(&format!("{at}.buckets"), name, "there is no bucket of this name", remedy);
        }
        Ok(())
    }
}

/// The key of a mark on something in a group.
pub(super) fn of(group: GroupId, what: impl std::fmt::Display) -> String {
    format!("{group}/{what}")
}
