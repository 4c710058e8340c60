//! The pages on which an admin sees the whole: everybody's sessions and tokens, and the server itself.

use crate::support::app::TestApp;
use crate::support::shelf::personal_token;
use http::StatusCode;
use serde_json::json;
use std::time::Duration;
use usher::accounts::Role;
use usher::config::App as Registered;
use usher::jobs;

#[tokio::test]
async fn an_admin_sees_everybodys_sessions_and_ends_one_of_them() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    let page = admin.get("/admin/sessions").await.text();
    assert!(page.contains(">alice</a>") && page.contains(">root</a>"), "{page}");
    assert_eq!(page.matches("This one").count(), 1, "the admin's own is marked");
    let id = alice.get("/api/v1/me/sessions").await.json()["sessions"][0]["id"].as_str().unwrap().to_owned();
    let ended = admin.form(&format!("/admin/sessions/{id}/end"), &[]).await;
    assert_eq!(ended.header("location"), "/admin/sessions?done=ended");
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    assert!(!admin.get("/admin/sessions").await.text().contains(">alice</a>"));
    assert_eq!(admin.form("/admin/sessions/019b0000-0000-7000-8000-000000000000/end", &[]).await.status, 404);
}

#[tokio::test]
async fn the_list_of_sessions_goes_on_where_its_page_ends() {
    let app = TestApp::with(|config| config.sessions.max_per_account = 500).await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    for _ in 0..105 {
        app.advance(Duration::from_millis(1));
        app.logged_in("alice").await;
    }
    let first = admin.get("/admin/sessions").await.text();
    assert_eq!(first.matches(">alice</a>").count(), 100, "the newest hundred");
    let at = first.find("/admin/sessions?before=").expect("a next page");
    let next = first[at..].split('"').next().unwrap();
    let second = admin.get(next).await.text();
    assert_eq!(second.matches(">alice</a>").count(), 5);
    assert_eq!(second.matches(">root</a>").count(), 1, "the oldest session is the admin's");
    assert!(second.contains("id=\"first-page\"") && !second.contains("id=\"next-page\""));
}

#[tokio::test]
async fn a_full_page_of_tokens_leads_on_only_when_more_follow() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let alice = app.account("alice", Role::User).await;
    for _ in 0..100 {
        personal_token(&app, alice).await;
    }
    let page = admin.get("/admin/tokens").await.text();
    assert_eq!((page.matches(">alice</a>").count(), page.contains("id=\"next-page\"")), (100, false));
    personal_token(&app, alice).await;
    let page = admin.get("/admin/tokens").await.text();
    assert_eq!((page.matches(">alice</a>").count(), page.contains("id=\"next-page\"")), (100, true));
}

#[tokio::test]
async fn an_admin_sees_everybodys_personal_tokens_and_revokes_one_of_them() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    assert!(admin.get("/admin/tokens").await.text().contains("Nobody has a personal token"));
    let alice = app.member("alice").await;
    let made = alice.post("/api/v1/me/tokens", json!({"name": "backup script", "scopes": ["profile"]})).await.json();
    let (id, token) = (made["token"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let page = admin.get("/admin/tokens").await.text();
    assert!(page.contains("backup script") && page.contains(">alice</a>"), "{page}");
    assert!(!page.contains(token), "the token itself is shown to nobody");
    assert_eq!(app.anonymous().bearing(token).get("/api/v1/me").await.status, StatusCode::OK);
    let revoked = admin.form(&format!("/admin/tokens/{id}/revoke"), &[]).await;
    assert_eq!(revoked.header("location"), "/admin/tokens?done=token-revoked");
    assert_eq!(app.anonymous().bearing(token).get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(admin.form(&format!("/admin/tokens/{id}/revoke"), &[]).await.status, StatusCode::NOT_FOUND);
    let told = admin.get("/api/v1/audit?event=personal_token_revoked").await.json();
    assert_eq!(told["events"][0]["target"], id, "{told}");
}

#[tokio::test]
async fn the_server_page_shows_the_day_the_apps_and_the_configuration_without_its_secrets() {
    let app = TestApp::with(|config| {
        config.apps.push(Registered {
            name: "player".to_owned(),
            origins: vec!["https://player.example.org".parse().unwrap()],
            audience: None,
        });
        config.storage.database = Some("postgres://usher:hunter22@db.example.org/usher".into());
    })
    .await;
    let admin = app.admin("root").await;
    let before = admin.get("/admin/server").await.text();
    assert!(before.contains("The first figure comes five minutes after the start."), "{before}");
    let wrong = json!({"username": "root", "password": "wrong"});
    for _ in 0..2 {
        app.anonymous().post("/api/v1/login", wrong.clone()).await;
    }
    app.advance(Duration::from_secs(300));
    jobs::once(&app.app).await;
    let page = admin.get("/admin/server").await.text();
    assert!(page.contains("Refused logins of the last day: 2 in twenty minutes, 2 at most"), "{page}");
    assert!(page.contains("https://player.example.org") && page.contains("player"));
    assert!(page.contains("[sessions]") || page.contains("[server]"), "{page}");
    assert!(page.contains("db.example.org") && !page.contains("hunter22"), "a secret of the configuration");
}
