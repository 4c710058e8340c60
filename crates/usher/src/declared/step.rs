//! One change that makes things as they are declared: what it does, and how it is told.

use crate::accounts::Buckets;
use crate::accounts::groups::GroupName;
use crate::config;
use crate::id::{AccountId, GroupId, LinkId};
use serde::Serialize;
use std::collections::BTreeSet;

/// A group that a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// One that an earlier step makes, by its name as names are compared.
    New(String),
    /// One that exists.
    Known(GroupId),
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Declares a bucket, or changes a declared one.
    PutBucket {
        /// As it will be.
        bucket: config::Bucket,
        /// As it is.
        before: Option<config::Bucket>,
    },
    /// Takes a declared bucket away.
    RemoveBucket {
        /// Which.
        name: String,
    },
    /// Declares an app, or changes a declared one.
    PutApp {
        /// As it will be.
        app: config::App,
        /// As it is.
        before: Option<config::App>,
    },
    /// Takes a declared app away.
    RemoveApp {
        /// Which.
        name: String,
    },
    /// Makes a group.
    MakeGroup {
        /// Its name.
        name: GroupName,
        /// What it opens.
        buckets: Buckets,
    },
    /// Changes a group's name, or what it opens.
    ChangeGroup {
        /// Which.
        id: GroupId,
        /// Its name now.
        called: String,
        /// Another name, or another spelling of it.
        name: Option<GroupName>,
        /// Buckets that it opens from now on.
        open: BTreeSet<String>,
        /// Buckets that it opens no more.
        close: BTreeSet<String>,
        /// What people gave it.
        kept: BTreeSet<String>,
        /// What it opens then.
        buckets: Buckets,
    },
    /// Takes an account into a group.
    Join {
        /// Which group.
        group: Which,
        /// Its name.
        called: String,
        /// Who.
        account: AccountId,
        /// Under which name.
        username: String,
    },
    /// Takes an account out of a group.
    Leave {
        /// Which group.
        group: GroupId,
        /// Its name.
        called: String,
        /// Who.
        account: AccountId,
        /// Under which name; the id of an account that is being removed at this moment.
        username: String,
    },
    /// Demands a second factor of a group's members, or no more.
    Demand {
        /// Which group.
        group: Which,
        /// Its name.
        called: String,
        /// Whether there must be one.
        demanded: bool,
    },
    /// Makes an invitation.
    MakeInvite {
        /// By which the file means it.
        key: String,
        /// Whom it is for.
        note: String,
        /// Groups of the account that it makes, with their names.
        groups: Vec<(Which, String)>,
        /// Buckets of that account.
        buckets: Buckets,
    },
    /// Changes what an open invitation says and gives. Its link stays.
    ChangeInvite {
        /// By which the file means it.
        key: String,
        /// The link.
        id: LinkId,
        /// Whom it is for.
        note: String,
        /// Groups of the account that it makes, with their names.
        groups: Vec<(Which, String)>,
        /// Buckets of that account.
        buckets: Buckets,
    },
    /// Withdraws an open invitation.
    WithdrawInvite {
        /// By which the file meant it.
        key: String,
        /// The link.
        id: LinkId,
    },
    /// Removes a group that the file made.
    RemoveGroup {
        /// Which.
        id: GroupId,
        /// Its name.
        called: String,
        /// Its name, as names are compared.
        key: String,
        /// Whether it had members, all of them the file's.
        members: bool,
    },
    /// Gives a group that the file made to the people who have put something into it.
    ReleaseGroup {
        /// Which.
        id: GroupId,
        /// Its name.
        called: String,
        /// Its name, as names are compared.
        key: String,
        /// What people have put into it, in words.
        why: &'static str,
    },
}

/// What a step does to a thing, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// It was not there.
    Make,
    /// It was otherwise.
    Change,
    /// It will not be there.
    Remove,
    /// It stays, and is the file's no more.
    Release,
}

impl Act {
    /// The sign at the beginning of its line.
    pub fn sign(self) -> char {
        match self {
            Act::Make => '+',
            Act::Change => '~',
            Act::Remove => '-',
            Act::Release => '=',
        }
    }
}

/// A step as it is told: to people on a line, to programs field by field, in the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What is done.
    pub act: Act,
    /// To what sort of thing.
    pub kind: &'static str,
    /// To which.
    pub name: String,
    /// What more there is to say; perhaps nothing.
    pub detail: String,
}

impl Told {
    /// `+ group Family: opens films`.
    pub fn line(&self) -> String {
        let colon = if self.detail.is_empty() { "" } else { ": " };
        format!("{} {} {}{colon}{}", self.act.sign(), self.kind, self.name, self.detail)
    }
}

impl Step {
    /// Whether it is a change of apps or buckets, which every node follows.
    pub fn is_followed(&self) -> bool {
        matches!(
            self,
            Step::PutBucket { .. } | Step::RemoveBucket { .. } | Step::PutApp { .. } | Step::RemoveApp { .. }
        )
    }

