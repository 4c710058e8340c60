//! Accounts and groups from a terminal, before the first start and beside a running server.

use crate::support::authenticator::Authenticator;
use crate::support::program::{Home, PASSWORD};
use serde_json::json;

#[test]
fn an_account_can_be_made_before_the_first_start_and_beside_a_running_server() {
    let home = Home::new();
    home.add_user("alice", &["--admin", "--buckets", "all"]);
    let server = home.serve();
    assert_eq!(server.setup(), None, "an admin exists");
    home.add_user("bob", &["--buckets", "music"]);
    assert_eq!(server.login("alice", PASSWORD).status, 200);
    assert_eq!(server.login("bob", PASSWORD).status, 200);
    let bob = home.run(&["--json", "user", "show", "BOB"]).json();
    assert_eq!((&bob["role"], &bob["buckets"], &bob["sessions"]), (&json!("user"), &json!(["music"]), &json!(1)));
    let log = server.stop();
    assert!(log.contains("user add") && !log.contains(PASSWORD), "{log}");
    let names = home.run(&["--json", "user", "list"]).json();
    let names: Vec<&str> = names.as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect();
    assert_eq!(names, ["alice", "bob"]);
}

#[test]
fn what_a_command_ends_is_dead_on_the_running_server_when_the_command_returns() {
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    home.add_user("bob", &[]);
    let server = home.serve();
    let token = server.logged_in("bob");
    home.run(&["user", "logout", "bob"]).good();
    assert_eq!(server.refresh(&token).status, 401);

    let token = server.logged_in("bob");
    home.run(&["user", "disable", "bob"]).good();
    assert_eq!(server.refresh(&token).status, 401);
    assert_eq!(server.login("bob", PASSWORD).status, 401);
    home.run(&["user", "enable", "bob"]).good();
    assert_eq!(server.refresh(&token).status, 401, "what was ended stays ended");

    let token = server.logged_in("bob");
    home.run_with(&["user", "password", "bob", "--password-stdin"], "another-plum-anchor-38").good();
    assert_eq!(server.refresh(&token).status, 401);
    assert_eq!(server.login("bob", PASSWORD).status, 401);
    assert_eq!(server.login("bob", "another-plum-anchor-38").status, 200);

    home.run(&["user", "delete", "bob"]).good();
    assert_eq!(server.login("bob", "another-plum-anchor-38").status, 401);
    assert!(home.run(&["user", "show", "bob"]).refused(1).contains("no account"));
}

#[test]
fn one_session_can_be_ended_and_the_others_live_on() {
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    let server = home.serve();
    let answer = server.login("alice", PASSWORD).json();
    let (session, token) = (answer["session"]["id"].as_str().unwrap(), answer["refresh_token"].as_str().unwrap());
    let other = server.logged_in("alice");
    assert!(home.run(&["user", "sessions", "alice"]).good().contains(session));
    home.run(&["user", "logout", "alice", session]).good();
    assert_eq!(server.refresh(token).status, 401);
    assert_eq!(server.refresh(&other).status, 200);
}

#[test]
fn the_last_admin_cannot_be_lost_by_a_command() {
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    for command in [["user", "disable", "alice"], ["user", "delete", "alice"]] {
        assert!(home.run(&command).refused(1).contains("last admin"));
    }
    assert!(home.run(&["user", "role", "alice", "user"]).refused(1).contains("last admin"));
    home.add_user("bob", &["--admin"]);
    home.run(&["user", "role", "alice", "user"]).good();
}

#[test]
fn a_password_is_never_an_argument_and_never_a_weak_one() {
    let home = Home::new();
    assert_eq!(home.run(&["user", "add", "alice", "--password", PASSWORD]).code, Some(2));
    let weak = home.run_with(&["user", "add", "alice", "--password-stdin"], "password").refused(1);
    assert!(weak.contains("Use at least 12 characters"), "{weak}");
    assert!(home.run_with(&["user", "add", "alice", "--password-stdin"], "").refused(1).contains("empty"));
    assert!(home.run(&["user", "add", "alice"]).refused(1).contains("no terminal"));
    home.add_user("alice", &[]);
    let taken = home.run_with(&["--json", "user", "add", "ALICE", "--password-stdin"], PASSWORD).refused(1);
    let refusal: serde_json::Value = serde_json::from_str(&taken).unwrap();
    assert_eq!(refusal["error"], "username_taken");
}

