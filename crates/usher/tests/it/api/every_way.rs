//! Every way in, those of older systems and those without a password included: one count of wrong guesses, one refusal for
//! whoever it is, one second factor, one story in the audit log.
//!
//! A new way to log in belongs into [`WAYS`] when it takes a password, else into [`OTHERS`]; what holds for all then holds
//! for it too. `ways_in.rs` looks closer at passcodes.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::authenticator::enrol;
use crate::support::soft_key::{SoftKey, log_in, registered};
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
use usher::oauth::DEVICE_GRANT;

/// A way in with a name and a password.
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
        self.enter_with(app, name, password, "").await
    }

    /// An empty passcode is none.
    async fn enter_with(self, app: &TestApp, name: &str, password: &str, passcode: &str) -> Answer {
        let (stranger, browser) = (app.anonymous(), app.browser());
        let body = json!({"username": name, "password": password, "passcode": passcode});
        match self {
            Way::Page => {
                let answer = browser.form("/login", &[("username", name), ("password", password)]).await;
                if passcode.is_empty() || answer.header("location") != "/login/code" {
                    return answer;
                }
                browser.form("/login/code", &[("passcode", passcode)]).await
            }
            Way::Api => stranger.post("/api/v1/login", body).await,
            Way::ApiWithCookie => {
                let mut body = body;
                body["cookie"] = json!(true);
                stranger.post("/api/v1/login", body).await
            }
            Way::Token => {
                let fields = [("username", name), ("password", password), ("passcode", passcode)];
                stranger.form("/token", &fields).await
            }
            Way::Takeout => {
                stranger.post("/api/token", json!({"User": name, "Pass": password, "Passcode": passcode})).await
            }
            Way::TakeoutForm => {
                browser.form("/login", &[("user", name), ("pass", password), ("passcode", passcode)]).await
            }
            Way::TakeoutLink => {
                let made = app.anonymous().get("/api/code").await.json();
                let body = json!({"Code": made["Code"], "User": name, "Pass": password, "Passcode": passcode});
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
            Way::Page | Way::TakeoutForm => {
                answer.status == StatusCode::SEE_OTHER && !answer.header("location").starts_with("/login")
            }
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
    shut(&app, carol).await;
    (app, alice)
}

async fn shut(app: &TestApp, id: AccountId) {
    let now = app.clock.now();
    let standing = Standing::Disabled { at: now };
    let shut = async move |tx: &mut usher_db::Tx| usher::accounts::set_standing(tx, id, standing, now).await;
    app.cx().write("test.shut", shut).await.unwrap().unwrap();
}

/// The events of one kind, newest first.
async fn events(app: &TestApp, event: &str) -> Vec<usher::audit::Recorded> {
    let filter = usher::audit::Filter { event: Some(event.to_owned()), ..Default::default() };
    usher::audit::list(&app.app.db, &filter, 100).await.unwrap()
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
        way.enter(&app, "Alice", "a wrong guess").await;
        let told = events(&app, "login").await;
        let refused: Vec<_> = told.iter().filter(|one| one.result == "refused").collect();
        assert_eq!(refused.len(), 1, "{way:?}: {refused:?}");
        assert_eq!((refused[0].target.as_str(), refused[0].address.as_str()), ("alice", "192.0.2.10"), "{way:?}");
        assert!(way.is_in(&way.enter(&app, "alice", PASSWORD).await), "{way:?}");
        let (event, detail) = way.told();
        let done = events(&app, event).await;
        let done: Vec<_> = done.iter().filter(|one| one.result == "done" && one.account == Some(alice)).collect();
        assert!(done.iter().any(|one| one.detail == detail && one.actor == Some(alice)), "{way:?}: {done:?}");
    }
}

#[tokio::test]
async fn every_way_in_asks_an_account_with_a_second_factor_for_it_once_for_each_code() {
    let (app, _) = house(100).await;
    let owner = app.logged_in("alice").await;
    let (authenticator, _) = enrol(&app, &owner).await;
    for way in WAYS {
        app.advance(Duration::from_secs(60));
        let code = authenticator.code_in(&app, 0);
        for wrong in ["", "000000", "nothing like a code"] {
            let answer = way.enter_with(&app, "alice", PASSWORD, wrong).await;
            assert!(!way.is_in(&answer), "{way:?} with {wrong:?}: {}", answer.text());
        }
        let answer = way.enter_with(&app, "alice", PASSWORD, &code).await;
        // A header has no place for a code, so it lets nobody in who has a second factor.
        assert_eq!(way.is_in(&answer), way != Way::SignedHeader, "{way:?}: {} {}", answer.status, answer.text());
        for other in WAYS {
            let answer = other.enter_with(&app, "alice", PASSWORD, &code).await;
            let unused = way == Way::SignedHeader && other == WAYS[0];
            assert_eq!(other.is_in(&answer), unused, "{other:?} after {way:?}: each code once");
        }
    }
}

/// A way in that begins with something else than a name and a password.
#[derive(Clone, Copy, Debug)]
enum Other {
    Passkey,
    PasskeyAfterPassword,
    RecoveryCode,
    RecoveryLink,
    Device,
    Television,
    TakeoutCode,
    TakeoutRefresh,
    Refresh,
}

const OTHERS: [Other; 9] = [
    Other::Passkey,
    Other::PasskeyAfterPassword,
    Other::RecoveryCode,
    Other::RecoveryLink,
    Other::Device,
    Other::Television,
    Other::TakeoutCode,
    Other::TakeoutRefresh,
    Other::Refresh,
];

/// What somebody holds at the last step of such a way.
enum Held {
    Key(Actor, SoftKey, bool),
    Code(Actor, String),
    Link(Actor),
    Device(String),
    Television(Actor, String),
    TakeoutCode(String, String),
    TakeoutRefresh(String),
    Refresh(String),
}

impl Other {
    /// Goes this way up to its last step, as `alice`.
    async fn prepare(self, app: &TestApp, owner: &Actor, key: &SoftKey, codes: &[String]) -> Held {
        let half = async || {
            let browser = app.browser();
            let answer = browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
            assert_eq!(answer.header("location"), "/login/code");
            browser
        };
        let approve = async |code: &str| {
            assert_eq!(owner.form("/link", &[("code", code)]).await.status, StatusCode::OK);
            assert_eq!(owner.form("/link/approve", &[("code", code)]).await.status, StatusCode::SEE_OTHER);
        };
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let by_code = json!({"username": "alice", "password": PASSWORD, "passcode": codes[0]});
        match self {
            Other::Passkey => Held::Key(app.browser(), key.clone(), false),
            Other::PasskeyAfterPassword => Held::Key(half().await, key.clone(), true),
            Other::RecoveryCode => Held::Code(half().await, codes[0].clone()),
            Other::RecoveryLink => {
                let id = usher::accounts::find_by_key(&app.app.db, "alice").await.unwrap().unwrap().id;
                let made = usher::admin::factors::make_recovery_link(&app.cx(), id).await.unwrap();
                let browser = app.browser();
                browser.get(&made.path).await;
                Held::Link(browser)
            }
            Other::Device => {
                let asked =
                    app.anonymous().form("/oauth/device_authorization", &[("client_id", "usher-device")]).await.json();
                approve(asked["user_code"].as_str().unwrap()).await;
                Held::Device(text(&asked["device_code"]))
            }
            Other::Television => {
                let tv = app.browser();
                let asked = tv.post("/tv/code", json!({})).await.json();
                approve(asked["user_code"].as_str().unwrap()).await;
                Held::Television(tv, text(&asked["device_code"]))
            }
            Other::TakeoutCode => {
                let made = app.anonymous().get("/api/code").await.json();
                approve(made["Code"].as_str().unwrap()).await;
                Held::TakeoutCode(text(&made["AccessToken"]), text(&made["Code"]))
            }
            Other::TakeoutRefresh => {
                let body = json!({"User": "alice", "Pass": PASSWORD, "Passcode": codes[0]});
                let tokens = app.anonymous().post("/api/token", body).await.json();
                Held::TakeoutRefresh(text(&tokens["RefreshToken"]))
            }
            Other::Refresh => {
                let tokens = app.anonymous().post("/api/v1/login", by_code).await.json();
                Held::Refresh(text(&tokens["refresh_token"]))
            }
        }
    }

    /// What the audit log calls the session that begins; nothing for one that goes on.
    fn told(self) -> Option<&'static str> {
        match self {
            Other::Passkey => Some("pop mfa"),
            Other::PasskeyAfterPassword => Some("pwd pop mfa"),
            Other::RecoveryCode | Other::RecoveryLink => Some("pwd recovery mfa"),
            Other::Device | Other::Television | Other::TakeoutCode => Some("link"),
            Other::TakeoutRefresh | Other::Refresh => None,
        }
    }
}