    /// The step in words.
    pub fn told(&self) -> Told {
        let tell = |act, kind, name: &str, detail: String| Told { act, kind, name: name.to_owned(), detail };
        match self {
            Step::PutBucket { bucket, before } => {
                let act = if before.is_some() { Act::Change } else { Act::Make };
                tell(act, "bucket", &bucket.name, of_bucket(bucket, before.as_ref()))
            }
            Step::RemoveBucket { name } => {
                let kept = "opens nothing from now on; who was given it has it again when it comes back";
                tell(Act::Remove, "bucket", name, kept.to_owned())
            }
            Step::PutApp { app, before } => {
                let act = if before.is_some() { Act::Change } else { Act::Make };
                tell(act, "app", &app.name, of_app(app, before.as_ref()))
            }
            Step::RemoveApp { name } => {
                let ends = "whoever is logged in by it cannot go on once the access token is over";
                tell(Act::Remove, "app", name, ends.to_owned())
            }
            Step::MakeGroup { name, buckets } => {
                tell(Act::Make, "group", name.display(), opens(&buckets.names()).unwrap_or_default())
            }
            Step::ChangeGroup { called, name, open, close, .. } => {
                let named = name.as_ref().map(|name| format!("is called {}", name.display()));
                let opened = opens(&Vec::from_iter(open.iter().cloned()));
                let closed = (!close.is_empty()).then(|| format!("no longer opens {}", list(close)));
                let parts: Vec<String> = [named, opened, closed].into_iter().flatten().collect();
                tell(Act::Change, "group", called, parts.join("; "))
            }
            Step::Join { called, username, .. } => tell(Act::Make, "member", username, format!("in {called}")),
            Step::Leave { called, username, .. } => tell(Act::Remove, "member", username, format!("in {called}")),
            Step::Demand { called, demanded, .. } => {
                let how = if *demanded { "demands a second factor" } else { "demands no second factor" };
                tell(Act::Change, "group", called, how.to_owned())
            }
            Step::MakeInvite { key, groups, buckets, .. } => tell(Act::Make, "invite", key, gives(groups, buckets)),
            Step::ChangeInvite { key, groups, buckets, .. } => tell(Act::Change, "invite", key, gives(groups, buckets)),
            Step::WithdrawInvite { key, .. } => tell(Act::Remove, "invite", key, "its link is withdrawn".to_owned()),
            Step::RemoveGroup { called, members, .. } => {
                let lost = if *members { "its members stay and lose what it opens" } else { "" };
                tell(Act::Remove, "group", called, lost.to_owned())
            }
            Step::ReleaseGroup { called, why, .. } => {
                tell(Act::Release, "group", called, format!("stays, and is yours from now on: {why}"))
            }
        }
    }
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn opens(names: &[String]) -> Option<String> {
    match names {
        [] => None,
        [all] if all == super::ALL => Some("opens every bucket".to_owned()),
        some => Some(format!("opens {}", list(some))),
    }
}

fn gives(groups: &[(Which, String)], buckets: &Buckets) -> String {
    let groups = (!groups.is_empty()).then(|| format!("to {}", list(groups.iter().map(|(_, name)| name))));
    let parts: Vec<String> = [groups, opens(&buckets.names())].into_iter().flatten().collect();
    if parts.is_empty() { "gives nothing".to_owned() } else { parts.join("; ") }
}

/// What is new, or what is otherwise.
fn of_bucket(bucket: &config::Bucket, before: Option<&config::Bucket>) -> String {
    let path = bucket.path.display();
    let mut parts = Vec::new();
    if before.is_none_or(|before| before.path != bucket.path) {
        parts.push(format!("{path}"));
    }
    let symlinks = before.map_or(config::Symlinks::default(), |before| before.symlinks);
    if bucket.symlinks != symlinks {
        let how = match bucket.symlinks {
            config::Symlinks::Inside => "follows links inside",
            config::Symlinks::Never => "follows no links",
        };
        parts.push(how.to_owned());
    }
    if bucket.hidden != before.is_some_and(|before| before.hidden) {
        parts.push(if bucket.hidden { "serves hidden names" } else { "hides hidden names" }.to_owned());
    }
    parts.join("; ")
}

fn of_app(app: &config::App, before: Option<&config::App>) -> String {
    let mut parts = Vec::new();
    if before.is_none_or(|before| before.origins != app.origins) {
        let origins: Vec<String> = app.origins.iter().map(ToString::to_string).collect();
        parts.push(if origins.is_empty() { "no origins".to_owned() } else { format!("at {}", origins.join(", ")) });
    }
    if app.audience.as_ref() != before.and_then(|before| before.audience.as_ref()) {
        parts.push(format!("audience {}", app.audience.as_ref().unwrap_or(&app.name)));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;

    #[test]
    fn a_change_tells_what_is_otherwise_and_nothing_else() {
        let before = config::Bucket { name: "films".into(), path: "/srv/films".into(), ..Default::default() };
        let line = |bucket: config::Bucket, before: Option<&config::Bucket>| {
            Step::PutBucket { bucket, before: before.cloned() }.told().line()
        };
        assert_eq!(line(before.clone(), None), "+ bucket films: /srv/films");
        let moved = config::Bucket { path: "/mnt/films".into(), ..before.clone() };
        assert_eq!(line(moved, Some(&before)), "~ bucket films: /mnt/films");
        let open = config::Bucket { hidden: true, symlinks: config::Symlinks::Never, ..before.clone() };
        assert_eq!(line(open.clone(), Some(&before)), "~ bucket films: follows no links; serves hidden names");
        assert_eq!(line(before, Some(&open)), "~ bucket films: follows links inside; hides hidden names");
        let app =
            config::App { name: "player".into(), origins: vec!["https://a.example".parse().unwrap()], audience: None };
        assert_eq!(Step::PutApp { app: app.clone(), before: None }.told().line(), "+ app player: at https://a.example");
        let other = config::App { audience: Some("watch".into()), ..app.clone() };
        assert_eq!(Step::PutApp { app: other, before: Some(app) }.told().line(), "~ app player: audience watch");
    }
}
