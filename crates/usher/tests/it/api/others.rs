//! What is not one's own: other people's ids at every operation, credentials that a door does not take, and words
//! that would mean something to a database.

use crate::headers::{filled, operations};
use crate::support::app::{Actor, PASSWORD, TestApp};
use crate::support::authenticator::enrol;
use crate::support::soft_key::registered;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use usher::accounts::{Buckets, Role};
use usher::config::Signup;
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

/// Everything that can be one's own, for `alice`: a session with data, tokens, factors, links, a group, an invitation that
/// gives it, a device that asks.
async fn belongings(app: &TestApp, alice: &Actor, account: usher::id::AccountId) {
    let put = alice.json(Method::PUT, "/api/v1/session/data/notes/a", json!("hers")).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT);
    let token = alice.post("/api/v1/me/tokens", json!({"name": "x", "scopes": ["media"]})).await;
    assert_eq!(token.status, StatusCode::CREATED);
    let secret = json!({"secret": "velvet-harbor-91"});
    let put = alice.json(Method::PUT, "/api/v1/me/signed-header", secret).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT, "{}", put.text());
    registered(alice, "Phone").await;
    enrol(app, alice).await;
    for kind in [Kind::Reset, Kind::Recover, Kind::Verify] {
        links::make(&app.cx(), kind, Some(account), "").await.unwrap();
    }
    let root = app.admin("root").await;
    let group = root.post("/api/v1/groups", json!({"name": "Family"})).await.json();
    let member = format!("/api/v1/groups/{}/members/{account}", group["id"].as_str().unwrap());
    assert_eq!(root.json(Method::PUT, &member, json!({})).await.status, StatusCode::NO_CONTENT);
    let invite = root.post("/api/v1/invites", json!({"groups": ["Family"]})).await;
    assert_eq!(invite.status, StatusCode::CREATED, "{}", invite.text());
    usher::devices::begin(&app.cx(), usher::devices::Client::Device, "Television").await.unwrap();
}

/// Every id in the database, whatever it names, and the tables that it stands in.
fn every_id(app: &TestApp) -> BTreeMap<String, BTreeSet<String>> {
    let is_id = |text: &str| text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4;
    let created = usher::schema::MIGRATIONS.iter().flat_map(|migration| migration.sql.split("CREATE TABLE ").skip(1));
    let tables = created.map(|text| text.split_whitespace().next().unwrap());
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for table in tables {
        let rows = app.sql(&format!("SELECT * FROM \"{table}\""));
        for id in rows.into_iter().flatten().flatten().filter(|text| is_id(text)) {
            found.entry(id).or_default().insert(table.to_owned());
        }
    }
    found
}

#[tokio::test]
async fn somebody_elses_real_ids_lead_nowhere_at_any_operation() {
    let app = TestApp::with(|config| {
        config.compat.signed_header = true;
        config.accounts.signup = Signup::Invite;
    })
    .await;
    let account = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    belongings(&app, &alice, account).await;
    let theirs = every_id(&app);
    let tables: BTreeSet<&str> = theirs.values().flatten().map(String::as_str).collect();
    for planted in
        ["accounts", "sessions", "personal_tokens", "passkeys", "totp", "links", "groups", "link_codes", "notices"]
    {
        assert!(tables.contains(planted), "{planted} has no id among {tables:?}");
    }
    let mallory = app.member("mallory").await;
    let program = app.program("mallory").await;
    let placeholder = filled("{id}");
    let mut tried = 0;
    for (method, path) in operations(&app).await {
        // A key of one's own session data is no id of somebody else's thing.
        if !path.contains(&placeholder) || path.starts_with("/api/v1/session/data/") {
            continue;
        }
        for (id, tables) in &theirs {
            let path = path.replace(&placeholder, id);
            let bodies = [json!({}), json!({"role": "admin", "disabled": true, "name": "mine", "required": true})];
            for (actor, body) in [&mallory, &program].into_iter().zip(bodies) {
                let answer = actor.json(method.clone(), &path, body).await;
                let told = format!("{method} {path} ({tables:?}): {} {}", answer.status, answer.text());
                // Somebody else's is not there; of what only admins see, nobody else learns whether it is.
                let refused = match answer.status {
                    StatusCode::NOT_FOUND => true,
                    StatusCode::FORBIDDEN => !path.starts_with("/api/v1/me/"),
                    _ => false,
                };
                assert!(refused, "{told}");
                assert!(!answer.text().contains("hers"), "{told}");
                tried += 1;
            }
        }
    }
    assert!(tried > 1000, "{tried}");
    for form in [
        "/account/sessions/ID/end",
        "/account/tokens/ID/revoke",
        "/account/security/passkeys/ID/name",
        "/account/security/passkeys/ID/remove",
        "/admin/accounts/ID/delete",
        "/admin/groups/ID/delete",
        "/admin/invites/ID/revoke",
    ] {
        for id in theirs.keys() {
            let status = mallory.form(&form.replace("ID", id), &[("username", "alice"), ("name", "mine")]).await.status;
            assert!(matches!(status.as_u16(), 403 | 404), "{form} with {id}: {status}");
        }
    }
    let left = every_id(&app);
    assert!(theirs.keys().all(|id| left.contains_key(id)), "something of theirs is gone");
    assert_eq!(alice.get("/api/v1/session/data/notes/a").await.json(), "hers");
    assert_eq!(alice.get("/api/v1/me").await.json()["role"], "user");
    assert_eq!(alice.get("/api/v1/me/tokens").await.json()["tokens"].as_array().unwrap().len(), 1);
    assert_eq!(alice.get("/api/v1/me/passkeys").await.json()["passkeys"][0]["name"], "Phone");
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
