//! `POST /logout`, `POST /api/v1/logout`: everything derived from the session is dead before the answer.

use crate::support::app::TestApp;
use http::StatusCode;
use serde_json::json;
use usher::accounts::Role;

#[tokio::test]
async fn logging_out_kills_cookie_access_and_refresh_token() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let tokens = app.tokens("alice").await;
    let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let program = app.anonymous().bearing(access);
    assert_eq!(program.post("/api/v1/logout", json!({})).await.status, StatusCode::NO_CONTENT);
    let again = app.anonymous().post("/api/v1/refresh", json!({"refresh_token": refresh})).await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::UNAUTHORIZED, "session_ended"));
    assert_eq!(program.post("/api/v1/logout", json!({})).await.status, StatusCode::NO_CONTENT, "idempotent");
}

#[tokio::test]
async fn a_copied_cookie_is_refused_after_logout() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let thief = app.browser().with_cookie("usher", &alice.cookie("usher").unwrap());
    assert!(thief.get("/logout").await.text().contains("<form"));
    let page = alice.form("/logout", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.header("clear-site-data").contains("cache"));
    assert_eq!(alice.cookie("usher"), None);
    assert_eq!(thief.get("/login").await.status, StatusCode::OK, "the thief is not logged in");
}

#[tokio::test]
async fn a_get_of_logout_changes_nothing() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    alice.get("/logout").await;
    assert_eq!(alice.get("/login").await.status, StatusCode::SEE_OTHER, "still logged in");
}

#[tokio::test]
async fn whoever_holds_an_outdated_token_may_leave_and_an_expired_one_says_so() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let program = app.program("alice").await;
    let now = app.clock.now();
    app.cx().write("test", async move |tx| usher::accounts::raise(tx, id, now).await).await.unwrap();
    assert_eq!(program.get("/api/v1/me").await.code(), "token_outdated");
    assert_eq!(program.post("/api/v1/logout", json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(program.get("/api/v1/me").await.code(), "session_ended");
    let late = app.program("alice").await;
    app.advance(std::time::Duration::from_secs(601));
    assert_eq!(late.post("/api/v1/logout", json!({})).await.code(), "token_expired");
}

#[tokio::test]
async fn a_program_may_log_out_by_its_refresh_token_alone() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let tokens = app.tokens("alice").await;
    let body = json!({"refresh_token": tokens["refresh_token"]});
    assert_eq!(app.anonymous().post("/api/v1/logout", body.clone()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.anonymous().post("/api/v1/refresh", body).await.status, StatusCode::UNAUTHORIZED);
}
