//! `GET|PATCH /api/v1/me`, `POST /api/v1/me/password`: one's own facts and password.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::together::at_once;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::{self, Role};
use usher::audit;
use zeroize::Zeroizing;

const NEW: &str = "harbor-quilt-marble-52";

async fn patch(actor: &Actor, body: Value) -> Answer {
    actor.json(Method::PATCH, "/api/v1/me", body).await
}

async fn change(actor: &Actor, current: &str, password: &str, end_others: bool) -> Answer {
    let body = json!({"current": current, "password": password, "end_others": end_others});
    actor.post("/api/v1/me/password", body).await
}

async fn log_in(app: &TestApp, password: &str) -> StatusCode {
    app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": password})).await.status
}

async fn demand_change(app: &TestApp, name: &str) -> Actor {
    let id = app.account(name, Role::User).await;
    let actor = app.logged_in(name).await;
    let hash = app.app.hasher.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
    let now = app.cx().now;
    let cx = app.cx();
    let set = cx.write("test.demand", async move |tx| accounts::set_password(tx, id, &hash, true, now).await);
    set.await.unwrap().unwrap();
    actor
}

async fn seen(app: &TestApp, event: &str) -> usize {
    let filter = audit::Filter { event: Some(event.to_owned()), ..audit::Filter::default() };
    audit::list(&app.app.db, &filter, 100).await.unwrap().len()
}

