//! The files of the workspace, from disk or from a test's hand.

use super::source::Source;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Path from the workspace root, with `/`, to text.
#[derive(Clone)]
pub struct Tree(BTreeMap<String, String>);

const KINDS: &[&str] = &["rs", "sql", "toml", "html", "css", "js"];

impl Tree {
    /// The workspace as it lies on disk: `crates/` and `migrations/`.
    pub fn read() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies in crates/usher");
        let mut files = BTreeMap::new();
        let mut folders: Vec<PathBuf> = ["crates", "migrations"].map(|top| root.join(top)).into();
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for path in entries.map(|entry| entry.expect("a folder of the workspace should be readable").path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known)) {
                    let name = path.strip_prefix(root).expect("it lies below the root").to_string_lossy().into_owned();
                    files.insert(name, std::fs::read_to_string(&path).expect("a source file is text"));
                }
            }
        }
        Tree(files)
    }

    /// A tree of these files.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        Tree(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// This tree with one file put in or replaced.
    pub fn with(&self, path: &str, text: &str) -> Tree {
        let mut tree = self.clone();
        tree.0.insert(path.to_owned(), text.to_owned());
        tree
    }

    /// Every file below `start`, with its text.
    pub fn below<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(start))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every Rust file below `start`, as tokens.
    pub fn sources<'a>(&'a self, start: &'a str) -> impl Iterator<Item = Source<'a>> {
        self.below(start).filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| Source::new(path, text))
    }

    /// The Rust file at `path`.
    pub fn source(&self, path: &str) -> Option<Source<'_>> {
        self.0.get_key_value(path).map(|(path, text)| Source::new(path, text))
    }

    /// The text at `path`.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}
