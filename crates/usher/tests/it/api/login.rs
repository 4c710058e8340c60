//! `POST /login`, `POST /api/v1/login`, `POST /token`.

use crate::support::app::{PASSWORD, TestApp};
use http::StatusCode;
use serde_json::json;
use std::time::Duration;
use usher::accounts::{Role, Standing};

#[tokio::test]
async fn a_right_password_gives_a_session_and_its_tokens() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let answer = app.tokens("Alice").await;
    assert_eq!(answer["account"]["username"], "alice");
    assert_eq!(answer["token_type"], "Bearer");
    assert!(answer["refresh_token"].as_str().unwrap().starts_with("usr_"));
    assert_eq!(answer["session"]["kind"], "api");
}

#[tokio::test]
async fn the_page_logs_in_and_returns_to_where_the_person_was() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let browser = app.browser();
    let fields = [("username", "alice"), ("password", PASSWORD), ("return_to", "/account")];
    let answer = browser.form("/login", &fields).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/account"));
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/;"), "{cookie}");
    assert!(!cookie.contains("Domain"), "{cookie}");
    let fields = [("username", "alice"), ("password", PASSWORD), ("return_to", "//evil.example")];
    assert_eq!(app.browser().form("/login", &fields).await.header("location"), "/library");
}

#[tokio::test]
async fn unknown_wrong_and_disabled_get_one_answer() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let gone = app.account("carol", Role::User).await;
    let now = app.clock.now();
    let disabled = Standing::Disabled { at: now };
    app.cx()
        .write("test", async move |tx| usher::accounts::set_standing(tx, gone, disabled, now).await)
        .await
        .unwrap()
        .unwrap();
    let mut answers = Vec::new();
    for (name, password) in [("nobody", PASSWORD), ("alice", "not the password"), ("carol", PASSWORD)] {
        let body = json!({"username": name, "password": password});
        let mut answer = app.anonymous().post("/api/v1/login", body).await;
        answer.headers.remove("x-request-id");
        answers.push((answer.status, format!("{:?}", answer.headers), answer.text()));
    }
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[1], answers[2]);
}

#[tokio::test]
async fn the_form_of_fastapi_clients_logs_in_and_fails_in_their_words() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let program = app.anonymous();
    let plain = program.form("/token", &[("username", "alice"), ("password", PASSWORD)]).await.json();
    assert_eq!(plain["token_type"], "Bearer");
    assert!(plain.get("refresh_token").is_none());
    let fields = [("username", "alice"), ("password", PASSWORD), ("scope", "offline_access")];
    assert!(program.form("/token", &fields).await.json()["refresh_token"].is_string());
    let wrong = program.form("/token", &[("username", "alice"), ("password", "wrong")]).await;
    assert_eq!((wrong.status, wrong.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"));
    let body = wrong.json();
    assert_eq!((body["error"].as_str(), body["code"].as_str()), (Some("invalid_grant"), Some("invalid_credentials")));
    assert_eq!(body["detail"], body["error_description"]);
    let client = [("username", "alice"), ("password", PASSWORD), ("client_id", "app")];
    assert_eq!(program.form("/token", &client).await.json()["error"], "unauthorized_client");
}

#[tokio::test]
async fn guessing_at_one_account_is_slowed_whatever_the_spelling_the_route_and_the_address() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    for (n, name) in ["alice", "ALICE", "Alice", "ａlice"].into_iter().enumerate() {
        let guesser = app.anonymous().at_address(&format!("198.51.100.{n}"));
        let answer = guesser.post("/api/v1/login", json!({"username": name, "password": "wrong"})).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
    }
    let fifth = app.anonymous().form("/token", &[("username", "alice"), ("password", "wrong")]).await;
    assert_eq!(fifth.status, StatusCode::TOO_MANY_REQUESTS);
    let right = app.browser().form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!((right.status, right.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    app.advance(Duration::from_secs(1));
    app.logged_in("alice").await;
}

#[tokio::test]
async fn a_course_behind_one_address_logs_in_amid_wrong_guesses_and_live_sessions_stay() {
    let app = TestApp::with(|config| config.throttle.per_address = 1_000).await;
    let alice = app.member("alice").await;
    for n in 0..60 {
        app.anonymous().post("/api/v1/login", json!({"username": format!("guess {n}"), "password": "wrong"})).await;
    }
    for _ in 0..6 {
        app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": "wrong"})).await;
    }
    for n in 0..20 {
        app.account(&format!("student {n}"), Role::User).await;
        app.logged_in(&format!("student {n}")).await;
    }
    assert_eq!(alice.get("/logout").await.status, StatusCode::OK);
    assert!(alice.cookie("usher").is_some());
}

#[tokio::test]
async fn a_giant_password_is_wrong_without_a_hash() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let before = app.app.hasher.stats().done;
    let answer =
        app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": "x".repeat(2_000)})).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.app.hasher.stats().done, before);
    let huge =
        app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": "x".repeat(100_000)})).await;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn another_site_cannot_log_a_browser_in() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let cross = app
        .anonymous()
        .request(http::Method::POST, "/login")
        .header("sec-fetch-site", "cross-site")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = app.anonymous().send(cross.body(format!("username=alice&password={PASSWORD}").into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.header("set-cookie").is_empty());
}

#[tokio::test]
async fn an_unknown_host_is_not_answered() {
    let app = TestApp::new().await;
    let request = http::Request::builder().uri("/login").header("host", "evil.example");
    let answer = app.anonymous().send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_configured_audience_is_what_tokens_say_and_what_the_server_demands() {
    let app = TestApp::with(|config| config.tokens.audience = Some("https://api.example".to_owned())).await;
    app.account("alice", Role::User).await;
    let program = app.program("alice").await;
    assert_eq!(program.get("/api/v1/me").await.status, StatusCode::OK);
    let tokens = app.tokens("alice").await;
    let payload = tokens["access_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&claims).unwrap()["aud"], "https://api.example");
}
