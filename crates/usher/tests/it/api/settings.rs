//! What the owner decides, seen at the door.

use crate::support::app::{PASSWORD, TestApp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::Role;
use usher::config::{Algorithm, RoleLimits};

const DAY: Duration = Duration::from_secs(86_400);

async fn log_in(app: &TestApp, name: &str) -> StatusCode {
    app.anonymous().post("/api/v1/login", json!({"username": name, "password": PASSWORD})).await.status
}

#[tokio::test]
async fn tokens_are_signed_as_chosen_and_taken_by_the_server_that_signed_them() {
    for (algorithm, name) in [(Algorithm::ES256, "ES256"), (Algorithm::Ed25519, "EdDSA"), (Algorithm::RS256, "RS256")] {
        let app = TestApp::with(|config| config.tokens.algorithm = algorithm).await;
        app.account("alice", Role::User).await;
        let token = app.tokens("alice").await["access_token"].as_str().unwrap().to_owned();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!(header["alg"], name);
        assert_eq!(app.anonymous().bearing(&token).get("/api/v1/me").await.status, StatusCode::OK, "{name}");
        let app = app.restart().await;
        assert_eq!(app.anonymous().bearing(&token).get("/api/v1/me").await.status, StatusCode::OK, "{name}, restarted");
    }
}

#[tokio::test]
async fn a_role_has_limits_of_its_own() {
    let app = TestApp::with(|config| {
        let limits = RoleLimits { idle: Some(DAY / 2), absolute: Some(7 * DAY) };
        config.sessions.roles.insert("admin".to_owned(), limits);
    })
    .await;
    let (root, alice) = (app.admin("root").await, app.member("alice").await);
    for (actor, idle, end) in [
        (&root, "2026-01-01T12:00:00.000Z", "2026-01-08T00:00:00.000Z"),
        (&alice, "2026-01-31T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
    ] {
        let told = actor.get("/api/v1/me/sessions").await.json()["sessions"][0].clone();
        assert_eq!((&told["idle_until"], &told["expires_at"]), (&json!(idle), &json!(end)));
    }
    app.advance(DAY / 2);
    assert_eq!(root.get("/api/v1/me").await.code(), "session_ended");
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_description_of_the_api_is_for_admins_unless_it_is_for_everybody() {
    for public in [false, true] {
        let app = TestApp::with(|config| config.docs.public = public).await;
        let stranger = app.browser().get("/docs/").await;
        assert_eq!(stranger.status == StatusCode::OK, public, "{}", stranger.status);
        let member = app.member("alice").await.get("/docs/").await;
        assert_eq!(member.status == StatusCode::OK, public, "{}", member.status);
        assert_eq!(app.admin("root").await.get("/docs/").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_pepper_is_needed_for_what_was_hashed_with_it_and_gives_way_to_the_next_one() {
    let place = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let (first, second) = (format!("one:{}", "1".repeat(32)), format!("two:{}", "2".repeat(32)));
    let bare = TestApp::new().await;
    bare.account("alice", Role::User).await;
    let stored = |app: &TestApp| -> String { app.sql("SELECT encoded FROM passwords")[0][0].clone().unwrap() };
    let mut app = bare;
    // The key that is current, and the file that brings it: each login moves the hash to it.
    for (name, text) in [("one", first.clone()), ("two", format!("# the next one\n{first}\n{second}\n"))] {
        let path = file(name, &text);
        app = app.restart_with(|config| config.accounts.pepper_file = path).await;
        let before = stored(&app);
        assert_eq!(log_in(&app, "alice").await, StatusCode::OK, "{name}");
        for _ in 0..4_000 {
            if stored(&app) != before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(stored(&app).contains(name), "{name}: {}", stored(&app));
        assert_eq!(log_in(&app, "alice").await, StatusCode::OK, "{name}, in its new form");
    }
    // Without its key a hash can be neither right nor wrong, and the password is not to blame.
    let path = file("lost", &first);
    let app = app.restart_with(|config| config.accounts.pepper_file = path).await;
    assert_eq!(log_in(&app, "alice").await, StatusCode::SERVICE_UNAVAILABLE);
    let path = file("found", &second);
    let app = app.restart_with(|config| config.accounts.pepper_file = path).await;
    assert_eq!(log_in(&app, "alice").await, StatusCode::OK);
}

#[tokio::test]
async fn a_password_of_the_owner_s_breach_file_is_refused() {
    let place = tempfile::TempDir::new().unwrap();
    let path = place.path().join("breached.txt");
    let known = "violet harbor tortoise lantern";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, known.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    std::fs::write(&path, format!("{hex}:42\n")).unwrap();
    let app = TestApp::with(|config| config.accounts.breach_file = Some(path)).await;
    let admin = app.admin("root").await;
    let made = admin.post("/api/v1/users", json!({"username": "alice", "password": known})).await;
    assert_eq!((made.status, made.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "password_too_weak"));
    assert!(made.text().contains("data breach"), "{}", made.text());
    let other = json!({"username": "alice", "password": format!("{known} too")});
    assert_eq!(admin.post("/api/v1/users", other).await.status, StatusCode::CREATED);
}
