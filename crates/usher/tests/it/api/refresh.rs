//! `POST /api/v1/refresh`: rotation, its grace, and what a replay costs.

use crate::support::app::{Actor, TestApp};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use usher::accounts::Role;

async fn exchange(actor: &Actor, token: &Value) -> Result<Value, String> {
    let answer = actor.post("/api/v1/refresh", json!({"refresh_token": token})).await;
    match answer.status {
        StatusCode::OK => Ok(answer.json()["refresh_token"].clone()),
        StatusCode::UNAUTHORIZED => Err(answer.code()),
        other => panic!("{other}: {}", answer.text()),
    }
}

async fn alice(app: &TestApp) -> (Actor, Value) {
    app.account("alice", Role::User).await;
    (app.anonymous(), app.tokens("alice").await["refresh_token"].clone())
}

#[tokio::test]
async fn a_refresh_token_rotates() {
    let app = TestApp::new().await;
    let (program, first) = alice(&app).await;
    let second = exchange(&program, &first).await.unwrap();
    assert_ne!(first, second);
    let third = exchange(&program, &second).await.unwrap();
    assert_ne!(second, third);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_within_the_grace_time() {
    let app = TestApp::new().await;
    let (program, first) = alice(&app).await;
    let second = exchange(&program, &first).await.unwrap();
    app.advance(Duration::from_secs(29));
    assert_eq!(exchange(&program, &first).await.unwrap(), second);
}

#[tokio::test]
async fn a_laggard_whose_successor_was_used_is_refused_and_the_session_lives() {
    let app = TestApp::new().await;
    let (program, first) = alice(&app).await;
    let second = exchange(&program, &first).await.unwrap();
    let third = exchange(&program, &second).await.unwrap();
    assert_eq!(exchange(&program, &first).await.unwrap_err(), "session_ended");
    assert!(exchange(&program, &third).await.is_ok());
}

#[tokio::test]
async fn a_replayed_refresh_token_ends_the_session() {
    let app = TestApp::new().await;
    let (program, first) = alice(&app).await;
    let other = app.tokens("alice").await["refresh_token"].clone();
    let second = exchange(&program, &first).await.unwrap();
    app.advance(Duration::from_secs(31));
    assert!(exchange(&program, &first).await.is_err());
    assert!(exchange(&program, &second).await.is_err(), "the thief's or the owner's copy: both are dead");
    assert!(exchange(&program, &other).await.is_ok(), "another session of the same account lives");
}

#[tokio::test]
async fn of_32_exchanges_at_once_there_is_one_live_line() {
    let app = TestApp::new().await.twin().await;
    let (program, first) = alice(&app).await;
    for _ in 0..10 {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (program, token) = (program.clone(), first.clone());
                tokio::spawn(async move { exchange(&program, &token).await })
            })
            .collect();
        let mut lines = BTreeSet::new();
        for task in tasks {
            lines.insert(task.await.unwrap().unwrap().as_str().unwrap().to_owned());
        }
        assert_eq!(lines.len(), 1);
    }
}

#[tokio::test]
async fn activity_keeps_a_session_and_its_absolute_end_stays() {
    let app = TestApp::new().await;
    let (program, mut token) = alice(&app).await;
    let day = Duration::from_secs(86_400);
    for _ in 0..18 {
        app.advance(20 * day);
        token = exchange(&program, &token).await.unwrap();
    }
    app.advance(20 * day);
    assert!(exchange(&program, &token).await.is_err(), "380 days are beyond the absolute end");
}

#[tokio::test]
async fn an_idle_session_ends() {
    let app = TestApp::new().await;
    let (program, token) = alice(&app).await;
    app.advance(Duration::from_secs(31 * 86_400));
    assert!(exchange(&program, &token).await.is_err());
}

#[tokio::test]
async fn a_refresh_token_outlives_a_restart() {
    let app = TestApp::new().await;
    let (_, token) = alice(&app).await;
    let app = app.restart().await;
    assert!(exchange(&app.anonymous(), &token).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_token_of_a_long_line_shown_by_32_at_once_has_one_successor() {
    let app = TestApp::new().await.twin().await;
    let (program, mut token) = alice(&app).await;
    for round in 0..60 {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (program, token) = (program.clone(), token.clone());
                tokio::spawn(async move { exchange(&program, &token).await })
            })
            .collect();
        let mut next = BTreeSet::new();
        for task in tasks {
            next.insert(task.await.unwrap().unwrap().as_str().unwrap().to_owned());
        }
        assert_eq!(next.len(), 1, "round {round}");
        let successor = Value::from(next.pop_first().unwrap());
        assert_ne!(successor, token, "it rotated");
        token = successor;
        app.advance(Duration::from_secs(1));
    }
}