impl Held {
    /// The last step. Whether somebody is in after it.
    async fn enter(&mut self, app: &TestApp) -> bool {
        let answer = match self {
            Held::Key(browser, key, second) => log_in(browser, key, *second).await,
            Held::Code(browser, code) => browser.form("/login/code", &[("passcode", code)]).await,
            Held::Link(browser) => browser.form("/recover", &[("password", PASSWORD)]).await,
            Held::Device(code) => {
                let fields =
                    [("grant_type", DEVICE_GRANT), ("client_id", "usher-device"), ("device_code", code.as_str())];
                app.anonymous().form("/oauth/token", &fields).await
            }
            Held::Television(tv, code) => tv.post("/tv/poll", json!({"device_code": code})).await,
            Held::TakeoutCode(token, code) => {
                app.anonymous().bearing(token).post("/api/code", json!({"Code": code})).await
            }
            Held::TakeoutRefresh(token) => app.anonymous().bearing(token).get("/api/token").await,
            Held::Refresh(token) => app.anonymous().post("/api/v1/refresh", json!({"refresh_token": token})).await,
        };
        match self {
            Held::Key(browser, ..) | Held::Code(browser, _) | Held::Link(browser) | Held::Television(browser, _) => {
                browser.get("/api/v1/me").await.status == StatusCode::OK
            }
            _ => answer.status == StatusCode::OK,
        }
    }
}

