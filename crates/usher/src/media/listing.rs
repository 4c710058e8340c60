//! What a folder shows: listing, search and neighbours.
//!
//! Only what could be opened is shown: hidden names, links that lead outside, pipes and devices are not
//! there. Everything is bounded, and says when it was cut. All of it reads the disk and blocks; call it from
//! a blocking task.

use super::kind::{self, Kind};
use super::natural::{folded, sort_key};
use super::path::{CanonicalPath, shown};
use super::root::{Found, OpenDir, OpenError, Root};
use crate::time::Time;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::Dir;
use std::collections::{BinaryHeap, VecDeque};

/// How many entries of one folder are looked at.
const MAX_ENTRIES: usize = 100_000;
/// How many entries one search looks at.
const MAX_SEARCHED: usize = 200_000;

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as bytes: what links are made from.
    pub name: Vec<u8>,
    /// A folder, or a file.
    pub folder: bool,
    /// Bytes; zero for a folder.
    pub size: u64,
    /// When it last changed.
    pub changed_at: Time,
    /// What it holds, by its name. `Other` for a folder.
    pub kind: Kind,
}

impl Entry {
    /// The name for people: lossy where it is not UTF-8.
    pub fn shown(&self) -> String {
        shown(&self.name)
    }

    fn new(name: Vec<u8>, found: Found) -> Self {
        let (folder, meta) = match found {
            Found::Folder(meta) => (true, meta),
            Found::File(meta) => (false, meta),
        };
        let kind = if folder { Kind::Other } else { kind::of_name(&name).kind };
        let changed = i64::try_from(meta.mtime_ns.div_euclid(1_000_000)).unwrap_or(0);
        Entry { name, folder, size: if folder { 0 } else { meta.size }, changed_at: Time(changed), kind }
    }
}

/// Where a page of a list ended. It stays good when entries come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// The form for a URL.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// Reads the form for a URL; none when it is no cursor. Any bytes are a place in the order.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 4096 { None } else { URL_SAFE_NO_PAD.decode(text).ok().map(Cursor) }
    }
}

/// A page of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub entries: Vec<Entry>,
    /// Where to go on; none on the last page.
    pub next: Option<Cursor>,
    /// The folder holds more entries than are looked at.
    pub cut: bool,
}

