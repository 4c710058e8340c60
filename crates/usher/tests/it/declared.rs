//! `usher apply` within the server: what a file declares is made, kept, and taken away again, and nothing else is touched.

use crate::support::app::{Actor, PASSWORD, TestApp};
use crate::support::shelf::{Shelf, url};
use http::StatusCode;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;
use usher::accounts::{self, Buckets, Role};
use usher::config::{App as Registered, File, Signup};
use usher::cx::Cx;
use usher::declared::{self, Applied, ApplyError, Mode, Step};

/// The declaration `household.toml`, in a folder that need not exist.
fn household(text: &str) -> File {
    File { path: PathBuf::from("/srv/declared/household.toml"), text: text.to_owned() }
}

fn cx(app: &TestApp) -> Cx {
    let next = app.cx();
    Cx::internal(&next.app, "apply")
}

async fn applied(app: &TestApp, text: &str) -> Applied {
    declared::apply(&cx(app), &household(text), Mode::Apply).await.unwrap()
}

/// The lines of what was done.
pub async fn done(app: &TestApp, text: &str) -> Vec<String> {
    lines(&applied(app, text).await)
}

/// The lines of what would be done.
async fn planned(app: &TestApp, text: &str) -> Vec<String> {
    lines(&declared::apply(&cx(app), &household(text), Mode::Plan).await.unwrap())
}

fn lines(applied: &Applied) -> Vec<String> {
    applied.steps.iter().map(|step| step.told().line()).collect()
}

