//! Devices that are known to an account: strangers' guesses do not slow them, and what they hold opens nothing.

use crate::support::app::{Actor, PASSWORD, TestApp};
use crate::support::together::at_once;
use http::StatusCode;
use serde_json::json;
use std::time::Duration;
use usher::accounts::Role;
use usher::login::links::{self, Kind};
use usher::sessions::known::{KEPT, MOST, TRIES};

const NEW: &str = "harbor-lantern-quince-58";
const COOKIE: &str = "usher-device";

async fn try_password(actor: &Actor, name: &str, password: &str) -> StatusCode {
    actor.form("/login", &[("username", name), ("password", password)]).await.status
}

/// Somebody elsewhere guesses until the account is refused there.
async fn guessed_at(app: &TestApp, name: &str) {
    let stranger = app.browser().at_address("203.0.113.66");
    for _ in 0..5 {
        try_password(&stranger, name, "a wrong guess").await;
    }
    assert_eq!(try_password(&stranger, name, PASSWORD).await, StatusCode::TOO_MANY_REQUESTS);
}

/// The browser as it is after its logout, or when somebody copied what makes it known.
fn only_known(app: &TestApp, browser: &Actor) -> Actor {
    app.browser().with_cookie(COOKIE, &browser.cookie(COOKIE).unwrap())
}

/// Whether the browser is known to the account, which is refused to everybody else right now.
async fn is_known(actor: &Actor, name: &str, password: &str) -> bool {
    match try_password(actor, name, password).await {
        StatusCode::SEE_OTHER => true,
        StatusCode::TOO_MANY_REQUESTS => false,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn whoever_guesses_from_elsewhere_does_not_keep_the_owner_out_of_a_known_device() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    owner.form("/logout", &[]).await;
    assert!(owner.cookie("usher").is_none() && owner.cookie(COOKIE).is_some(), "a logout leaves the browser known");
    // As long as it takes, and from the owner's own address as well.
    let stranger = app.browser();
    for n in 0..100 {
        try_password(&stranger, "alice", &format!("guess {n}")).await;
        app.advance(Duration::from_secs(15 * 60));
    }
    assert_eq!(try_password(&stranger, "alice", PASSWORD).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(try_password(&owner, "alice", PASSWORD).await, StatusCode::SEE_OTHER);
    assert_eq!(owner.get("/api/v1/me").await.status, StatusCode::OK);
    let again = try_password(&stranger, "alice", PASSWORD).await;
    assert_eq!(again, StatusCode::TOO_MANY_REQUESTS, "the owner's success gives the guesser no new tries");
    // The API knows the browser too, and so does every act that asks for the password once more.
    let body = json!({"username": "ALICE", "password": PASSWORD, "cookie": true});
    assert_eq!(only_known(&app, &owner).post("/api/v1/login", body).await.status, StatusCode::OK);
    app.advance(Duration::from_secs(600));
    let change = json!({"email": "alice@example.org", "password": PASSWORD});
    let proven = owner.json(http::Method::PATCH, "/api/v1/me", change).await;
    assert_eq!(proven.status, StatusCode::OK, "{}", proven.text());
}

#[tokio::test]
async fn what_a_known_device_holds_is_a_cookie_of_this_host_alone_and_stays_over_a_year() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let browser = app.browser();
    let answer = browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    let lines: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    let line = lines.iter().find(|line| line.starts_with("usher-device=usb_")).unwrap();
    assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=34560000"), "{line}");
    assert!(!line.contains("alice") && !line.contains("Domain"), "{line}");
    let failed = app.browser().form("/login", &[("username", "alice"), ("password", "wrong")]).await;
    assert_eq!(failed.header("set-cookie"), "", "only who proves a password is known");
    let program = app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": PASSWORD})).await;
    assert_eq!(program.header("set-cookie"), "", "a program stays in by its refresh token");
}

#[tokio::test]
async fn what_a_known_device_holds_opens_nothing_and_is_kept_by_its_digest() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let held = owner.cookie(COOKIE).unwrap();
    let thief = only_known(&app, &owner);
    assert_eq!(thief.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    for name in ["usher", "__Host-usher", "__Host-usher-device"] {
        let status = app.browser().with_cookie(name, &held).get("/api/v1/me").await.status;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}");
    }
    assert_eq!(app.anonymous().bearing(&held).get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    let refreshed = app.anonymous().post("/api/v1/refresh", json!({"refresh_token": held})).await;
    assert_eq!(refreshed.status, StatusCode::UNAUTHORIZED);
    assert_eq!(thief.get("/login").await.text(), app.browser().get("/login").await.text(), "it tells nothing");
    for file in std::fs::read_dir(app.folder()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(held.len()).any(|part| part == held.as_bytes()));
    }
}

