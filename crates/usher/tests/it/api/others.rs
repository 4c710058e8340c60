//! What is not one's own: other people's ids at every operation, credentials that a door does not take, and words
//! that would mean something to a database.

use crate::headers::{filled, operations};
use crate::support::app::{Actor, PASSWORD, TestApp};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use usher::accounts::{Buckets, Role};
use usher::login::links::{self, Kind};
use usher::tokens::personal::{NewPersonalToken, Scope};

/// Operations at which nobody is asked who they are.
const OPEN: [(&str, &str); 8] = [
    ("POST", "/api/v1/login"),
    ("POST", "/api/v1/login/passkey"),
    ("POST", "/api/v1/login/passkey/options"),
    ("POST", "/api/v1/refresh"),
    ("POST", "/api/v1/logout"),
    ("POST", "/token"),
    ("POST", "/oauth/device_authorization"),
    ("POST", "/oauth/token"),
];

fn is_open(method: &Method, path: &str) -> bool {
    OPEN.contains(&(method.as_str(), path))
}

/// Operations of one's own account, which a script's token never enters.
fn is_own(method: &Method, path: &str) -> bool {
    path.starts_with("/api/v1/me/")
        || path.starts_with("/api/v1/session/")
        || path == "/api/v1/me" && method != Method::GET
}

#[tokio::test]
async fn every_operation_asks_who_is_there_but_those_that_say_so() {
    let app = TestApp::new().await;
    let root = app.account_with("root", Role::Admin, Buckets::Every, PASSWORD).await;
    let tokens = app.tokens("root").await;
    let cx = app.cx();
    let new = NewPersonalToken::draw(&cx, root, "script", Scope::ALL.to_vec(), None);
    let (script, row) = (new.plain.expose().to_owned(), new.row());
    cx.write("test.token", async move |tx| row.insert(tx).await).await.unwrap();
    let holding = |name: &str| app.anonymous().bearing(tokens[name].as_str().unwrap());
    let mut asked = 0;
    for (method, path) in operations(&app).await {
        if is_open(&method, &path) {
            continue;
        }
        for (who, actor) in [
            ("a stranger", app.anonymous()),
            ("a browser", app.browser()),
            ("a media token", holding("media_token")),
            ("a refresh token", holding("refresh_token")),
            ("a session's id", app.anonymous().bearing(tokens["session"]["id"].as_str().unwrap())),
        ] {
            let answer = actor.json(method.clone(), &path, json!({})).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{who} at {method} {path}: {}", answer.text());
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{who} at {method} {path}");
        }
        let answer = app.anonymous().bearing(&script).json(method.clone(), &path, json!({})).await;
        let refused = answer.status == StatusCode::UNAUTHORIZED;
        assert_eq!(refused, is_own(&method, &path), "a script at {method} {path}: {}", answer.text());
        asked += 1;
    }
    assert!(asked > 35, "{asked}");
    assert_eq!(holding("access_token").get("/api/v1/me").await.status, StatusCode::OK, "nothing was ended by it");
}

/// The ids of everything that `alice` has, as an admin and she herself can learn them.
async fn belongings(app: &TestApp, alice: &Actor, account: usher::id::AccountId) -> BTreeSet<String> {
    let put = alice.json(Method::PUT, "/api/v1/session/data/notes/a", json!("hers")).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT);
    let token = alice.post("/api/v1/me/tokens", json!({"name": "x", "scopes": ["media"]})).await.json();
    let sessions = alice.get("/api/v1/me/sessions").await.json();
    let link = links::make(&app.cx(), Kind::Reset, Some(account), "").await.unwrap();
    let ids = [&token["token"]["id"], &sessions["sessions"][0]["id"]];
    let mut all: BTreeSet<String> = ids.into_iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    all.insert(account.to_string());
    all.insert(link.link.id.to_string());
    assert_eq!(all.len(), 4);
    all
}

