//! Guessing at passwords: one count for all ways in, what takes it away, and who is not disturbed by it.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::together::at_once;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use usher::accounts::{Role, Standing};
use usher::login::links::{self, Kind};

const NEW: &str = "harbor-lantern-quince-58";

/// Every way in which a password is asked for: by name at the door, or once more from somebody who is logged in.
const WAYS: [&str; 11] = [
    "page",
    "api",
    "api with cookie",
    "token",
    "password change",
    "password page",
    "email",
    "personal token",
    "personal token page",
    "reauthenticate",
    "profile page",
];

async fn guess(app: &TestApp, alice: &Actor, way: &str, password: &str) -> Answer {
    let form = [("username", "alice"), ("password", password)];
    let login = json!({"username": "alice", "password": password});
    match way {
        "page" => app.browser().form("/login", &form).await,
        "api" => app.anonymous().post("/api/v1/login", login).await,
        "api with cookie" => {
            let body = json!({"username": "ALICE", "password": password, "cookie": true});
            app.anonymous().post("/api/v1/login", body).await
        }
        "token" => app.anonymous().form("/token", &form).await,
        "password change" => alice.post("/api/v1/me/password", json!({"current": password, "password": NEW})).await,
        "password page" => {
            let fields = [("current", password), ("password", NEW), ("password2", NEW)];
            alice.form("/account/password", &fields).await
        }
        "email" => {
            let body = json!({"email": "a@example.org", "password": password});
            alice.json(Method::PATCH, "/api/v1/me", body).await
        }
        "reauthenticate" => alice.post("/api/v1/me/reauthenticate", json!({"password": password})).await,
        "profile page" => {
            let fields = [("display_name", ""), ("email", "b@example.org"), ("confirm", password)];
            alice.form("/account/profile", &fields).await
        }
        "personal token" => {
            let body = json!({"name": "x", "scopes": ["media"], "password": password});
            alice.post("/api/v1/me/tokens", body).await
        }
        _ => {
            let fields = [("name", "x"), ("scopes", "media"), ("expires_days", "9"), ("confirm", password)];
            alice.form("/account/tokens", &fields).await
        }
    }
}

#[tokio::test]
async fn every_place_that_takes_a_password_counts_in_one_and_waits_for_one() {
    for counted in WAYS {
        let app = TestApp::new().await;
        let alice = app.member("alice").await;
        // Her session without what makes her browser known, which would have a count of its own.
        let alice = alice.with_cookie("usher", &alice.cookie("usher").unwrap());
        for _ in 0..5 {
            guess(&app, &alice, counted, "a wrong guess").await;
        }
        for way in WAYS {
            let answer = guess(&app, &alice, way, PASSWORD).await;
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{way} after guesses by {counted}");
        }
        app.advance(Duration::from_secs(1));
        assert!(guess(&app, &alice, "api", PASSWORD).await.status.is_success(), "after the wait, {counted}");
    }
}

