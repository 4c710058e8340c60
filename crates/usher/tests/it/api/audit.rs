//! `/api/v1/audit`: what happened, newest first, by filter.

use super::users::id_of;
use crate::support::app::TestApp;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::Role;

fn words(answer: &Value) -> Vec<String> {
    answer["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_act_of_an_admin_is_written_with_who_did_it_to_whom() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let root = id_of(&admin, "root").await;
    app.account("alice", Role::User).await;
    app.member("bob").await;
    let (alice, bob) = (id_of(&admin, "alice").await, id_of(&admin, "bob").await);
    let path = format!("/api/v1/users/{alice}");
    let changes = [
        json!({"role": "admin", "buckets": ["all"]}),
        json!({"disabled": true}),
        json!({"disabled": true}),
        json!({"disabled": false}),
    ];
    for change in changes {
        admin.json(Method::PATCH, &path, change).await;
        app.advance(Duration::from_secs(1));
    }
    admin.post(&format!("{path}/reset-link"), json!({})).await;
    admin.post(&format!("/api/v1/users/{bob}/end-sessions"), json!({})).await;
    let told = admin.get(&format!("/api/v1/audit?account={alice}")).await.json();
    assert_eq!(words(&told), ["link_created", "account_enabled", "account_disabled", "account_changed"]);
    for event in told["events"].as_array().unwrap() {
        assert_eq!(
            (&event["actor"], &event["result"], &event["address"]),
            (&json!(root), &json!("done"), &json!("192.0.2.10"))
        );
    }
    assert_eq!(told["events"][3]["detail"], "role admin; buckets all");
    let ended = admin.get(&format!("/api/v1/audit?account={bob}&event=session_ended")).await.json();
    assert_eq!((&ended["events"][0]["actor"], &ended["events"][0]["detail"]), (&json!(root), &json!("all 1")));
}

#[tokio::test]
async fn a_refused_act_is_not_told_as_done() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let path = format!("/api/v1/users/{}", id_of(&admin, "root").await);
    admin.json(Method::PATCH, &path, json!({"disabled": true})).await;
    admin.delete(&path).await;
    let told = admin.get("/api/v1/audit").await.json();
    assert_eq!(words(&told), ["login"]);
}

#[tokio::test]
async fn the_log_is_read_by_pages_and_filtered() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    for n in 0..5 {
        app.advance(Duration::from_secs(60));
        admin.post("/api/v1/groups", json!({"name": format!("group {n}")})).await;
    }
    let first = admin.get("/api/v1/audit?event=group_created&limit=2").await.json();
    assert_eq!([&first["events"][0]["target"], &first["events"][1]["target"]], ["group 4", "group 3"]);
    let next = first["next"].as_str().unwrap();
    let second = admin.get(&format!("/api/v1/audit?event=group_created&limit=3&before={next}")).await.json();
    assert_eq!((&second["events"][2]["target"], second.get("next")), (&json!("group 0"), None));
    let late = admin.get("/api/v1/audit?since=2026-01-01T00:03:30Z").await.json();
    assert_eq!(words(&late), ["group_created", "group_created"]);
    for bad in ["event=nonsense", "since=yesterday", "account=alice", "before=x"] {
        assert_eq!(admin.get(&format!("/api/v1/audit?{bad}")).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}
