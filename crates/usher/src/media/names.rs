//! Which spelling of a name is the entry's own.

use super::path::CanonicalPath;
use super::root::Root;
use rustix::fs::{Dir, OFlags};
use unicode_normalization::UnicodeNormalization;

/// Folders with more entries than this are not searched for another spelling.
const MAX_ENTRIES: usize = 200_000;

/// Whether every segment stands in its folder's listing, byte for byte.
pub(super) fn listed(root: &Root, path: &CanonicalPath) -> bool {
    let mut folder = Vec::new();
    path.segments().all(|segment| {
        let found = entries(root, &folder).is_some_and(|mut names| names.any(|name| name == segment));
        push(&mut folder, segment);
        found
    })
}

/// The path of the one entry that is `path` up to Unicode normalization (NFC and NFD); none when there is
/// no such entry or more than one.
pub(super) fn normalized(root: &Root, path: &CanonicalPath) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    for segment in path.segments() {
        let name = match std::str::from_utf8(segment) {
            Ok(text) if !text.is_ascii() => one_like(root, &found, text)?,
            _ => segment.to_vec(),
        };
        push(&mut found, &name);
    }
    found.split(|byte| *byte == b'/').all(|name| root.serves(name)).then_some(found)
}

fn one_like(root: &Root, folder: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let mut like = None;
    let mut several = false;
    for name in entries(root, folder)? {
        if name == wanted.as_bytes() {
            return Some(name);
        }
        if std::str::from_utf8(&name).is_ok_and(|name| name.nfc().eq(wanted.nfc())) {
            several |= like.replace(name).is_some();
        }
    }
    like.filter(|_| !several)
}

fn entries(root: &Root, folder: &[u8]) -> Option<impl Iterator<Item = Vec<u8>>> {
    let fd = root.raw(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC).ok()?;
    let dir = Dir::read_from(fd).ok()?;
    Some(dir.map_while(Result::ok).take(MAX_ENTRIES).map(|entry| entry.file_name().to_bytes().to_vec()))
}

fn push(path: &mut Vec<u8>, segment: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(segment);
}

/// The path with the case of its deepest lettered segment turned over; none when no segment has letters.
/// Folders inside a folding folder fold too, so that the deepest one answers for all.
pub(super) fn other_case(path: &CanonicalPath) -> Option<Vec<u8>> {
    let mut segments: Vec<Vec<u8>> = path.segments().map(<[u8]>::to_vec).collect();
    for segment in segments.iter_mut().rev() {
        let turned = turned(segment);
        if turned != *segment {
            *segment = turned;
            return Some(segments.join(&b'/'));
        }
    }
    None
}

fn turned(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(text) => {
            let mut out = String::with_capacity(text.len());
            for c in text.chars() {
                if c.is_lowercase() { out.extend(c.to_uppercase()) } else { out.extend(c.to_lowercase()) }
            }
            out.into_bytes()
        }
        Err(_) => name
            .iter()
            .map(|byte| if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::super::root::RootOptions;
    use super::*;

    fn path(name: &str) -> CanonicalPath {
        CanonicalPath::from_bytes(name.as_bytes()).unwrap()
    }

    #[test]
    fn the_deepest_lettered_segment_is_turned_over() {
        assert_eq!(other_case(&path("a/Kx.bin/12")), Some(b"a/kX.BIN/12".to_vec()));
        assert_eq!(other_case(&path("é")), Some("É".as_bytes().to_vec()));
        assert_eq!(other_case(&path("12/3")), None);
        let latin = CanonicalPath::from_bytes(b"\xe9a").unwrap();
        assert_eq!(other_case(&latin), Some(b"\xe9A".to_vec()));
    }

    #[test]
    fn only_a_spelling_that_is_listed_counts() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d/k.bin"), b"x").unwrap();
        let root = Root::open(dir.path(), RootOptions::default()).unwrap();
        assert!(listed(&root, &path("d/k.bin")));
        assert!(!listed(&root, &path("d/K.bin")));
        assert!(!listed(&root, &path("D/k.bin")));
        assert!(!listed(&root, &path("d/k.bin.")));
    }
}
