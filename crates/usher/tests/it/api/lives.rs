//! How long a login lasts: by kind, by role, by profile, to the second, and whatever a browser says of its cookie.

use crate::support::app::{PASSWORD, TestApp};
use http::StatusCode;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use usher::accounts::Role;
use usher::config::{Profile, RoleLimits, Sessions};
use usher::gate::{self, Door, Refusal, Shown};
use usher::id::AccountId;
use usher::login;
use usher::sessions::{self, Kind, NewSession, cookie};

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// A session of this kind, as a login begins it: its cookie.
async fn begin(app: &TestApp, account: AccountId, kind: Kind, role: Role) -> String {
    let cx = app.cx();
    let new = NewSession::draw(&cx, account, kind, "pwd", "test".to_owned(), login::life(&cx, kind, role));
    let (id, secret, now) = (new.id, new.secret, cx.now);
    cx.write("test.begin", async move |tx| sessions::start(tx, &new, 50, now).await).await.unwrap();
    cookie::mint(&app.app.macs.cookie, id, &secret)
}

async fn admitted(app: &TestApp, cookie: &str) -> bool {
    let shown = Shown { cookie: Some(cookie), bearer: None };
    match gate::admit(&app.cx(), shown, Door::Page).await {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!(refusal, Refusal::Ended);
            false
        }
    }
}

#[tokio::test]
async fn a_browser_rests_a_month_a_television_half_a_year_and_a_program_a_month() {
    for (kind, idle) in [(Kind::Browser, 30 * DAY), (Kind::Device, 180 * DAY), (Kind::Api, 30 * DAY)] {
        let app = TestApp::new().await;
        let alice = app.account("alice", Role::User).await;
        for days in [20, 45, 170] {
            let session = begin(&app, alice, kind, Role::User).await;
            app.advance(days * DAY);
            assert_eq!(admitted(&app, &session).await, days * DAY < idle, "{kind:?} after {days} days");
        }
        // Each use begins the rest anew, and a server that was started again remembers it.
        let session = begin(&app, alice, kind, Role::User).await;
        app.advance(idle - SECOND);
        assert!(admitted(&app, &session).await, "{kind:?} a second before its end");
        let app = app.restart().await;
        app.advance(idle - SECOND);
        assert!(admitted(&app, &session).await, "{kind:?} a second before its new end");
        app.advance(idle);
        assert!(!admitted(&app, &session).await, "{kind:?} at its end");
    }
}

#[tokio::test]
async fn no_use_carries_a_session_past_its_absolute_end() {
    let app = TestApp::new().await;
    let alice = app.account("alice", Role::User).await;
    let session = begin(&app, alice, Kind::Browser, Role::User).await;
    for _ in 0..36 {
        app.advance(10 * DAY);
        assert!(admitted(&app, &session).await);
    }
    app.advance(5 * DAY - SECOND);
    assert!(admitted(&app, &session).await);
    app.advance(SECOND);
    assert!(!admitted(&app, &session).await);
}

#[tokio::test]
async fn a_profile_bounds_every_kind_and_role_to_the_second() {
    let hour = Duration::from_secs(3_600);
    for (profile, idle, absolute) in
        [(Profile::Aal1, 30 * DAY, 30 * DAY), (Profile::Aal2, hour, DAY), (Profile::Aal3, hour / 4, DAY / 2)]
    {
        for (kind, role) in [(Kind::Browser, Role::User), (Kind::Device, Role::Admin), (Kind::Api, Role::Admin)] {
            let generous = |config: &mut usher::config::Config| {
                let limits = RoleLimits { idle: Some(100 * DAY), absolute: Some(200 * DAY) };
                config.sessions = Sessions { profile, ..Sessions::default() };
                config.sessions.roles.insert("admin".to_owned(), limits);
            };
            let app = TestApp::with(generous).await;
            let alice = app.account("alice", role).await;
            let resting = begin(&app, alice, kind, role).await;
            app.advance(idle - SECOND);
            assert!(admitted(&app, &resting).await, "{profile:?} {kind:?}");
            if idle < absolute {
                app.advance(idle);
                assert!(!admitted(&app, &resting).await, "{profile:?} {kind:?}: idle");
            }
            let busy = begin(&app, alice, kind, role).await;
            let begun = app.clock.now();
            while app.clock.now() + idle / 2 < begun + absolute {
                app.advance(idle / 2);
                assert!(admitted(&app, &busy).await, "{profile:?} {kind:?}");
            }
            let left = (begun + absolute).since(app.clock.now());
            app.advance(left - SECOND);
            assert!(admitted(&app, &busy).await, "{profile:?} {kind:?}: a second before its end");
            app.advance(SECOND);
            assert!(!admitted(&app, &busy).await, "{profile:?} {kind:?}: at its end");
        }
    }
}

