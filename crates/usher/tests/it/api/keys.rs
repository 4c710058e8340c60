//! `/api/v1/keys`: rotation that fails no verification.

use crate::support::app::{Actor, PASSWORD, TestApp};
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

fn states(answer: &Value) -> Vec<&str> {
    answer["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect()
}

/// Says again who it is: keys are turned by a fresh proof only.
async fn prove(admin: &Actor) {
    let proven = admin.post("/api/v1/me/reauthenticate", json!({"password": PASSWORD})).await;
    assert_eq!(proven.status, StatusCode::NO_CONTENT, "{}", proven.text());
}

#[tokio::test]
async fn the_next_key_signs_after_a_rotation_and_what_the_old_one_signed_stays_valid() {
    let app = TestApp::new().await;
    app.admin("root").await;
    let program = app.program("root").await;
    let before = program.get("/api/v1/keys").await.json();
    assert_eq!(states(&before), ["current", "next"]);
    assert!(!before.to_string().contains("sealed"));
    let soon = program.post("/api/v1/keys/rotate", json!({})).await;
    assert_eq!((soon.status, soon.code().as_str()), (StatusCode::CONFLICT, "rotation_too_soon"));

    // The program's token is signed by the first key, and lives ten minutes.
    app.advance(Duration::from_secs(9 * 60));
    prove(&program).await;
    let forced = program.post("/api/v1/keys/rotate", json!({"now": true})).await;
    assert_eq!(forced.status, StatusCode::OK, "{}", forced.text());
    let after = forced.json();
    assert_eq!(states(&after), ["current", "next", "retired"]);
    assert_eq!(after["keys"][0]["kid"], before["keys"][1]["kid"]);
    assert_eq!(program.get("/api/v1/keys").await.status, StatusCode::OK, "the old token still works");
    assert_eq!(app.program("root").await.get("/api/v1/keys").await.status, StatusCode::OK, "and a new one");
    let published = app.anonymous().get("/oauth/jwks").await.json();
    assert_eq!(published["keys"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_rotation_needs_no_force_once_the_next_key_is_known_everywhere() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let ready = admin.get("/api/v1/keys").await.json()["ready_at"].as_str().unwrap().to_owned();
    let ready: jiff::Timestamp = ready.parse().unwrap();
    let wait = ready.as_millisecond() - app.clock.now().0;
    app.advance(Duration::from_millis(u64::try_from(wait).unwrap()));
    prove(&admin).await;
    assert_eq!(admin.post("/api/v1/keys/rotate", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn of_32_rotations_at_once_the_ring_stays_whole() {
    let app = TestApp::new().await.twin().await;
    let admin = app.admin("root").await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move { admin.post("/api/v1/keys/rotate", json!({"now": true})).await.status })
        })
        .collect();
    let mut rotated = 0;
    for task in tasks {
        let status = task.await.unwrap();
        assert!([StatusCode::OK, StatusCode::CONFLICT].contains(&status), "{status}");
        rotated += usize::from(status == StatusCode::OK);
    }
    assert!(rotated >= 1);
    // A node takes what another one rotated from the rows, in the background.
    while app.nodes() > 1 && states(&admin.get("/api/v1/keys").await.json()).len() < rotated + 2 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let keys = admin.get("/api/v1/keys").await.json();
    assert_eq!(states(&keys).len(), rotated + 2, "one new key for each rotation that was told as done");
    // The rows make a ring: a server that starts on them would otherwise refuse to.
    let app = app.restart().await;
    let again = app.logged_in("root").await.get("/api/v1/keys").await.json();
    assert_eq!(states(&again)[..2], ["current", "next"]);
    assert_eq!(again["keys"][0]["kid"], keys["keys"][0]["kid"]);
}
