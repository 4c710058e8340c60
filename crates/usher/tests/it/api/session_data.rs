//! `/api/v1/session/data`, `/api/v1/me/sessions/{id}/data`: what applications keep with a session.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::together::at_once;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::{self, Role};
use usher::config::{Retain, Retention};
use usher::sessions::data;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn at(key: &str) -> String {
    format!("/api/v1/session/data/{key}")
}

async fn put(actor: &Actor, key: &str, value: Value) -> Answer {
    actor.json(Method::PUT, &at(key), value).await
}

async fn put_text(actor: &Actor, key: &str, text: String) -> Answer {
    let request = actor.request(Method::PUT, &at(key)).header(CONTENT_TYPE, "application/json");
    actor.send(request.body(Body::from(text)).unwrap()).await
}

async fn session_of(actor: &Actor) -> String {
    let all = actor.get("/api/v1/me/sessions").await.json();
    let current = all["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true).cloned();
    current.unwrap()["id"].as_str().unwrap().to_owned()
}

fn keys(items: &Value) -> Vec<&str> {
    items["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect()
}

/// Data under `keep/` is kept for ever, under `keep/week/` for seven days, everything else not at all.
async fn keeping() -> TestApp {
    let rule = |prefix: &str, retain| Retention { prefix: prefix.to_owned(), retain };
    TestApp::with(|config| {
        config.sessions.data = vec![rule("keep/", Retain::Forever), rule("keep/week/", Retain::Days(7))];
    })
    .await
}

#[tokio::test]
async fn json_is_kept_by_key_to_the_letter() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    assert_eq!(put(&alice, "player/position.1", json!({"at": 12})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.get(&at("player/position.1")).await.json(), json!({"at": 12}));
    assert_eq!(put_text(&alice, "n", " 10000000000000000000001.50 ".to_owned()).await.status, StatusCode::NO_CONTENT);
    let answer = alice.get(&at("n")).await;
    assert_eq!(
        (answer.text().as_str(), answer.header("content-type")),
        ("10000000000000000000001.50", "application/json")
    );
    assert_eq!(keys(&alice.get("/api/v1/session/data").await.json()), ["n", "player/position.1"]);
    assert_eq!(alice.delete(&at("n")).await.status, StatusCode::NO_CONTENT);
    for gone in [alice.get(&at("n")).await, alice.delete(&at("n")).await] {
        assert_eq!((gone.status, gone.code().as_str()), (StatusCode::NOT_FOUND, "not_found"));
    }
}

#[tokio::test]
async fn each_session_has_its_own_data() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let (tablet, bob) = (app.logged_in("alice").await, app.member("bob").await);
    put(&alice, "k", json!(1)).await;
    for other in [&tablet, &bob] {
        assert_eq!(other.get(&at("k")).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let long = "k".repeat(129);
    let no_key = (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request");
    // What a proxy might read as another address is refused before it is anybody's key.
    let no_address = (StatusCode::BAD_REQUEST, "bad_target");
    for (key, refusal) in [
        ("a%20b", no_key),
        ("a/", no_key),
        ("a%21b", no_key),
        ("%C3%A4", no_key),
        (long.as_str(), no_key),
        ("a//b", no_address),
        ("%2E%2E/b", no_address),
        ("a%3Bb", no_address),
        ("a%5Cb", no_address),
    ] {
        let answer = put(&alice, key, json!(1)).await;
        assert_eq!((answer.status, answer.code().as_str()), refusal, "{key}");
    }
    assert_eq!(put(&alice, &"k".repeat(128), json!(1)).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_is_no_json_too_deep_or_too_large_is_refused() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(put_text(&alice, "k", nested(32)).await.status, StatusCode::NO_CONTENT);
    for (text, status, code) in [
        (nested(33), StatusCode::BAD_REQUEST, "invalid_json"),
        (nested(30_000), StatusCode::BAD_REQUEST, "invalid_json"),
        ("{\"a\":".to_owned(), StatusCode::BAD_REQUEST, "invalid_json"),
        ("1 2".to_owned(), StatusCode::BAD_REQUEST, "invalid_json"),
        (format!("\"{}\"", "a".repeat(64 * 1024)), StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
    ] {
        let answer = put_text(&alice, "k", text).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    let form = alice.request(Method::PUT, &at("k")).header(CONTENT_TYPE, "text/plain").body(Body::from("1")).unwrap();
    assert_eq!(alice.send(form).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(alice.get(&at("k")).await.text(), nested(32), "what was there is still there");
}

#[tokio::test]
async fn what_all_sessions_of_an_account_hold_together_is_limited() {
    let app = TestApp::with(|config| config.sessions.data_limit = 1_000).await;
    let alice = app.member("alice").await;
    let (tablet, bob) = (app.logged_in("alice").await, app.member("bob").await);
    assert_eq!(put(&alice, "k", json!("a".repeat(600))).await.status, StatusCode::NO_CONTENT);
    let full = put(&tablet, "k", json!("a".repeat(600))).await;
    assert_eq!((full.status, full.code().as_str()), (StatusCode::CONFLICT, "data_limit_reached"));
    assert_eq!(tablet.get(&at("k")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(put(&alice, "k", json!("b".repeat(900))).await.status, StatusCode::NO_CONTENT, "in place of the first");
    let listed = alice.get("/api/v1/session/data").await.json();
    assert_eq!((&listed["used"], &listed["limit"]), (&json!(903), &json!(1_000)));
    assert_eq!(put(&bob, "k", json!("a".repeat(600))).await.status, StatusCode::NO_CONTENT, "another account");
    assert_eq!(alice.delete(&at("k")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(put(&tablet, "k", json!("a".repeat(600))).await.status, StatusCode::NO_CONTENT, "there is room again");
}

#[tokio::test]
async fn the_limit_holds_when_32_write_at_once() {
    let app = TestApp::with(|config| config.sessions.data_limit = 1_000).await.twin().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    let answers = at_once(32, |number| {
        let actor = if number % 2 == 0 { alice.clone() } else { tablet.clone() };
        // 3 bytes of key and 97 of value: ten of them fill the account.
        async move { put(&actor, &format!("k{number:02}"), json!("a".repeat(95))).await.status }
    })
    .await;
    assert_eq!(answers.iter().filter(|status| **status == StatusCode::NO_CONTENT).count(), 10, "{answers:?}");
    assert_eq!(alice.get("/api/v1/session/data").await.json()["used"], 1_000);
}

#[tokio::test]
async fn data_ends_with_its_session_unless_its_key_is_kept() {
    let app = keeping().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    for key in ["scratch", "keep/notes", "keep/week/draft"] {
        put(&tablet, key, json!([key])).await;
    }
    let id = session_of(&tablet).await;
    let of_tablet = format!("/api/v1/me/sessions/{id}/data");
    assert_eq!(
        keys(&alice.get(&of_tablet).await.json()),
        ["keep/notes", "keep/week/draft", "scratch"],
        "while it lives"
    );
    tablet.post("/api/v1/logout", json!({})).await;
    let kept = alice.get(&of_tablet).await.json();
    assert_eq!(keys(&kept), ["keep/notes", "keep/week/draft"]);
    assert_eq!(kept["items"][0]["value"], json!(["keep/notes"]));
    app.advance(DAY * 7);
    assert_eq!(keys(&alice.get(&of_tablet).await.json()), ["keep/notes"], "gone for readers before it is swept");
}

#[tokio::test]
async fn sweeping_removes_what_is_over_and_nothing_else() {
    let app = keeping().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    put(&alice, "scratch", json!(1)).await;
    for number in 0..210 {
        put(&tablet, &format!("keep/{number:03}"), json!(1)).await;
    }
    for key in ["keep/week/draft", "scratch", "z"] {
        put(&tablet, key, json!(1)).await;
    }
    let count = || app.count("SELECT count(*) FROM session_data");
    assert_eq!(data::sweep(&app.cx(), 1_000).await.unwrap(), 0, "both sessions live");
    tablet.post("/api/v1/logout", json!({})).await;
    assert_eq!(data::sweep(&app.cx(), 1_000).await.unwrap(), 2, "found behind a full page of what is kept");
    assert_eq!(count(), 212);
    app.advance(DAY * 7);
    assert_eq!(data::sweep(&app.cx(), 1_000).await.unwrap(), 1);
    assert_eq!(count(), 211);
    assert_eq!(alice.get(&at("scratch")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn data_of_an_ended_session_can_be_removed_to_make_room() {
    let app = keeping().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    put(&tablet, "keep/a", json!(1)).await;
    let path = format!("/api/v1/me/sessions/{}/data", session_of(&tablet).await);
    tablet.post("/api/v1/logout", json!({})).await;
    assert_eq!(alice.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(keys(&alice.get(&path).await.json()), [""; 0]);
    assert_eq!(alice.get("/api/v1/session/data").await.json()["used"], 0);
}

#[tokio::test]
async fn data_is_read_by_its_owner_and_by_admins_and_by_nobody_else() {
    let app = keeping().await;
    let alice = app.member("alice").await;
    let (bob, root) = (app.member("bob").await, app.admin("root").await);
    put(&alice, "keep/a", json!(1)).await;
    let id = session_of(&alice).await;
    alice.post("/api/v1/logout", json!({})).await;
    let (own, any) = (format!("/api/v1/me/sessions/{id}/data"), format!("/api/v1/sessions/{id}/data"));
    assert_eq!(keys(&app.logged_in("alice").await.get(&own).await.json()), ["keep/a"]);
    assert_eq!(keys(&root.get(&any).await.json()), ["keep/a"]);
    assert_eq!(bob.get(&own).await.status, StatusCode::NOT_FOUND);
    assert_eq!(root.get(&own).await.status, StatusCode::NOT_FOUND, "an admin has their own door for this");
    assert_eq!(bob.get(&any).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.anonymous().get(&any).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn data_goes_with_the_account() {
    let app = keeping().await;
    let id = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    let root = app.admin("root").await;
    put(&alice, "keep/a", json!(1)).await;
    let session = session_of(&alice).await;
    let now = app.cx().now;
    let deleted = app.cx().write("test.delete", async move |tx| accounts::delete(tx, id, now).await).await;
    deleted.unwrap().unwrap();
    assert_eq!(root.get(&format!("/api/v1/sessions/{session}/data")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.count("SELECT count(*) FROM session_data"), 0);
}

#[tokio::test]
async fn a_personal_token_has_no_session_to_keep_data_with() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let body = json!({"name": "t", "scopes": ["profile", "media"], "password": PASSWORD});
    let made = alice.post("/api/v1/me/tokens", body).await.json();
    let script = app.anonymous().bearing(made["secret"].as_str().unwrap());
    assert_eq!(put(&script, "k", json!(1)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_description_names_the_key_as_a_parameter_and_not_as_the_router_does() {
    let app = TestApp::new().await;
    let document = app.anonymous().get("/openapi.json").await.json();
    let route = &document["paths"]["/api/v1/session/data/{key}"];
    for method in ["get", "put", "delete"] {
        assert_eq!(route[method]["parameters"][0]["name"], "key", "{method}");
    }
    assert!(!document.to_string().contains("{*"));
}