#[tokio::test]
async fn the_profile_is_what_a_login_through_the_door_gets() {
    let app = TestApp::with(|config| config.sessions.profile = Profile::Aal2).await;
    app.account("alice", Role::User).await;
    let answer = app.browser().form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert!(answer.header("set-cookie").contains("Max-Age=86400"), "{}", answer.header("set-cookie"));
    let tokens = app.tokens("alice").await;
    assert_eq!(tokens["session"]["expires_at"], "2026-01-02T00:00:00.000Z");
    app.advance(Duration::from_secs(3_600));
    let body = json!({"refresh_token": tokens["refresh_token"]});
    assert_eq!(app.anonymous().post("/api/v1/refresh", body).await.code(), "session_ended");
}

/// A server at which programs may rest for a minute: a use that is younger than that is in memory only.
async fn impatient() -> TestApp {
    TestApp::with(|config| config.sessions.api_idle = Duration::from_secs(60)).await
}

#[tokio::test]
async fn a_session_in_use_is_neither_swept_nor_refused_a_refresh_because_its_row_is_late() {
    let app = impatient().await;
    app.account("alice", Role::User).await;
    let tokens = app.tokens("alice").await;
    let program = app.anonymous().bearing(tokens["access_token"].as_str().unwrap());
    let mut rest = app.clock.now();
    // Each use is some seconds too young to be written down, and the row would end the session after the next one.
    for _ in 0..8 {
        app.advance(Duration::from_secs(50));
        rest = app.clock.now();
        assert_eq!(program.get("/api/v1/me").await.status, StatusCode::OK);
        app.advance(Duration::from_secs(5));
        usher::jobs::once(&app.app).await;
    }
    app.advance((rest + Duration::from_secs(59)).since(app.clock.now()));
    let body = json!({"refresh_token": tokens["refresh_token"]});
    let refreshed = app.anonymous().post("/api/v1/refresh", body).await;
    assert_eq!(refreshed.status, StatusCode::OK, "a second before its end: {}", refreshed.text());
    let program = app.anonymous().bearing(refreshed.json()["access_token"].as_str().unwrap());
    app.advance(Duration::from_secs(60));
    assert_eq!(program.get("/api/v1/me").await.code(), "session_ended", "a rest of a minute is its end");
}

#[tokio::test]
async fn a_refresh_goes_by_the_last_use_although_only_memory_knows_it() {
    let app = impatient().await;
    app.account("alice", Role::User).await;
    let tokens = app.tokens("alice").await;
    let program = app.anonymous().bearing(tokens["access_token"].as_str().unwrap());
    app.advance(Duration::from_secs(50));
    assert_eq!(program.get("/api/v1/me").await.status, StatusCode::OK);
    app.advance(Duration::from_secs(59));
    let body = json!({"refresh_token": tokens["refresh_token"]});
    assert_eq!(app.anonymous().post("/api/v1/refresh", body).await.status, StatusCode::OK, "109 s after the login");
}

#[tokio::test]
async fn a_row_that_is_late_when_its_turn_to_be_swept_comes_is_written_and_not_ended() {
    let app = TestApp::with(|config| config.sessions.api_idle = Duration::from_secs(300)).await;
    let alice = app.account("alice", Role::User).await;
    let program = app.program("alice").await;
    // The storage would not take the use for a long while: it waits in memory, and the row is far behind.
    app.advance(Duration::from_secs(290));
    assert_eq!(program.get("/api/v1/me").await.status, StatusCode::OK);
    app.advance(Duration::from_secs(200));
    assert_eq!(sessions::sweep(&app.cx(), 100).await.unwrap(), 0);
    assert_eq!(program.get("/api/v1/me").await.status, StatusCode::OK);
    let listed = sessions::list_live(&app.app.db, alice).await.unwrap();
    assert_eq!(listed[0].last_used_at, usher::time::Time(app.clock.now().0 - 200_000), "written in place of the end");
    app.advance(Duration::from_secs(300 + 180));
    assert_eq!(sessions::sweep(&app.cx(), 100).await.unwrap(), 1, "and what rested is swept in its time");
}