#[tokio::test]
async fn a_stolen_device_is_worth_a_few_guesses_and_slows_nobody_else() {
    let app = TestApp::with(|config| config.accounts.hash.queue = 1_000).await;
    let owner = app.member("alice").await;
    let elsewhere = app.logged_in("alice").await;
    guessed_at(&app, "alice").await;
    let thief = only_known(&app, &owner);
    let before = app.app.hasher.stats().done;
    let mut refused = 0;
    for n in 0..200 {
        let status = try_password(&thief, "alice", &format!("guess {n}")).await;
        refused += usize::from(status == StatusCode::TOO_MANY_REQUESTS);
        // Long enough for the waits of the first guesses, too short for later ones; the account stays refused to others.
        app.advance(Duration::from_millis(900));
        if n == 8 {
            assert!(
                is_known(&only_known(&app, &elsewhere), "alice", PASSWORD).await,
                "the other device has its own count"
            );
        }
        guess_on(&app).await;
    }
    let judged = i64::try_from(app.app.hasher.stats().done - before).unwrap();
    assert!(refused > 150 && judged < TRIES + 20, "{refused} refused, {judged} judged");
}

/// Keeps the account refused to strangers, whatever time passes.
async fn guess_on(app: &TestApp) {
    let body = json!({"username": "alice", "password": "another wrong guess"});
    app.anonymous().at_address("203.0.113.67").post("/api/v1/login", body).await;
}

#[tokio::test]
async fn a_device_at_which_too_much_was_guessed_is_known_no_more() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let thief = only_known(&app, &owner);
    for n in 0..TRIES {
        let status = try_password(&thief, "alice", &format!("guess {n}")).await;
        assert!(matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS), "{n}: {status}");
        app.advance(Duration::from_secs(15 * 60));
    }
    guessed_at(&app, "alice").await;
    assert!(!is_known(&thief, "alice", PASSWORD).await);
    let owner = only_known(&app, &owner);
    assert!(!is_known(&owner, "alice", PASSWORD).await, "the owner's copy neither");
}

