//! A declaration, judged as far as it can be without looking at what there is.

use super::{live, store};
use crate::accounts::groups::GroupName;
use crate::accounts::username;
use crate::config::{self, Config, Declaration, Fault, File, Lines, Problem, Problems, Signup, is_name};
use crate::cx::Cx;
use std::collections::BTreeSet;
use usher_db::Error;

/// How many groups, members, apps, buckets and invitations a file declares at most: all of it is one commit
/// (decisions/0021), for which others wait.
const MOST: usize = 5_000;
/// The longest name of a file's things, in characters.
const LONGEST_OWNER: usize = 100;
/// The longest note on an invitation, in characters.
const LONGEST_NOTE: usize = 200;

/// What a file wants.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Under which name its things are marked.
    pub owner: String,
    pub groups: Vec<Group>,
    pub apps: Vec<config::App>,
    pub buckets: Vec<config::Bucket>,
    pub invites: Vec<Invite>,
    /// The buckets of the configuration.
    pub configured: BTreeSet<String>,
    pub lines: Lines,
}

/// A group that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub name: GroupName,
    pub buckets: BTreeSet<String>,
    /// As they are written.
    pub members: Vec<String>,
    pub factor: bool,
}

/// An invitation that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Invite {
    pub key: String,
    pub note: String,
    pub groups: Vec<GroupName>,
    pub buckets: BTreeSet<String>,
}

struct Judge<'a> {
    config: &'a Config,
    lines: &'a Lines,
    found: Vec<Problem>,
}

impl Wanted {
    /// Judges a declaration that was read from `file`, all of it at once.
    pub async fn judge(
        cx: &Cx,
        declaration: Declaration,
        lines: Lines,
        file: &File,
    ) -> Result<Result<Wanted, Problems>, Error> {
        let mut judge = Judge { config: &cx.app.config, lines: &lines, found: Vec::new() };
        let owner = judge.owner(declaration.name.as_deref(), file);
        judge.size(&declaration);
        let groups = judge.groups(&declaration.groups);
        judge.apps(&declaration.apps);
        judge.buckets(&declaration.buckets);
        let invites = judge.invites(&declaration.invites);
        let mut found = judge.found;
        let standing = store::buckets(&cx.app.db).await?;
        for (index, bucket) in declaration.buckets.iter().enumerate() {
            // One that was declared before may be away for a while; that is no reason against the rest of the file.
            let stands = standing.iter().any(|declared| declared.bucket == *bucket);
            if !stands
                && !bucket.path.as_os_str().is_empty()
                && let Some(why) = live::refusal(&cx.app, bucket).await
            {
                let shown = bucket.path.to_string_lossy();
                let said = format!("this folder cannot be served: {why}");
                let remedy = "Correct it, mount it, or let the server's user read it.";
                found.push(lines.problem(&format!("bucket[{index}].path"), Some(&shown), said, remedy));
            }
        }
        if !found.is_empty() {
            return Ok(Err(Problems(found)));
        }
        let configured = cx.app.config.buckets.iter().map(|bucket| bucket.name.clone()).collect();
        let Declaration { apps, buckets, .. } = declaration;
        Ok(Ok(Wanted { owner, groups, apps, buckets, invites, configured, lines }))
    }
}

