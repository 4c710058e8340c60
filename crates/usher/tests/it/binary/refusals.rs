//! What is not started on, each with the reason and the remedy.

use crate::support::engine::about_the_file;
use crate::support::program::Home;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"];

#[test]
fn a_data_directory_that_others_may_read_is_refused_with_the_command_that_mends_it() {
    let home = Home::new();
    home.add_user("alice", &[]);
    fs::set_permissions(home.data(), Permissions::from_mode(0o755)).unwrap();
    let refusal = home.run(&SERVE).refused(4);
    assert!(refusal.contains("0755") && refusal.contains("chmod 700"), "{refusal}");
    fs::set_permissions(home.data(), Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(home.data().join("master.key"), Permissions::from_mode(0o640)).unwrap();
    assert!(home.run(&["user", "list"]).refused(4).contains("chmod 600"));
}

#[test]
fn a_missing_or_wrong_master_key_is_asked_for_by_name() {
    let home = Home::new();
    home.add_user("alice", &[]);
    let (key, aside) = (home.data().join("master.key"), home.path("aside.key"));
    fs::rename(&key, &aside).unwrap();
    let missing = home.run(&SERVE).refused(4);
    assert!(missing.contains("the master key is missing"), "{missing}");
    let words = missing.split(|c: char| !c.is_ascii_alphanumeric());
    let name = words.into_iter().find(|word| word.len() == 16 && word.chars().all(|c| c.is_ascii_hexdigit()));
    let name = name.unwrap_or_else(|| panic!("no key is named: {missing}"));
    assert!(!key.exists(), "no new key was made");

    fs::write(&key, "01".repeat(32)).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let wrong = home.run(&SERVE).refused(4);
    assert!(wrong.contains(&format!("belongs to master key {name}")), "{wrong}");

    fs::rename(&aside, &key).unwrap();
    home.run(&["user", "show", "alice"]).good();
    let named = home.run(&["--master-key-file", home.path("none.key").to_str().unwrap(), "user", "list"]).refused(4);
    assert!(named.contains("none.key does not exist"), "{named}");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one_and_every_mistake_is_told_at_once() {
    let home = Home::new();
    let file = home.path("usher.toml");
    fs::write(&file, "[sessions]\nbrowser_idel = \"3d\"\n[server]\nlan = \"perhaps\"\n").unwrap();
    let path = file.to_str().unwrap();
    for command in [&["config", "check"][..], &SERVE[..]] {
        let refusal = home.run(&[&["--config", path], command].concat()).refused(3);
        assert!(refusal.contains("sessions.browser_idle") && refusal.contains(":2:"), "{refusal}");
        assert!(refusal.contains("server.lan"), "{refusal}");
    }
    let variable = home.usher(&["config", "check"]).env("USHER_LISTEM", "127.0.0.1:1").output().unwrap();
    assert_eq!(variable.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&variable.stderr).contains("USHER_LISTEN"));
    assert!(!home.data().exists(), "nothing was made");
}

#[test]
fn the_file_in_the_data_directory_is_read_and_a_stranger_s_working_directory_is_not() {
    let home = Home::new();
    home.add_user("alice", &[]);
    fs::write(home.path("usher.toml"), "[server]\nservice_name = \"Stranger\"\n").unwrap();
    fs::write(home.data().join("usher.toml"), "[server]\nservice_name = \"Own\"\n").unwrap();
    fs::set_permissions(home.data().join("usher.toml"), Permissions::from_mode(0o600)).unwrap();
    let shown = home.run(&["config", "show"]).good();
    assert!(shown.contains("service_name = \"Own\""), "{shown}");
    let json = home.run(&["--json", "config", "show"]).json();
    assert_eq!(json["server"]["service_name"], "Own");
}

#[test]
fn secrets_in_the_configuration_are_not_shown() {
    let home = Home::new();
    let mut command = home.usher(&["config", "show"]);
    let shown = command.env("USHER_DATABASE", "postgres://usher:hunter2@db/usher").output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("usher:***@db") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_database_of_an_unknown_kind_is_refused_before_anything_is_made() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    for url in ["mysql://db/usher", "usher.db", "sqlite:"] {
        let refusal = home.run(&[&["--database", url], &SERVE[..]].concat()).refused(3);
        assert!(refusal.contains("database"), "{refusal}");
    }
    // It would do without TLS if the server has none, and say nothing.
    let weak = ["--database", "postgres://usher:hunter2@db/usher?sslmode=prefer"];
    let refusal = home.run(&[&weak[..], &SERVE[..]].concat()).refused(3);
    assert!(refusal.contains("verify-full") && !refusal.contains("hunter2"), "{refusal}");
    assert!(!home.data().exists());
}

#[test]
fn a_damaged_or_newer_database_is_left_as_it_is() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    home.add_user("alice", &[]);
    let database = home.data().join("usher.db");
    let whole = fs::read(&database).unwrap();
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute("INSERT INTO migrations (number, name, digest) VALUES (9999, 'later', '')", ()).unwrap();
    connection.close().unwrap();
    let newer = home.run(&SERVE).refused(4);
    assert!(newer.contains("9999") && newer.contains("newer version"), "{newer}");
    let mut damaged = whole.clone();
    damaged[4096..40_960].fill(0x5a);
    fs::write(&database, &damaged).unwrap();
    let refusal = home.run(&SERVE).refused(4);
    assert!(refusal.contains("damaged"), "{refusal}");
    assert_eq!(fs::read(&database).unwrap(), damaged, "left as it was");
    fs::write(&database, whole).unwrap();
    home.run(&["user", "show", "alice"]).good();
}