#[tokio::test]
async fn after_a_hundred_failures_the_password_is_of_no_use_until_it_is_reset() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let live = app.logged_in("alice").await;
    app.account("mallory", Role::User).await;
    let mut judged = 0;
    while judged < 100 {
        let spelling = ["alice", "Alice", "ALICE", "ａｌｉｃｅ"][judged % 4];
        let request = Request::builder().method(Method::POST).uri("/api/v1/login").header(HOST, "localhost");
        let request = request.header(CONTENT_TYPE, "application/json");
        // Whatever the guesser says of its address, and whoever else logs in from there.
        let request =
            request.header("x-forwarded-for", format!("203.0.113.{judged}")).header("x-real-ip", "203.0.113.9");
        let body = json!({"username": spelling, "password": format!("guess {judged}")}).to_string();
        let answer = app.anonymous().send(request.body(body.into()).unwrap()).await;
        assert!(matches!(answer.status.as_u16(), 401 | 429), "{}", answer.status);
        judged += 1;
        if judged % 10 == 0 {
            app.logged_in("mallory").await;
        }
        // As long as any wait but the last.
        app.advance(Duration::from_secs(15 * 60));
    }
    let body = json!({"username": "alice", "password": PASSWORD});
    for days in [0, 1, 2, 400] {
        app.advance(Duration::from_secs(days * 86_400));
        let right = app.anonymous().post("/api/v1/login", body.clone()).await;
        assert_eq!((right.status, right.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "86400"), "{days}");
        if days == 0 {
            assert_eq!(live.get("/api/v1/me").await.status, StatusCode::OK, "the live session is not touched");
        }
    }
    let link = links::make(&app.cx(), Kind::Reset, Some(id), "").await.unwrap();
    let owner = app.browser();
    owner.get(&link.path).await;
    assert_eq!(owner.form("/reset", &[("password", NEW), ("password2", NEW)]).await.status, StatusCode::SEE_OTHER);
    let body = json!({"username": "alice", "password": NEW});
    assert_eq!(app.anonymous().post("/api/v1/login", body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn unknown_wrong_and_disabled_are_told_alike_at_every_door_and_cost_alike() {
    let app = TestApp::with(|config| config.throttle.free_attempts = 50).await;
    app.account("alice", Role::User).await;
    let gone = app.account("carol", Role::User).await;
    let standing = Standing::Disabled { at: app.clock.now() };
    let now = app.clock.now();
    let disable = async move |tx: &mut usher_db::Tx| usher::accounts::set_standing(tx, gone, standing, now).await;
    app.cx().write("test.disable", disable).await.unwrap().unwrap();
    for way in ["page", "api", "token"] {
        let mut told = BTreeSet::new();
        for (name, password) in [("nobody", PASSWORD), ("alice", "not the password"), ("carol", PASSWORD)] {
            let before = app.app.hasher.stats().done;
            let form = [("username", name), ("password", password)];
            let mut answer = match way {
                "page" => app.browser().form("/login", &form).await,
                "token" => app.anonymous().form("/token", &form).await,
                _ => app.anonymous().post("/api/v1/login", json!({"username": name, "password": password})).await,
            };
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{way} {name}");
            assert_eq!(app.app.hasher.stats().done - before, 1, "{way} {name}: one hash, whoever it is");
            answer.headers.remove("x-request-id");
            // The page gives the name back that was typed, and nothing else differs.
            let body = answer.text().replace(&format!("value=\"{name}\""), "value=\"\"");
            let mut headers: Vec<_> = answer.headers.iter().map(|field| format!("{field:?}")).collect();
            headers.retain(|field| !field.contains("content-length"));
            told.insert((headers, body));
        }
        assert_eq!(told.len(), 1, "{way}: {told:#?}");
    }
}

#[tokio::test]
async fn three_hundred_people_behind_one_address_log_in_amid_a_hundred_wrong_guesses() {
    let app = TestApp::new().await;
    let hash = app.app.hasher.hash(zeroize::Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
    for n in 0..300 {
        enrol(&app, &format!("student {n}"), &hash).await;
    }
    for n in 0..100 {
        app.anonymous().post("/api/v1/login", json!({"username": format!("guess {n}"), "password": "wrong"})).await;
    }
    for class in 0..5 {
        let statuses = at_once(60, |n| {
            let browser = app.browser();
            let name = format!("student {}", class * 60 + n);
            async move { browser.form("/login", &[("username", &name), ("password", PASSWORD)]).await.status }
        })
        .await;
        assert!(statuses.iter().all(|status| *status == StatusCode::SEE_OTHER), "class {class}: {statuses:?}");
    }
}

/// Makes an account whose password is hashed already.
async fn enrol(app: &TestApp, name: &str, hash: &str) {
    let new = usher::accounts::NewAccount {
        id: usher::id::AccountId::new(app.clock.now(), &app.app.rng),
        username: usher::accounts::username::Username::parse(name).unwrap(),
        password: Some(hash.to_owned()),
        role: Role::User,
        buckets: usher::accounts::Buckets::None,
        must_change: false,
    };
    let now = app.clock.now();
    let make = async move |tx: &mut usher_db::Tx| usher::accounts::create(tx, &new, now).await;
    app.cx().write("test.enrol", make).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_logins_than_can_be_hashed_are_told_to_come_back_and_the_rest_is_served() {
    let app = TestApp::with(|config| {
        config.accounts.hash.memory_kib = 32_768;
        config.accounts.hash.passes = 3;
        config.accounts.hash.threads = Some(1);
        config.accounts.hash.queue = 2;
        config.throttle.per_address = 1_000;
        config.throttle.per_network = 1_000;
    })
    .await;
    let alice = app.member("alice").await;
    let answers = at_once(40, |n| {
        let (stranger, alice) = (app.anonymous(), alice.clone());
        async move {
            if n % 4 == 0 {
                let me = alice.get("/api/v1/me").await;
                assert_eq!(me.status, StatusCode::OK, "whoever is in is not held up");
            }
            stranger.post("/api/v1/login", json!({"username": format!("nobody {n}"), "password": "a guess"})).await
        }
    })
    .await;
    let busy: Vec<&Answer> = answers.iter().filter(|answer| answer.status != StatusCode::UNAUTHORIZED).collect();
    assert!(!busy.is_empty(), "forty at once fit into one thread and a queue of two");
    for answer in busy {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    }
    let stats = app.app.hasher.stats();
    assert!(stats.memory_kib <= 32_768 && stats.refused > 0, "{stats:?}");
    app.logged_in("alice").await;
}

#[tokio::test]
async fn sign_ups_are_counted_before_anything_is_hashed_for_them() {
    let app = TestApp::with(|config| {
        config.accounts.signup = usher::config::Signup::Open;
        config.throttle.signups_per_address = 2;
    })
    .await;
    let sign_up = |name: &str| {
        let (browser, name) = (app.browser(), name.to_owned());
        async move {
            let fields = [("username", name.as_str()), ("password", NEW), ("password2", NEW)];
            browser.form("/signup", &fields).await.status
        }
    };
    for name in ["anna", "berta"] {
        assert_eq!(sign_up(name).await, StatusCode::SEE_OTHER);
    }
    let before = app.app.hasher.stats().done;
    for name in ["carla", "anna"] {
        assert_eq!(sign_up(name).await, StatusCode::TOO_MANY_REQUESTS, "a taken name is told no more either: {name}");
    }
    assert_eq!(app.app.hasher.stats().done, before, "a stranger beyond the limit costs no hash");
}

#[tokio::test]
async fn a_fresh_server_knows_nobody() {
    let app = TestApp::new().await;
    for (name, password) in [("admin", "admin"), ("admin", "password"), ("root", "root"), ("usher", "usher"), ("", "")]
    {
        let answer = app.anonymous().post("/api/v1/login", json!({"username": name, "password": password})).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
    }
    assert!(usher::accounts::list(&app.app.db, "", "", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_flood_of_made_up_names_does_not_fill_the_log_of_events() {
    let app = TestApp::with(|config| config.throttle.per_address = 3).await;
    app.account("alice", Role::User).await;
    let guess = |name: String| {
        let stranger = app.anonymous();
        async move { stranger.post("/api/v1/login", json!({"username": name, "password": "wrong"})).await.status }
    };
    for n in 0..3 {
        assert_eq!(guess(format!("nobody {n}")).await, StatusCode::UNAUTHORIZED);
    }
    let flood = at_once(12, |n| guess(if n == 0 { "alice".to_owned() } else { format!("made up {n}") })).await;
    assert!(flood.iter().all(|status| *status == StatusCode::UNAUTHORIZED), "{flood:?}");
    let filter = usher::audit::Filter { event: Some("login".to_owned()), ..Default::default() };
    let told = usher::audit::list(&app.app.db, &filter, 100).await.unwrap();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told.iter().filter(|event| event.target == "alice").count(), 1, "a guess at an account is always told");
}

#[tokio::test]
async fn an_admin_forgives_and_the_owner_is_in_at_once() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    let owner = || async {
        let body = json!({"username": "alice", "password": PASSWORD});
        app.anonymous().post("/api/v1/login", body).await.status
    };
    for way in ["api", "page", "command"] {
        for _ in 0..6 {
            let body = json!({"username": "alice", "password": "a wrong guess"});
            app.anonymous().post("/api/v1/login", body).await;
            app.advance(Duration::from_secs(1));
        }
        assert_eq!(owner().await, StatusCode::TOO_MANY_REQUESTS, "{way}");
        let page = admin.get(&format!("/admin/accounts/{id}")).await.text();
        assert!(page.contains("Wrong passwords") && page.contains("6 in a row"), "{way}: {page}");
        match way {
            "api" => {
                let answer = admin.post(&format!("/api/v1/users/{id}/forgive"), json!({})).await;
                assert_eq!(answer.status, StatusCode::NO_CONTENT);
            }
            "page" => {
                let answer = admin.form(&format!("/admin/accounts/{id}/forgive"), &[]).await;
                assert_eq!(answer.status, StatusCode::SEE_OTHER);
            }
            _ => {
                let command = usher::cli::commands::Command::UserForgive { name: "Alice".to_owned() };
                let said = usher::cli::commands::run(&app.app, command).await.unwrap();
                assert!(said.text.contains("6 wrong passwords"), "{}", said.text);
            }
        }
        assert_eq!(owner().await, StatusCode::OK, "{way}");
        assert!(!admin.get(&format!("/admin/accounts/{id}")).await.text().contains("Wrong passwords"), "{way}");
    }
    let filter = usher::audit::Filter { event: Some("account_changed".to_owned()), ..Default::default() };
    let told = usher::audit::list(&app.app.db, &filter, 10).await.unwrap();
    assert_eq!(told.len(), 3);
    assert!(
        told.iter().all(|event| event.account == Some(id) && event.detail == "failed logins forgotten"),
        "{told:?}"
    );
    assert_eq!(told.iter().filter(|event| event.actor.is_some()).count(), 2, "the command has no account");
}
