//! `/api/v1/audit`: what happened, newest first, by filter.

use super::users::id_of;
use crate::support::app::{PASSWORD, TestApp};
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

/// One event as the API tells it, without what differs from run to run.
fn told(event: &Value) -> (String, String, String) {
    let field = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    (field("event"), field("result"), field("detail"))
}

#[tokio::test]
async fn everything_that_happens_at_the_door_and_to_one_s_own_account_is_told_once() {
    let app = TestApp::with(|config| config.accounts.signup = usher::config::Signup::Invite).await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    // What was told since the last look, oldest first; each with who, from where, when, and for which request.
    let mut seen = 0;
    let mut news = async |what: &str, account: &str| {
        app.advance(Duration::from_secs(1));
        let all = admin.get("/api/v1/audit?limit=200").await.json()["events"].as_array().unwrap().clone();
        let fresh: Vec<Value> = all.iter().take(all.len() - seen).rev().cloned().collect();
        seen = all.len();
        for event in &fresh {
            assert_eq!(event["account"], json!(account), "{what}: {event}");
            assert_eq!(event["address"], "192.0.2.10", "{what}: {event}");
            assert!(event["at"].as_str().unwrap().ends_with('Z') && event["request"].as_str().unwrap().len() == 16);
        }
        fresh.iter().map(told).collect::<Vec<_>>()
    };
    let account = id.to_string();
    let one = |event: &str, result: &str, detail: &str| vec![(event.to_owned(), result.to_owned(), detail.to_owned())];
    news("the admin's own login", &id_of(&admin, "root").await).await;

    let alice = app.logged_in("alice").await;
    assert_eq!(news("login", &account).await, one("login", "done", "pwd"));
    let tokens = app.tokens("alice").await;
    assert_eq!(news("login by program", &account).await, one("login", "done", "pwd"));
    let first = json!({"refresh_token": tokens["refresh_token"]});
    let second = app.anonymous().post("/api/v1/refresh", first.clone()).await.json();
    assert_eq!(news("a refresh", &account).await, [], "an hourly refresh of everybody would bury the rest");
    app.advance(Duration::from_secs(31));
    assert_eq!(app.anonymous().post("/api/v1/refresh", first).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(news("a replay", &account).await, one("refresh_replayed", "refused", ""));
    assert!(second["refresh_token"].is_string());

    let made = alice.post("/api/v1/me/tokens", json!({"name": "x", "scopes": ["media"]})).await.json();
    assert_eq!(news("a token", &account).await, one("personal_token_created", "done", "media"));
    let path = format!("/api/v1/me/tokens/{}", made["token"]["id"].as_str().unwrap());
    assert_eq!(alice.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(news("its end", &account).await, one("personal_token_revoked", "done", ""));
    alice.json(Method::PATCH, "/api/v1/me", json!({"display_name": "Al"})).await;
    assert_eq!(news("a name", &account).await, one("account_changed", "done", "display name"));
    alice.json(Method::PATCH, "/api/v1/me", json!({"email": "a@example.org"})).await;
    assert_eq!(news("an address", &account).await, one("account_changed", "done", "email"));
    let tablet = app.logged_in("alice").await;
    news("another login", &account).await;
    assert_eq!(alice.post("/api/v1/me/sessions/end-others", json!({})).await.status, StatusCode::OK);
    assert_eq!(news("ending the others", &account).await, one("session_ended", "done", "revoked"));
    assert_eq!(tablet.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    let change = json!({"current": PASSWORD, "password": "harbor-quilt-marble-52"});
    assert_eq!(alice.post("/api/v1/me/password", change).await.status, StatusCode::NO_CONTENT);
    assert_eq!(news("a password", &account).await, one("password_changed", "done", "own"));
    assert_eq!(alice.form("/logout", &[]).await.status, StatusCode::OK);
    assert_eq!(news("logout", &account).await, one("logout", "done", ""));
    alice.form("/logout", &[]).await;
    assert_eq!(news("a second logout", &account).await, [], "nothing happened, so nothing is told");

    // A refused login names the account it was for, if there is one, and nobody as who did it.
    app.anonymous().post("/api/v1/login", json!({"username": "ALICE", "password": "wrong"})).await;
    // Events of one millisecond have no order among themselves.
    app.advance(Duration::from_secs(1));
    app.anonymous().post("/api/v1/login", json!({"username": "my secret word", "password": "wrong"})).await;
    let refused = admin.get("/api/v1/audit?event=login&limit=2").await.json();
    for (event, target) in refused["events"].as_array().unwrap().iter().zip(["", "alice"]) {
        assert_eq!(told(event), ("login".to_owned(), "refused".to_owned(), "pwd".to_owned()));
        assert_eq!(
            (&event["target"], &event["actor"], &event["session"]),
            (&json!(target), &Value::Null, &Value::Null)
        );
    }
    assert!(!admin.get("/api/v1/audit?limit=200").await.text().contains("secret word"));
}

#[tokio::test]
async fn the_whole_log_is_exported_as_lines_for_spreadsheets_and_for_programs() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let cx = app.cx();
    for n in 0..1_203 {
        let entry = usher::audit::Entry::new(&cx, usher::audit::Event::GroupCreated, usher::audit::Outcome::Done);
        let entry = entry.target(if n == 7 { "=1+1, \"quoted\"".to_owned() } else { format!("group {n}") });
        cx.write("test.event", async move |tx| entry.record(tx).await).await.unwrap();
    }
    let csv = admin.get("/api/v1/audit/export?format=csv&event=group_created").await;
    assert_eq!((csv.status, csv.header("content-type")), (StatusCode::OK, "text/csv; charset=utf-8"));
    assert!(csv.header("content-disposition").contains("attachment"));
    let text = csv.text();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!((lines.len(), lines[1_204]), (1_205, ""), "a head, every event, and the end of the last line");
    assert!(lines[0].starts_with("id,at,event,result,") && lines[1].contains(",group 1202,"), "{}", lines[1]);
    assert!(text.contains(",\"'=1+1, \"\"quoted\"\"\","), "no cell is a formula");

    let jsonl = admin.get("/api/v1/audit/export?format=jsonl").await;
    let text = jsonl.text();
    let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 1_204, "the admin's login too");
    let ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "each once, newest first");
    for wrong in ["format=xml", "", "format=csv&event=nothing", "format=csv&since=yesterday"] {
        let status = admin.get(&format!("/api/v1/audit/export?{wrong}")).await.status;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let page = admin.get("/admin/audit?event=group_created").await.text();
    assert!(page.contains("/api/v1/audit/export?format=csv&#38;event=group_created"), "{page}");
}