#[tokio::test]
async fn a_use_of_the_last_seconds_is_known_after_a_clean_restart() {
    let app = impatient().await;
    app.account("alice", Role::User).await;
    let tokens = app.tokens("alice").await;
    app.advance(Duration::from_secs(50));
    let bearer = tokens["access_token"].as_str().unwrap().to_owned();
    assert_eq!(app.anonymous().bearing(&bearer).get("/api/v1/me").await.status, StatusCode::OK);
    let app = app.restart().await;
    app.advance(Duration::from_secs(59));
    assert_eq!(app.anonymous().bearing(&bearer).get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_session_that_was_idle_for_longest_makes_room_and_the_log_says_so() {
    let app = TestApp::with(|config| config.sessions.max_per_account = 3).await;
    let id = app.account("alice", Role::User).await;
    let mut browsers = Vec::new();
    for _ in 0..3 {
        browsers.push(app.logged_in("alice").await);
        app.advance(Duration::from_secs(600));
    }
    // The oldest is in use, so the second is the one that rests.
    assert_eq!(browsers[0].get("/api/v1/me").await.status, StatusCode::OK);
    sessions::flush_uses(&app.cx()).await.unwrap();
    app.advance(Duration::from_secs(600));
    browsers.push(app.logged_in("alice").await);
    let live: Vec<bool> = {
        let mut live = Vec::new();
        for browser in &browsers {
            live.push(browser.get("/api/v1/me").await.status == StatusCode::OK);
        }
        live
    };
    assert_eq!(live, [true, false, true, true]);
    let filter = usher::audit::Filter { event: Some("session_ended".to_owned()), ..Default::default() };
    let told = usher::audit::list(&app.app.db, &filter, 10).await.unwrap();
    let [one] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((one.detail.as_str(), one.account), ("evicted", Some(id)));
}

#[tokio::test]
async fn secrets_of_sessions_are_drawn_and_not_counted() {
    let app = TestApp::with(|config| config.sessions.max_per_account = 1_000).await;
    app.account("alice", Role::User).await;
    let (mut cookies, mut refreshes) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..60 {
        let value = app.logged_in("alice").await.cookie("usher").unwrap();
        assert_eq!(value.len(), 108, "81 bytes: key, session, 32 of secret, MAC");
        cookies.insert(*cookie::read(&app.app.macs.cookie, &value).unwrap().secret);
        let tokens = app.tokens("alice").await;
        let token = tokens["refresh_token"].as_str().unwrap().to_owned();
        // The session stands before the secret and would differ anyway: what follows it must, too.
        refreshes.insert(token[4 + 29..4 + 70].to_owned());
    }
    assert_eq!((cookies.len(), refreshes.len()), (60, 60));
    // Of 60 times 256 bits about half are set; a counter or a clock would leave most of them alone.
    let set: u32 = cookies.iter().flatten().map(|byte| byte.count_ones()).sum();
    assert!((7_000..8_400).contains(&set), "{set} of 15360 bits");
}

#[tokio::test]
async fn a_cookie_that_was_planted_before_the_login_never_becomes_the_login() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    app.account("mallory", Role::User).await;
    let mallory = app.logged_in("mallory").await;
    let planted = mallory.cookie("usher").unwrap();
    let victim = app.browser().with_cookie("usher", &planted);
    let answer = victim.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let own = victim.cookie("usher").unwrap();
    assert_ne!(own, planted);
    assert_eq!(victim.get("/api/v1/me").await.json()["username"], "alice");
    let thief = app.browser().with_cookie("usher", &planted);
    assert_eq!(thief.get("/api/v1/me").await.code(), "session_ended", "the planted session is over with the login");
    assert_eq!(mallory.get("/login").await.status, StatusCode::OK);
}