#[test]
fn a_folder_that_holds_the_data_directory_is_not_served() {
    let home = Home::new();
    let folder = format!("files={}", home.path("").display());
    let refusal = home.run(&[&SERVE[..], &[&folder]].concat()).refused(3);
    assert!(refusal.contains("must not be served"), "{refusal}");
}

#[test]
fn nothing_is_begun_by_a_command_that_only_looks() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    let refusal = home.run(&["user", "list"]).refused(4);
    assert!(refusal.contains("usher serve") && refusal.contains("--data"), "{refusal}");
    assert!(!home.data().exists());
}

#[test]
fn the_doctor_names_what_is_wrong_and_changes_nothing() {
    let home = Home::new();
    home.add_user("alice", &[]);
    let file = home.data().join("usher.toml");
    let gone = home.path("gone");
    fs::write(
        &file,
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"off\"\n[[bucket]]\nname = \"films\"\npath = {gone:?}\n"
        ),
    )
    .unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let found = home.run(&["doctor"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    let problems: Vec<&str> = found.out.lines().filter(|line| line.starts_with("PROBLEM")).collect();
    assert!(matches!(problems[..], [one] if one.contains("films")), "{found:?}");
    fs::create_dir(&gone).unwrap();
    let found = home.run(&["--json", "doctor"]).json();
    assert_eq!(found["problems"], 0, "{found}");
    fs::write(home.data().join("master.key"), "nonsense\n").unwrap();
    let found = home.run(&["doctor"]);
    assert!(found.code == Some(1) && found.out.contains("PROBLEM  master key"), "{found:?}");
}

#[test]
fn the_doctor_warns_before_another_name_strands_passkeys() {
    let home = Home::new();
    home.add_user("alice", &[]);
    let row = "INSERT INTO passkeys (id, account_id, credential_id, credential, counter, rp_id, name, made_at) \
        SELECT '019b0000-0000-7000-8000-00000000000a', id, 'AAAA', '{}', 0, 'localhost', 'Phone', 0 FROM accounts \
        RETURNING id";
    assert_eq!(home.sql(row).len(), 1);
    let server = home.serve();
    let found = home.run(&["doctor"]);
    assert!(!found.out.contains("passkeys"), "{found:?}");
    let found = home.usher(&["doctor"]).env("USHER_PUBLIC_URL", "https://cinema.example").output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(
        found.contains("PROBLEM  passkeys:") && found.contains("under cinema.example: 1 made for localhost"),
        "{found}"
    );
    server.stop();
}

#[test]
fn hashes_below_the_standard_are_remarked_on_and_those_below_the_floor_are_refused() {
    let home = Home::new();
    // The tests' own cost is the least that is taken.
    assert!(home.run(&["config", "check"]).good().contains("accounts.hash costs 19456 KiB x 2"));
    assert!(home.run(&["doctor"]).out.contains("note     password hashes: accounts.hash costs 19456 KiB x 2"));
    let log = home.serve().stop();
    assert!(log.contains("accounts.hash costs 19456 KiB x 2"), "{log}");
    let below = home.usher(&SERVE).env("USHER_ACCOUNTS_HASH_PASSES", "1").output().unwrap();
    assert_eq!(below.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&below.stderr).contains("accounts.hash.passes"));
}
