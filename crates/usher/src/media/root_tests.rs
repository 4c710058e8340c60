#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
use super::*;
use rustix::fs::{CWD, mknodat};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// `inside/` is the bucket; `outside.txt` must never be read.
struct House {
    dir: TempDir,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("inside");
        fs::create_dir_all(inside.join("a/b")).unwrap();
        fs::create_dir_all(inside.join(".git")).unwrap();
        fs::write(dir.path().join("outside.txt"), "outside").unwrap();
        for name in ["k.bin", "a/b/deep.mp3", ".env", ".git/config", "a/.hidden"] {
            fs::write(inside.join(name), name).unwrap();
        }
        House { dir }
    }

    fn inside(&self) -> std::path::PathBuf {
        self.dir.path().join("inside")
    }

    fn root(&self, options: RootOptions) -> Root {
        Root::open(&self.inside(), options).unwrap()
    }

    /// The root as the kernel guards it and as it is walked: both must hold.
    fn both(&self) -> [Root; 2] {
        [self.root(RootOptions::default()), self.root(RootOptions::default()).walking()]
    }
}

fn path(text: &str) -> CanonicalPath {
    CanonicalPath::decode(text.as_bytes()).unwrap()
}

fn read(root: &Root, text: &str) -> Result<String, OpenError> {
    let file = root.open_file(&path(text))?;
    let mut bytes = vec![0; usize::try_from(file.meta.size).unwrap()];
    let length = rustix::io::pread(&file.fd, bytes.as_mut_slice(), 0).unwrap();
    bytes.truncate(length);
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn files_open_and_folders_and_wrong_names_do_not() {
    let house = House::new();
    for root in house.both() {
        assert_eq!(read(&root, "k.bin").unwrap(), "k.bin");
        assert_eq!(read(&root, "a/b/deep.mp3").unwrap(), "a/b/deep.mp3");
        for nothing in
            ["", "k.bin/", "a", "a/", "a/b", "none", "k.bin/x", "K.BIN", "A/b/deep.mp3", "k.bin.", "k.bin%20"]
        {
            assert_eq!(read(&root, nothing), Err(OpenError::NotFound), "{nothing}");
        }
        let long = "x".repeat(255);
        assert_eq!(read(&root, &long), Err(OpenError::NotFound));
        assert!(root.open_dir(&path("a/")).is_ok());
        assert!(root.open_dir(&path("a/b")).is_ok());
        assert!(root.open_dir(&CanonicalPath::root()).is_ok());
        assert_eq!(root.open_dir(&path("k.bin/")).unwrap_err(), OpenError::NotFound);
    }
}

#[test]
fn odd_names_are_names() {
    use std::os::unix::ffi::OsStrExt;
    let house = House::new();
    for name in [&b"a\\b"[..], b"x..\\x", b"x\xff", b"tab\there", b"q?", b"semi;x=1", b"trailing.", b"%2e%2e", b"..."] {
        fs::write(house.inside().join(std::ffi::OsStr::from_bytes(name)), "odd").unwrap();
    }
    for root in house.both() {
        for name in ["a%5cb", "a\\b", "x..%5cx", "x%ff", "tab%09here", "q%3f", "semi;x=1", "trailing.", "%252e%252e"] {
            assert_eq!(read(&root, name).unwrap(), "odd", "{name}");
        }
        // A leading dot hides, whatever follows it.
        assert_eq!(read(&root, "..."), Err(OpenError::NotFound));
    }
}

#[test]
fn hidden_names_do_not_exist_unless_served() {
    let house = House::new();
    for root in house.both() {
        for hidden in [".env", ".git/config", "a/.hidden"] {
            assert_eq!(read(&root, hidden), Err(OpenError::NotFound), "{hidden}");
        }
        assert!(root.open_dir(&path(".git/")).is_err());
    }
    let serving = house.root(RootOptions { hidden: Hidden::Serve, ..Default::default() });
    assert_eq!(read(&serving, ".git/config").unwrap(), ".git/config");
}

#[test]
fn no_link_leads_out() {
    let house = House::new();
    let inside = house.inside();
    symlink(house.dir.path().join("outside.txt"), inside.join("absolute")).unwrap();
    symlink("../outside.txt", inside.join("climbing")).unwrap();
    symlink("..", inside.join("parent")).unwrap();
    symlink("/", inside.join("slash")).unwrap();
    symlink(inside.join("k.bin"), inside.join("absolute-inside")).unwrap();
    symlink("loop-b", inside.join("loop-a")).unwrap();
    symlink("loop-a", inside.join("loop-b")).unwrap();
    symlink("/proc/self/fd/0", inside.join("magic")).unwrap();
    symlink("a/../../inside/../outside.txt", inside.join("winding")).unwrap();
    for root in house.both() {
        for out in [
            "absolute",
            "climbing",
            "parent/outside.txt",
            "slash/etc/passwd",
            "absolute-inside",
            "loop-a",
            "magic",
            "winding",
        ] {
            assert_eq!(read(&root, out), Err(OpenError::NotFound), "{out}");
        }
        assert!(root.open_dir(&path("parent/")).is_err());
    }
}

#[test]
fn a_link_inside_is_followed_only_where_the_bucket_says_so() {
    let house = House::new();
    symlink("a/b/deep.mp3", house.inside().join("song.mp3")).unwrap();
    symlink("../a", house.inside().join("a/self")).unwrap();
    let [kernel, walked] = house.both();
    assert_eq!(read(&kernel, "song.mp3").unwrap(), "a/b/deep.mp3");
    assert_eq!(read(&kernel, "a/self/b/deep.mp3").unwrap(), "a/b/deep.mp3");
    assert_eq!(read(&walked, "song.mp3"), Err(OpenError::NotFound), "stricter, never laxer");
    let never = house.root(RootOptions { symlinks: Symlinks::Never, ..Default::default() });
    assert_eq!(read(&never, "song.mp3"), Err(OpenError::NotFound));
    assert_eq!(read(&never, "a/self/b/deep.mp3"), Err(OpenError::NotFound));
}

#[test]
fn magic_links_open_nothing() {
    let options = RootOptions { hidden: Hidden::Serve, ..Default::default() };
    let root = Root::open(Path::new("/proc/self"), options).unwrap();
    for magic in ["fd/0", "exe", "root/etc/passwd", "cwd/Cargo.toml"] {
        assert_eq!(root.open_file(&path(magic)).unwrap_err(), OpenError::NotFound, "{magic}");
    }
    let one = Root::open(Path::new("/"), RootOptions { one_file_system: true, ..options }).unwrap();
    assert_eq!(one.open_file(&path("proc/self/status")).unwrap_err(), OpenError::NotFound, "another file system");
    let all = Root::open(Path::new("/"), options).unwrap();
    assert!(all.open_file(&path("proc/version")).is_ok());
}

#[test]
fn a_pipe_a_socket_and_a_device_are_nothing_and_cost_no_waiting() {
    let house = House::new();
    mknodat(CWD, house.inside().join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(house.inside().join("socket")).unwrap();
    for root in house.both() {
        assert_eq!(read(&root, "pipe"), Err(OpenError::NotFound));
        assert_eq!(read(&root, "socket"), Err(OpenError::NotFound));
    }
    let devices = Root::open(Path::new("/dev"), RootOptions::default()).unwrap();
    assert_eq!(devices.open_file(&path("null")).unwrap_err(), OpenError::NotFound);
}

#[test]
fn errors_say_what_the_client_may_know() {
    for (errno, expected) in [
        (Errno::ACCESS, OpenError::NotFound),
        (Errno::PERM, OpenError::NotFound),
        (Errno::NOENT, OpenError::NotFound),
        (Errno::NOTDIR, OpenError::NotFound),
        (Errno::LOOP, OpenError::NotFound),
        (Errno::NAMETOOLONG, OpenError::NotFound),
        (Errno::XDEV, OpenError::NotFound),
        (Errno::MFILE, OpenError::Busy),
        (Errno::NFILE, OpenError::Busy),
        (Errno::AGAIN, OpenError::Busy),
        (Errno::IO, OpenError::Failed(Errno::IO)),
    ] {
        assert_eq!(OpenError::from(errno), expected);
    }
}

#[test]
fn a_name_in_the_other_normalization_is_found_when_it_is_the_only_one() {
    let house = House::new();
    let (composed, apart) = ("caf\u{e9}", "cafe\u{301}");
    fs::create_dir(house.inside().join(apart)).unwrap();
    fs::write(house.inside().join(apart).join("x.txt"), "apart").unwrap();
    let url = |name: &str| path(&format!("{}/x.txt", name)).encode();
    for root in house.both() {
        assert_eq!(read(&root, &url(apart)).unwrap(), "apart");
        assert_eq!(read(&root, &url(composed)).unwrap(), "apart");
    }
    fs::create_dir(house.inside().join(composed)).unwrap();
    fs::write(house.inside().join(composed).join("x.txt"), "composed").unwrap();
    for root in house.both() {
        assert_eq!(read(&root, &url(composed)).unwrap(), "composed", "the exact name comes first");
    }
    // Two matches, none of them exact: three spellings of one name.
    fs::write(house.inside().join("\u{1e69}"), "1").unwrap();
    fs::write(house.inside().join("s\u{323}\u{307}"), "2").unwrap();
    for root in house.both() {
        assert_eq!(read(&root, "%E1%B9%A1%CC%A3"), Err(OpenError::NotFound));
    }
    // The folder is there exactly, among others like it; only the name in it is spelled otherwise.
    for folder in ["\u{1e61}\u{323}x", "\u{1e69}x", "s\u{323}\u{307}x"] {
        fs::create_dir(house.inside().join(folder)).unwrap();
    }
    fs::write(house.inside().join("\u{1e69}x").join(apart), "in it").unwrap();
    for root in house.both() {
        assert_eq!(read(&root, "%E1%B9%A9x/caf%C3%A9").unwrap(), "in it");
    }
}

#[test]
fn a_second_case_of_a_name_is_served_when_it_is_a_name_of_its_own() {
    let house = House::new();
    // Hard links look like a folding file system: the other case leads to the same file.
    fs::hard_link(house.inside().join("k.bin"), house.inside().join("K.BIN")).unwrap();
    for root in house.both() {
        assert_eq!(read(&root, "K.BIN").unwrap(), "k.bin");
        assert_eq!(read(&root, "k.bin").unwrap(), "k.bin");
    }
}

#[test]
fn an_opened_file_outlives_its_name() {
    let house = House::new();
    let root = house.root(RootOptions::default());
    let file = root.open_file(&path("k.bin")).unwrap();
    fs::remove_file(house.inside().join("k.bin")).unwrap();
    fs::write(house.inside().join("k.bin"), "another").unwrap();
    let mut bytes = [0; 5];
    rustix::io::pread(&file.fd, bytes.as_mut_slice(), 0).unwrap();
    assert_eq!(&bytes, b"k.bin");
    assert_ne!(root.open_file(&path("k.bin")).unwrap().meta.ino, file.meta.ino);
}

#[test]
fn a_folder_exchanged_for_a_link_while_it_is_opened_never_leads_out() {
    let house = House::new();
    let inside = house.inside();
    let vault = house.dir.path().join("vault");
    fs::create_dir_all(vault.join("b")).unwrap();
    fs::write(vault.join("b/deep.mp3"), "outside").unwrap();
    symlink(&vault, inside.join("trap")).unwrap();
    let roots = house.both();
    let done = AtomicBool::new(false);
    /// Ends the exchanging also when an assertion fails.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| {
            // `a` and the link `trap` change places, again and again.
            while !done.load(Ordering::SeqCst) {
                let (a, trap) = (inside.join("a"), inside.join("trap"));
                rustix::fs::renameat_with(CWD, &a, CWD, &trap, rustix::fs::RenameFlags::EXCHANGE).unwrap();
            }
        });
        let mut served = 0;
        for round in 0..200_000 {
            for root in &roots {
                match read(root, "a/b/deep.mp3") {
                    Ok(content) => {
                        assert_eq!(content, "a/b/deep.mp3");
                        served += 1;
                    }
                    Err(OpenError::NotFound | OpenError::Busy) => {}
                    Err(other) => unreachable!("{other}"),
                }
            }
            // Enough of both, in any case a bounded number.
            if round > 5_000 && served > 500 {
                break;
            }
        }
        assert!(served > 0, "the true folder was served in between");
    });
}

#[test]
fn what_the_kernel_remembers_is_opened_under_the_same_rules() {
    let house = House::new();
    let inside = house.inside();
    symlink("../outside.txt", inside.join("out")).unwrap();
    symlink("k.bin", inside.join("in")).unwrap();
    mknodat(CWD, inside.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let root = house.root(RootOptions::default());
    // Asked for once, so that the kernel has met every name.
    for name in ["k.bin", "in", "out", "pipe", "a", ".env", "K.BIN"] {
        let _ = root.open_file(&path(name));
    }
    for nothing in ["out", "pipe", "a", "a/", ".env", "a/.hidden", "K.BIN", "k.bin/", "none"] {
        assert!(root.open_remembered(&path(nothing)).is_none(), "{nothing}");
    }
    let file = root.open_remembered(&path("k.bin")).unwrap();
    assert_eq!(file.meta, root.open_file(&path("k.bin")).unwrap().meta);
    assert!(root.open_remembered(&path("in")).is_some());
    let strict = house.root(RootOptions { symlinks: Symlinks::Never, ..RootOptions::default() });
    assert!(strict.open_remembered(&path("in")).is_none());
    assert!(house.root(RootOptions::default()).walking().open_remembered(&path("k.bin")).is_none());
}
