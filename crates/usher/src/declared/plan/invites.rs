//! What becomes of invitations.

use super::{Groups, Planner};
use crate::accounts::Buckets;
use crate::accounts::groups::{self, GroupName};
use crate::declared::step::{Step, Which};
use crate::declared::wanted;
use crate::declared::{Kind, Mark};
use crate::id::{GroupId, LinkId};
use crate::login::links::{self, Fate};
use crate::time::Time;
use std::collections::BTreeSet;
use usher_db::{Error, Tx};

impl Planner<'_> {
    pub(super) async fn invites(&mut self, tx: &mut Tx, known: &Groups) -> Result<(), Error> {
        for (index, invite) in self.wanted.invites.iter().enumerate() {
            let at = format!("invite[{index}]");
            self.known_buckets(tx, &at, &invite.buckets).await?;
            if self.foreign(tx, Kind::Invite, &invite.key, &format!("{at}.key"), &invite.key).await? {
                continue;
            }
            let mut groups = Vec::new();
            for name in &invite.groups {
                match self.group_of(tx, name, known).await? {
                    Some(group) => groups.push(group),
                    None => {
                        let remedy = "Declare it as a [[group]], or correct its name.";
                        let said = "there is no group of this name, or this file takes it away";
                        self.refuse(&format!("{at}.groups"), name.display(), said, remedy);
                    }
                }
            }
            self.invite(tx, invite, groups).await?;
        }
        for mark in self.marked(Kind::Invite) {
            if self.wanted.invites.iter().any(|invite| invite.key == mark.key) {
                continue;
            }
            match link(tx, &mark, self.now).await? {
                Some((id, Fate::Open, ..)) => self.plan.steps.push(Step::WithdrawInvite { key: mark.key, id }),
                _ => self.plan.spent.push((Kind::Invite, mark.key)),
            }
        }
        Ok(())
    }

    async fn group_of(&self, tx: &mut Tx, name: &GroupName, known: &Groups) -> Result<Option<(Which, String)>, Error> {
        if let Some(group) = known.get(name.key()) {
            return Ok(Some(group.clone()));
        }
        let state = groups::state_by_name(tx, name).await?;
        let taken_away = |id: GroupId| {
            let removes = |step: &Step| matches!(step, Step::RemoveGroup { id: gone, .. } if *gone == id);
            self.last.iter().any(removes)
        };
        let kept = state.filter(|state| !taken_away(state.group.id));
        Ok(kept.map(|state| (Which::Known(state.group.id), state.group.name)))
    }

    async fn invite(
        &mut self,
        tx: &mut Tx,
        invite: &wanted::Invite,
        mut groups: Vec<(Which, String)>,
    ) -> Result<(), Error> {
        groups.sort_by(|one, other| one.1.cmp(&other.1));
        groups.dedup();
        let (key, note) = (invite.key.clone(), invite.note.clone());
        let buckets = Buckets::from_names(invite.buckets.iter().cloned());
        let Some(mark) = self.mark(Kind::Invite, &key).cloned() else {
            self.plan.steps.push(Step::MakeInvite { key, note, groups, buckets });
            return Ok(());
        };
        let over = match link(tx, &mark, self.now).await? {
            Some((id, Fate::Open, said, gifts)) => {
                let to: BTreeSet<GroupId> = groups.iter().filter_map(|(which, _)| known_id(which)).collect();
                let same = to.len() == groups.len() && to == gifts.groups && buckets == gifts.buckets && said == note;
                if !same {
                    self.plan.steps.push(Step::ChangeInvite { key, id, note, groups, buckets });
                }
                return Ok(());
            }
            Some((_, Fate::Used { .. }, ..)) => return Ok(()),
            Some((_, Fate::Revoked { .. }, ..)) => "was withdrawn",
            Some((_, Fate::Expired, ..)) | None => "is over",
        };
        self.plan.notes.push(format!("the invite {key} {over}; under another key it is made again"));
        Ok(())
    }
}

fn known_id(which: &Which) -> Option<GroupId> {
    match which {
        Which::Known(id) => Some(*id),
        Which::New(_) => None,
    }
}

/// The invitation that a mark is on. `None` when its row is gone.
async fn link(tx: &mut Tx, mark: &Mark, now: Time) -> Result<Option<(LinkId, Fate, String, links::Gifts)>, Error> {
    let Ok(id) = mark.subject.parse::<LinkId>() else { return Ok(None) };
    let found = links::invite(tx, id, now).await?;
    Ok(found.map(|(invite, gifts)| (id, invite.fate, invite.note, gifts)))
}
