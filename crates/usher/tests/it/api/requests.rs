//! Why was this refused? The exact reason, for admins alone, under the id that everybody gets.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use http::header::ORIGIN;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::Role;
use usher::cli::commands::{self, Command};

fn id(answer: &Answer) -> String {
    answer.header("x-request-id").to_owned()
}

async fn why(admin: &Actor, request: &str) -> Value {
    let known = admin.get(&format!("/api/v1/requests/{request}")).await;
    assert_eq!(known.status, StatusCode::OK, "{request}: {}", known.text());
    known.json()
}

#[tokio::test]
async fn what_is_told_alike_to_everybody_has_its_own_reason_for_admins() {
    let app = TestApp::with(|config| config.throttle.free_attempts = 3).await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    let gone = app.account("carol", Role::User).await;
    admin.json(Method::PATCH, &format!("/api/v1/users/{gone}"), json!({"disabled": true})).await;
    let login = async |name: &str, password: &str| {
        app.anonymous().post("/api/v1/login", json!({"username": name, "password": password})).await
    };
    for (name, password, reason) in [
        ("nobody", PASSWORD, "no account has this name"),
        ("carol", PASSWORD, "the account is disabled"),
        ("alice", "wrong", "the password does not match"),
        ("alice", "wrong", "the password does not match"),
        ("alice", "wrong", "the password does not match"),
        ("alice", PASSWORD, "3 wrong passwords in a row; refused until 2026-01-01T00:00:01.000Z"),
    ] {
        let answer = login(name, password).await;
        assert!(!answer.text().contains(reason), "the client is not told");
        let known = why(&admin, &id(&answer)).await;
        assert_eq!(known["refused"]["why"], reason, "{name}: {known}");
        assert_eq!(known["refused"]["route"], "POST /api/v1/login");
        assert_eq!(known["refused"]["status"], answer.status.as_u16());
        let told = known["events"].as_array().unwrap();
        assert_eq!(
            told.len(),
            usize::from(answer.status == StatusCode::UNAUTHORIZED || reason.starts_with("the password")),
            "{known}"
        );
    }
}

#[tokio::test]
async fn each_refusal_of_the_gate_says_what_was_wrong_with_the_credential() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let member = app.member("alice").await;
    let tokens = app.tokens("alice").await;
    let bearing = |text: &str| app.anonymous().bearing(text);
    let access = tokens["access_token"].as_str().unwrap();
    let forged = format!("{}AA", &access[..access.len() - 2]);
    let cross = app.anonymous().request(Method::POST, "/logout").header(ORIGIN, "https://evil.example");
    let cross = cross.header("sec-fetch-site", "cross-site").body(axum::body::Body::empty()).unwrap();
    let left = app.member("bob").await;
    let cookie = left.cookie("usher").unwrap();
    left.form("/logout", &[]).await;
    for (answer, part) in [
        (app.anonymous().get("/api/v1/me").await, "neither a cookie nor a bearer token"),
        (member.get("/api/v1/users").await, "is no admin"),
        (bearing(&forged).get("/api/v1/me").await, "the bearer token: "),
        (bearing(tokens["media_token"].as_str().unwrap()).get("/api/v1/me").await, "a token of another kind"),
        (app.browser().with_cookie("usher", "nonsense").get("/api/v1/me").await, "not one that this server made"),
        (app.browser().with_cookie("usher", &cookie).get("/api/v1/me").await, "has ended"),
        (app.anonymous().send(cross).await, "evil.example"),
    ] {
        let known = why(&admin, &id(&answer)).await;
        let reason = known["refused"]["why"].as_str().unwrap_or_default();
        assert!(reason.contains(part), "{part}: {known}");
    }
    app.advance(Duration::from_secs(40 * 86_400));
    let rested = member.get("/api/v1/me").await;
    let admin = app.logged_in("root").await;
    let reason = why(&admin, &id(&rested)).await["refused"]["why"].to_string();
    assert!(reason.contains("longest rest"), "{reason}");
}

#[tokio::test]
async fn reasons_hold_no_secret_and_are_told_to_admins_only() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let member = app.member("alice").await;
    let secret = "hunter2-hunter2-hunter2";
    let answers = [
        app.anonymous().post("/api/v1/login", json!({"username": secret, "password": secret})).await,
        app.anonymous().bearing(secret).get("/api/v1/me").await,
        app.browser().with_cookie("usher", secret).get("/api/v1/me").await,
        app.browser().get(&format!("/reset/{secret}?token={secret}")).await,
        app.anonymous().get(&format!("/nowhere/{secret}")).await,
    ];
    for path in ["/api/v1/refusals".to_owned(), format!("/api/v1/requests/{}", id(&answers[0]))] {
        assert_eq!(member.get(&path).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(app.anonymous().get(&path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let listed = admin.get("/api/v1/refusals?limit=200").await;
    assert!(listed.json()["refusals"].as_array().unwrap().len() > 4, "{}", listed.text());
    assert!(!listed.text().contains(secret), "{}", listed.text());
    assert!(!admin.get("/admin/refusals").await.text().contains(secret));
}

#[tokio::test]
async fn the_page_and_the_command_line_explain_the_same() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let refused = app.anonymous().post("/api/v1/login", json!({"username": "nobody", "password": "x"})).await;
    let request = id(&refused);
    let page = admin.get(&format!("/admin/refusals?request={request}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("id=\"explained\"") && page.text().contains("no account has this name"));
    let said = commands::run(&app.app, Command::Explain { request: request.clone() }).await.unwrap();
    assert!(said.text.starts_with("no account has this name\n"), "{}", said.text);
    assert!(said.text.contains("login refused"), "{}", said.text);

    let done = admin.post("/api/v1/groups", json!({"name": "family", "buckets": []})).await;
    let events = why(&admin, &id(&done)).await;
    assert_eq!((&events["refused"], &events["events"][0]["event"]), (&Value::Null, &json!("group_created")));
    for unknown in ["0000000000000000", "x", "%27%20OR%201%3D1"] {
        assert_eq!(admin.get(&format!("/api/v1/requests/{unknown}")).await.status, StatusCode::NOT_FOUND);
        let page = admin.get(&format!("/admin/refusals?request={unknown}")).await;
        assert!(page.status == StatusCode::NOT_FOUND && page.text().contains("unknown-request"));
    }
    assert!(commands::run(&app.app, Command::Explain { request: "x".to_owned() }).await.is_err());
}