#[tokio::test]
async fn guesses_at_a_known_device_are_forgotten_by_its_own_success() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    guessed_at(&app, "alice").await;
    for _ in 0..10 {
        for _ in 0..4 {
            assert_eq!(try_password(&owner, "alice", "a slip").await, StatusCode::UNAUTHORIZED);
        }
        assert!(is_known(&owner, "alice", PASSWORD).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_that_come_to_a_known_device_together_are_no_more_than_its_free_ones() {
    let app = TestApp::with(|config| config.accounts.hash.queue = 1_000).await.twin().await;
    let owner = app.member("alice").await;
    let thief = only_known(&app, &owner);
    let before = app.app.hasher.stats().done;
    let statuses = at_once(32, |n| {
        let thief = thief.clone();
        async move { try_password(&thief, "alice", &format!("guess {n}")).await }
    })
    .await;
    let judged = app.app.hasher.stats().done - before;
    assert!(judged <= 5, "{judged} of 32 were judged: {statuses:?}");
}

#[tokio::test]
async fn a_device_is_known_to_the_accounts_that_proved_a_password_there_and_to_no_other() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let mallory = app.member("mallory").await;
    guessed_at(&app, "alice").await;
    assert!(!is_known(&mallory, "alice", PASSWORD).await, "mallory's browser is not alice's");
    app.advance(Duration::from_secs(5));

    // A family's browser: each of them is known there.
    let shared = app.logged_in("alice").await;
    assert_eq!(try_password(&shared, "mallory", PASSWORD).await, StatusCode::SEE_OTHER);
    for name in ["alice", "mallory"] {
        guessed_at(&app, name).await;
        assert!(is_known(&shared, name, PASSWORD).await, "{name}");
    }
}

#[tokio::test]
async fn what_somebody_planted_in_a_browser_is_not_what_makes_it_known() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let mallory = app.member("mallory").await;
    let planted = mallory.cookie(COOKIE).unwrap();
    let made_up = usher::secret::Plain::mint(usher::secret::Kind::Known, &app.app.rng);
    for value in [planted.as_str(), made_up.expose()] {
        let victim = app.browser().with_cookie(COOKIE, value);
        assert_eq!(try_password(&victim, "alice", PASSWORD).await, StatusCode::SEE_OTHER);
        assert_ne!(victim.cookie(COOKIE).unwrap(), value);
        guessed_at(&app, "alice").await;
        assert!(!is_known(&app.browser().with_cookie(COOKIE, value), "alice", PASSWORD).await);
        assert!(is_known(&victim, "alice", PASSWORD).await);
        app.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn an_account_knows_so_many_devices_and_each_for_so_long() {
    let app = TestApp::new().await;
    let first = app.member("alice").await;
    app.advance(Duration::from_secs(1));
    let second = app.logged_in("alice").await;
    for _ in 0..MOST - 1 {
        app.advance(Duration::from_secs(1));
        app.logged_in("alice").await;
    }
    guessed_at(&app, "alice").await;
    assert!(!is_known(&first, "alice", PASSWORD).await, "the one not used for longest made room");
    assert!(is_known(&second, "alice", PASSWORD).await);

    app.advance(KEPT - Duration::from_secs(1));
    guessed_at(&app, "alice").await;
    assert!(is_known(&second, "alice", PASSWORD).await, "a second before its end");
    app.advance(KEPT);
    usher::jobs::once(&app.app).await;
    guessed_at(&app, "alice").await;
    assert!(!is_known(&second, "alice", PASSWORD).await);
}

#[tokio::test]
async fn devices_are_forgotten_when_all_sessions_end_and_by_a_new_password() {
    for way in ["reset", "end all", "end all by page", "admin", "disabled", "restored", "password", "page"] {
        let app = TestApp::new().await;
        let admin = app.admin("root").await;
        let id = app.account("alice", Role::User).await;
        let (owner, other) = (app.logged_in("alice").await, app.logged_in("alice").await);
        let (known, other_known) = (only_known(&app, &owner), only_known(&app, &other));
        let mut password = PASSWORD;
        match way {
            "reset" => {
                let link = links::make(&app.cx(), Kind::Reset, Some(id), "").await.unwrap();
                let mail = app.browser();
                mail.get(&link.path).await;
                mail.form("/reset", &[("password", NEW), ("password2", NEW)]).await;
                password = NEW;
            }
            "end all" => drop(owner.post("/api/v1/me/sessions/end-all", json!({})).await),
            "end all by page" => drop(owner.form("/account/sessions/end-all", &[]).await),
            "admin" => drop(admin.post(&format!("/api/v1/users/{id}/end-sessions"), json!({})).await),
            "disabled" => {
                for disabled in [true, false] {
                    let path = format!("/api/v1/users/{id}");
                    admin.json(http::Method::PATCH, &path, json!({"disabled": disabled})).await;
                }
            }
            "restored" => links::begin_anew(&app.cx()).await.unwrap(),
            "password" => {
                let body = json!({"current": PASSWORD, "password": NEW, "end_others": true});
                assert_eq!(owner.post("/api/v1/me/password", body).await.status, StatusCode::NO_CONTENT);
                password = NEW;
            }
            _ => {
                let fields = [("current", PASSWORD), ("password", NEW), ("password2", NEW), ("end_others", "yes")];
                assert_eq!(owner.form("/account/password", &fields).await.status, StatusCode::SEE_OTHER);
                password = NEW;
            }
        }
        guessed_at(&app, "alice").await;
        assert!(!is_known(&other_known, "alice", password).await, "{way}");
        let own = matches!(way, "password" | "page");
        assert_eq!(is_known(&known, "alice", password).await, own, "{way}: the device at which it was changed");
    }
}

#[tokio::test]
async fn a_new_password_lifts_the_wait_that_guesses_at_the_old_one_brought() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    guessed_at(&app, "alice").await;
    let body = json!({"current": PASSWORD, "password": NEW});
    assert_eq!(owner.post("/api/v1/me/password", body).await.status, StatusCode::NO_CONTENT);
    assert_eq!(try_password(&app.browser(), "alice", NEW).await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_admin_forgives_what_was_guessed_at_a_known_device_too() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    for _ in 0..5 {
        try_password(&owner, "alice", "a slip").await;
    }
    assert_eq!(try_password(&owner, "alice", PASSWORD).await, StatusCode::TOO_MANY_REQUESTS);
    admin.post(&format!("/api/v1/users/{id}/forgive"), json!({})).await;
    assert_eq!(try_password(&owner, "alice", PASSWORD).await, StatusCode::SEE_OTHER);
}
