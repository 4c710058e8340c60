//! `/api/v1/groups`: what a group gives, its members have at once, and lose at once.

use super::users::id_of;
use crate::support::app::{Actor, TestApp};
use crate::support::together::at_once;
use http::{Method, StatusCode};
use serde_json::json;
use usher::accounts::{Buckets, Rights, Role};
use usher::id::AccountId;
use usher::time::Time;

async fn rights(app: &TestApp, id: AccountId) -> Rights {
    app.app.accounts.rights(&app.app.db, id).await.unwrap().unwrap().as_ref().clone()
}

async fn group(admin: &Actor, name: &str, buckets: &[&str]) -> String {
    let made = admin.post("/api/v1/groups", json!({"name": name, "buckets": buckets})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_groups_buckets_are_its_members_buckets() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let alice = app.account("alice", Role::User).await;
    let id = group(&admin, "Family", &["all"]).await;
    assert_eq!(rights(&app, alice).await.buckets, Buckets::None);
    let member = format!("/api/v1/groups/{id}/members/{alice}");
    assert_eq!(admin.json(Method::PUT, &member, json!({})).await.status, StatusCode::NO_CONTENT);
    let given = rights(&app, alice).await;
    assert_eq!((given.buckets, given.groups), (Buckets::Every, vec!["Family".to_owned()]));
    assert_eq!(admin.json(Method::PUT, &member, json!({})).await.status, StatusCode::NO_CONTENT, "idempotent");

    let shown = admin.get(&format!("/api/v1/groups/{id}")).await.json();
    assert_eq!(shown["members"], json!([{"id": alice, "username": "alice"}]));
    assert_eq!(admin.get("/api/v1/groups").await.json()["groups"][0]["members"], 1);

    assert_eq!(admin.delete(&member).await.status, StatusCode::NO_CONTENT);
    assert_eq!(rights(&app, alice).await.buckets, Buckets::None);
    assert_eq!(admin.delete(&member).await.status, StatusCode::NO_CONTENT, "idempotent");
}

#[tokio::test]
async fn every_change_of_a_group_outdates_its_members_tokens_and_nobody_elses() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let alice = app.account("alice", Role::User).await;
    app.account("bob", Role::User).await;
    let id = group(&admin, "family", &[]).await;
    let (path, member) = (format!("/api/v1/groups/{id}"), format!("/api/v1/groups/{id}/members/{alice}"));
    let bob = app.program("bob").await;
    let acts: [(&str, Method, &str, serde_json::Value); 5] = [
        ("joined", Method::PUT, &member, json!({})),
        ("renamed", Method::PATCH, &path, json!({"name": "relatives"})),
        ("buckets", Method::PATCH, &path, json!({"buckets": ["all"]})),
        ("left", Method::DELETE, &member, json!({})),
        ("joined again", Method::PUT, &member, json!({})),
    ];
    for (what, method, path, body) in acts {
        let program = app.program("alice").await;
        assert_eq!(program.get("/api/v1/users").await.status, StatusCode::FORBIDDEN);
        let answer = admin.json(method, path, body).await;
        assert!(answer.status.is_success(), "{what}: {}", answer.text());
        assert_eq!(program.get("/api/v1/users").await.code(), "token_outdated", "{what}");
    }
    let program = app.program("alice").await;
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(program.get("/api/v1/users").await.code(), "token_outdated", "deleted");
    assert_eq!(rights(&app, alice).await.buckets, Buckets::None);
    assert_eq!(bob.get("/api/v1/users").await.status, StatusCode::FORBIDDEN, "still current");
    assert_eq!(admin.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_name_is_one_groups_in_any_spelling() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    group(&admin, "Family", &[]).await;
    let other = group(&admin, "friends", &[]).await;
    let again = admin.post("/api/v1/groups", json!({"name": " FAMILY "})).await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "name_taken"));
    let path = format!("/api/v1/groups/{other}");
    let renamed = admin.json(Method::PATCH, &path, json!({"name": "family", "buckets": ["all"]})).await;
    assert_eq!((renamed.status, renamed.code().as_str()), (StatusCode::CONFLICT, "name_taken"));
    assert_eq!(admin.get(&path).await.json()["buckets"], json!([]), "all of a change, or nothing");
    let respelled = admin.json(Method::PATCH, &path, json!({"name": "Friends"})).await;
    assert_eq!(respelled.json()["name"], "Friends");
    for name in ["", "a,b", &"x".repeat(65)] {
        let answer = admin.post("/api/v1/groups", json!({"name": name})).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
    }
}

#[tokio::test]
async fn of_32_groups_of_one_name_made_at_once_one_is_made() {
    let app = TestApp::new().await.twin().await;
    let admin = app.admin("root").await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move { admin.post("/api/v1/groups", json!({"name": "family"})).await.status })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += usize::from(task.await.unwrap() == StatusCode::CREATED);
    }
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_groups_given_one_name_at_once_one_has_it_and_the_others_are_told() {
    let app = TestApp::new().await.twin().await;
    let admin = app.admin("root").await;
    let mut paths = Vec::new();
    for n in 0..32 {
        paths.push(format!("/api/v1/groups/{}", group(&admin, &format!("group {n}"), &[]).await));
    }
    let answers = at_once(32, |n| {
        let (admin, path) = (admin.clone(), paths[n].clone());
        async move { admin.json(Method::PATCH, &path, json!({"name": "family"})).await.status }
    })
    .await;
    let of = |wanted: StatusCode| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(StatusCode::OK), of(StatusCode::CONFLICT)), (1, 31), "{answers:?}");
}

#[tokio::test]
async fn members_page_in_the_order_of_names_and_strangers_cannot_join() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = group(&admin, "family", &[]).await;
    for name in ["carl", "anna", "Bert"] {
        app.account(name, Role::User).await;
        let member = format!("/api/v1/groups/{id}/members/{}", id_of(&admin, name).await);
        admin.json(Method::PUT, &member, json!({})).await;
    }
    let first = admin.get(&format!("/api/v1/groups/{id}?limit=2")).await.json();
    assert_eq!([&first["members"][0]["username"], &first["members"][1]["username"]], ["anna", "Bert"]);
    let next = first["next"].as_str().unwrap();
    let second = admin.get(&format!("/api/v1/groups/{id}?limit=2&after={next}")).await.json();
    assert_eq!((&second["members"][0]["username"], second.get("next")), (&json!("carl"), None));
    let nobody = AccountId::new(Time(1), &app.app.rng);
    let member = format!("/api/v1/groups/{id}/members/{nobody}");
    assert_eq!(admin.json(Method::PUT, &member, json!({})).await.status, StatusCode::NOT_FOUND);
}
