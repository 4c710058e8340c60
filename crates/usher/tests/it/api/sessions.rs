//! `/api/v1/me/sessions`: where one is logged in, and ending it.

use crate::support::app::{Actor, TestApp};
use crate::support::together::at_once;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

async fn sessions(actor: &Actor) -> Vec<Value> {
    let answer = actor.get("/api/v1/me/sessions").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["sessions"].as_array().unwrap().clone()
}

async fn current(actor: &Actor) -> String {
    let all = sessions(actor).await;
    all.iter().find(|session| session["current"] == true).unwrap()["id"].as_str().unwrap().to_owned()
}

fn day(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3_600)
}

#[tokio::test]
async fn a_session_is_listed_with_its_device_place_and_times() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let all = sessions(&alice).await;
    assert_eq!(all.len(), 1);
    let facts = &all[0];
    assert_eq!((&facts["current"], &facts["kind"]), (&json!(true), &json!("browser")));
    assert_eq!((&facts["place"], &facts["label"]), (&json!("192.0.2.10"), &json!("Unknown device")));
    assert_eq!(facts["started_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!(facts["idle_until"], "2026-01-31T00:00:00.000Z");
    assert_eq!(facts["expires_at"], "2027-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn the_last_use_is_told_before_it_is_written_down() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    app.advance(Duration::from_secs(30));
    assert_eq!(sessions(&alice).await[0]["last_used_at"], "2026-01-01T00:00:30.000Z");
}

#[tokio::test]
async fn one_of_several_sessions_is_this_one() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let program = app.program("alice").await;
    app.member("bob").await;
    for actor in [&alice, &program] {
        let all = sessions(actor).await;
        assert_eq!(all.len(), 2, "bob's is not among them");
        assert_eq!(all.iter().filter(|session| session["current"] == true).count(), 1);
    }
    assert_ne!(current(&alice).await, current(&program).await);
}

#[tokio::test]
async fn sessions_past_their_time_are_not_listed_even_before_they_are_swept() {
    let app = TestApp::new().await;
    app.member("alice").await;
    app.advance(day(31));
    let alice = app.logged_in("alice").await;
    assert_eq!(sessions(&alice).await.len(), 1);
}

#[tokio::test]
async fn ending_a_session_shuts_its_device_out_at_once() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    let id = current(&tablet).await;
    assert_eq!(alice.delete(&format!("/api/v1/me/sessions/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(tablet.get("/api/v1/me").await.code(), "session_ended");
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(alice.delete(&format!("/api/v1/me/sessions/{id}")).await.status, StatusCode::NOT_FOUND, "over already");
}

#[tokio::test]
async fn ending_ones_own_session_takes_the_cookie_too() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let id = current(&alice).await;
    assert_eq!(alice.delete(&format!("/api/v1/me/sessions/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.cookie("usher"), None);
}

#[tokio::test]
async fn somebody_elses_session_is_not_found_and_lives_on() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let mallory = app.member("mallory").await;
    let id = current(&alice).await;
    for path in [format!("/api/v1/me/sessions/{id}"), format!("/api/v1/me/sessions/{id}/data")] {
        let answer = mallory.delete(&path).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{path}");
    }
    assert_eq!(mallory.delete("/api/v1/me/sessions/nonsense").await.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn ending_the_others_leaves_this_one() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let (tablet, program) = (app.logged_in("alice").await, app.program("alice").await);
    let bob = app.member("bob").await;
    assert_eq!(alice.post("/api/v1/me/sessions/end-others", json!({})).await.json()["ended"], 2);
    for actor in [&tablet, &program] {
        assert_eq!(actor.get("/api/v1/me").await.code(), "session_ended");
    }
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(bob.get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn ending_all_ends_this_one_too() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    let thief = app.browser().with_cookie("usher", &alice.cookie("usher").unwrap());
    assert_eq!(alice.post("/api/v1/me/sessions/end-all", json!({})).await.json()["ended"], 2);
    assert_eq!(alice.cookie("usher"), None);
    for actor in [&tablet, &thief] {
        assert_eq!(actor.get("/api/v1/me").await.code(), "session_ended");
    }
}

#[tokio::test]
async fn of_32_ends_of_one_session_at_once_one_ends_it_and_one_event_tells() {
    let app = TestApp::new().await.twin().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    let path = format!("/api/v1/me/sessions/{}", current(&tablet).await);
    let answers = at_once(32, |_| {
        let (alice, path) = (alice.clone(), path.clone());
        async move { alice.delete(&path).await.status }
    })
    .await;
    let ended = answers.iter().filter(|status| **status == StatusCode::NO_CONTENT).count();
    let found_ended = answers.iter().filter(|status| **status == StatusCode::NOT_FOUND).count();
    assert_eq!((ended, found_ended), (1, 31), "{answers:?}");
    assert_eq!(app.count("SELECT count(*) FROM audit_events WHERE event = 'session_ended'"), 1);
}