/// Everything that speaks against it.
async fn refused(app: &TestApp, text: &str) -> String {
    match declared::apply(&cx(app), &household(text), Mode::Apply).await {
        Err(ApplyError::Problems(problems)) => problems.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn groups(admin: &Actor) -> Vec<Value> {
    admin.get("/api/v1/groups").await.json()["groups"].as_array().unwrap().clone()
}

async fn group(admin: &Actor, name: &str) -> Value {
    let all = groups(admin).await;
    all.iter().find(|group| group["name"] == name).unwrap_or_else(|| panic!("no {name} in {all:?}")).clone()
}

async fn members(admin: &Actor, name: &str) -> Vec<String> {
    let id = group(admin, name).await["id"].as_str().unwrap().to_owned();
    let list = admin.get(&format!("/api/v1/groups/{id}")).await.json();
    list["members"].as_array().unwrap().iter().map(|one| one["username"].as_str().unwrap().to_owned()).collect()
}

async fn events(admin: &Actor) -> Vec<Value> {
    let all = admin.get("/api/v1/audit?limit=200").await.json()["events"].as_array().unwrap().clone();
    all.into_iter().filter(|event| event["request"] == "apply").collect()
}

/// A folder with one film.
pub fn films() -> TempDir {
    let place = TempDir::with_prefix("usher-declared-").unwrap();
    std::fs::write(place.path().join("k.bin"), "0123456789").unwrap();
    place
}

pub fn bucket(name: &str, path: &Path) -> String {
    format!("[[bucket]]\nname = \"{name}\"\npath = \"{}\"\n", path.display())
}

const FAMILY: &str =
    "[[group]]\nname = \"Family\"\nbuckets = [\"films\"]\nmembers = [\"alice\", \"bob\"]\nrequire_factor = true\n";

#[tokio::test]
async fn groups_apps_buckets_and_invites_come_to_be_and_a_second_time_changes_nothing() {
    let app = TestApp::with(|config| config.accounts.signup = Signup::Invite).await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    app.account("bob", Role::User).await;
    let place = films();
    let text = format!(
        "{}{}{}{}",
        "[[group]]\nname = \"Family\"\nbuckets = [\"films\"]\nmembers = [\"alice\", \"BOB\"]\n",
        "[[app]]\nname = \"player\"\norigins = [\"https://player.example\"]\n",
        bucket("films", place.path()),
        "[[invite]]\nkey = \"grandma\"\nnote = \"For grandma\"\ngroups = [\"family\"]\nbuckets = [\"films\"]\n"
    );
    let before = app.count("SELECT count(*) FROM audit_events");
    let plan = planned(&app, &text).await;
    assert_eq!(
        plan,
        [
            format!("+ bucket films: {}", place.path().display()),
            "+ app player: at https://player.example".to_owned(),
            "+ group Family: opens films".to_owned(),
            "+ member alice: in Family".to_owned(),
            "+ member bob: in Family".to_owned(),
            "+ invite grandma: to Family; opens films".to_owned(),
        ]
    );
    assert_eq!(app.count("SELECT count(*) FROM audit_events"), before, "a plan changes nothing");
    assert_eq!(app.count("SELECT count(*) FROM declared_marks"), 0);
    assert!(groups(&admin).await.is_empty());

    let first = applied(&app, &text).await;
    assert_eq!(lines(&first), plan, "what was planned is what is done");
    assert_eq!(events(&admin).await.len(), plan.len(), "each change has its event");
    for event in events(&admin).await {
        assert_eq!((&event["actor"], &event["result"]), (&json!(null), &json!("done")), "{event}");
    }
    // Felt at once, by what each of them is for.
    let watching = app.logged_in("alice").await;
    let film = url(&watching, "k.bin").await;
    assert_eq!(watching.get(&film).await.text(), "0123456789");
    let login = json!({"username": "alice", "password": PASSWORD, "app": "player"});
    assert_eq!(app.anonymous().post("/api/v1/login", login).await.status, StatusCode::OK);
    let (key, link) = &first.links[0];
    assert_eq!((first.links.len(), key.as_str()), (1, "grandma"));
    let guest = app.browser();
    assert_eq!(guest.get(&link.path).await.header("location"), "/signup");
    let fields = [("username", "grandma"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(guest.form("/signup", &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(members(&admin, "Family").await, ["alice", "bob", "grandma"]);

    let count = app.count("SELECT count(*) FROM audit_events");
    for _ in 0..2 {
        let again = applied(&app, &text).await;
        assert!(again.steps.is_empty() && again.links.is_empty() && again.notes.is_empty(), "{again:?}");
    }
    assert_eq!(app.count("SELECT count(*) FROM audit_events"), count);
    // The link is nowhere but in that one answer.
    let secret = link.path.rsplit('/').next().unwrap().as_bytes().to_vec();
    assert!(!app.kept().windows(secret.len()).any(|window| window == secret));
    let app = app.restart().await;
    assert_eq!(app.browser().get(&film).await.text(), "0123456789", "a declared bucket is there after a start");
    assert!(planned(&app, &text).await.is_empty());
}

#[tokio::test]
async fn what_the_file_names_no_more_is_taken_away_and_what_people_made_stays() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    for name in ["alice", "bob", "carol"] {
        app.account(name, Role::User).await;
    }
    let place = films();
    let all = format!("{FAMILY}{}", bucket("films", place.path()));
    done(&app, &all).await;
    let id = group(&admin, "Family").await["id"].as_str().unwrap().to_owned();
    // An admin puts somebody in and gives a bucket.
    let film = bucket("music", place.path());
    done(&app, &format!("{all}{film}")).await;
    admin.form(&format!("/admin/groups/{id}/members"), &[("username", "carol")]).await;
    let saved = [("name", "Family"), ("buckets", "films"), ("buckets", "music")];
    assert_eq!(admin.form(&format!("/admin/groups/{id}"), &saved).await.status, StatusCode::SEE_OTHER);
    assert!(planned(&app, &format!("{all}{film}")).await.is_empty(), "what people add is theirs");

    let less = "[[group]]\nname = \"Family\"\nmembers = [\"alice\"]\n";
    let text = format!("{less}{}{film}", bucket("films", place.path()));
    assert_eq!(
        done(&app, &text).await,
        [
            "~ group Family: no longer opens films",
            "- member bob: in Family",
            "~ group Family: demands no second factor",
        ]
    );
    assert_eq!(members(&admin, "Family").await, ["alice", "carol"]);
    assert_eq!(group(&admin, "Family").await["buckets"], json!(["music"]));

    let none = bucket("films", place.path());
    assert_eq!(
        done(&app, &format!("{none}{film}")).await,
        [
            "- member alice: in Family",
            "= group Family: stays, and is yours from now on: people have put somebody into it"
        ]
    );
    assert_eq!(members(&admin, "Family").await, ["carol"]);
    let empty = done(&app, "").await;
    assert_eq!(empty.len(), 2, "{empty:?}");
    assert!(empty.iter().all(|line| line.starts_with("- bucket")), "{empty:?}");
    assert_eq!(members(&admin, "Family").await, ["carol"], "the file has nothing to do with it any more");
    assert_eq!(app.count("SELECT count(*) FROM declared_marks"), 0);
    assert!(place.path().join("k.bin").exists(), "no file is ever touched");
}

#[tokio::test]
async fn a_group_that_is_only_the_files_goes_with_it() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    app.account("bob", Role::User).await;
    let place = films();
    done(&app, &format!("{FAMILY}{}", bucket("films", place.path()))).await;
    let alice = app.logged_in("alice").await;
    assert_eq!(alice.get("/api/v1/buckets").await.status, StatusCode::FORBIDDEN, "a factor is demanded first");
    let gone = done(&app, &bucket("films", place.path())).await;
    assert_eq!(gone, ["- group Family: its members stay and lose what it opens"]);
    assert!(groups(&admin).await.is_empty());
    assert_eq!(alice.get("/api/v1/buckets").await.json(), json!({"buckets": []}));
    assert_eq!(app.count("SELECT count(*) FROM declared_marks"), 1, "the bucket's");
}

#[tokio::test]
async fn a_group_that_people_made_is_used_and_given_back() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    app.account("bob", Role::User).await;
    let place = films();
    let there = bucket("films", place.path()) + &bucket("music", place.path());
    done(&app, &there).await;
    let made = admin.post("/api/v1/groups", json!({"name": "Family", "buckets": ["music"]})).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    admin.form(&format!("/admin/groups/{id}/members"), &[("username", "alice")]).await;
    let both = "[[group]]\nname = \"FAMILY\"\nbuckets = [\"films\", \"music\"]\nmembers = [\"alice\", \"bob\"]\n";
    assert_eq!(
        done(&app, &format!("{both}{there}")).await,
        ["~ group Family: opens films", "+ member bob: in FAMILY"],
        "its name is theirs"
    );
    let listed = group(&admin, "Family").await;
    assert_eq!((&listed["used_by"], &listed["declared_by"]), (&json!("household.toml"), &json!(null)));
    assert_eq!(done(&app, &there).await, ["~ group Family: no longer opens films", "- member bob: in Family"]);
    assert_eq!(
        (members(&admin, "Family").await, &group(&admin, "Family").await["buckets"]),
        (vec!["alice".to_owned()], &json!(["music"]))
    );

    // Every bucket takes the place of those that people named; they come back.
    let every = "[[group]]\nname = \"Family\"\nbuckets = [\"all\"]\n";
    assert_eq!(done(&app, &format!("{every}{there}")).await, ["~ group Family: opens every bucket"]);
    assert_eq!(group(&admin, "Family").await["buckets"], json!(["all"]));
    assert!(planned(&app, &format!("{every}{there}")).await.is_empty());
    assert_eq!(done(&app, &there).await, ["~ group Family: no longer opens all"]);
    assert_eq!(group(&admin, "Family").await["buckets"], json!(["music"]));
}

#[tokio::test]
async fn what_people_take_back_is_made_again_and_what_they_removed_is_made_anew() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    app.account("bob", Role::User).await;
    let place = films();
    let text = format!("{FAMILY}{}", bucket("films", place.path()));
    done(&app, &text).await;
    let id = group(&admin, "Family").await["id"].as_str().unwrap().to_owned();
    let renamed = [("name", "The clan")];
    assert_eq!(admin.form(&format!("/admin/groups/{id}"), &renamed).await.status, StatusCode::SEE_OTHER);
    let again = ["~ group The clan: is called Family; opens films"];
    assert_eq!(done(&app, &text).await, again);
    assert_eq!(group(&admin, "Family").await["id"], id);
    let confirm = [("confirm", "Family")];
    assert_eq!(admin.form(&format!("/admin/groups/{id}/delete"), &confirm).await.status, StatusCode::SEE_OTHER);
    let anew = done(&app, &text).await;
    assert_eq!(anew.len(), 4, "{anew:?}");
    assert_eq!(members(&admin, "Family").await, ["alice", "bob"]);
    // The file calls it by the name that people gave it meanwhile: it is the same group.
    let id = group(&admin, "Family").await["id"].as_str().unwrap().to_owned();
    let renamed = [("name", "The clan"), ("buckets", "films")];
    admin.form(&format!("/admin/groups/{id}"), &renamed).await;
    let text = text.replace("\"Family\"", "\"The clan\"");
    assert!(done(&app, &text).await.is_empty());
    assert_eq!(group(&admin, "The clan").await["id"], id);
    let bob = app.count("SELECT count(*) FROM declared_marks WHERE kind = 'group'");
    assert_eq!(bob, 1);
}

#[tokio::test]
async fn an_invitation_is_made_once_for_its_key() {
    let app = TestApp::with(|config| config.accounts.signup = Signup::Invite).await;
    let admin = app.admin("root").await;
    let one = |more: &str| format!("[[group]]\nname = \"Family\"\n[[invite]]\nkey = \"grandma\"\n{more}");
    let made = applied(&app, &one("")).await;
    let changed = applied(&app, &one("note = \"Oma\"\ngroups = [\"Family\"]\n")).await;
    assert_eq!(lines(&changed), ["~ invite grandma: to Family"]);
    assert!(changed.links.is_empty(), "the link stays the one that was handed out");
    let page = admin.get("/admin/invites").await.text();
    assert!(page.contains("usher apply, as household.toml declares it") && page.contains("Oma"), "{page}");
    let guest = app.browser();
    assert_eq!(guest.get(&made.links[0].1.path).await.header("location"), "/signup");
    let fields = [("username", "oma"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(guest.form("/signup", &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(members(&admin, "Family").await, ["oma"]);
    let used = applied(&app, &one("note = \"Oma\"\n")).await;
    assert!(used.steps.is_empty() && used.notes.is_empty(), "{used:?}");

    // One that nobody uses is over, and one that is withdrawn stays withdrawn: both are said and not made again.
    let two = "[[invite]]\nkey = \"uncle\"\n[[invite]]\nkey = \"aunt\"\n";
    done(&app, two).await;
    let aunt = app.sql("SELECT subject FROM declared_marks WHERE kind = 'invite' AND key = 'aunt'");
    let aunt = aunt[0][0].as_deref().unwrap();
    assert_eq!(admin.form(&format!("/admin/invites/{aunt}/revoke"), &[]).await.status, StatusCode::SEE_OTHER);
    app.advance(Duration::from_secs(8 * 24 * 3600));
    let over = applied(&app, two).await;
    assert!(over.steps.is_empty() && over.links.is_empty(), "{over:?}");
    assert_eq!(over.notes.len(), 2, "{over:?}");
    assert!(over.notes.iter().any(|note| note.contains("is over")), "{over:?}");
    assert!(over.notes.iter().any(|note| note.contains("was withdrawn")), "{over:?}");
    assert!(done(&app, "").await.is_empty(), "what is over needs no withdrawal");
    let made = applied(&app, "[[invite]]\nkey = \"uncle\"\n").await;
    assert_eq!(made.links.len(), 1, "a key that was dropped is free again");
    assert_eq!(done(&app, "").await, ["- invite uncle: its link is withdrawn"]);
    let guest = app.browser();
    guest.get(&made.links[0].1.path).await;
    let fields = [("username", "late"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(guest.form("/signup", &fields).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_problem_is_told_at_once_with_its_key_and_line_and_nothing_is_done() {
    let shelf = Shelf::with(|config| {
        config.apps.push(Registered { name: "player".to_owned(), origins: Vec::new(), audience: None });
        config.accounts.signup = Signup::Invite;
    })
    .await;
    let app = &shelf.app;
    let place = films();
    let held = app.folder();
    let text = format!(
        "[[app]]\nname = \"player\"\n[[app]]\nname = \"watch\"\norigins = [\"http://watch.example\"]\n\
         [[app]]\nname = \"tv\"\naudience = \"player\"\n\
         [[bucket]]\nname = \"films\"\npath = \"{}\"\n[[bucket]]\nname = \"none\"\npath = \"nowhere\"\n\
         [[bucket]]\nname = \"own\"\npath = \"{}\"\n\
         [[group]]\nname = \"a,b\"\n[[group]]\nname = \"Twice\"\n[[group]]\nname = \"TWICE\"\n\
         [[invite]]\nkey = \"Not a key\"\n",
        place.path().display(),
        held.display(),
    );
    let told = refused(app, &text).await;
    for (line, what) in [
        (2, "app[0].name = \"player\": the server's own configuration has an app of this name"),
        (5, "app[1].origins = \"http://watch.example\": a page over plain HTTP"),
        (8, "app[2].audience = \"player\": another app has this audience"),
        (10, "bucket[0].name = \"films\": the server's own configuration has a bucket of this name"),
        (14, "bucket[1].path = \"/srv/declared/nowhere\": this folder cannot be served: there is no such folder"),
        (17, "this folder cannot be served: it holds Usher's own data"),
        (19, "group[0].name = \"a,b\""),
        (23, "group[2].name = \"TWICE\": this group stands here twice"),
        (25, "invite[0].key = \"Not a key\": expected a key"),
    ] {
        let found = told
            .lines()
            .any(|one| one.starts_with(&format!("/srv/declared/household.toml:{line}: ")) && one.contains(what));
        assert!(found, "no line {line} with {what} in\n{told}");
    }
    let told = refused(
        app,
        "[[group]]\nname = \"Family\"\nbuckets = [\"flims\", \"films\"]\nmembers = [\"nobody\"]\n[[invite]]\nkey = \"x\"\ngroups = [\"Nobody\"]\n",
    )
    .await;
    for (line, what) in [
        (3, "group[0].buckets = \"flims\": there is no bucket of this name"),
        (4, "group[0].members = \"nobody\": there is no account of this name"),
        (7, "invite[0].groups = \"Nobody\": there is no group of this name"),
    ] {
        assert!(told.contains(&format!(":{line}: {what}")), "{told}");
    }
    assert!(!told.contains("\"films\""), "a bucket of the configuration is one");
    assert_eq!(app.count("SELECT count(*) FROM groups"), 0, "all of a file or nothing");
    assert_eq!(app.count("SELECT count(*) FROM declared_marks"), 0);
    let off = TestApp::with(|config| config.accounts.signup = Signup::Off).await;
    assert!(refused(&off, "[[invite]]\nkey = \"x\"\n").await.contains("accounts.signup is off"));
}

#[tokio::test]
async fn two_files_keep_to_what_is_theirs() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let place = films();
    let mine = format!(
        "name = \"mine\"\n[[group]]\nname = \"Family\"\n[[app]]\nname = \"player\"\n{}",
        bucket("films", place.path())
    );
    done(&app, &mine).await;
    let told = refused(&app, &mine.replace("\"mine\"", "\"yours\"")).await;
    assert_eq!(told.matches("mine declares this already").count(), 3, "{told}");
    assert!(told.contains("write name = \"mine\" at its top"), "{told}");
    let twin = "name = \"yours\"\n[[app]]\nname = \"watch\"\naudience = \"player\"\n";
    assert!(refused(&app, twin).await.contains("the app player of mine has this audience"));
    let yours = "name = \"yours\"\n[[group]]\nname = \"Friends\"\nbuckets = [\"films\"]\n";
    assert_eq!(done(&app, yours).await, ["+ group Friends: opens films"], "buckets of other files can be given");
    assert_eq!(done(&app, "name = \"mine\"\n").await.len(), 3);
    assert!(planned(&app, yours).await.is_empty());
    // A bucket that is away keeps its rights, as one that is taken out of the configuration does.
    assert_eq!(app.count("SELECT count(*) FROM bucket_rights"), 1);
    let own = "name = \"yours\"\n[[group]]\nname = \"Friends\"\nbuckets = [\"music\"]\n";
    done(&app, &format!("{own}{}", bucket("music", place.path()))).await;
    assert!(refused(&app, own).await.contains("this file takes this bucket away"));
}

#[tokio::test]
async fn an_app_that_is_taken_away_refreshes_nobody() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let text = "[[app]]\nname = \"player\"\norigins = [\"https://player.example\"]\n";
    done(&app, text).await;
    let login = json!({"username": "alice", "password": PASSWORD, "app": "player"});
    let tokens = app.anonymous().post("/api/v1/login", login).await.json();
    let refresh = async |token: &Value| app.anonymous().post("/api/v1/refresh", json!({"refresh_token": token})).await;
    let fresh = refresh(&tokens["refresh_token"]).await.json();
    assert!(fresh["refresh_token"].is_string(), "{fresh}");
    let changed = text.replace("player.example", "watch.example") + "audience = \"films\"\n";
    assert_eq!(done(&app, &changed).await, ["~ app player: at https://watch.example; audience films"]);
    let asked =
        http::Request::builder().method(http::Method::OPTIONS).uri("/api/v1/refresh").header("host", "localhost");
    let asked = asked.header("origin", "https://watch.example").header("access-control-request-method", "POST");
    let answer = app.anonymous().send(asked.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://watch.example");
    assert_eq!(done(&app, "").await.len(), 1);
    assert_eq!(refresh(&fresh["refresh_token"]).await.status, StatusCode::UNAUTHORIZED);
    let asked = json!({"username": "alice", "password": PASSWORD, "app": "player"});
    assert_eq!(app.anonymous().post("/api/v1/login", asked).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_folder_that_is_missing_silences_its_bucket_alone_until_it_is_there() {
    let app = TestApp::new().await;
    app.account_with("alice", Role::User, Buckets::Every, PASSWORD).await;
    let (place, other) = (films(), films());
    let text = bucket("films", place.path()) + &bucket("music", other.path());
    done(&app, &text).await;
    let alice = app.logged_in("alice").await;
    let film = url(&alice, "k.bin").await;
    let away = place.path().with_extension("away");
    std::fs::rename(place.path(), &away).unwrap();
    let app = app.restart().await;
    let alice = Actor::of(&app, app.router.clone()).with_cookie("usher", &alice.cookie("usher").unwrap());
    assert_eq!(alice.get("/api/v1/buckets/films/entries").await.code(), "bucket_away");
    assert_eq!(alice.get("/library/films/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(alice.get(&film).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(alice.get("/api/v1/buckets/music/entries").await.status, StatusCode::OK, "only the one");
    assert!(alice.get("/library").await.text().contains("Not reachable at the moment"));
    assert!(planned(&app, &text).await.is_empty(), "a disk that is away is no reason against the file");
    let admin = app.admin("root").await;
    let page = admin.get("/admin/server").await.text();
    assert!(page.contains("Missing") && page.contains("there is no such folder"), "{page}");
    std::fs::rename(&away, place.path()).unwrap();
    usher::jobs::once(&app.app).await;
    assert_eq!(alice.get(&film).await.text(), "0123456789");
}

#[tokio::test]
async fn what_the_configuration_comes_to_name_hides_what_was_declared() {
    let app = TestApp::new().await;
    app.account_with("alice", Role::User, Buckets::Every, PASSWORD).await;
    let (place, other) = (films(), films());
    std::fs::write(other.path().join("configured.bin"), "x").unwrap();
    let text = bucket("films", place.path()) + "[[app]]\nname = \"player\"\n[[app]]\nname = \"watch\"\n";
    done(&app, &text).await;
    let folder = other.path().to_owned();
    let app = app
        .restart_with(|config| {
            config.buckets.push(usher::config::Bucket { name: "films".to_owned(), path: folder, ..Default::default() });
            config.apps.push(Registered {
                name: "player".to_owned(),
                origins: Vec::new(),
                audience: Some("x".to_owned()),
            });
            config.tokens.audience = Some("watch".to_owned());
        })
        .await;
    let alice = app.logged_in("alice").await;
    let list = alice.get("/api/v1/buckets/films/entries").await.text();
    assert!(list.contains("configured.bin"), "{list}");
    assert_eq!(alice.get("/api/v1/buckets").await.json()["buckets"].as_array().unwrap().len(), 1);
    assert_eq!(app.app.apps.named("player").unwrap().audience(), "x");
    assert!(app.app.apps.named("watch").is_none(), "its tokens would open the server itself");
    let hidden = declared::live::hidden(&app.app).await.unwrap();
    let names: Vec<(&str, &str)> = hidden.iter().map(|(kind, name, _)| (*kind, name.as_str())).collect();
    assert_eq!(names, [("app", "player"), ("app", "watch"), ("bucket", "films")]);
    assert!(refused(&app, &text).await.contains("the server's own configuration has a bucket of this name"));
}

#[tokio::test]
async fn pages_and_the_api_say_what_a_file_declares() {
    let app = TestApp::with(|config| config.accounts.signup = Signup::Invite).await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    app.account("carol", Role::User).await;
    app.account("bob", Role::User).await;
    let place = films();
    let mine = admin.post("/api/v1/groups", json!({"name": "Friends", "buckets": []})).await.json();
    let text = format!(
        "{FAMILY}[[group]]\nname = \"Friends\"\nmembers = [\"bob\"]\n[[app]]\nname = \"player\"\n[[invite]]\nkey = \"eve\"\n{}",
        bucket("films", place.path())
    );
    done(&app, &text).await;
    let list = admin.get("/admin/groups").await.text();
    assert_eq!(list.matches("Declared by household.toml").count(), 1, "{list}");
    let id = group(&admin, "Family").await["id"].as_str().unwrap().to_owned();
    let page = admin.get(&format!("/admin/groups/{id}")).await.text();
    assert!(page.contains("Declared by household.toml. What you change"), "{page}");
    admin.form(&format!("/admin/groups/{id}/members"), &[("username", "carol")]).await;
    let page = admin.get(&format!("/admin/groups/{id}")).await.text();
    assert_eq!(page.matches("<span class=\"badge\">Declared</span>").count(), 2, "two of three members");
    assert_eq!(group(&admin, "Family").await["declared_by"], "household.toml");
    let family = admin.get(&format!("/api/v1/groups/{id}")).await.json();
    let of = |name: &str| family["members"].as_array().unwrap().iter().find(|one| one["username"] == name).unwrap();
    assert_eq!(family["declared_by"], "household.toml");
    assert_eq!((&of("alice")["declared_by"], &of("carol")["declared_by"]), (&json!("household.toml"), &json!(null)));
    admin.post("/api/v1/invites", json!({"note": "for frank"})).await;
    let invites = admin.get("/api/v1/invites").await.json();
    let by = |note: &str| {
        let invite = invites["invites"].as_array().unwrap().iter().find(|one| one["note"] == note);
        invite.unwrap()["declared_by"].clone()
    };
    assert_eq!((by(""), by("for frank")), (json!("household.toml"), json!(null)));
    let page = admin.get(&format!("/admin/groups/{}", mine["id"].as_str().unwrap())).await.text();
    assert!(page.contains("household.toml gives something to this group"), "{page}");
    let server = admin.get("/admin/server").await.text();
    assert_eq!(server.matches("Declared by household.toml").count(), 2, "an app and a bucket: {server}");
    let audit = admin.get("/admin/audit").await.text();
    assert!(audit.contains("usher apply") && audit.contains("household.toml: + group Family: opens films"), "{audit}");
}

/// Lets SQLite's writer begin only when so many writes wait for it: all of them plan upon the same, and all but the first
/// have to find that out. On PostgreSQL they are beside each other anyway.
async fn of_one_moment<T>(app: &TestApp, writes: usize, acting: impl Future<Output = T>) -> T {
    let db = &app.app.db;
    if db.is_shared() {
        return acting.await;
    }
    let (begun, begins) = tokio::sync::oneshot::channel();
    let (go, may_go) = std::sync::mpsc::sync_channel::<()>(0);
    let once = Mutex::new(Some((begun, may_go)));
    let hold = async move |_: &mut usher_db::Tx| {
        if let Some((begun, may_go)) = once.lock().unwrap().take() {
            begun.send(()).unwrap();
            // Ends with the sender.
            assert!(may_go.recv().is_err());
        }
        Ok(())
    };
    let cx = app.cx();
    let holding = tokio::spawn(async move { cx.write("test.hold", hold).await.unwrap() });
    begins.await.unwrap();
    let releasing = async {
        while db.stats().queued < writes {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(go);
    };
    let (done, ()) = tokio::join!(acting, releasing);
    holding.await.unwrap();
    done
}

/// A file with one group of so many members, `person 0` and on.
fn crowd(members: usize) -> String {
    let names: Vec<String> = (0..members).map(|n| format!("\"person {n}\"")).collect();
    format!("[[group]]\nname = \"Crowd\"\nmembers = [{}]\n", names.join(", "))
}

#[tokio::test]
async fn a_file_may_hold_a_crowd_and_a_limit_is_told() {
    let app = TestApp::new().await;
    app.admin("root").await;
    let (cx, rng) = (app.cx(), app.app.rng.clone());
    for hundred in 0..10 {
        let now = cx.now;
        let ids: Vec<_> = (0..100).map(|_| usher::id::AccountId::new(now, &rng)).collect();
        let made = async move |tx: &mut usher_db::Tx| {
            for (n, id) in ids.iter().enumerate() {
                let username = format!("person {}", hundred * 100 + n);
                let new = accounts::NewAccount {
                    id: *id,
                    username: usher::accounts::username::Username::parse(&username).unwrap(),
                    password: None,
                    role: Role::User,
                    buckets: Buckets::None,
                    must_change: false,
                };
                accounts::create(tx, &new, now).await?.unwrap();
            }
            Ok(())
        };
        cx.write("test.people", made).await.unwrap();
    }
    assert_eq!(done(&app, &crowd(1_000)).await.len(), 1_001);
    assert_eq!(app.count("SELECT count(*) FROM memberships"), 1_000);
    assert!(planned(&app, &crowd(1_000)).await.is_empty());
    let text = refused(&app, &crowd(5_000)).await;
    assert!(text.contains(":3: group[0].members: more than 5000 groups"), "{text}");
    assert_eq!(done(&app, "").await.len(), 1, "the group goes, and takes its marks along");
    assert_eq!(app.count("SELECT count(*) FROM declared_marks"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_who_apply_at_once_one_makes_each_thing() {
    let app = TestApp::with(|config| config.accounts.signup = Signup::Invite).await.twin().await;
    app.account("alice", Role::User).await;
    app.account("bob", Role::User).await;
    app.settled().await;
    let place = films();
    let text =
        format!("{FAMILY}{}[[invite]]\nkey = \"grandma\"\ngroups = [\"Family\"]\n", bucket("films", place.path()));
    let contexts: Vec<Cx> = (0..32).map(|_| cx(&app)).collect();
    let acting = crate::support::together::at_once(32, |n| {
        let (cx, file) = (contexts[n].clone(), household(&text));
        async move { declared::apply(&cx, &file, Mode::Apply).await.unwrap() }
    });
    let results = of_one_moment(&app, 32, acting).await;
    let made: Vec<&Applied> = results.iter().filter(|applied| !applied.steps.is_empty()).collect();
    assert_eq!(made.len(), 1, "one did it all, and the others found it done");
    assert_eq!((made[0].steps.len(), made[0].links.len()), (6, 1));
    assert!(results.iter().all(|applied| applied.steps.is_empty() == applied.links.is_empty()));
    for (what, count) in [("groups", 1), ("memberships", 2), ("links", 1), ("declared_buckets", 1), ("link_groups", 1)]
    {
        assert_eq!(app.count(&format!("SELECT count(*) FROM {what}")), count, "{what}");
    }
    assert_eq!(app.count("SELECT count(*) FROM audit_events WHERE request_id = 'apply'"), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_applies_while_people_change_the_same_things_ends_with_what_is_declared() {
    let app = TestApp::new().await.twin().await;
    let alice = app.account("alice", Role::User).await;
    app.account("bob", Role::User).await;
    app.settled().await;
    let text = "[[group]]\nname = \"Family\"\nmembers = [\"alice\", \"bob\"]\n";
    let first = applied(&app, text).await;
    assert!(matches!(first.steps[0], Step::MakeGroup { .. }));
    let id: usher::id::GroupId = app.sql("SELECT id FROM groups")[0][0].as_deref().unwrap().parse().unwrap();
    let contexts: Vec<Cx> = (0..32).map(|_| cx(&app)).collect();
    crate::support::together::at_once(32, |n| {
        let cx = contexts[n].clone();
        async move {
            if n % 2 == 0 {
                usher::admin::groups::remove_member(&cx, id, alice).await.unwrap();
                return;
            }
            match declared::apply(&cx, &household(text), Mode::Apply).await {
                Ok(_) | Err(ApplyError::Restless) => {}
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    applied(&app, text).await;
    assert_eq!(app.count("SELECT count(*) FROM memberships"), 2);
    assert!(planned(&app, text).await.is_empty());
}
