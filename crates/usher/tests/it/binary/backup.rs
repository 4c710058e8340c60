//! Copies: made while serving, judged, and put in place of what was lost.

use crate::support::engine::about_the_file;
use crate::support::program::{Home, PASSWORD, mode};
use std::fs;

#[test]
fn a_copy_is_made_while_serving_for_its_owner_only_and_never_over_a_file() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    let server = home.serve();
    server.logged_in("alice");
    let copy = home.path("copy.db");
    let said = home.run(&["backup", copy.to_str().unwrap()]).good();
    assert!(said.contains("master key"), "{said}");
    assert_eq!(mode(&copy), 0o600);
    let key = fs::read_to_string(home.data().join("master.key")).unwrap();
    let bytes = fs::read(&copy).unwrap();
    assert!(!bytes.windows(20).any(|part| key.as_bytes().starts_with(part)), "the key is not in the copy");
    assert!(home.run(&["backup", copy.to_str().unwrap()]).refused(1).contains("exists already"));
    assert_eq!(fs::read(&copy).unwrap(), bytes);
    assert!(server.stop().contains("backup"));
}

#[test]
fn a_restore_ends_every_session_and_brings_no_used_link_back() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    let server = home.serve();
    let link = server.setup().unwrap();
    home.add_user("bob", &[]);
    let (live, rotated) = (server.logged_in("bob"), server.logged_in("bob"));
    let copy = home.path("copy.db");
    let copy = copy.to_str().unwrap();
    home.run(&["backup", copy]).good();
    // A letter that waited when the copy was made.
    let waits = "INSERT INTO outbox (id, account_id, recipient, sealed, made_at, due_at, tries, expires_at) \
        SELECT 'x', id, 'bob@mail.example', '', 0, 0, 0, 9000000000000000 FROM accounts WHERE username = 'bob'";
    assert_eq!(rusqlite::Connection::open(copy).unwrap().execute(waits, ()).unwrap(), 1);
    // What happens after the copy: a token rotates, an account is made by the link that the copy holds unused.
    assert_eq!(server.refresh(&rotated).status, 200);
    home.add_user("late", &[]);

    let refusal = home.run(&["restore", copy]).refused(4);
    assert!(refusal.contains("running server"), "{refusal}");
    let checked = home.run(&["--json", "restore", copy, "--check"]).json();
    assert_eq!((&checked["restorable"], &checked["would_end"]["sessions"]), (&true.into(), &2.into()));
    assert_eq!(server.refresh(&live).status, 200, "a check changes nothing");
    server.stop();

    let said = home.run(&["--json", "restore", copy]).json();
    let kept = said["kept"].as_str().unwrap();
    assert_eq!(mode(kept.as_ref()), 0o600);
    let server = home.serve();
    for token in [&live, &rotated] {
        assert_eq!(server.refresh(token).status, 401);
    }
    assert_ne!(server.set_up(&link, "mallory"), 303, "the link of the copy is withdrawn");
    assert_eq!(server.login("bob", PASSWORD).status, 200);
    assert_eq!(server.login("late", PASSWORD).status, 401);
    server.stop();
    let connection = rusqlite::Connection::open(home.data().join("usher.db")).unwrap();
    let count = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM audit_events WHERE event = 'backup_restored'"), 1);
    assert_eq!(count("SELECT count(*) FROM sessions WHERE end_reason = 'restored'"), 2);
    assert_eq!(count("SELECT count(*) FROM outbox"), 0);
}

#[test]
fn with_its_key_a_copy_comes_back_on_another_machine() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    let copy = home.path("copy.db");
    let copy = copy.to_str().unwrap();
    home.run_with(&["backup", copy, "--with-key", "--passphrase-stdin"], "four words are better").good();
    let key = home.path("copy.db.key");
    assert_eq!(mode(&key), 0o600);
    let master = fs::read_to_string(home.data().join("master.key")).unwrap();
    assert!(!fs::read_to_string(&key).unwrap().contains(master.trim()));

    let other = Home::new();
    let refusal = other.run(&["restore", copy]).refused(4);
    assert!(refusal.contains("asks for master key") && refusal.contains("--with-key"), "{refusal}");
    let wrong = other.run_with(&["restore", copy, "--with-key", "--passphrase-stdin"], "three words").refused(4);
    assert!(wrong.contains("passphrase is wrong"), "{wrong}");
    other.run_with(&["restore", copy, "--with-key", "--passphrase-stdin"], "four words are better").good();
    assert_eq!(mode(&other.data().join("master.key")), 0o600);
    assert_eq!(other.serve().login("alice", PASSWORD).status, 200);
}

#[test]
fn what_is_no_sound_copy_is_refused_and_nothing_is_changed() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    home.add_user("alice", &[]);
    let copy = home.path("copy.db");
    home.run(&["backup", copy.to_str().unwrap()]).good();
    let whole = fs::read(&copy).unwrap();
    let bad = home.path("bad.db");
    let mut damaged = whole.clone();
    damaged[4096..40_960].fill(0x5a);
    for (bytes, reason) in [
        (&whole[..whole.len() / 2], "damaged"),
        (&damaged[..], "damaged"),
        (b"not a database at all", "damaged"),
        (b"", "empty"),
    ] {
        fs::write(&bad, bytes).unwrap();
        for more in [&["--check"][..], &[]] {
            let refusal = home.run(&[&["restore", bad.to_str().unwrap()], more].concat()).refused(4);
            assert!(refusal.contains(reason), "{refusal}");
        }
    }
    fs::write(&bad, &whole).unwrap();
    let connection = rusqlite::Connection::open(&bad).unwrap();
    connection.execute("INSERT INTO migrations (number, name, digest) VALUES (9999, 'later', '')", ()).unwrap();
    connection.close().unwrap();
    assert!(home.run(&["restore", bad.to_str().unwrap()]).refused(4).contains("newer version"));
    home.run(&["user", "show", "alice"]).good();
    let left: Vec<_> = fs::read_dir(home.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("restore-")), "{left:?}");
}

#[test]
fn another_master_key_opens_everything_and_the_old_one_nothing_any_more() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    let server = home.serve();
    let token = server.logged_in("alice");
    assert!(home.run(&["key", "rotate", "--master"]).refused(4).contains("in use"));
    server.stop();
    let key = home.data().join("master.key");
    let old = fs::read_to_string(&key).unwrap();
    let said = home.run(&["--json", "key", "rotate", "--master"]).json();
    let kept = std::path::PathBuf::from(said["old_key"].as_str().unwrap());
    let new = fs::read_to_string(&key).unwrap();
    assert_ne!(old, new);
    assert_eq!((fs::read_to_string(&kept).unwrap(), mode(&key)), (old.clone(), 0o600));
    let server = home.serve();
    let token = server.refresh(&token).json()["refresh_token"].as_str().unwrap().to_owned();
    server.stop();

    // As a power cut after the commit leaves it: the old key in its place, the new one waiting.
    fs::rename(&key, home.data().join("master.key.next")).unwrap();
    fs::rename(&kept, &key).unwrap();
    let server = home.serve();
    assert_eq!(server.refresh(&token).status, 200);
    assert_eq!(fs::read_to_string(&key).unwrap(), new);
    server.stop();
    fs::write(&key, old).unwrap();
    assert!(home.run(&["user", "list"]).refused(4).contains("belongs to master key"));
}