#[tokio::test]
async fn everybody_reads_the_facts_of_their_own_account() {
    let app = TestApp::new().await;
    let alice = app.member("Alice").await;
    let me = alice.get("/api/v1/me").await.json();
    assert_eq!((&me["username"], &me["role"], &me["verified"]), (&json!("Alice"), &json!("user"), &json!(false)));
    assert_eq!((&me["email"], &me["buckets"], &me["groups"]), (&Value::Null, &json!([]), &json!([])));
    assert_eq!(me["created_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!(app.admin("root").await.get("/api/v1/me").await.json()["buckets"], json!(["all"]));
    assert_eq!(app.anonymous().get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_display_name_is_set_kept_and_removed() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    assert_eq!(patch(&alice, json!({"display_name": " Alice B. "})).await.json()["display_name"], "Alice B.");
    assert_eq!(patch(&alice, json!({})).await.json()["display_name"], "Alice B.", "an absent field changes nothing");
    assert_eq!(patch(&alice, json!({"display_name": null})).await.json()["display_name"], Value::Null);
    let answer = patch(&alice, json!({"display_name": "a\nb"})).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request"));
}

#[tokio::test]
async fn fields_that_are_not_ones_own_to_change_are_refused() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    for body in [json!({"role": "admin"}), json!({"id": "x"}), json!({"verified": true}), json!({"buckets": ["all"]})] {
        assert_eq!(patch(&alice, body.clone()).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    assert_eq!(alice.get("/api/v1/me").await.json()["role"], "user");
}

#[tokio::test]
async fn a_new_email_address_is_unproven_and_dates_outstanding_access_tokens() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let program = app.program("alice").await;
    assert_eq!(patch(&alice, json!({"email": "alice@example.org"})).await.status, StatusCode::OK);
    let outdated = program.get("/api/v1/me").await;
    assert_eq!((outdated.status, outdated.code().as_str()), (StatusCode::UNAUTHORIZED, "token_outdated"));

    app.sql("UPDATE accounts SET verified_at = 1");
    assert_eq!(patch(&alice, json!({"email": "alice@example.org"})).await.json()["verified"], true, "the same address");
    assert_eq!(patch(&alice, json!({"email": "alice@example.com"})).await.json()["verified"], false);
}

#[tokio::test]
async fn an_email_address_belongs_to_one_account_in_any_case() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let bob = app.member("bob").await;
    assert_eq!(patch(&alice, json!({"email": "Alice@Example.org"})).await.status, StatusCode::OK);
    let taken = patch(&bob, json!({"email": "alice@example.ORG"})).await;
    assert_eq!((taken.status, taken.code().as_str()), (StatusCode::CONFLICT, "email_taken"));
    let none = patch(&bob, json!({"email": "nobody"})).await;
    assert_eq!((none.status, none.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request"));
    assert_eq!(bob.get("/api/v1/me").await.json()["email"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_who_claim_an_address_at_once_one_has_it_and_the_others_are_told() {
    let app = TestApp::new().await.twin().await;
    let mut people = Vec::new();
    for n in 0..8 {
        people.push(app.member(&format!("member {n}")).await);
    }
    let answers = at_once(8, |n| {
        let one = people[n].clone();
        async move { patch(&one, json!({"email": "home@example.org"})).await.status }
    })
    .await;
    let of = |wanted: StatusCode| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(StatusCode::OK), of(StatusCode::CONFLICT)), (1, 7), "{answers:?}");
}

#[tokio::test]
async fn an_email_address_is_not_changed_by_a_session_whose_proof_is_old() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    app.advance(Duration::from_secs(5 * 60));
    assert_eq!(patch(&alice, json!({"email": "a@example.org"})).await.status, StatusCode::OK, "five minutes are fresh");
    app.advance(Duration::from_secs(1));
    let stale = patch(&alice, json!({"email": "b@example.org"})).await;
    assert_eq!((stale.status, stale.code().as_str()), (StatusCode::UNAUTHORIZED, "reauthentication_required"));
    assert!(stale.header("www-authenticate").contains("insufficient_user_authentication"));
    let wrong = patch(&alice, json!({"email": "b@example.org", "password": "not it at all"})).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_credentials"));
    assert_eq!(alice.get("/api/v1/me").await.json()["email"], "a@example.org");
    assert_eq!(patch(&alice, json!({"display_name": "A"})).await.status, StatusCode::OK, "a name needs no proof");
}

#[tokio::test]
async fn a_new_proof_renews_the_cookie_and_counts_for_the_next_five_minutes() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let thief = app.browser().with_cookie("usher", &alice.cookie("usher").unwrap());
    app.advance(Duration::from_secs(3_600));
    let body = json!({"email": "a@example.org", "password": PASSWORD});
    assert_eq!(patch(&alice, body).await.status, StatusCode::OK);
    let old = thief.get("/api/v1/me").await;
    assert_eq!((old.status, old.code().as_str()), (StatusCode::UNAUTHORIZED, "session_ended"));
    assert_eq!(patch(&alice, json!({"email": "b@example.org"})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refused_act_does_not_use_up_the_cookie() {
    let app = TestApp::new().await;
    let bob = app.member("bob").await;
    assert_eq!(patch(&bob, json!({"email": "bob@example.org"})).await.status, StatusCode::OK);
    let alice = app.member("alice").await;
    let body = json!({"email": "bob@example.org", "password": PASSWORD});
    assert_eq!(patch(&alice, body).await.status, StatusCode::CONFLICT);
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_password_change_needs_the_present_password() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let wrong = change(&alice, "not it at all", NEW, false).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_credentials"));
    assert_eq!(log_in(&app, PASSWORD).await, StatusCode::OK);
    assert_eq!(change(&alice, PASSWORD, NEW, false).await.status, StatusCode::NO_CONTENT);
    assert_eq!(log_in(&app, PASSWORD).await, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&app, NEW).await, StatusCode::OK);
    assert_eq!(seen(&app, "password_changed").await, 1);
}

#[tokio::test]
async fn guesses_at_the_present_password_are_slowed() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let mut last = StatusCode::OK;
    for _ in 0..6 {
        last = change(&alice, "not it at all", NEW, false).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK, "the session itself lives on");
}

#[tokio::test]
async fn a_weak_password_is_refused_with_every_reason() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let weak = change(&alice, PASSWORD, "password", false).await;
    assert_eq!((weak.status, weak.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "password_too_weak"));
    assert!(weak.json()["problems"].as_array().unwrap().len() >= 2, "{}", weak.text());
    let same = change(&alice, PASSWORD, PASSWORD, false).await;
    assert_eq!(same.code(), "password_too_weak", "the password one has is no new one");
}

#[tokio::test]
async fn a_password_change_renews_the_cookie_and_dates_access_tokens() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let program = app.program("alice").await;
    let thief = app.browser().with_cookie("usher", &alice.cookie("usher").unwrap());
    assert_eq!(change(&alice, PASSWORD, NEW, false).await.status, StatusCode::NO_CONTENT);
    assert_eq!(thief.get("/api/v1/me").await.code(), "session_ended");
    assert_eq!(program.get("/api/v1/me").await.code(), "token_outdated");
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn other_sessions_end_with_a_password_change_only_if_asked() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    assert_eq!(change(&alice, PASSWORD, NEW, false).await.status, StatusCode::NO_CONTENT);
    assert_eq!(tablet.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(change(&alice, NEW, PASSWORD, true).await.status, StatusCode::NO_CONTENT);
    assert_eq!(tablet.get("/api/v1/me").await.code(), "session_ended");
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(seen(&app, "session_ended").await, 1);
}

#[tokio::test]
async fn a_demanded_change_is_the_only_way_on_and_ends_all_other_sessions() {
    let app = TestApp::new().await;
    let alice = demand_change(&app, "alice").await;
    let program = app.program("alice").await;
    for actor in [&alice, &program] {
        let refused = actor.get("/api/v1/me").await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "password_change_required"));
    }
    assert_eq!(change(&program, PASSWORD, NEW, false).await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.get("/api/v1/me").await.code(), "session_ended");
    let tokens = app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": NEW})).await.json();
    assert_eq!(tokens["account"]["must_change"], false);
}

#[tokio::test]
async fn whoever_must_change_the_password_may_leave_instead() {
    let app = TestApp::new().await;
    demand_change(&app, "alice").await;
    let program = app.program("alice").await;
    assert_eq!(program.post("/api/v1/logout", json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(program.get("/api/v1/me").await.code(), "session_ended");
}

#[tokio::test]
async fn of_32_password_changes_at_once_one_counts() {
    let app = TestApp::with(|config| config.throttle.free_attempts = 1_000).await.twin().await;
    let alice = app.member("alice").await;
    let answers = at_once(32, |number| {
        let alice = app.browser().with_cookie("usher", &alice.cookie("usher").unwrap());
        async move { change(&alice, PASSWORD, &format!("{NEW}-{number}"), false).await.status }
    })
    .await;
    assert_eq!(answers.iter().filter(|status| **status == StatusCode::NO_CONTENT).count(), 1, "{answers:?}");
    assert_eq!(seen(&app, "password_changed").await, 1);
}

#[tokio::test]
async fn a_reset_link_made_before_is_withdrawn_by_a_password_change() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let id = alice.get("/api/v1/me").await.json()["id"].as_str().unwrap().to_owned();
    app.sql(&format!(
        "INSERT INTO links (id, kind, digest, account_id, made_at, expires_at) VALUES ('l', 'reset', 'd', '{id}', 1, 9)"
    ));
    assert_eq!(change(&alice, PASSWORD, NEW, false).await.status, StatusCode::NO_CONTENT);
    assert!(app.sql("SELECT revoked_at FROM links WHERE id = 'l'")[0][0].is_some());
}

#[tokio::test]
async fn what_another_site_sends_changes_nothing() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let request = alice
        .request(Method::PATCH, "/api/v1/me")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(axum::body::Body::from(r#"{"display_name":"x"}"#));
    let mut request = request.unwrap();
    request.headers_mut().insert("sec-fetch-site", http::HeaderValue::from_static("cross-site"));
    let answer = alice.send(request).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "cross_site"));
    assert_eq!(alice.get("/api/v1/me").await.json()["display_name"], Value::Null);
}
