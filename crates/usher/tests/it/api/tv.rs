//! `/tv`: a television that becomes somebody's session, holds several people's, and changes between them.

use crate::support::app::{Actor, PASSWORD, TestApp};
use crate::support::together::at_once;
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use usher::accounts::Role;
use usher::id::AccountId;
use usher::sessions::Kind;

async fn show_code(tv: &Actor) -> Value {
    let answer = tv.post("/tv/code", json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

async fn poll(tv: &Actor, code: &Value) -> String {
    let answer = tv.post("/tv/poll", json!({"device_code": code["device_code"]})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["state"].as_str().unwrap().to_owned()
}

/// Lets the television in as `person`.
async fn link(tv: &Actor, person: &Actor) {
    let code = show_code(tv).await;
    let typed = code["user_code"].as_str().unwrap();
    assert_eq!(person.form("/link", &[("code", typed)]).await.status, StatusCode::OK);
    assert_eq!(person.form("/link/approve", &[("code", typed)]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(poll(tv, &code).await, "linked");
}

async fn name(tv: &Actor) -> String {
    tv.get("/api/v1/me").await.json()["username"].as_str().unwrap_or_default().to_owned()
}

async fn devices(app: &TestApp, id: AccountId) -> Vec<String> {
    let live = usher::sessions::list_live(&app.app.db, id).await.unwrap();
    live.iter().filter(|one| one.kind == Kind::Device).map(|one| one.id.to_string()).collect()
}

#[tokio::test]
async fn a_television_shows_a_code_waits_and_opens_the_library() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    let tv = app.browser();
    assert_eq!(tv.get("/tv").await.status, StatusCode::OK, "nobody has to be logged in");
    let code = show_code(&tv).await;
    assert_eq!(code["verification_uri"], "http://localhost/link");
    assert!(code["qr"]["size"].as_u64().unwrap() > 21 && code["qr"]["path"].as_str().unwrap().starts_with('M'));
    assert_eq!(poll(&tv, &code).await, "pending");
    assert_eq!(tv.get("/library").await.header("location"), "/login?return_to=%2Flibrary");
    let typed = code["user_code"].as_str().unwrap();
    let shown = alice.form("/link", &[("code", typed)]).await.text();
    assert!(shown.contains("Television, "), "{shown}");
    alice.form("/link/approve", &[("code", typed)]).await;
    assert_eq!(poll(&tv, &code).await, "linked");
    let library = tv.get("/library").await;
    assert!(library.status == StatusCode::OK && library.text().contains("class=\"tv\""), "{}", library.text());
    assert_eq!(devices(&app, id).await.len(), 1);
    assert!(!alice.get("/library").await.text().contains("class=\"tv\""), "a browser is none");
    // Step by step through everything that ends it.
    assert!(alice.post("/api/v1/me/sessions/end-others", json!({})).await.status.is_success());
    assert_eq!(tv.get("/library").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_television_left_alone_gets_a_code_whenever_the_old_one_ends_for_a_day() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tv = app.browser().at_address("198.51.100.20");
    let mut seen = BTreeSet::new();
    let mut code = show_code(&tv).await;
    // Every code is asked after until it ends, as the page's script does, some of the time.
    for _ in 0..144 {
        assert!(seen.insert(code["user_code"].to_string()), "the same code twice");
        for _ in 0..3 {
            app.advance(Duration::from_secs(190));
            assert_eq!(poll(&tv, &code).await, "pending");
        }
        app.advance(Duration::from_secs(31));
        assert_eq!(poll(&tv, &code).await, "expired");
        usher::devices::sweep(&app.cx(), 100).await.unwrap();
        code = show_code(&tv).await;
    }
    // Somebody comes in the end. The session of before has waited as long.
    let typed = code["user_code"].as_str().unwrap();
    assert_eq!(alice.form("/link", &[("code", typed)]).await.status, StatusCode::OK);
    assert_eq!(alice.form("/link/approve", &[("code", typed)]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(poll(&tv, &code).await, "linked");
    assert_eq!(name(&tv).await, "alice");
}

#[tokio::test]
async fn a_code_that_ended_or_was_refused_says_so_and_the_next_one_works() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tv = app.browser();
    // A day without anybody: a code every ten minutes, from one network.
    for _ in 0..144 {
        let code = show_code(&tv).await;
        app.advance(Duration::from_secs(601));
        assert_eq!(poll(&tv, &code).await, "expired");
    }
    usher::jobs::once(&app.app).await;
    let code = show_code(&tv).await;
    alice.form("/link", &[("code", code["user_code"].as_str().unwrap())]).await;
    alice.form("/link/refuse", &[("code", code["user_code"].as_str().unwrap())]).await;
    assert_eq!(poll(&tv, &code).await, "refused");
    link(&tv, &alice).await;
    assert_eq!(name(&tv).await, "alice");
}

#[tokio::test]
async fn several_people_are_on_one_television_and_change_places() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.member("alice").await, app.member("bob").await);
    let tv = app.browser();
    link(&tv, &alice).await;
    link(&tv, &bob).await;
    assert_eq!(name(&tv).await, "bob");
    let page = tv.get("/tv").await.text();
    assert!(page.contains("data-person=\"alice\"") && page.contains("data-person=\"bob\""), "{page}");
    let session = |name: &str| {
        let before = page.split(&format!("data-person=\"{name}\"")).next().unwrap();
        before.rsplit("name=\"session\" value=\"").next().unwrap().split('"').next().unwrap().to_owned()
    };
    for who in ["alice", "bob", "alice"] {
        let answer = tv.form("/tv/switch", &[("session", &session(who))]).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/library"));
        assert_eq!(name(&tv).await, who);
    }
    // Whoever waits is no credential anywhere else, under that name or the other.
    let waiting = tv.cookie("usher-tv").unwrap();
    let thief = app.browser().with_cookie("usher-tv", &waiting);
    assert_eq!(thief.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(thief.get("/library").await.status, StatusCode::SEE_OTHER);
    // One's own session ends from one's own list, and the television knows it at once.
    assert!(bob.post("/api/v1/me/sessions/end-others", json!({})).await.status.is_success());
    assert!(!tv.get("/tv").await.text().contains("data-person=\"bob\""));
    assert_eq!(tv.form("/tv/switch", &[("session", &session("bob"))]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(name(&tv).await, "alice");
    assert_eq!(tv.form("/tv/forget", &[("session", &session("alice"))]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(tv.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    assert!(tv.get("/tv").await.text().contains("data-alone=\"true\""));
}

#[tokio::test]
async fn the_same_person_twice_is_one_and_a_browser_s_session_gives_way() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    let tv = app.browser();
    link(&tv, &alice).await;
    let first = devices(&app, id).await;
    link(&tv, &alice).await;
    let second = devices(&app, id).await;
    assert!(second.len() == 1 && first != second, "{first:?} {second:?}");
    app.account("carol", Role::User).await;
    let laptop = app.logged_in("carol").await;
    let cookie = laptop.cookie("usher").unwrap();
    link(&laptop, &alice).await;
    assert_eq!(name(&laptop).await, "alice");
    let before = app.browser().with_cookie("usher", &cookie);
    assert_eq!(before.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "replaced, as at every login");
}

#[tokio::test]
async fn a_ninth_person_takes_the_place_of_the_first() {
    let app = TestApp::new().await;
    let tv = app.browser();
    let mut ids = Vec::new();
    for n in 0..9 {
        let name = format!("person{n}");
        ids.push(app.account(&name, Role::User).await);
        link(&tv, &app.logged_in(&name).await).await;
    }
    assert_eq!(tv.get("/tv").await.text().matches("data-person=").count(), 8);
    assert!(devices(&app, ids[0]).await.is_empty() && devices(&app, ids[1]).await.len() == 1);
    let line = tv.cookie("usher-tv").unwrap();
    assert!(line.len() < 3_000, "{}", line.len());
}

/// A television on which bob watches and alice waits behind a PIN; the id of her session there.
async fn behind_a_pin(app: &TestApp) -> (Actor, AccountId, String) {
    let id = app.account("alice", Role::User).await;
    let (alice, bob) = (app.logged_in("alice").await, app.member("bob").await);
    let tv = app.browser();
    link(&tv, &alice).await;
    assert!(tv.form("/tv/pin", &[]).await.text().contains("A PIN for alice"));
    assert_eq!(tv.form("/tv/pin", &[("pin", "12")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(tv.form("/tv/pin", &[("pin", "2468")]).await.status, StatusCode::SEE_OTHER);
    link(&tv, &bob).await;
    let session = devices(app, id).await.remove(0);
    (tv, id, session)
}

#[tokio::test]
async fn a_pin_stands_before_the_one_who_set_it() {
    let app = TestApp::new().await;
    let (tv, _, session) = behind_a_pin(&app).await;
    let asked = tv.form("/tv/switch", &[("session", &session)]).await;
    assert!(asked.status == StatusCode::OK && asked.text().contains("The PIN of alice"));
    for _ in 0..4 {
        assert_eq!(
            tv.form("/tv/switch", &[("session", &session), ("pin", "1111")]).await.status,
            StatusCode::FORBIDDEN
        );
    }
    assert_eq!(name(&tv).await, "bob");
    assert_eq!(tv.form("/tv/switch", &[("session", &session), ("pin", "2468")]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(name(&tv).await, "alice");
    // Whoever got in may take it away.
    assert_eq!(tv.form("/tv/pin", &[("remove", "yes")]).await.status, StatusCode::SEE_OTHER);
    assert!(!tv.get("/tv").await.text().contains("Another PIN"));
    let kept = app.kept();
    let holds = |text: &str| kept.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("alice") && !holds("'2468'"));
}

#[tokio::test]
async fn the_fifth_wrong_pin_in_a_row_ends_the_session_behind_it() {
    let app = TestApp::new().await;
    let (tv, id, session) = behind_a_pin(&app).await;
    for _ in 0..5 {
        assert_eq!(
            tv.form("/tv/switch", &[("session", &session), ("pin", "1111")]).await.status,
            StatusCode::FORBIDDEN
        );
    }
    assert!(devices(&app, id).await.is_empty());
    assert_eq!(tv.form("/tv/switch", &[("session", &session), ("pin", "2468")]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(name(&tv).await, "bob", "the others watch on");
    let filter =
        usher::audit::Filter { account: Some(id), event: Some("session_ended".to_owned()), ..Default::default() };
    assert_eq!(usher::audit::list(&app.app.db, &filter, 10).await.unwrap()[0].detail, "pin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_pins_at_once_five_are_judged() {
    let app = TestApp::with(|config| config.accounts.hash.queue = 1_000).await.twin().await;
    let (tv, id, session) = behind_a_pin(&app).await;
    let judged = || app.apps().iter().map(|app| app.hasher.stats().done).sum::<u64>();
    let before = judged();
    at_once(50, |_| {
        let (tv, session) = (tv.clone(), session.clone());
        async move { tv.form("/tv/switch", &[("session", session.as_str()), ("pin", "1111")]).await.status }
    })
    .await;
    assert!(judged() - before <= 5, "{}", judged() - before);
    assert!(devices(&app, id).await.is_empty());
}

#[tokio::test]
async fn a_code_of_a_television_is_no_other_client_s_and_the_other_way_round() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let code = show_code(&app.browser()).await;
    let typed = code["user_code"].as_str().unwrap();
    alice.form("/link", &[("code", typed)]).await;
    alice.form("/link/approve", &[("code", typed)]).await;
    let secret = code["device_code"].as_str().unwrap();
    for client in ["usher-device", "usher-tv"] {
        let fields = [("grant_type", usher::oauth::DEVICE_GRANT), ("client_id", client), ("device_code", secret)];
        assert_eq!(app.anonymous().form("/oauth/token", &fields).await.status, StatusCode::BAD_REQUEST, "{client}");
    }
    let native = app.anonymous().form("/oauth/device_authorization", &[("client_id", "usher-device")]).await.json();
    assert_eq!(poll(&app.browser(), &native).await, "expired");
    let tv = app.browser();
    assert_eq!(poll(&tv, &code).await, "linked");
    // What it has is a cookie, and nothing that a script of the page could read.
    assert!(tv.cookie("usher").is_some());
}

#[tokio::test]
async fn a_proof_given_on_the_television_keeps_its_cookie() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tv = app.browser();
    link(&tv, &alice).await;
    let fields = [("name", "x"), ("scopes", "media"), ("expires_days", "30")];
    assert_eq!(
        tv.form("/account/tokens", &fields).await.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "linked is not proven"
    );
    let with_password = [&fields[..], &[("confirm", PASSWORD)]].concat();
    assert_eq!(tv.form("/account/tokens", &with_password).await.status, StatusCode::OK);
    assert_eq!(name(&tv).await, "alice", "the renewed cookie arrived");
}
