//! A disk that takes nothing more: what changes something is refused, everything else goes on, and it heals by itself.
//!
//! Two ways to get there, and the same must hold in both. A limit on the size of files, set on the running server,
//! needs no privilege and fails every write at once. A small file system filled to its last byte is the real thing
//! and needs root; where none can be mounted the first way stands alone, and the test says so.

use crate::support::engine::about_the_file;
use crate::support::program::{Home, PASSWORD, Server};
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a disk is made to take nothing more, and to take again.
trait Squeeze {
    fn tighten(&self, server: &Server);
    fn loosen(&self, server: &Server);
}

struct FileSizes;

impl Squeeze for FileSizes {
    fn tighten(&self, server: &Server) {
        limit_files(server, Some(0));
    }

    fn loosen(&self, server: &Server) {
        limit_files(server, None);
    }
}

fn limit_files(server: &Server, current: Option<u64>) {
    let limit = Rlimit { current, maximum: None };
    prlimit(Some(server.pid()), Resource::Fsize, limit).unwrap();
}

/// A file system of a few megabytes over a folder, unmounted when dropped.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    fn over(folder: &Path) -> Option<SmallDisk> {
        fs::create_dir(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"]).arg(folder).stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
        mounted.then(|| SmallDisk { folder: folder.to_owned() })
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Squeeze for SmallDisk {
    fn tighten(&self, _: &Server) {
        let mut ballast = OpenOptions::new().create(true).append(true).open(self.ballast()).unwrap();
        let full = loop {
            if let Err(error) = ballast.write_all(&[7; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    }

    fn loosen(&self, _: &Server) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a failed test may still hold files there.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

/// What somebody holds who logged in.
struct Person {
    refresh: String,
    access: String,
    film: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Person {
    fn new(server: &Server) -> Person {
        let tokens = server.login("alice", PASSWORD).json();
        let access = text(&tokens["access_token"]);
        let list = server.get_with("/api/v1/buckets/music/entries", &access).json();
        let url = text(&list["entries"][0]["url"]);
        Person { refresh: text(&tokens["refresh_token"]), access, film: url[url.find("/m/").unwrap()..].to_owned() }
    }

    /// What only reads: the gate, a file, a page.
    fn is_served(&self, server: &Server) {
        let me = server.get_with("/api/v1/me", &self.access);
        assert_eq!(me.status, 200, "{me:?}");
        let part = server.ask("GET", &self.film, "Range: bytes=0-0\r\n");
        assert_eq!((part.status, part.body.as_str()), (206, "l"), "{part:?}");
        assert_eq!(server.get("/login").status, 200);
    }
}

/// One server, squeezed and released.
fn holds(home: &Home, squeeze: &dyn Squeeze) {
    home.add_user("alice", &["--buckets", "all"]);
    let music = format!("music={}", home.path("music").display());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", &music];
    let server = Server::start(home.usher_within_limits(&serve));
    let (stays, leaves) = (Person::new(&server), Person::new(&server));
    let cookie = browser(&server);

    squeeze.tighten(&server);
    let refused = [
        ("login", server.login("alice", PASSWORD)),
        ("refresh", server.refresh(&stays.refresh)),
        ("logout", server.post("/api/v1/logout", &json!({ "refresh_token": leaves.refresh }))),
        ("end all", server.ask("POST", "/api/v1/me/sessions/end-all", &bearer(&leaves.access))),
        ("page of the logout", server.ask("POST", "/logout", &cookie)),
    ];
    for (what, answer) in refused {
        assert_eq!(answer.status, 503, "{what}: {answer:?}");
        assert_eq!(answer.header("set-cookie"), None, "{what}: nothing ended, so no cookie is taken away");
        if what != "page of the logout" {
            assert_eq!(answer.json()["code"], "unavailable", "{what}");
            assert!(answer.header("retry-after").is_some(), "{what}: {answer:?}");
        }
    }
    // Whose logout failed was told so, and is still let in: nothing says otherwise anywhere.
    stays.is_served(&server);
    leaves.is_served(&server);
    assert_eq!(server.ask("GET", "/account", &cookie).status, 200);

    squeeze.loosen(&server);
    let refreshed = server.refresh(&stays.refresh);
    assert_eq!(refreshed.status, 200, "the refused refresh used nothing up: {refreshed:?}");
    assert_eq!(server.login("alice", PASSWORD).status, 200);
    let out = server.post("/api/v1/logout", &json!({ "refresh_token": leaves.refresh }));
    assert_eq!(out.status, 204, "{out:?}");
    assert_eq!(server.refresh(&leaves.refresh).status, 401);
    assert_eq!(server.get_with("/api/v1/me", &leaves.access).status, 401);
    assert_eq!(server.ask("GET", &leaves.film, "").status, 403);
    stays.is_served(&server);
    let log = server.stop();
    assert!(log.contains("a request failed inside"), "what was wrong stands in the log: {log}");
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n")
}

/// The header lines of a browser that is logged in.
fn browser(server: &Server) -> String {
    let form = format!("username=alice&password={PASSWORD}");
    let origin = "Origin: http://localhost\r\n";
    let answer = server.send("POST", "/login", "application/x-www-form-urlencoded", origin, &form);
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap();
    format!("Cookie: {cookie}\r\n{origin}Content-Length: 0\r\n")
}

#[test]
fn writes_that_fail_answer_503_end_nothing_and_work_again_by_themselves() {
    if about_the_file() {
        return;
    }
    holds(&Home::new(), &FileSizes);
}

#[test]
fn a_full_disk_answers_503_ends_nothing_and_heals_when_there_is_room() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    match SmallDisk::over(&home.data()) {
        Some(disk) => holds(&home, &disk),
        None => {
            assert!(!must_mount(), "root in CI, but no small file system could be mounted");
            eprintln!("SKIPPED: only root can mount a small disk; the limit on file sizes was tried instead");
        }
    }
}

/// Whether a test that mounts nothing has failed: in CI as root, where it could.
#[expect(clippy::disallowed_methods, reason = "the machine on which the tests run is no concern of the program's")]
fn must_mount() -> bool {
    rustix::process::geteuid().is_root() && std::env::var("CI").is_ok()
}
