//! The file, flattened to dotted keys with the line each stands on.

use super::problem::{Place, Problem};
use super::value::Raw;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// A configuration file that was read.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path, for errors and for the paths in it that are relative.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

impl File {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<File, super::Problems> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(File { path: path.to_owned(), text }),
            Err(source) => Err(super::Problems(vec![Problem {
                key: String::new(),
                place: Place::File(path.to_owned(), 1),
                value: None,
                expected: format!("the configuration cannot be read: {source}"),
                remedy: "Check the path and that Usher's user may read it.".to_owned(),
            }])),
        }
    }
}

/// The settings of a file by dotted key (`app[0].name`).
#[derive(Default)]
pub(super) struct Flat {
    pub(super) values: BTreeMap<String, (Raw, usize)>,
    /// The length of each array of tables, and its line.
    pub(super) arrays: BTreeMap<String, (usize, usize)>,
    /// Every table, and its line.
    pub(super) tables: BTreeMap<String, usize>,
}

/// Flattens `file`, or says on which line it is not TOML. The parser's own rendering is not repeated: it
/// quotes the line, and the line may hold a secret.
pub(super) fn flatten(file: &File) -> Result<Flat, super::Problems> {
    let lines = Lines::of(&file.text);
    let table = DeTable::parse(&file.text).map_err(|error| {
        super::Problems(vec![Problem {
            key: String::new(),
            place: Place::File(file.path.clone(), error.span().map_or(1, |span| lines.at(span.start))),
            value: None,
            expected: format!("not TOML: {}", error.message()),
            remedy: "Texts stand in quotes, sections in [brackets].".to_owned(),
        }])
    })?;
    let mut flat = Flat::default();
    walk("", table.get_ref(), &lines, &mut flat);
    Ok(flat)
}

fn walk(prefix: &str, table: &DeTable<'_>, lines: &Lines, flat: &mut Flat) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        let line = lines.at(name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => {
                flat.tables.insert(key.clone(), line);
                walk(&key, inner, lines, flat);
            }
            DeValue::Array(items) if !items.is_empty() && items.iter().all(|item| item.get_ref().is_table()) => {
                flat.arrays.insert(key.clone(), (items.len(), line));
                for (index, item) in items.iter().enumerate() {
                    if let DeValue::Table(inner) = item.get_ref() {
                        walk(&format!("{key}[{index}]"), inner, lines, flat);
                    }
                }
            }
            other => {
                flat.values.insert(key, (raw(other), line));
            }
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::String(text.to_string()),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Integer(number),
            Err(_) => Raw::Other("integer out of range"),
        },
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        other => Raw::Other(other.type_str()),
    }
}

/// Where the lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        Lines(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}
