//! `/api/v1/me/tokens`: what people make for their scripts.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::together::at_once;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use usher::tokens::{issue, personal};

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn make(actor: &Actor, scopes: &[&str]) -> Answer {
    let body = json!({"name": "Backup script", "scopes": scopes, "expires_days": 30});
    actor.post("/api/v1/me/tokens", body).await
}

fn script(app: &TestApp, made: &Answer) -> Actor {
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    app.anonymous().bearing(made.json()["secret"].as_str().unwrap())
}

async fn listed(actor: &Actor) -> Vec<Value> {
    actor.get("/api/v1/me/tokens").await.json()["tokens"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_token_is_told_once_and_listed_without_its_secret() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let made = make(&alice, &["profile", "media", "media"]).await;
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("usp_"));
    let answer = alice.get("/api/v1/me/tokens").await;
    assert!(!answer.text().contains(&secret));
    let token = &answer.json()["tokens"][0];
    assert_eq!((&token["name"], &token["scopes"]), (&json!("Backup script"), &json!(["media", "profile"])));
    assert_eq!((&token["expires_at"], &token["last_used_at"]), (&json!("2026-01-31T00:00:00.000Z"), &Value::Null));
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_never_enters_its_owners_account() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let profile = script(&app, &make(&alice, &["profile"]).await);
    let media = script(&app, &make(&alice, &["media"]).await);
    assert_eq!(profile.get("/api/v1/me").await.json()["username"], "alice");
    assert_eq!(media.get("/api/v1/me").await.status, StatusCode::FORBIDDEN);
    for path in ["/api/v1/me/sessions", "/api/v1/me/tokens", "/api/v1/session/data"] {
        assert_eq!(profile.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(make(&profile, &["profile"]).await.status, StatusCode::UNAUTHORIZED, "tokens do not make tokens");
    let body = json!({"current": PASSWORD, "password": "harbor-quilt-marble-52"});
    assert_eq!(profile.post("/api/v1/me/password", body).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_last_use_is_told_and_written_down() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let script = script(&app, &make(&alice, &["profile"]).await);
    app.advance(Duration::from_secs(60));
    script.get("/api/v1/me").await;
    assert_eq!(listed(&alice).await[0]["last_used_at"], "2026-01-01T00:01:00.000Z");
    assert_eq!(personal::flush_uses(&app.cx()).await.unwrap(), 1);
    assert_eq!(listed(&alice).await[0]["last_used_at"], "2026-01-01T00:01:00.000Z");
}

#[tokio::test]
async fn a_token_ends_at_its_expiry_and_is_swept_a_month_later() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let script = script(&app, &make(&alice, &["profile"]).await);
    app.advance(DAY * 30 - Duration::from_millis(1));
    assert_eq!(script.get("/api/v1/me").await.status, StatusCode::OK);
    app.advance(Duration::from_millis(1));
    assert_eq!(script.get("/api/v1/me").await.code(), "token_expired");
    let alice = app.logged_in("alice").await;
    assert_eq!(listed(&alice).await[0]["expired"], true);
    assert_eq!(issue::sweep(&app.cx(), 100).await.unwrap(), 0);
    app.advance(DAY * 30 + Duration::from_millis(1));
    assert_eq!(issue::sweep(&app.cx(), 100).await.unwrap(), 1);
}

#[tokio::test]
async fn a_revoked_token_is_of_no_use_from_the_answer_on() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let made = make(&alice, &["profile"]).await;
    let script = script(&app, &made);
    assert_eq!(script.get("/api/v1/me").await.status, StatusCode::OK);
    let path = format!("/api/v1/me/tokens/{}", made.json()["token"]["id"].as_str().unwrap());
    assert_eq!(alice.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(script.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(alice.delete(&path).await.status, StatusCode::NOT_FOUND);
    assert!(listed(&alice).await.is_empty());
}

#[tokio::test]
async fn somebody_elses_token_is_not_found_and_lives_on() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let mallory = app.member("mallory").await;
    let made = make(&alice, &["profile"]).await;
    let path = format!("/api/v1/me/tokens/{}", made.json()["token"]["id"].as_str().unwrap());
    let answer = mallory.delete(&path).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not_found"));
    assert!(listed(&mallory).await.is_empty());
    assert_eq!(script(&app, &made).get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_scope_admin_is_for_admins() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let answer = make(&alice, &["admin"]).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"));
    assert_eq!(make(&app.admin("root").await, &["admin"]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_token_needs_a_name_a_scope_and_an_end() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    for body in [
        json!({"name": "  ", "scopes": ["media"]}),
        json!({"name": "a\nb", "scopes": ["media"]}),
        json!({"name": "x".repeat(81), "scopes": ["media"]}),
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["everything"]}),
        json!({"name": "x", "scopes": ["media"], "expires_days": 0}),
        json!({"name": "x", "scopes": ["media"], "expires_days": 3_651}),
        json!({"name": "x", "scopes": ["media"], "account": "y"}),
    ] {
        assert_eq!(
            alice.post("/api/v1/me/tokens", body.clone()).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{body}"
        );
    }
    let made = alice.post("/api/v1/me/tokens", json!({"name": "x", "scopes": ["media"]})).await.json();
    assert_eq!(made["token"]["expires_at"], "2026-04-01T00:00:00.000Z", "90 days unless chosen");
}

#[tokio::test]
async fn a_session_whose_proof_is_old_makes_no_token_without_the_password() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    app.advance(Duration::from_secs(301));
    let stale = make(&alice, &["media"]).await;
    assert_eq!((stale.status, stale.code().as_str()), (StatusCode::UNAUTHORIZED, "reauthentication_required"));
    let before = alice.cookie("usher");
    let with = |password: &str| json!({"name": "x", "scopes": ["media"], "password": password});
    assert_eq!(alice.post("/api/v1/me/tokens", with("not it at all")).await.code(), "invalid_credentials");
    assert_eq!(alice.cookie("usher"), before);
    assert_eq!(alice.post("/api/v1/me/tokens", with(PASSWORD)).await.status, StatusCode::CREATED);
    assert_ne!(alice.cookie("usher"), before, "a new proof renews the cookie");
    assert_eq!(make(&alice, &["media"]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_wrong_password_makes_no_token_even_when_the_proof_is_recent() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let body = json!({"name": "x", "scopes": ["media"], "password": "not it at all"});
    assert_eq!(alice.post("/api/v1/me/tokens", body).await.code(), "invalid_credentials");
    assert!(listed(&alice).await.is_empty());
}

#[tokio::test]
async fn an_account_has_a_hundred_live_tokens_at_most_also_when_32_are_made_at_once() {
    let app = TestApp::new().await.twin().await;
    let alice = app.member("alice").await;
    for _ in 0..90 {
        assert_eq!(make(&alice, &["media"]).await.status, StatusCode::CREATED);
    }
    let answers = at_once(32, |_| {
        let alice = alice.clone();
        async move { make(&alice, &["media"]).await.status }
    })
    .await;
    assert_eq!(answers.iter().filter(|status| **status == StatusCode::CREATED).count(), 10, "{answers:?}");
    assert_eq!(make(&alice, &["media"]).await.code(), "token_limit_reached");
    assert_eq!(make(&app.member("bob").await, &["media"]).await.status, StatusCode::CREATED, "another account");
    app.advance(DAY * 30);
    let alice = app.logged_in("alice").await;
    assert_eq!(make(&alice, &["media"]).await.status, StatusCode::CREATED, "expired ones do not count");
}
