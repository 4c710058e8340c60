//! A plan carried out: all of it in one commit, and only if it still is the plan.

use super::plan::{self, Plan, of};
use super::step::{Step, Which};
use super::wanted::Wanted;
use super::{ALL, Kind, Mark, live, store};
use crate::accounts::groups;
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::GroupId;
use crate::login::links::{self, Gifts, MadeLink, NewLink};
use crate::media::buckets;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use usher_db::{Error, Tx};

/// What a plan needs that has to be drawn before the write.
struct Drawn {
    /// The step's event; the one of an invitation comes with its link.
    entry: Entry,
    link: Option<NewLink>,
}

/// Does all that is planned. The links of new invitations; `None` when things are not any more as they were planned
/// upon, and nothing was done.
pub(super) async fn carry_out(cx: &Cx, wanted: &Wanted, plan: &Plan) -> Result<Option<Vec<(String, MadeLink)>>, Error> {
    let made: BTreeMap<String, GroupId> = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::MakeGroup { name, .. } => Some((name.key().to_owned(), GroupId::new(cx.now, &cx.app.rng))),
            _ => None,
        })
        .collect();
    let drawn: Vec<Drawn> = plan.steps.iter().map(|step| draw(cx, wanted, step, &made)).collect();
    let links = plan.steps.iter().zip(&drawn).filter_map(|(step, drawn)| match step {
        Step::MakeInvite { key, .. } => Some((key.clone(), drawn.link.clone()?.into_made())),
        _ => None,
    });
    let links: Vec<(String, MadeLink)> = links.collect();
    let (wanted, planned, now) = (wanted.clone(), plan.steps.clone(), cx.now);
    let done = cx
        .write_at_length("declared.apply", async move |tx| {
            store::hold(tx).await?;
            let plan = match plan::plan(tx, &wanted, now).await? {
                Ok(plan) if plan.steps == planned => plan,
                // It is planned again, and what is wrong is told then.
                Ok(_) | Err(_) => return Ok(tx.undo(false)),
            };
            let mut doing = Doing { tx: &mut *tx, owner: &wanted.owner, made: &made, now };
            for (kind, key) in &plan.spent {
                store::remove_mark(doing.tx, *kind, key).await?;
            }
            for mark in &plan.marks {
                store::put_mark(doing.tx, mark).await?;
            }
            for (step, drawn) in plan.steps.iter().zip(&drawn) {
                if !doing.step(step, drawn.link.as_ref()).await? {
                    return Ok(tx.undo(false));
                }
                if drawn.link.is_none() {
                    drawn.entry.record(doing.tx).await?;
                }
            }
            if plan.steps.iter().any(Step::is_followed) {
                tx.announce(live::TOPIC, "", "", now.0);
            }
            Ok(true)
        })
        .await?;
    Ok(done.then_some(links))
}

fn draw(cx: &Cx, wanted: &Wanted, step: &Step, made: &BTreeMap<String, GroupId>) -> Drawn {
    let told = step.told();
    let (event, target) = match step {
        Step::PutBucket { .. } | Step::RemoveBucket { .. } => (Event::BucketChanged, told.name.clone()),
        Step::PutApp { .. } | Step::RemoveApp { .. } => (Event::AppChanged, told.name.clone()),
        Step::MakeGroup { .. } => (Event::GroupCreated, told.name.clone()),
        Step::ChangeGroup { called, .. } | Step::ReleaseGroup { called, .. } => (Event::GroupChanged, called.clone()),
        Step::Join { called, .. } | Step::Leave { called, .. } => (Event::GroupChanged, called.clone()),
        Step::Demand { called, .. } => (Event::FactorDemanded, called.clone()),
        Step::RemoveGroup { called, .. } => (Event::GroupDeleted, called.clone()),
        Step::MakeInvite { .. } => (Event::LinkCreated, told.name.clone()),
        Step::ChangeInvite { id, .. } => (Event::LinkChanged, id.to_string()),
        Step::WithdrawInvite { id, .. } => (Event::LinkRevoked, id.to_string()),
    };
    let entry =
        Entry::new(cx, event, Outcome::Done).target(target).detail(format!("{}: {}", wanted.owner, told.line()));
    let entry = match step {
        Step::Join { account, .. } | Step::Leave { account, .. } => entry.of(*account),
        _ => entry,
    };
    let link = match step {
        Step::MakeInvite { note, groups, buckets, .. } => {
            let gifts = Gifts { groups: ids(groups, made), buckets: buckets.clone() };
            Some(NewLink::draw(cx, links::Kind::Invite, None, note).giving(gifts))
        }
        _ => None,
    };
    Drawn { entry, link }
}

fn ids(groups: &[(Which, String)], made: &BTreeMap<String, GroupId>) -> BTreeSet<GroupId> {
    groups.iter().filter_map(|(which, _)| id(which, made)).collect()
}

fn id(which: &Which, made: &BTreeMap<String, GroupId>) -> Option<GroupId> {
    match which {
        Which::Known(id) => Some(*id),
        Which::New(key) => made.get(key).copied(),
    }
}

/// A transaction that carries a plan out.
struct Doing<'a> {
    tx: &'a mut Tx,
    owner: &'a str,
    made: &'a BTreeMap<String, GroupId>,
    now: Time,
}