impl Judge<'_> {
    fn refuse(&mut self, key: &str, value: Option<&str>, expected: impl ToString, remedy: impl ToString) {
        self.found.push(self.lines.problem(key, value, expected, remedy));
    }

    fn owner(&mut self, named: Option<&str>, file: &File) -> String {
        let of_file = file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let owner = named.unwrap_or(&of_file).trim().to_owned();
        let plain = !owner.is_empty() && !owner.chars().any(char::is_control);
        if !plain || owner.chars().count() > LONGEST_OWNER {
            let expected = "expected 1 to 100 characters without control characters";
            self.refuse("name", Some(&owner), expected, "It marks what this file makes; choose a short one.");
        }
        owner
    }

    /// Refuses more than one commit ought to hold, at the place where it is too much.
    fn size(&mut self, declaration: &Declaration) {
        let Declaration { groups, apps, buckets, invites, .. } = declaration;
        let tables = |kind, count: usize| (0..count).map(move |index| (format!("{kind}[{index}].name"), 1));
        let members =
            groups.iter().enumerate().map(|(index, group)| (format!("group[{index}].members"), group.members.len()));
        let invites = (0..invites.len()).map(|index| (format!("invite[{index}].key"), 1));
        let things = tables("group", groups.len()).chain(members).chain(tables("app", apps.len()));
        let things = things.chain(tables("bucket", buckets.len())).chain(invites);
        let sums = things.scan(0, |sum, (key, count)| {
            *sum += count;
            Some((key, *sum))
        });
        if let Some((key, _)) = { sums }.find(|(_, sum)| *sum > MOST) {
            let said = format!("more than {MOST} groups, members, apps, buckets and invitations");
            let remedy =
                "Declare them in several files, each with a name of its own, or let people join by an invitation.";
            self.refuse(&key, None, said, remedy);
        }
    }

    fn groups(&mut self, groups: &[config::Group]) -> Vec<Group> {
        let mut seen = BTreeSet::new();
        let mut judged = Vec::new();
        for (index, group) in groups.iter().enumerate() {
            let at = format!("group[{index}]");
            let name = match GroupName::parse(&group.name) {
                Ok(name) => name,
                Err(error) => {
                    let said = error.to_string();
                    self.refuse(&format!("{at}.name"), Some(&group.name), "no name for a group", said);
                    continue;
                }
            };
            if !seen.insert(name.key().to_owned()) {
                let key = format!("{at}.name");
                self.refuse(&key, Some(&group.name), "this group stands here twice", "Say it all in one [[group]].");
            }
            let mut members = BTreeSet::new();
            for member in &group.members {
                let key = username::lookup_key(member);
                if key.is_some_and(|key| !members.insert(key)) {
                    self.refuse(
                        &format!("{at}.members"),
                        Some(member),
                        "this account stands here twice",
                        "Name it once.",
                    );
                }
            }
            judged.push(Group {
                name,
                buckets: names(&group.buckets),
                members: group.members.clone(),
                factor: group.require_factor,
            });
        }
        judged
    }

    fn apps(&mut self, apps: &[config::App]) {
        for (index, app) in apps.iter().enumerate() {
            let at = format!("app[{index}]");
            if self.config.apps.iter().any(|known| known.name == app.name) {
                self.clash(&format!("{at}.name"), &app.name, "an app");
                continue;
            }
            let others: Vec<&config::App> = self.config.apps.iter().chain(&apps[..index]).collect();
            for fault in config::faults_of_app(app, self.config, &others) {
                self.fault(&at, fault);
            }
        }
    }

    fn buckets(&mut self, buckets: &[config::Bucket]) {
        for (index, bucket) in buckets.iter().enumerate() {
            let at = format!("bucket[{index}]");
            if self.config.buckets.iter().any(|known| known.name == bucket.name) {
                self.clash(&format!("{at}.name"), &bucket.name, "a bucket");
                continue;
            }
            let others: Vec<&config::Bucket> = buckets[..index].iter().collect();
            for fault in config::faults_of_bucket(bucket, &others) {
                self.fault(&at, fault);
            }
        }
    }

    fn clash(&mut self, key: &str, name: &str, what: &str) {
        let said = format!("the server's own configuration has {what} of this name, and that one holds");
        self.refuse(key, Some(name), said, "Give it another name here, or take it out of the configuration first.");
    }

    fn fault(&mut self, at: &str, fault: Fault) {
        let value = Some(fault.value.as_str()).filter(|value| !value.is_empty());
        self.refuse(&format!("{at}.{}", fault.key), value, fault.expected, fault.remedy);
    }

    fn invites(&mut self, invites: &[config::Invite]) -> Vec<Invite> {
        let mut seen = BTreeSet::new();
        let mut judged = Vec::new();
        for (index, invite) in invites.iter().enumerate() {
            let at = format!("invite[{index}]");
            let key = format!("{at}.key");
            if self.config.accounts.signup == Signup::Off {
                let said = "nobody may make an account by an invitation: accounts.signup is off";
                self.refuse(&key, Some(&invite.key), said, "Set it to `invite`, or leave the invitation out.");
            }
            if !is_name(&invite.key) {
                let said = "expected a key of lower-case letters, digits, inner `-` and `_`";
                self.refuse(&key, Some(&invite.key), said, "It is how the file means this invitation from now on.");
            } else if !seen.insert(invite.key.as_str()) {
                self.refuse(&key, Some(&invite.key), "another invitation has this key", "Give each a key of its own.");
            }
            if invite.note.chars().count() > LONGEST_NOTE || invite.note.chars().any(char::is_control) {
                let said = "expected at most 200 characters without control characters";
                self.refuse(&format!("{at}.note"), None, said, "Say whom it is for in a few words.");
            }
            let mut groups = Vec::new();
            for group in &invite.groups {
                match GroupName::parse(group) {
                    Ok(name) => groups.push(name),
                    Err(error) => {
                        let said = error.to_string();
                        self.refuse(&format!("{at}.groups"), Some(group), "no name for a group", said);
                    }
                }
            }
            judged.push(Invite {
                key: invite.key.clone(),
                note: invite.note.clone(),
                groups,
                buckets: names(&invite.buckets),
            });
        }
        judged
    }
}

/// Names of buckets; `all` stands for every bucket, and makes the others needless.
fn names(listed: &[String]) -> BTreeSet<String> {
    let all = listed.iter().any(|name| name == super::ALL);
    if all { BTreeSet::from([super::ALL.to_owned()]) } else { listed.iter().cloned().collect() }
}