#[tokio::test]
async fn somebody_elses_real_ids_lead_nowhere_at_any_operation() {
    let app = TestApp::new().await;
    let account = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    let theirs = belongings(&app, &alice, account).await;
    let mallory = app.member("mallory").await;
    let placeholder = filled("{id}");
    let mut tried = 0;
    for (method, path) in operations(&app).await {
        // A key of one's own session data is no id of somebody else's thing.
        if !path.contains(&placeholder) || path.starts_with("/api/v1/session/data/") {
            continue;
        }
        for id in &theirs {
            let path = path.replace(&placeholder, id);
            for body in [json!({}), json!({"role": "admin", "disabled": true})] {
                let answer = mallory.json(method.clone(), &path, body).await;
                assert!(
                    matches!(answer.status.as_u16(), 403 | 404),
                    "{method} {path}: {} {}",
                    answer.status,
                    answer.text()
                );
                assert!(!answer.text().contains("hers"), "{method} {path}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
    for form in ["/account/sessions/ID/end", "/account/tokens/ID/revoke", "/admin/accounts/ID/delete"] {
        for id in &theirs {
            let status = mallory.form(&form.replace("ID", id), &[("username", "alice")]).await.status;
            assert!(matches!(status.as_u16(), 403 | 404), "{form} with {id}: {status}");
        }
    }
    assert_eq!(alice.get("/api/v1/session/data/notes/a").await.json(), "hers");
    assert_eq!(alice.get("/api/v1/me").await.json()["role"], "user");
    assert_eq!(alice.get("/api/v1/me/tokens").await.json()["tokens"].as_array().unwrap().len(), 1);
}

/// Texts that end a quotation, stand for others, or are statements.
const WORDS: [&str; 12] =
    ["'", "''", "\"", "%", "_", "!", "' OR '1'='1", "'; DROP TABLE accounts; --", "alice' --", "\\", "a%", "\u{0}x"];

#[tokio::test]
async fn a_search_finds_its_words_to_the_letter() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    for name in ["alice", "100%", "under_score", "o'brien", "bang!", "back\\slash"] {
        app.account(name, Role::User).await;
    }
    let found = |answer: Value| -> Vec<String> {
        answer["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect()
    };
    for word in WORDS {
        let query = percent_encoding::utf8_percent_encode(word, percent_encoding::NON_ALPHANUMERIC).to_string();
        let answer = admin.get(&format!("/api/v1/users?q={query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{word:?}: {}", answer.text());
        let names = found(answer.json());
        assert!(names.iter().all(|name| name.contains(word)), "{word:?} found {names:?}");
        let page = admin.get(&format!("/admin/accounts?q={query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{word:?}");
    }
    assert_eq!(found(admin.get("/api/v1/users?q=%25").await.json()), ["100%"]);
    assert_eq!(found(admin.get("/api/v1/users?q=_").await.json()), ["under_score"]);
    assert_eq!(found(admin.get("/api/v1/users?q=%27").await.json()), ["o'brien"]);
}

#[tokio::test]
async fn words_of_a_database_are_no_parameter_anywhere() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    let before = admin.get("/api/v1/users?limit=200").await.text();
    for word in WORDS {
        let word = percent_encoding::utf8_percent_encode(word, percent_encoding::NON_ALPHANUMERIC).to_string();
        for path in [
            format!("/api/v1/users?after={word}"),
            format!("/api/v1/users?limit={word}"),
            format!("/api/v1/users/{word}"),
            format!("/api/v1/users/{word}/sessions"),
            format!("/api/v1/groups/{word}"),
            format!("/api/v1/audit?event={word}"),
            format!("/api/v1/audit?account={word}"),
            format!("/api/v1/audit?since={word}"),
            format!("/api/v1/audit?before={word}"),
            format!("/api/v1/sessions/{word}/data"),
            format!("/api/v1/me/sessions/{word}/data"),
            format!("/api/v1/session/data/{word}"),
            format!("/api/v1/buckets/{word}/entries"),
            format!("/admin/audit?event={word}&account={word}&since={word}"),
        ] {
            let status = admin.get(&path).await.status;
            let refused = matches!(status.as_u16(), 400 | 404 | 422) || path.starts_with("/admin/audit");
            assert!(refused && !status.is_server_error(), "{path}: {status}");
        }
    }
    assert_eq!(admin.get("/api/v1/users?limit=200").await.text(), before);
}
