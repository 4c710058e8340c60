//! `usher apply` from a terminal: before the first start, beside a running server, and for programs.

use crate::support::program::{Home, PASSWORD};
use serde_json::json;

const HOUSEHOLD: &str = "\
name = \"household\"

[[group]]
name = \"Family\"
buckets = [\"films\"]
members = [\"alice\"]

[[bucket]]
name = \"films\"
path = \"films\"

[[app]]
name = \"player\"
origins = [\"https://player.example\"]

[[invite]]
key = \"grandma\"
note = \"For grandma\"
groups = [\"Family\"]
";

/// An installation with two accounts, a folder `films`, and the declaration beside it. The program runs elsewhere.
fn home() -> (Home, String) {
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    let settings = home.data().join("usher.toml");
    std::fs::write(&settings, "[accounts]\nsignup = \"invite\"\n").unwrap();
    std::fs::set_permissions(&settings, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::create_dir_all(home.path("etc/films")).unwrap();
    std::fs::write(home.path("etc/films/k.txt"), "film").unwrap();
    std::fs::write(home.path("etc/household.toml"), HOUSEHOLD).unwrap();
    (home, "etc/household.toml".to_owned())
}

#[test]
fn a_plan_changes_nothing_and_its_exit_code_says_whether_there_is_something_to_change() {
    let (home, file) = home();
    let plan = home.run(&["apply", &file, "--plan"]);
    assert_eq!((plan.code, plan.err.as_str()), (Some(6), ""), "{plan:?}");
    for line in ["+ group Family: opens films", "+ member alice: in Family", "+ app player: at https://player.example"]
    {
        assert!(plan.out.contains(line), "{plan:?}");
    }
    assert!(plan.out.contains("5 changes would be made; nothing was changed"), "{plan:?}");
    assert_eq!(home.run(&["--json", "group", "list"]).json(), json!([]));
    let done = home.run(&["apply", &file]).good();
    assert!(done.contains("5 changes were made") && done.contains("/signup/usi_"), "{done}");
    assert_eq!(home.run(&["apply", &file, "--plan"]).good().trim(), "everything is as declared");
    assert_eq!(home.run(&["apply", &file]).good().trim(), "everything is as declared");
    assert_eq!(home.run(&["--json", "group", "show", "Family"]).json()["members"], json!(["alice"]));
}

#[test]
fn a_running_server_serves_what_was_applied_when_the_command_returns() {
    let (home, file) = home();
    let server = home.serve();
    let applied = home.run(&["--json", "apply", &file]).json();
    assert_eq!((&applied["name"], &applied["applied"]), (&json!("household"), &json!(true)));
    let first = json!({"act": "make", "kind": "bucket", "name": "films", "detail": home.path("etc/films")});
    assert_eq!(applied["changes"][0], first);
    assert_eq!(applied["links"][0]["key"], "grandma");
    let token = server.login("alice", PASSWORD).json()["access_token"].as_str().unwrap().to_owned();
    let list = server.get_with("/api/v1/buckets/films/entries", &token);
    assert!(list.status == 200 && list.body.contains("k.txt"), "{list:?}");
    let link = applied["links"][0]["url"].as_str().unwrap();
    let signup = server.get(&link[link.find("/signup/").unwrap()..]);
    assert_eq!((signup.status, signup.header("location")), (303, Some("/signup")));
    let again = home.run(&["--json", "apply", &file]).json();
    assert_eq!((&again["changes"], &again["links"]), (&json!([]), &json!([])));

    // The folder is gone at the next start: the server says so, and serves everything else.
    let log = server.stop();
    assert!(log.contains("command=\"apply\"") || log.contains("apply"), "{log}");
    assert!(!log.contains("usi_"), "{log}");
    std::fs::rename(home.path("etc/films"), home.path("etc/away")).unwrap();
    let server = home.serve();
    let token = server.login("alice", PASSWORD).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(server.get_with("/api/v1/buckets/films/entries", &token).status, 503);
    assert_eq!(server.get_with("/api/v1/buckets", &token).status, 200);
    let doctor = home.run(&["doctor"]);
    assert!(
        doctor.out.contains("films") && doctor.out.contains("was declared, and there is no such folder"),
        "{doctor:?}"
    );
    let log = server.stop();
    assert!(log.contains("a bucket's folder is missing here"), "{log}");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line_and_is_no_change() {
    let (home, file) = home();
    let wrong = HOUSEHOLD.replace("members", "member").replace("key = ", "keys = ");
    std::fs::write(home.path(&file), wrong).unwrap();
    let told = home.run(&["apply", &file]).refused(3);
    assert!(
        told.contains("household.toml:6: group[0].member: no such setting. Did you mean `group.members`?"),
        "{told}"
    );
    assert!(told.contains(":17: invite[0].keys"), "{told}");
    std::fs::write(home.path(&file), HOUSEHOLD.replace("alice", "nobody")).unwrap();
    let told = home.run(&["--json", "apply", &file, "--plan"]).refused(3);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["error"], "declaration_invalid");
    assert!(told["message"].as_str().unwrap().contains(":6: group[0].members"), "{told}");
    assert!(home.run(&["apply", "nowhere.toml"]).refused(3).contains("cannot be read"));
    let long = "# a comment\n".repeat(30_000);
    std::fs::write(home.path(&file), long).unwrap();
    assert!(home.run(&["apply", &file]).refused(3).contains("longer than 256 KiB"));
    assert_eq!(home.run(&["--json", "group", "list"]).json(), json!([]));
}

#[test]
fn the_data_directory_is_declared_by_nobody() {
    let (home, file) = home();
    let text =
        HOUSEHOLD.replace("path = \"films\"", &format!("path = \"{}\"", home.data().parent().unwrap().display()));
    std::fs::write(home.path(&file), text).unwrap();
    // Without a server and beside one.
    assert!(home.run(&["apply", &file]).refused(3).contains("holds Usher's own data"));
    let server = home.serve();
    assert!(home.run(&["apply", &file]).refused(3).contains("holds Usher's own data"));
    let clash = HOUSEHOLD.replace("\"films\"", "\"music\"").replace("path = \"music\"", "path = \"films\"");
    std::fs::write(home.path(&file), clash).unwrap();
    let told = home.run(&["apply", &file]).refused(3);
    assert!(told.contains("the server's own configuration has a bucket of this name"), "{told}");
    server.stop();
}