/// `alice` with a passkey, and what she holds at the last step of this way.
async fn at_the_last_step(way: Other) -> (TestApp, AccountId, Held) {
    let (app, alice) = house(100).await;
    let owner = app.logged_in("alice").await;
    let (key, codes) = registered(&owner, "Phone").await;
    let held = way.prepare(&app, &owner, &key, &codes).await;
    (app, alice, held)
}

#[tokio::test]
async fn whoever_is_shut_out_before_the_last_step_of_any_other_way_gets_nothing() {
    for way in OTHERS {
        let (app, alice, mut held) = at_the_last_step(way).await;
        shut(&app, alice).await;
        let before = usher::sessions::list_live(&app.app.db, alice).await.unwrap().len();
        assert!(!held.enter(&app).await, "{way:?}");
        let after = usher::sessions::list_live(&app.app.db, alice).await.unwrap().len();
        assert!(after <= before, "{way:?}: {before} sessions became {after}");
    }
}

#[tokio::test]
async fn every_other_way_in_is_good_once_and_told_in_the_audit_log() {
    for way in OTHERS {
        let (app, alice, mut held) = at_the_last_step(way).await;
        let before = events(&app, "login").await.len();
        assert!(held.enter(&app).await, "{way:?}");
        let told = events(&app, "login").await;
        let Some(detail) = way.told() else {
            assert_eq!(told.len(), before, "{way:?}: a session that goes on is no login");
            continue;
        };
        assert_eq!(told.len(), before + 1, "{way:?}: {told:?}");
        assert_eq!((told[0].result.as_str(), told[0].detail.as_str()), ("done", detail), "{way:?}");
        assert_eq!((told[0].account, told[0].actor), (Some(alice), Some(alice)), "{way:?}");
        // What it stood on is used up; a passkey answers a fresh challenge each time, and stays.
        let sessions = usher::sessions::list_live(&app.app.db, alice).await.unwrap().len();
        if !matches!(way, Other::Passkey | Other::PasskeyAfterPassword) {
            held.enter(&app).await;
            let now = usher::sessions::list_live(&app.app.db, alice).await.unwrap().len();
            assert_eq!(now, sessions, "{way:?} a second time");
        }
    }
}