impl Doing<'_> {
    /// Does a step. `false` when people were quicker, and it has to be planned again.
    async fn step(&mut self, step: &Step, link: Option<&NewLink>) -> Result<bool, Error> {
        let now = self.now;
        match step {
            Step::PutBucket { bucket, .. } => {
                buckets::give_number(self.tx, &bucket.name).await?;
                store::put_bucket(self.tx, bucket).await?;
                self.mark(Kind::Bucket, bucket.name.clone(), String::new()).await?;
            }
            Step::RemoveBucket { name } => {
                store::remove_bucket(self.tx, name).await?;
                store::remove_mark(self.tx, Kind::Bucket, name).await?;
            }
            Step::PutApp { app, .. } => {
                store::put_app(self.tx, app).await?;
                self.mark(Kind::App, app.name.clone(), String::new()).await?;
            }
            Step::RemoveApp { name } => {
                store::remove_app(self.tx, name).await?;
                store::remove_mark(self.tx, Kind::App, name).await?;
            }
            Step::MakeGroup { name, buckets } => {
                let Some(id) = self.made.get(name.key()).copied() else { return Ok(false) };
                if groups::create(self.tx, id, name, buckets, now).await?.is_err() {
                    return Ok(false);
                }
                self.mark(Kind::Group, name.key().to_owned(), id.to_string()).await?;
                self.grants(id, buckets.names(), &BTreeSet::new()).await?;
            }
            Step::ChangeGroup { .. } => return self.change_group(step).await,
            Step::Join { group, account, .. } => {
                let Some(id) = id(group, self.made) else { return Ok(false) };
                if groups::add_member(self.tx, id, *account, now).await? != Ok(true) {
                    return Ok(false);
                }
                self.mark(Kind::Member, of(id, account), String::new()).await?;
            }
            Step::Leave { group, account, .. } => {
                if !groups::remove_member(self.tx, *group, *account, now).await? {
                    return Ok(false);
                }
                store::remove_mark(self.tx, Kind::Member, &of(*group, account)).await?;
            }
            Step::Demand { group, demanded, .. } => {
                let Some(id) = id(group, self.made) else { return Ok(false) };
                if groups::demand_factor(self.tx, id, *demanded, now).await? != Ok(true) {
                    return Ok(false);
                }
                if *demanded {
                    self.mark(Kind::Factor, of(id, ""), String::new()).await?;
                } else {
                    store::remove_mark(self.tx, Kind::Factor, &of(id, "")).await?;
                }
            }
            Step::MakeInvite { .. } | Step::ChangeInvite { .. } | Step::WithdrawInvite { .. } => {
                return self.invite(step, link).await;
            }
            Step::RemoveGroup { id, key, .. } => {
                if groups::delete(self.tx, *id, now).await?.is_err() {
                    return Ok(false);
                }
                store::remove_mark(self.tx, Kind::Group, key).await?;
                self.forget(*id).await?;
            }
            Step::ReleaseGroup { key, .. } => store::remove_mark(self.tx, Kind::Group, key).await?,
        }
        Ok(true)
    }

    async fn change_group(&mut self, step: &Step) -> Result<bool, Error> {
        let Step::ChangeGroup { id, name, open, close, kept, buckets, .. } = step else { return Ok(false) };
        if let Some(name) = name
            && groups::rename(self.tx, *id, name, self.now).await?.is_err()
        {
            return Ok(false);
        }
        if open.is_empty() && close.is_empty() {
            return Ok(true);
        }
        if groups::set_buckets(self.tx, *id, buckets, self.now).await?.is_err() {
            return Ok(false);
        }
        for name in close {
            store::remove_mark(self.tx, Kind::Grant, &of(*id, name)).await?;
        }
        self.grants(*id, open.iter().cloned().collect(), kept).await?;
        Ok(true)
    }

    async fn invite(&mut self, step: &Step, link: Option<&NewLink>) -> Result<bool, Error> {
        match (step, link) {
            (Step::MakeInvite { key, groups, .. }, Some(link)) => {
                if !groups::hold_all(self.tx, &ids(groups, self.made)).await? {
                    return Ok(false);
                }
                link.insert(self.tx, self.now).await?;
                self.mark(Kind::Invite, key.clone(), link.id().to_string()).await?;
                Ok(true)
            }
            (Step::ChangeInvite { id, note, groups, buckets, .. }, _) => {
                let gifts = Gifts { groups: ids(groups, self.made), buckets: buckets.clone() };
                if !groups::hold_all(self.tx, &gifts.groups).await? {
                    return Ok(false);
                }
                links::change_invite(self.tx, *id, note, &gifts, self.now).await
            }
            (Step::WithdrawInvite { key, id }, _) => {
                store::remove_mark(self.tx, Kind::Invite, key).await?;
                links::withdraw(self.tx, *id, self.now).await
            }
            _ => Ok(false),
        }
    }

    /// Marks the buckets that the file gives a group. Every bucket takes the place of those that people had named, which
    /// are kept with its mark.
    async fn grants(&mut self, id: GroupId, names: Vec<String>, kept: &BTreeSet<String>) -> Result<(), Error> {
        for name in names {
            let subject = if name == ALL { serde_json::json!(kept).to_string() } else { String::new() };
            self.mark(Kind::Grant, of(id, &name), subject).await?;
        }
        Ok(())
    }

    async fn mark(&mut self, kind: Kind, key: String, subject: String) -> Result<(), Error> {
        let mark = Mark { kind, key, owner: self.owner.to_owned(), subject };
        store::put_mark(self.tx, &mark).await
    }

    /// Removes the marks on what was in a group.
    async fn forget(&mut self, group: GroupId) -> Result<(), Error> {
        let inside = of(group, "");
        for mark in store::marks(self.tx, self.owner).await? {
            if mark.key.starts_with(&inside) {
                store::remove_mark(self.tx, mark.kind, &mark.key).await?;
            }
        }
        Ok(())
    }
}
