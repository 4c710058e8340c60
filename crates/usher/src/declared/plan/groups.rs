//! What becomes of groups, their members and what they open.

use super::{Groups, Planner, of};
use crate::accounts::groups::{self, GroupName, State};
use crate::accounts::{self, Buckets, username};
use crate::declared::step::{Step, Which};
use crate::declared::wanted;
use crate::declared::{ALL, Kind, Mark, store};
use crate::id::{AccountId, GroupId};
use std::collections::BTreeSet;
use usher_db::{Error, Tx};

struct Opening {
    open: BTreeSet<String>,
    close: BTreeSet<String>,
    /// What people gave.
    kept: BTreeSet<String>,
    buckets: Buckets,
}

impl Planner<'_> {
    pub(super) async fn groups(&mut self, tx: &mut Tx) -> Result<Groups, Error> {
        let mut known = Groups::new();
        for (index, group) in self.wanted.groups.iter().enumerate() {
            let at = format!("group[{index}]");
            let (key, shown) = (group.name.key(), group.name.display());
            self.known_buckets(tx, &at, &group.buckets).await?;
            let name = format!("{at}.name");
            if self.foreign(tx, Kind::Group, key, &name, shown).await?
                || self.foreign(tx, Kind::Used, key, &name, shown).await?
            {
                continue;
            }
            let state = self.standing(tx, &group.name, &known).await?;
            let which = match &state {
                Some(state) => Which::Known(state.group.id),
                None => Which::New(key.to_owned()),
            };
            known.insert(key.to_owned(), (which.clone(), shown.to_owned()));
            match &state {
                Some(state) => self.change_group(group, state),
                None => self.plan.steps.push(Step::MakeGroup {
                    name: group.name.clone(),
                    buckets: Buckets::from_names(group.buckets.iter().cloned()),
                }),
            }
            self.members(tx, &at, group, &which).await?;
            let demanded = state.as_ref().is_some_and(|state| state.factor_demanded);
            let ours = state.as_ref().is_some_and(|state| self.mark(Kind::Factor, &of(state.group.id, "")).is_some());
            if group.factor && !demanded || !group.factor && demanded && ours {
                let (called, demanded) = (shown.to_owned(), group.factor);
                self.plan.steps.push(Step::Demand { group: which, called, demanded });
            } else if let Some(state) = state.filter(|_| ours && !group.factor) {
                // People lifted it before the file did.
                self.plan.spent.push((Kind::Factor, of(state.group.id, "")));
            }
        }
        self.drop_groups(tx, &known).await?;
        Ok(known)
    }

    /// The group that the file means: the one it has marked, whatever that is called now, else the one of this name.
    async fn standing(&mut self, tx: &mut Tx, name: &GroupName, known: &Groups) -> Result<Option<State>, Error> {
        let mark = self.mark(Kind::Group, name.key()).or_else(|| self.mark(Kind::Used, name.key())).cloned();
        if let Some(mark) = mark {
            if let Some(state) = state(tx, &mark).await? {
                return Ok(Some(state));
            }
            // Somebody removed it: what was marked in it went with it.
            self.forget_marks_in(&mark);
        }
        let taken = |id: GroupId| known.values().any(|(which, _)| *which == Which::Known(id));
        let state = groups::state_by_name(tx, name).await?.filter(|state| !taken(state.group.id));
        if let Some(state) = &state {
            self.take_up(state.group.id, name);
        }
        Ok(state)
    }

    /// Marks a group that has no mark under this name: one that people made, or one of the file's that people have given
    /// the name which the file gives it now.
    fn take_up(&mut self, id: GroupId, name: &GroupName) {
        let subject = id.to_string();
        let ours = |mark: &Mark| matches!(mark.kind, Kind::Group | Kind::Used) && mark.subject == subject;
        let mut mark = Mark {
            kind: Kind::Used,
            key: name.key().to_owned(),
            owner: self.wanted.owner.clone(),
            subject: subject.clone(),
        };
        if let Some(at) = self.marks.iter().position(ours) {
            let before = self.marks.remove(at);
            mark.kind = before.kind;
            self.plan.spent.push((before.kind, before.key));
        }
        self.marks.push(mark.clone());
        self.plan.marks.push(mark);
    }

    /// Notes that a group's marks stand for nothing any more, the one on the group itself included.
    fn forget_marks_in(&mut self, group: &Mark) {
        let inside = format!("{}/", group.subject);
        let within = |mark: &&Mark| {
            matches!(mark.kind, Kind::Member | Kind::Grant | Kind::Factor) && mark.key.starts_with(&inside)
        };
        let spent: Vec<(Kind, String)> =
            self.marks.iter().filter(within).chain([group]).map(|mark| (mark.kind, mark.key.clone())).collect();
        self.marks.retain(|mark| !spent.iter().any(|(kind, key)| mark.kind == *kind && mark.key == *key));
        self.plan.spent.extend(spent);
    }

    /// The buckets that the file gave this group.
    fn granted(&self, id: GroupId) -> BTreeSet<String> {
        let inside = of(id, "");
        let grants = self.marks.iter().filter(|mark| mark.kind == Kind::Grant);
        grants.filter_map(|mark| mark.key.strip_prefix(&inside)).map(str::to_owned).collect()
    }

    fn change_group(&mut self, group: &wanted::Group, state: &State) {
        let id = state.group.id;
        let renamed = (state.group.name != group.name.display()).then(|| group.name.clone());
        // The name of a group that is theirs is theirs: any spelling of it will do.
        let renamed = renamed.filter(|_| self.mark(Kind::Group, group.name.key()).is_some());
        let Opening { open, close, kept, buckets } = self.opening(id, &state.buckets, &group.buckets);
        let grants = self.granted(id);
        // A grant that people took back and the file does not want any more leaves a mark behind.
        let gone = grants.iter().filter(|name| !group.buckets.contains(*name) && !close.contains(*name));
        self.plan.spent.extend(gone.map(|name| (Kind::Grant, of(id, name))));
        if renamed.is_some() || !open.is_empty() || !close.is_empty() {
            let called = state.group.name.clone();
            self.plan.steps.push(Step::ChangeGroup { id, called, name: renamed, open, close, kept, buckets });
        }
    }

    /// What a group opens once it opens what is wanted, what people gave it, and nothing else.
    fn opening(&self, id: GroupId, now: &Buckets, wanted: &BTreeSet<String>) -> Opening {
        let has: BTreeSet<String> = now.names().into_iter().collect();
        let ours = self.granted(id);
        let close: BTreeSet<String> =
            ours.iter().filter(|name| !wanted.contains(*name) && has.contains(*name)).cloned().collect();
        // Every bucket took the place of those that people had named; they come back with its end.
        let theirs: BTreeSet<String> = if close.contains(ALL) {
            let mark = self.mark(Kind::Grant, &of(id, ALL));
            mark.and_then(|mark| serde_json::from_str(&mark.subject).ok()).unwrap_or_default()
        } else {
            has.difference(&close).cloned().collect()
        };
        let open: BTreeSet<String> = if theirs.contains(ALL) {
            BTreeSet::new()
        } else {
            wanted.difference(&theirs).filter(|name| close.contains(ALL) || !has.contains(*name)).cloned().collect()
        };
        // Among what stays are the ones that the file gave before and still wants.
        let kept = if close.contains(ALL) { theirs.clone() } else { theirs.difference(&ours).cloned().collect() };
        let buckets = Buckets::from_names(theirs.into_iter().chain(open.iter().cloned()));
        Opening { open, close, kept, buckets }
    }

    async fn members(&mut self, tx: &mut Tx, at: &str, group: &wanted::Group, which: &Which) -> Result<(), Error> {
        let called = group.name.display().to_owned();
        let mut wanted = BTreeSet::new();
        for member in &group.members {
            let found = match username::lookup_key(member) {
                Some(key) => accounts::find_by_key_in(tx, &key).await?,
                None => None,
            };
            let Some(account) = found else {
                let remedy = "Make it first, or declare an [[invite]] to this group.";
                self.refuse(&format!("{at}.members"), member, "there is no account of this name", remedy);
                continue;
            };
            wanted.insert(account.id);
            let is_in = match which {
                Which::Known(id) => groups::is_member(tx, *id, account.id).await?,
                Which::New(_) => false,
            };
            if !is_in {
                self.plan.steps.push(Step::Join {
                    group: which.clone(),
                    called: called.clone(),
                    account: account.id,
                    username: account.username,
                });
            }
        }
        if let Which::Known(id) = which {
            self.leave(tx, *id, &called, &wanted).await?;
        }
        Ok(())
    }

    /// Takes out whom the file put in and does not name any more.
    async fn leave(&mut self, tx: &mut Tx, id: GroupId, called: &str, stay: &BTreeSet<AccountId>) -> Result<(), Error> {
        for account in self.put_in(id).difference(stay) {
            if !groups::is_member(tx, id, *account).await? {
                self.plan.spent.push((Kind::Member, of(id, account)));
                continue;
            }
            let known = accounts::find_in(tx, *account).await?;
            let username = known.map_or_else(|| account.to_string(), |account| account.username);
            let (group, called, account) = (id, called.to_owned(), *account);
            self.plan.steps.push(Step::Leave { group, called, account, username });
        }
        Ok(())
    }

    /// The accounts that the file put into this group.
    fn put_in(&self, id: GroupId) -> BTreeSet<AccountId> {
        let inside = of(id, "");
        let members = self.marks.iter().filter(|mark| mark.kind == Kind::Member);
        members.filter_map(|mark| mark.key.strip_prefix(&inside)).filter_map(|account| account.parse().ok()).collect()
    }

    /// What becomes of the groups that the file does not name any more.
    async fn drop_groups(&mut self, tx: &mut Tx, known: &Groups) -> Result<(), Error> {
        let dropped = [self.marked(Kind::Group), self.marked(Kind::Used)].concat();
        for mark in dropped.into_iter().filter(|mark| !known.contains_key(&mark.key)) {
            let Some(state) = state(tx, &mark).await? else {
                self.forget_marks_in(&mark);
                continue;
            };
            let (id, called, key) = (state.group.id, state.group.name.clone(), mark.key.clone());
            if mark.kind == Kind::Used {
                self.take_back(tx, &state).await?;
                self.plan.spent.push((Kind::Used, key));
            } else if let Some(why) = self.put_in_by_people(tx, &state).await? {
                self.take_back(tx, &state).await?;
                self.last.push(Step::ReleaseGroup { id, called, key, why });
            } else {
                let members = !self.put_in(id).is_empty();
                self.last.push(Step::RemoveGroup { id, called, key, members });
            }
        }
        Ok(())
    }

    /// What people have put into a group that the file made, in words.
    async fn put_in_by_people(&mut self, tx: &mut Tx, state: &State) -> Result<Option<&'static str>, Error> {
        let id = state.group.id;
        let ours = self.put_in(id);
        let limit = u32::try_from(ours.len()).unwrap_or(u32::MAX).saturating_add(1);
        if store::members(tx, id, limit).await?.iter().any(|member| !ours.contains(member)) {
            return Ok(Some("people have put somebody into it"));
        }
        let grants = self.granted(id);
        if state.buckets.names().iter().any(|name| !grants.contains(name)) {
            return Ok(Some("people have given it buckets"));
        }
        if state.factor_demanded && self.mark(Kind::Factor, &of(id, "")).is_none() {
            return Ok(Some("people have it demand a second factor"));
        }
        let invites: BTreeSet<String> = self.marked(Kind::Invite).into_iter().map(|mark| mark.subject).collect();
        let limit = u32::try_from(invites.len()).unwrap_or(u32::MAX).saturating_add(1);
        let open = store::invites_to(tx, id, self.now, limit).await?;
        Ok(open.iter().any(|link| !invites.contains(link)).then_some("people have invited somebody to it"))
    }

    /// Takes out of a group what the file put in.
    async fn take_back(&mut self, tx: &mut Tx, state: &State) -> Result<(), Error> {
        let (id, called) = (state.group.id, state.group.name.clone());
        let Opening { open, close, kept, buckets } = self.opening(id, &state.buckets, &BTreeSet::new());
        let gone = self.granted(id).into_iter().filter(|name| !close.contains(name));
        let gone: Vec<_> = gone.map(|name| (Kind::Grant, of(id, name))).collect();
        self.plan.spent.extend(gone);
        if !close.is_empty() {
            let called = called.clone();
            self.plan.steps.push(Step::ChangeGroup { id, called, name: None, open, close, kept, buckets });
        }
        self.leave(tx, id, &called, &BTreeSet::new()).await?;
        if self.mark(Kind::Factor, &of(id, "")).is_some() {
            if state.factor_demanded {
                self.plan.steps.push(Step::Demand { group: Which::Known(id), called, demanded: false });
            } else {
                self.plan.spent.push((Kind::Factor, of(id, "")));
            }
        }
        Ok(())
    }
}

/// How the group that a mark is on stands. `None` when it is gone.
async fn state(tx: &mut Tx, mark: &Mark) -> Result<Option<State>, Error> {
    match mark.subject.parse() {
        Ok(id) => groups::state(tx, id).await,
        Err(_) => Ok(None),
    }
}
