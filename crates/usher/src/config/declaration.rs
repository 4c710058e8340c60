//! What `usher apply` reads: groups, apps, buckets and invitations, declared in a file of their own.
//!
//! Read by the same reader as `usher.toml`, so that an unknown key, a wrong form and a line are named in the same way.
//! Neither the environment nor a flag has a word in it: a declaration means the same wherever it is applied.

use super::file::{self, File};
use super::problem::{Place, Problem, Problems};
use super::read::Reader;
use super::visit::{self, Keys, Visit};
use super::{App, Bucket, Strings};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that a file declares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declaration {
    /// Under which name its things are marked; else the file's own name.
    pub name: Option<String>,
    /// Groups.
    pub groups: Vec<Group>,
    /// First-party applications.
    pub apps: Vec<App>,
    /// Folders of media.
    pub buckets: Vec<Bucket>,
    /// Invitations.
    pub invites: Vec<Invite>,
}

/// One `[[group]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Its name, unique in every spelling.
    pub name: String,
    /// The buckets that it opens; `all` is every bucket.
    pub buckets: Vec<String>,
    /// The accounts that are in it, by username.
    pub members: Vec<String>,
    /// Whether its members must have a second factor.
    pub require_factor: bool,
}

/// One `[[invite]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Invite {
    /// By which the file means this very invitation, whatever else is changed about it.
    pub key: String,
    /// Whom it is for.
    pub note: String,
    /// The groups of the account that it makes.
    pub groups: Vec<String>,
    /// The buckets of that account; `all` is every bucket.
    pub buckets: Vec<String>,
}

impl Keys for Group {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("name", &mut self.name);
        to.setting("buckets", &mut self.buckets);
        to.setting("members", &mut self.members);
        to.setting("require_factor", &mut self.require_factor);
    }
}

impl Keys for Invite {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("key", &mut self.key);
        to.setting("note", &mut self.note);
        to.setting("groups", &mut self.groups);
        to.setting("buckets", &mut self.buckets);
    }
}

impl Keys for Declaration {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("name", &mut self.name);
        visit::tables(to, "group", &mut self.groups);
        visit::tables(to, "app", &mut self.apps);
        visit::tables(to, "bucket", &mut self.buckets);
        visit::tables(to, "invite", &mut self.invites);
    }
}

impl Declaration {
    /// Reads a declaration, with the lines on which its keys stand.
    ///
    /// # Errors
    /// Every key that nobody knows and every value of another form, each with its line.
    pub fn read(file: &File) -> Result<(Declaration, Lines), Problems> {
        let env = Strings::new();
        let mut declaration = Declaration::default();
        let mut reader = Reader::new(Some(file), file::flatten(file)?, &env, BTreeMap::new());
        reader.listed_in("docs/apply.md");
        declaration.visit(&mut reader);
        let (places, problems) = reader.finish();
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Ok((declaration, Lines { file: file.path.clone(), places }))
    }
}

/// On which line of its file each key stands.
#[derive(Debug, Clone)]
pub struct Lines {
    file: PathBuf,
    places: BTreeMap<String, Place>,
}

impl Lines {
    /// What is wrong with `key`. A key that was left out is told at the first one beside it.
    pub fn problem(&self, key: &str, value: Option<&str>, expected: impl ToString, remedy: impl ToString) -> Problem {
        let beside = || {
            let table = key.rsplit_once('.').map(|(table, _)| format!("{table}."))?;
            let inside = self.places.iter().filter(|(other, _)| other.starts_with(&table)).map(|(_, place)| place);
            inside.min_by_key(|place| line(place))
        };
        let place = self.places.get(key).or_else(beside).cloned().unwrap_or_else(|| Place::File(self.file.clone(), 1));
        Problem {
            key: key.to_owned(),
            place,
            value: value.map(|value| format!("\"{}\"", value.escape_debug())),
            expected: expected.to_string(),
            remedy: remedy.to_string(),
        }
    }
}

fn line(place: &Place) -> usize {
    match place {
        Place::File(_, line) => *line,
        Place::Default | Place::Variable(_) | Place::Flag(_) => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;

    fn read(text: &str) -> Result<(Declaration, Lines), String> {
        let file = File { path: PathBuf::from("/srv/household.toml"), text: text.to_owned() };
        Declaration::read(&file).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_key_that_nobody_knows_is_refused_with_its_line_and_the_nearest_one() {
        let wrong = read("[[group]]\nname = \"Family\"\nmember = [\"alice\"]\n").unwrap_err();
        assert!(wrong.starts_with("/srv/household.toml:3: group[0].member: no such setting."), "{wrong}");
        assert!(wrong.ends_with("Did you mean `group.members`?"), "{wrong}");
        let wrong = read("[[groups]]\nname = \"Family\"\n").unwrap_err();
        assert!(wrong.contains("groups") && wrong.contains("group"), "{wrong}");
        let wrong = read("[elephant]\nwatches = 1\n").unwrap_err();
        assert!(wrong.contains("docs/apply.md"), "{wrong}");
    }

    #[test]
    fn a_value_of_another_form_is_told_with_what_it_should_be() {
        let wrong = read("\n[[group]]\nname = \"Family\"\nbuckets = \"films\"\n").unwrap_err();
        assert!(wrong.contains(":4: group[0].buckets = \"films\": expected a list, each a text"), "{wrong}");
    }

    #[test]
    fn folders_are_meant_from_where_the_file_lies() {
        let (read, _) = read("[[bucket]]\nname = \"films\"\npath = \"films\"\n").unwrap();
        assert_eq!(read.buckets[0].path, PathBuf::from("/srv/films"));
    }

    #[test]
    fn what_was_left_out_is_told_where_its_table_begins() {
        let (_, lines) = read("[[app]]\nname = \"one\"\n\n[[app]]\norigins = []\n").unwrap();
        let problem = lines.problem("app[1].name", None, "x", "y");
        assert_eq!(problem.place, Place::File(PathBuf::from("/srv/household.toml"), 5));
        assert_eq!(lines.problem("invite[0].key", None, "x", "y").place, Place::File("/srv/household.toml".into(), 1));
    }
}
