//! Reading: the file, then the environment, then the flags; what is left over is a mistake.

use super::Strings;
use super::file::{File, Flat};
use super::problem::{Place, Problem};
use super::value::Raw;
use super::visit::{Keys, Setting, Visit};
use std::collections::{BTreeMap, BTreeSet};

/// What every variable's name begins with.
const PREFIX: &str = "USHER_";
/// Variables that begin so and are read elsewhere.
const ELSEWHERE: [&str; 1] = ["USHER_CONFIG"];

/// Fills settings and remembers where each came from.
pub(super) struct Reader<'a> {
    file: Option<&'a File>,
    flat: Flat,
    env: &'a Strings,
    /// Flags by key: the flag's name and its text.
    flags: BTreeMap<&'static str, (&'static str, String)>,
    /// The document that lists every key.
    list: &'static str,
    prefix: String,
    dry: bool,
    known: BTreeSet<String>,
    sections: BTreeSet<String>,
    variables: BTreeMap<String, String>,
    places: BTreeMap<String, Place>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        file: Option<&'a File>,
        flat: Flat,
        env: &'a Strings,
        flags: BTreeMap<&'static str, (&'static str, String)>,
    ) -> Self {
        Reader {
            file,
            flat,
            env,
            flags,
            list: "usher.example.toml",
            prefix: String::new(),
            dry: false,
            known: BTreeSet::new(),
            sections: BTreeSet::new(),
            variables: BTreeMap::new(),
            places: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// Names another document that lists every key.
    pub(super) fn listed_in(&mut self, list: &'static str) {
        self.list = list;
    }

    /// After the walk: refuses what nobody took, and gives the places and problems.
    pub(super) fn finish(mut self) -> (BTreeMap<String, Place>, Vec<Problem>) {
        self.refuse_unknown_keys();
        self.refuse_unknown_variables();
        (self.places, self.problems)
    }

    fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    fn within(&mut self, prefix: String, keys: &mut dyn Keys) {
        let outer = std::mem::replace(&mut self.prefix, prefix);
        keys.visit(self);
        self.prefix = outer;
    }

    fn take(&mut self, name: &str, value: &mut dyn Setting, secret: bool) {
        let key = self.key(name);
        self.known.insert(shape_of(&key));
        let variable = (!key.contains('[') && !self.dry).then(|| variable_of(&key));
        if let Some(variable) = &variable {
            self.variables.insert(variable.clone(), key.clone());
        }
        if self.dry {
            return;
        }
        if let (Some(file), Some((raw, line))) = (self.file, self.flat.values.remove(&key))
            && self.set(&key, value, &raw, Place::File(file.path.clone(), line), secret)
            && let Some(base) = file.path.parent()
        {
            value.rebase(base);
        }
        if let Some(variable) = variable
            && let Some(text) = self.env.get(&variable)
        {
            self.set(&key, value, &Raw::Text(text.clone()), Place::Variable(variable), secret);
        }
        if let Some((flag, text)) = self.flags.remove(key.as_str()) {
            self.set(&key, value, &Raw::Text(text), Place::Flag(flag.to_owned()), secret);
        }
    }

    fn set(&mut self, key: &str, value: &mut dyn Setting, raw: &Raw, place: Place, secret: bool) -> bool {
        let taken = value.take(raw);
        if !taken {
            self.problems.push(Problem {
                key: key.to_owned(),
                place: place.clone(),
                value: if secret { None } else { Some(raw.shown()) },
                expected: format!("expected {}", value.form()),
                remedy: "Write it in that form, or leave it out for the default.".to_owned(),
            });
        }
        self.places.insert(key.to_owned(), place);
        taken
    }

    fn refuse_unknown_keys(&mut self) {
        let Some(file) = self.file else { return };
        let mut unknown: Vec<(String, usize)> =
            self.flat.values.iter().map(|(key, (_, line))| (key.clone(), *line)).collect();
        let leftover_arrays = self.flat.arrays.iter().map(|(key, (_, line))| (key.clone(), *line));
        unknown.extend(leftover_arrays);
        // A misspelled section is reported by its keys when it has any.
        for (table, line) in &self.flat.tables {
            let inside = format!("{table}.");
            let known = self.sections.iter().any(|section| section == table || section.starts_with(&inside));
            if !known && !unknown.iter().any(|(key, _)| key.starts_with(&inside)) {
                unknown.push((table.clone(), *line));
            }
        }
        for (key, line) in unknown {
            let remedy = self.remedy_for_key(&key);
            self.problems.push(Problem {
                key,
                place: Place::File(file.path.clone(), line),
                value: None,
                expected: "no such setting".to_owned(),
                remedy,
            });
        }
    }

    fn remedy_for_key(&self, key: &str) -> String {
        let shape = shape_of(key);
        if self.known.contains(&shape) || self.sections.contains(&shape) {
            let section = shape.rsplit_once('.').map_or(shape.as_str(), |(section, _)| section);
            let wanted = if key.contains('[') { format!("[{section}]") } else { format!("[[{section}]]") };
            return format!("Write it under {wanted}.");
        }
        match nearest(&shape, self.known.iter().chain(&self.sections)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("Remove it; {} lists every setting.", self.list),
        }
    }

    fn refuse_unknown_variables(&mut self) {
        for name in self.env.keys().filter(|name| name.starts_with(PREFIX)) {
            if self.variables.contains_key(name) || ELSEWHERE.contains(&name.as_str()) {
                continue;
            }
            let remedy = match nearest(name, self.variables.keys()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => "Unset it; arrays of tables can only be set in the file.".to_owned(),
            };
            self.problems.push(Problem {
                key: name.clone(),
                place: Place::Variable(name.clone()),
                value: None,
                expected: "no such setting".to_owned(),
                remedy,
            });
        }
    }
}

impl Visit for Reader<'_> {
    fn setting(&mut self, key: &str, value: &mut dyn Setting) {
        self.take(key, value, false);
    }

    fn secret(&mut self, key: &str, value: &mut dyn Setting, _shown: Option<String>) {
        self.take(key, value, true);
    }

    fn section(&mut self, key: &str, keys: &mut dyn Keys) {
        let prefix = self.key(key);
        self.sections.insert(prefix.clone());
        self.within(prefix, keys);
    }

    fn count(&mut self, key: &str, have: usize) -> usize {
        let key = self.key(key);
        // An empty array (`app = []`) is an array of no tables.
        if matches!(self.flat.values.get(&key), Some((Raw::List(items), _)) if items.is_empty()) {
            self.flat.values.remove(&key);
            return 0;
        }
        self.flat.arrays.remove(&key).map_or(have, |(count, _)| count)
    }

    fn element(&mut self, key: &str, index: usize, keys: &mut dyn Keys) {
        let prefix = format!("{}[{index}]", self.key(key));
        self.within(prefix, keys);
    }

    fn shape(&mut self, key: &str, keys: &mut dyn Keys) {
        self.dry = true;
        let prefix = self.key(key);
        self.sections.insert(prefix.clone());
        self.within(prefix, keys);
        self.dry = false;
    }
}

/// The variable of a key: `sessions.browser_idle` is `USHER_SESSIONS_BROWSER_IDLE`. The names of the two
/// sections that everybody sets first, `server` and `storage`, are left out: `USHER_LISTEN`, `USHER_DATA`.
pub fn variable_of(key: &str) -> String {
    let short = key.strip_prefix("server.").or_else(|| key.strip_prefix("storage.")).unwrap_or(key);
    format!("{PREFIX}{}", short.to_ascii_uppercase().replace('.', "_"))
}

/// The key without the indices of its tables.
fn shape_of(key: &str) -> String {
    let mut shape = String::with_capacity(key.len());
    let mut inside = false;
    for c in key.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => shape.push(c),
            _ => {}
        }
    }
    shape
}

/// The known name most like `name`. Nothing, when none is like it: a wild guess helps nobody.
fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k String>) -> Option<&'k String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    known
        .map(|candidate| {
            let whole = strsim::damerau_levenshtein(name, candidate);
            // A right name in a wrong section is one slip, not many.
            let moved = if last(name) == last(candidate) { 2 } else { usize::MAX };
            (whole.min(moved), candidate)
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 3.max(name.len() / 4))
        .map(|(_, candidate)| candidate)
}
