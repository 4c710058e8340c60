//! Every way in, those of older systems included: one count of wrong guesses, one refusal for whoever it is, one story
//! in the audit log.

use crate::support::app::{Answer, PASSWORD, TestApp};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use usher::accounts::{Role, Standing};
use usher::id::AccountId;

/// A way in with a name and what proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Page,
    Api,
    ApiWithCookie,
    Token,
    Takeout,
    TakeoutForm,
    TakeoutLink,
    SignedHeader,
}

const WAYS: [Way; 8] = [
    Way::Page,
    Way::Api,
    Way::ApiWithCookie,
    Way::Token,
    Way::Takeout,
    Way::TakeoutForm,
    Way::TakeoutLink,
    Way::SignedHeader,
];

impl Way {
    async fn enter(self, app: &TestApp, name: &str, password: &str) -> Answer {
        let (stranger, browser) = (app.anonymous(), app.browser());
        match self {
            Way::Page => browser.form("/login", &[("username", name), ("password", password)]).await,
            Way::Api => stranger.post("/api/v1/login", json!({"username": name, "password": password})).await,
            Way::ApiWithCookie => {
                let body = json!({"username": name, "password": password, "cookie": true});
                stranger.post("/api/v1/login", body).await
            }
            Way::Token => stranger.form("/token", &[("username", name), ("password", password)]).await,
            Way::Takeout => stranger.post("/api/token", json!({"User": name, "Pass": password})).await,
            Way::TakeoutForm => browser.form("/login", &[("user", name), ("pass", password)]).await,
            Way::TakeoutLink => {
                let made = app.anonymous().get("/api/code").await.json();
                let body = json!({"Code": made["Code"], "User": name, "Pass": password, "Passcode": ""});
                stranger.post("/api/link", body).await
            }
            Way::SignedHeader => {
                let request =
                    stranger.request(Method::POST, "/login").header(AUTHORIZATION, signed(app, name, password));
                stranger.send(request.body(Body::empty()).unwrap()).await
            }
        }
    }

    /// How this way says that somebody is in.
    fn is_in(self, answer: &Answer) -> bool {
        match self {
            Way::Page | Way::TakeoutForm => answer.status == StatusCode::SEE_OTHER,
            Way::TakeoutLink => answer.status == StatusCode::NO_CONTENT,
            _ => answer.status == StatusCode::OK,
        }
    }

    /// What the audit log calls it. A device that was linked comes for its session later.
    fn told(self) -> (&'static str, &'static str) {
        match self {
            Way::SignedHeader => ("login", "header"),
            Way::TakeoutLink => ("device_approved", "Unknown device"),
            _ => ("login", "pwd"),
        }
    }
}

/// A signed header, as its programs make it.
fn signed(app: &TestApp, name: &str, secret: &str) -> String {
    let hex = |text: &str| text.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<Vec<_>>().concat();
    let at = app.clock.now().seconds();
    let text = format!("{}{}{at}", hex(name), hex(secret));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, text.as_bytes());
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    STANDARD.encode(format!("{},{digits},{at}", hex(name)))
}

/// A server on which every way is switched on. `alice` and `carol`, who is shut out, have a secret for signed headers
/// that is the password of this test, so that one proof is good for every way.
async fn house(free_attempts: u32) -> (TestApp, AccountId) {
    let app = TestApp::with(|config| {
        config.compat.takeout = true;
        config.compat.signed_header = true;
        config.throttle.free_attempts = free_attempts;
    })
    .await;
    let alice = app.account("alice", Role::User).await;
    let carol = app.account("carol", Role::User).await;
    for name in ["alice", "carol"] {
        let owner = app.logged_in(name).await;
        let set = owner.json(Method::PUT, "/api/v1/me/signed-header", json!({"secret": PASSWORD})).await;
        assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.text());
    }
    let now = app.clock.now();
    let standing = Standing::Disabled { at: now };
    let shut = async move |tx: &mut usher_db::Tx| usher::accounts::set_standing(tx, carol, standing, now).await;
    app.cx().write("test.shut", shut).await.unwrap().unwrap();
    (app, alice)
}

#[tokio::test]
async fn guesses_by_any_way_count_in_one_and_every_way_waits_for_them() {
    for counted in WAYS {
        let (app, _) = house(5).await;
        for n in 0..5 {
            let answer = counted.enter(&app, ["alice", "ALICE"][n % 2], "a wrong guess").await;
            assert!(!counted.is_in(&answer), "{counted:?}");
        }
        for way in WAYS {
            let answer = way.enter(&app, "alice", PASSWORD).await;
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{way:?} after guesses by {counted:?}");
            assert!(!answer.header("retry-after").is_empty(), "{way:?}");
        }
        app.advance(Duration::from_secs(1));
        let answer = counted.enter(&app, "alice", PASSWORD).await;
        assert!(counted.is_in(&answer), "{counted:?} after the wait: {} {}", answer.status, answer.text());
        // Her own success takes the count away, by whichever way it came.
        for way in WAYS {
            app.advance(Duration::from_secs(1));
            assert!(!way.is_in(&way.enter(&app, "alice", "a wrong guess").await));
            app.advance(Duration::from_secs(1));
            assert!(way.is_in(&way.enter(&app, "alice", PASSWORD).await), "{way:?} after {counted:?}");
        }
    }
}

#[tokio::test]
async fn whoever_it_is_the_refusal_is_the_same() {
    let (app, _) = house(100).await;
    for way in WAYS {
        let mut told = BTreeSet::new();
        for (name, password) in [("nobody", PASSWORD), ("alice", "not the password"), ("carol", PASSWORD)] {
            let mut answer = way.enter(&app, name, password).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{way:?} {name}");
            answer.headers.remove("x-request-id");
            // The page gives the name back that was typed.
            let body = answer.text().replace(&format!("value=\"{name}\""), "value=\"\"");
            let mut headers: Vec<String> = answer.headers.iter().map(|field| format!("{field:?}")).collect();
            headers.retain(|field| !field.contains("content-length"));
            told.insert((headers, body));
        }
        assert_eq!(told.len(), 1, "{way:?}: {told:#?}");
    }
}

#[tokio::test]
async fn every_way_in_is_told_in_the_audit_log() {
    for way in WAYS {
        let (app, alice) = house(5).await;
        let events = async |event: &str| {
            let filter = usher::audit::Filter { event: Some(event.to_owned()), ..Default::default() };
            usher::audit::list(&app.app.db, &filter, 100).await.unwrap()
        };
        way.enter(&app, "Alice", "a wrong guess").await;
        let refused: Vec<_> = events("login").await.into_iter().filter(|one| one.result == "refused").collect();
        assert_eq!(refused.len(), 1, "{way:?}: {refused:?}");
        assert_eq!((refused[0].target.as_str(), refused[0].address.as_str()), ("alice", "192.0.2.10"), "{way:?}");
        assert!(way.is_in(&way.enter(&app, "alice", PASSWORD).await), "{way:?}");
        let (event, detail) = way.told();
        let done = events(event).await;
        let done: Vec<_> = done.iter().filter(|one| one.result == "done" && one.account == Some(alice)).collect();
        assert!(done.iter().any(|one| one.detail == detail && one.actor == Some(alice)), "{way:?}: {done:?}");
    }
}