/// Lists up to `limit` entries of `folder` after a cursor.
pub fn list(root: &Root, folder: &CanonicalPath, after: Option<&Cursor>, limit: usize) -> Result<Page, OpenError> {
    let limit = limit.clamp(1, MAX_ENTRIES);
    let dir = root.open_dir(folder)?;
    // The smallest keys after the cursor, one more than the page holds: it says whether there is a next one.
    let mut least: BinaryHeap<(Vec<u8>, Vec<u8>, Found)> = BinaryHeap::new();
    let cut = each(root, &dir, MAX_ENTRIES, |name, found| {
        let key = sort_key(&name, matches!(found, Found::Folder(_)));
        if after.is_none_or(|after| key > after.0) {
            least.push((key, name, found));
            if least.len() > limit + 1 {
                least.pop();
            }
        }
    })?
    .cut;
    let mut sorted = least.into_sorted_vec();
    let more = sorted.len() > limit;
    sorted.truncate(limit);
    let next = if more { sorted.last().map(|(key, ..)| Cursor(key.clone())) } else { None };
    let entries = sorted.into_iter().map(|(_, name, found)| Entry::new(name, found)).collect();
    Ok(Page { entries, next, cut })
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hits {
    /// Each with its path below the folder that was searched.
    pub hits: Vec<(CanonicalPath, Entry)>,
    /// There may be more: a bound was reached, or a folder could not be read.
    pub cut: bool,
}

/// Searches names below `folder`: every word of `wanted` must be in the name, without regard to case.
///
/// Folders near the top come first. Links to folders are found and not entered, so that a circle of links
/// ends. At most `limit` hits.
pub fn search(root: &Root, folder: &CanonicalPath, wanted: &str, limit: usize) -> Result<Hits, OpenError> {
    let wanted = folded(wanted.as_bytes());
    let words: Vec<&str> = wanted.split_whitespace().collect();
    let mut result = Hits { hits: Vec::new(), cut: false };
    if words.is_empty() {
        return Ok(result);
    }
    let mut left = MAX_SEARCHED;
    let mut folders = VecDeque::from([root.open_dir(folder)?.path]);
    while let Some(at) = folders.pop_front() {
        // A folder that vanished or may not be read ends nothing but itself.
        let Ok(dir) = root.open_dir(&at) else {
            result.cut = true;
            continue;
        };
        let mut here = Vec::new();
        let mut inner = Vec::new();
        let seen = each(root, &dir, left, |name, found| {
            let is_folder = matches!(found, Found::Folder(_));
            let text = folded(&name);
            if is_folder && !is_link(&dir, &name) {
                inner.push(name.clone());
            }
            if words.iter().all(|word| text.contains(word)) {
                here.push((sort_key(&name, is_folder), name, found));
            }
        });
        let Ok(seen) = seen else {
            result.cut = true;
            continue;
        };
        here.sort();
        for (_, name, found) in here {
            if result.hits.len() >= limit {
                return Ok(Hits { cut: true, ..result });
            }
            let is_folder = matches!(found, Found::Folder(_));
            match at.child(&name).ok().and_then(|path| path.as_folder(is_folder).below(&dir_root(folder))) {
                Some(path) => result.hits.push((path, Entry::new(name, found))),
                None => result.cut = true,
            }
        }
        inner.sort_by_key(|name| sort_key(name, true));
        for name in inner {
            match at.child(&name) {
                Ok(path) => folders.push_back(path.as_folder(true)),
                // Deeper than any URL can say.
                Err(_) => result.cut = true,
            }
        }
        left = left.saturating_sub(seen.count);
        if seen.cut || left == 0 {
            return Ok(Hits { cut: true, ..result });
        }
    }
    Ok(result)
}

fn dir_root(folder: &CanonicalPath) -> CanonicalPath {
    folder.clone().as_folder(true)
}

/// What comes before and after a file, among files of its kind in its folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Neighbours {
    /// The one before.
    pub previous: Option<CanonicalPath>,
    /// The one after.
    pub next: Option<CanonicalPath>,
}

/// Finds a file's neighbours. A file of no known kind has none.
pub fn neighbours(root: &Root, file: &CanonicalPath) -> Result<Neighbours, OpenError> {
    let (Some(own), Some(folder)) = (file.name(), file.parent()) else { return Err(OpenError::NotFound) };
    let kind = kind::of_name(own).kind;
    if kind == Kind::Other {
        return Ok(Neighbours::default());
    }
    let here = sort_key(own, false);
    let dir = root.open_dir(&folder)?;
    let mut before: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut after: Option<(Vec<u8>, Vec<u8>)> = None;
    each(root, &dir, MAX_ENTRIES, |name, found| {
        if matches!(found, Found::Folder(_)) || kind::of_name(&name).kind != kind {
            return;
        }
        let key = sort_key(&name, false);
        if key < here && before.as_ref().is_none_or(|(best, _)| key > *best) {
            before = Some((key, name));
        } else if key > here && after.as_ref().is_none_or(|(best, _)| key < *best) {
            after = Some((key, name));
        }
    })?;
    let path = |best: Option<(Vec<u8>, Vec<u8>)>| best.and_then(|(_, name)| folder.child(&name).ok());
    Ok(Neighbours { previous: path(before), next: path(after) })
}

struct Seen {
    count: usize,
    cut: bool,
}

/// Calls `with` for each entry that is to be seen, up to `most` entries of any sort.
fn each(root: &Root, dir: &OpenDir, most: usize, mut with: impl FnMut(Vec<u8>, Found)) -> Result<Seen, OpenError> {
    let mut count = 0;
    for entry in Dir::read_from(&dir.fd)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if count >= most {
            return Ok(Seen { count, cut: true });
        }
        count += 1;
        if root.serves(name)
            && let Some(found) = root.entry(dir, name)
        {
            with(name.to_vec(), found);
        }
    }
    Ok(Seen { count, cut: false })
}

fn is_link(dir: &OpenDir, name: &[u8]) -> bool {
    rustix::fs::readlinkat(&dir.fd, name, Vec::new()).is_ok()
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