#[test]
fn a_group_gives_its_buckets_to_its_members() {
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    home.run(&["group", "add", "family"]).good();
    home.run(&["group", "buckets", "family", "music,films"]).good();
    home.run(&["group", "join", "family", "alice"]).good();
    let group = home.run(&["--json", "group", "show", "FAMILY"]).json();
    assert_eq!((&group["members"], &group["buckets"]), (&json!(["alice"]), &json!(["films", "music"])));
    assert_eq!(home.run(&["--json", "user", "show", "alice"]).json()["groups"], json!(["family"]));
    home.run(&["group", "leave", "family", "alice"]).good();
    assert_eq!(home.run(&["--json", "group", "list"]).json()[0]["members"], 0);
    home.run(&["group", "delete", "family"]).good();
    assert!(home.run(&["group", "show", "family"]).refused(1).contains("no group"));
}

#[test]
fn a_rotation_that_others_could_not_follow_needs_to_be_asked_for_twice() {
    let home = Home::new();
    home.add_user("alice", &[]);
    let keys = home.run(&["--json", "key", "list"]).json();
    assert_eq!((&keys[0]["state"], &keys[1]["state"]), (&json!("current"), &json!("next")));
    assert!(home.run(&["key", "rotate"]).refused(1).contains("--now"));
    let rotated = home.run(&["--json", "key", "rotate", "--now"]).json();
    assert_eq!(rotated["kid"], keys[1]["kid"], "the published key is the one that comes into use");
    assert_eq!(home.run(&["--json", "key", "list"]).json()[2]["kid"], keys[0]["kid"]);
}

#[test]
fn a_device_is_let_in_from_a_terminal_beside_a_running_server() {
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    let server = home.serve();
    let form = "application/x-www-form-urlencoded";
    let fields = "client_id=usher-device&device_name=Kitchen";
    let asked = server.send("POST", "/oauth/device_authorization", form, "", fields).json();
    let code = asked["user_code"].as_str().unwrap().to_lowercase();
    assert!(home.run(&["user", "link", "alice", "BBBB-BBBB"]).refused(1).contains("no device shows this code"));
    assert!(home.run(&["user", "link", "Alice", &code]).good().contains("Kitchen"));
    let device = asked["device_code"].as_str().unwrap();
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
    let poll = format!("grant_type={grant}&client_id=usher-device&device_code={device}");
    assert_eq!(server.send("POST", "/oauth/token", form, "", &poll).status, 200);
    assert!(home.run(&["user", "sessions", "alice"]).good().contains("Kitchen"));
}

#[test]
fn an_authenticator_app_is_set_up_and_stood_in_for_from_a_terminal() {
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    let shown = home.run(&["user", "totp", "alice"]).good();
    let picture = shown.lines().filter(|line| line.chars().filter(|c| "█▀▄ ".contains(*c)).count() > 30).count();
    assert!(picture > 15, "a picture to read from the terminal: {shown}");
    let begun = home.run(&["--json", "user", "totp", "alice"]).json();
    let authenticator = Authenticator::read(begun["otpauth_url"].as_str().unwrap());
    let code = || authenticator.code(usher::time::Clock::System.now());
    assert!(
        home.run_with(&["user", "totp", "alice", "--confirm", "--code-stdin"], "000000")
            .refused(1)
            .contains("not what")
    );
    let text = home.run_with(&["user", "totp", "alice", "--confirm", "--code-stdin"], &code()).good();
    assert!(text.contains("Recovery codes"), "{text}");
    let server = home.serve();
    assert_eq!(server.login("alice", PASSWORD).status, 401, "the password alone");
    let link = home.run(&["user", "recover", "alice"]).good();
    assert!(link.contains("/recover/usf_"), "{link}");
    home.run(&["user", "totp", "alice", "--remove"]).good();
    assert_eq!(server.login("alice", PASSWORD).status, 200);
    assert!(home.run(&["user", "recover", "alice"]).refused(1).contains("no second factor"));
    home.run(&["user", "require-factor", "alice", "yes"]).good();
    assert_eq!(server.login("alice", PASSWORD).json()["account"]["must_enrol"], true);
    home.run(&["group", "add", "Staff"]).good();
    home.run(&["group", "require-factor", "Staff", "yes"]).good();
    let log = server.stop();
    assert!(log.contains("user recover") && !log.contains("usf_") && !log.contains(&authenticator.secret), "{log}");
}
