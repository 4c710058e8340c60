#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
use super::super::root::{Hidden, RootOptions, Symlinks};
use super::*;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn bucket(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let at = dir.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(at).unwrap();
        } else {
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, name.as_bytes()).unwrap();
        }
    }
    dir
}

fn open(dir: &TempDir) -> Root {
    Root::open(dir.path(), RootOptions::default()).unwrap()
}

fn path(text: &str) -> CanonicalPath {
    CanonicalPath::from_bytes(text.as_bytes()).unwrap()
}

fn names(page: &Page) -> Vec<String> {
    page.entries.iter().map(|entry| format!("{}{}", entry.shown(), if entry.folder { "/" } else { "" })).collect()
}

fn all(root: &Root) -> Vec<String> {
    names(&list(root, &CanonicalPath::root(), None, 1000).unwrap())
}

#[test]
fn folders_come_first_and_numbers_by_value() {
    let dir = bucket(&["10.mp3", "2.mp3", "Zoo/", "alpha/", "b.txt", "A.txt", ".hidden", ".dir/x"]);
    assert_eq!(all(&open(&dir)), ["alpha/", "Zoo/", "2.mp3", "10.mp3", "A.txt", "b.txt"]);
    let serving = Root::open(dir.path(), RootOptions { hidden: Hidden::Serve, ..Default::default() }).unwrap();
    assert!(all(&serving).contains(&".hidden".to_owned()));
}

#[test]
fn an_entry_says_size_kind_and_name_in_bytes() {
    let dir = bucket(&["song.mp3"]);
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"f\xff\n.jpg")), [0; 7]).unwrap();
    let page = list(&open(&dir), &CanonicalPath::root(), None, 10).unwrap();
    let odd = &page.entries[0];
    assert_eq!((odd.name.as_slice(), odd.size, odd.kind), (&b"f\xff\n.jpg"[..], 7, Kind::Picture));
    assert_eq!(odd.shown(), "f\u{fffd}\\u{a}.jpg");
    assert_eq!(page.entries[1].kind, Kind::Audio);
    assert!(page.entries[1].changed_at > Time(1_600_000_000_000));
}

#[test]
fn what_could_not_be_opened_is_not_shown() {
    let dir = bucket(&["k.mp3", "inner/x.mp3"]);
    symlink("/etc/passwd", dir.path().join("out.txt")).unwrap();
    symlink("/", dir.path().join("slash")).unwrap();
    symlink("nowhere", dir.path().join("broken")).unwrap();
    symlink("inner", dir.path().join("linked")).unwrap();
    symlink("k.mp3", dir.path().join("also.mp3")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(all(&open(&dir)), ["inner/", "linked/", "also.mp3", "k.mp3"]);
    assert_eq!(all(&open(&dir).walking()), ["inner/", "k.mp3"], "what is not followed is not shown");
    let never = Root::open(dir.path(), RootOptions { symlinks: Symlinks::Never, ..Default::default() }).unwrap();
    assert_eq!(all(&never), ["inner/", "k.mp3"]);
}

#[test]
fn pages_follow_each_other_while_entries_come_and_go() {
    let files: Vec<String> = (0..25).map(|n| format!("{n}.mp3")).collect();
    let dir = bucket(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let root = open(&dir);
    let first = list(&root, &CanonicalPath::root(), None, 10).unwrap();
    assert_eq!(names(&first), files[..10]);
    // The last one shown goes away; an earlier one appears.
    fs::remove_file(dir.path().join("9.mp3")).unwrap();
    fs::write(dir.path().join("0a.mp3"), "").unwrap();
    let cursor = Cursor::parse(&first.next.unwrap().encode()).unwrap();
    let second = list(&root, &CanonicalPath::root(), Some(&cursor), 10).unwrap();
    assert_eq!(names(&second), files[10..20]);
    let third = list(&root, &CanonicalPath::root(), second.next.as_ref(), 5).unwrap();
    assert_eq!(names(&third), files[20..]);
    assert_eq!(third.next, None, "a page that is exactly full is the last one");
    assert!(!third.cut);
    assert_eq!(Cursor::parse("not a cursor"), None);
    assert_eq!(Cursor::parse(&"A".repeat(5000)), None);
}

#[test]
fn a_missing_or_hidden_folder_lists_nothing() {
    let dir = bucket(&["k.mp3", ".dir/x"]);
    let root = open(&dir);
    for nothing in ["none", "k.mp3", ".dir"] {
        assert_eq!(list(&root, &path(nothing), None, 10).unwrap_err(), OpenError::NotFound);
    }
}

fn found(root: &Root, folder: &CanonicalPath, wanted: &str) -> Vec<String> {
    let hits = search(root, folder, wanted, 100).unwrap();
    assert!(!hits.cut);
    hits.hits.iter().map(|(path, _)| format!("{path:?}")).collect()
}

#[test]
fn search_finds_every_word_in_any_case_below_a_folder() {
    let dir = bucket(&["Films/The Blue Door.mkv", "Films/blue.txt", "a/b/BLUE door 2.mp4", ".x/blue door", "Blue/"]);
    symlink("../a", dir.path().join("a/blue circle")).unwrap();
    let root = open(&dir);
    assert_eq!(found(&root, &CanonicalPath::root(), "door  bLUE"), ["Films/The Blue Door.mkv", "a/b/BLUE door 2.mp4"]);
    assert_eq!(found(&root, &path("a"), "blue"), ["blue circle/", "b/BLUE door 2.mp4"], "a circle of links ends");
    assert_eq!(found(&root, &path("Films"), "blue"), ["blue.txt", "The Blue Door.mkv"]);
    assert!(found(&root, &CanonicalPath::root(), " ").is_empty());
    let cut = search(&root, &CanonicalPath::root(), "blue", 2).unwrap();
    assert_eq!((cut.hits.len(), cut.cut), (2, true));
}

#[test]
fn neighbours_are_of_one_kind_and_in_order() {
    let dir = bucket(&["s/e1.mkv", "s/e2.mp4", "s/e10.mp4", "s/cover.jpg", "s/e3.srt", "s/e4/", "s/x.bin"]);
    let root = open(&dir);
    let around = |name: &str| {
        let found = neighbours(&root, &path(name)).unwrap();
        let text = |path: Option<CanonicalPath>| path.map(|path| format!("{path:?}"));
        (text(found.previous), text(found.next))
    };
    assert_eq!(around("s/e2.mp4"), (Some("s/e1.mkv".into()), Some("s/e10.mp4".into())));
    assert_eq!(around("s/e1.mkv"), (None, Some("s/e2.mp4".into())));
    assert_eq!(around("s/cover.jpg"), (None, None));
    assert_eq!(around("s/x.bin"), (None, None));
    assert_eq!(around("s/e5.mp4"), (Some("s/e2.mp4".into()), Some("s/e10.mp4".into())), "also of a file that went");
    assert!(neighbours(&root, &path("none/e1.mp4")).is_err());
}
