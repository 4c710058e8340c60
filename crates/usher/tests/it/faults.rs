//! What happens when something under the server fails: it refuses, says so, lets nobody in, and goes on afterwards.

use crate::support::app::{PASSWORD, TestApp};
use crate::support::engine::about_the_file;
use crate::support::shelf::{Shelf, url};
use http::{Method, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use usher::accounts::Role;
use usher::gate::{self, Door, Refusal, Shown};
use usher::jobs;
use usher::login::links::{self, Kind};

#[tokio::test]
async fn without_its_database_the_server_lets_nobody_in_and_says_so() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let app = &shelf.app;
    app.account("bob", Role::User).await;
    let (cookie, film) = (alice.cookie("usher").unwrap(), url(&alice, "k.bin").await);
    let tokens = app.tokens("alice").await;
    let access = tokens["access_token"].as_str().unwrap();
    let id: usher::id::AccountId = tokens["account"]["id"].as_str().unwrap().parse().unwrap();
    let (_, script) = crate::support::shelf::personal_token(app, id).await;
    app.app.sessions.forget_all();
    app.app.db.clone().close().await;
    let cx = app.cx();
    for (shown, door) in [
        (Shown { cookie: Some(&cookie), bearer: None }, Door::Page),
        (Shown { cookie: Some(&cookie), bearer: None }, Door::Leave),
        (Shown { cookie: None, bearer: Some(access) }, Door::Own),
        (Shown { cookie: None, bearer: Some(&script) }, Door::Library),
    ] {
        assert_eq!(gate::admit(&cx, shown, door).await.unwrap_err(), Refusal::Unavailable, "{door:?}");
    }
    // A credential that is none is told so without asking anybody.
    let forged = Shown { cookie: Some("forged"), bearer: None };
    assert_eq!(gate::admit(&cx, forged, Door::Page).await.unwrap_err(), Refusal::Invalid);
    for path in ["/library", "/account", "/api/v1/me", "/api/v1/buckets", "/api/v1/session/data", film.as_str()] {
        let answer = alice.get(path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {}", answer.text());
        assert!(!answer.header("retry-after").is_empty(), "{path}");
        assert!(
            !answer.text().to_lowercase().contains("sql") && !answer.text().contains("closed"),
            "{path}: {}",
            answer.text()
        );
    }
    for (path, body) in [
        ("/api/v1/login", json!({"username": "bob", "password": PASSWORD})),
        ("/api/v1/login", json!({"username": "nobody", "password": PASSWORD})),
        ("/api/v1/refresh", json!({"refresh_token": tokens["refresh_token"]})),
        ("/api/v1/logout", json!({"refresh_token": tokens["refresh_token"]})),
    ] {
        let answer = app.anonymous().post(path, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{path}");
        assert_eq!(answer.header("set-cookie"), "", "{path}");
    }
    let out = alice.form("/logout", &[]).await;
    assert_eq!((out.status, out.header("set-cookie")), (StatusCode::SERVICE_UNAVAILABLE, ""), "not told as a logout");
    // What needs no database is served.
    for path in ["/login", "/oauth/jwks", "/openapi.json"] {
        assert_eq!(app.anonymous().get(path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_else_holds_locked_is_503_and_then_served_again() {
    if about_the_file() {
        return;
    }
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tokens = app.tokens("alice").await;
    let other = rusqlite::Connection::open(app.folder().join("usher.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let program = app.anonymous();
    let login = program.post("/api/v1/login", json!({"username": "alice", "password": PASSWORD}));
    let refresh = program.post("/api/v1/refresh", json!({"refresh_token": tokens["refresh_token"]}));
    let logout = alice.form("/logout", &[]);
    // Reads go on while the writes wait for the lock.
    let (login, refresh, logout, me) = tokio::join!(login, refresh, logout, alice.get("/api/v1/me"));
    assert_eq!(me.status, StatusCode::OK);
    for (what, answer) in [("login", login), ("refresh", refresh), ("logout", logout)] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{what}: {}", answer.text());
        assert!(!answer.header("retry-after").is_empty() && answer.header("set-cookie").is_empty(), "{what}");
    }
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK, "a logout that failed ended nothing");
    other.execute_batch("ROLLBACK").unwrap();
    let again = app.anonymous().post("/api/v1/refresh", json!({"refresh_token": tokens["refresh_token"]})).await;
    assert_eq!(again.status, StatusCode::OK, "the token was not used up");
    assert_eq!(alice.form("/logout", &[]).await.status, StatusCode::OK);
    assert_eq!(alice.get("/login").await.status, StatusCode::OK);
}

/// How many rows each table has that grows by itself.
fn rows(app: &TestApp) -> BTreeMap<&'static str, i64> {
    let count = |table: &'static str| (table, app.count(&format!("SELECT count(*) FROM {table}")));
    let tables = ["sessions", "session_data", "links", "personal_tokens", "login_failures", "audit_events", "changes"];
    tables.into_iter().chain(["known_devices"]).map(count).collect()
}

/// What is left after the jobs had their turn.
async fn swept(app: &TestApp) -> BTreeMap<&'static str, i64> {
    // What one job ends another removes, whichever comes first.
    jobs::once(&app.app).await;
    jobs::once(&app.app).await;
    rows(app)
}

#[tokio::test]
async fn whatever_grows_by_itself_is_swept_when_its_time_is_over_and_not_before() {
    const DAY: Duration = Duration::from_secs(86_400);
    let app = TestApp::with(|config| {
        let rule = usher::config::Retention { prefix: "kept/".to_owned(), retain: usher::config::Retain::Days(10) };
        config.sessions.data.push(rule);
        config.throttle.per_address = 1_000;
        config.throttle.per_network = 1_000;
    })
    .await;
    let alice = app.member("alice").await;
    for key in ["gone/a", "kept/b"] {
        let put = alice.json(Method::PUT, &format!("/api/v1/session/data/{key}"), json!({"at": 1})).await;
        assert_eq!(put.status, StatusCode::NO_CONTENT);
    }
    let made = alice.post("/api/v1/me/tokens", json!({"name": "x", "scopes": ["media"], "expires_days": 1})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    for n in 0..300 {
        app.anonymous().post("/api/v1/login", json!({"username": format!("guess {n}"), "password": "x"})).await;
    }
    links::make(&app.cx(), Kind::Invite, None, "").await.unwrap();
    assert_eq!(app.logged_in("alice").await.form("/logout", &[]).await.status, StatusCode::OK);
    let before = rows(&app);
    assert!(before.values().all(|count| *count > 0), "{before:?}");
    assert_eq!(swept(&app).await, before, "nothing is old, so nothing goes");
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK);

    // Beyond the idle time the session ends, and its data by its rule; failures are forgotten.
    app.advance(31 * DAY);
    let left = swept(&app).await;
    assert_eq!((left["login_failures"], left["session_data"], left["sessions"]), (0, 1, 1), "{left:?}");
    assert_eq!((left["links"], left["personal_tokens"]), (1, 1), "a month after their end, not at it");
    app.advance(11 * DAY);
    let left = swept(&app).await;
    assert_eq!((left["session_data"], left["personal_tokens"], left["links"]), (0, 0, 0), "{left:?}");
    assert_eq!((left["sessions"], left["changes"]), (1, 0), "{left:?}");
    app.advance(40 * DAY);
    let left = swept(&app).await;
    assert_eq!((left["sessions"], left["known_devices"]), (0, 2), "a browser is known for 400 days");
    assert!(left["audit_events"] > 300, "events are kept for a year: {left:?}");
    app.advance(400 * DAY);
    let mut left = swept(&app).await;
    // What the jobs themselves did just now is told: the signing key was due.
    assert_eq!((left.remove("audit_events"), left.remove("changes")), (Some(1), Some(1)));
    assert!(left.values().all(|count| *count == 0), "{left:?}");
}
