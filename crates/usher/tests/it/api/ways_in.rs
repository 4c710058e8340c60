//! Every way in asks the same questions, gives the same refusals, slows the same guesses and tells the same story.
//!
//! A new way to log in belongs into [`WAYS`]; every rule below then holds for it too.

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::authenticator::{Authenticator, enrol};
use http::StatusCode;
use serde_json::json;
use std::time::Duration;
use usher::accounts::{Role, Standing};
use usher::id::AccountId;

/// What somebody who stands at the door is told.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Told {
    /// Logged in, with this proven.
    In,
    /// Something is wrong, and nobody says what.
    Wrong,
    /// A passcode, please.
    PasscodeRequired,
    /// That passcode is wrong.
    PasscodeWrong,
    /// Wait.
    Slower,
}

/// A way in.
#[derive(Clone, Copy, Debug)]
enum Way {
    Page,
    Api,
    ApiWithCookie,
    Token,
}

const WAYS: [Way; 4] = [Way::Page, Way::Api, Way::ApiWithCookie, Way::Token];

/// What somebody brings.
#[derive(Clone, Copy)]
struct Brought<'a> {
    name: &'a str,
    password: &'a str,
    passcode: Option<&'a str>,
}

impl Way {
    async fn try_in(self, app: &TestApp, brought: Brought<'_>) -> Told {
        let Brought { name, password, passcode } = brought;
        let mut body = json!({"username": name, "password": password});
        if let Some(passcode) = passcode {
            body["passcode"] = json!(passcode);
        }
        match self {
            Way::Page => {
                let browser = app.browser();
                let answer = browser.form("/login", &[("username", name), ("password", password)]).await;
                let Some(passcode) = passcode.filter(|_| answer.header("location") == "/login/code") else {
                    assert!(browser.cookie("usher").is_none() || answer.header("location") != "/login/code");
                    return page(&answer);
                };
                assert!(browser.cookie("usher").is_none(), "a session before the second step");
                page(&browser.form("/login/code", &[("passcode", passcode)]).await)
            }
            Way::Api => told(&app.anonymous().post("/api/v1/login", body).await),
            Way::ApiWithCookie => {
                body["cookie"] = json!(true);
                told(&app.browser().post("/api/v1/login", body).await)
            }
            Way::Token => {
                let mut fields = vec![("username", name), ("password", password)];
                fields.extend(passcode.map(|passcode| ("passcode", passcode)));
                told(&app.anonymous().form("/token", &fields).await)
            }
        }
    }
}

fn page(answer: &Answer) -> Told {
    let text = answer.text();
    match (answer.status, answer.header("location")) {
        (StatusCode::SEE_OTHER, "/login/code") => Told::PasscodeRequired,
        (StatusCode::SEE_OTHER, location) if location.starts_with("/login") => Told::Wrong,
        (StatusCode::SEE_OTHER, _) => Told::In,
        (StatusCode::UNAUTHORIZED, _) if text.contains("id=\"code-form\"") => Told::PasscodeWrong,
        (StatusCode::UNAUTHORIZED, _) => Told::Wrong,
        (StatusCode::TOO_MANY_REQUESTS, _) => Told::Slower,
        other => panic!("{other:?}: {text}"),
    }
}

fn told(answer: &Answer) -> Told {
    match (answer.status, answer.json()["code"].as_str().unwrap_or_default()) {
        (StatusCode::OK, _) => Told::In,
        (StatusCode::UNAUTHORIZED, "invalid_credentials") => Told::Wrong,
        (StatusCode::UNAUTHORIZED, "passcode_required") => Told::PasscodeRequired,
        (StatusCode::UNAUTHORIZED, "passcode_invalid") => Told::PasscodeWrong,
        (StatusCode::TOO_MANY_REQUESTS, "rate_limited") => Told::Slower,
        other => panic!("{other:?}: {}", answer.text()),
    }
}

struct House {
    app: TestApp,
    alice: AccountId,
    authenticator: Authenticator,
    codes: Vec<String>,
}

/// `alice` has a second factor, `bob` has none, `carol` is shut out.
async fn house() -> House {
    let app = TestApp::new().await;
    let alice = app.account("alice", Role::User).await;
    app.account("bob", Role::User).await;
    let carol = app.account("carol", Role::User).await;
    shut_out(&app, carol).await;
    let owner = app.logged_in("alice").await;
    let (authenticator, codes) = enrol(&app, &owner).await;
    assert_eq!(owner.form("/logout", &[]).await.status, StatusCode::OK);
    House { app, alice, authenticator, codes }
}

async fn shut_out(app: &TestApp, account: AccountId) {
    let now = app.clock.now();
    let shut = async move |tx: &mut usher_db::Tx| {
        usher::accounts::set_standing(tx, account, Standing::Disabled { at: now }, now).await
    };
    app.cx().write("test.shut", shut).await.unwrap().unwrap();
}

async fn last_event(app: &TestApp, account: AccountId) -> (String, String) {
    let filter = usher::audit::Filter { event: Some("login".into()), account: Some(account), ..Default::default() };
    let events = usher::audit::list(&app.app.db, &filter, 1).await.unwrap();
    (events[0].result.clone(), events[0].detail.clone())
}

#[tokio::test]
async fn every_way_in_asks_for_the_same_proofs_and_says_the_same() {
    for way in WAYS {
        let House { app, alice, authenticator, codes } = house().await;
        let at = |seconds| authenticator.code_in(&app, seconds);
        let (right, past, older, future) = (at(0), at(-30), at(-60), at(30));
        for (name, password, passcode, expected) in [
            ("bob", PASSWORD, None, Told::In),
            ("bob", PASSWORD, Some("123456"), Told::In),
            ("bob", "wrong", None, Told::Wrong),
            ("nobody", PASSWORD, None, Told::Wrong),
            ("nobody", PASSWORD, Some(right.as_str()), Told::Wrong),
            ("carol", PASSWORD, None, Told::Wrong),
            ("alice", "wrong", None, Told::Wrong),
            ("alice", "wrong", Some(&right), Told::Wrong),
            ("alice", PASSWORD, None, Told::PasscodeRequired),
            ("alice", PASSWORD, Some("000 000"), Told::PasscodeWrong),
            ("alice", PASSWORD, Some("no code"), Told::PasscodeWrong),
            // Two steps back, and one ahead.
            ("alice", PASSWORD, Some(&older), Told::PasscodeWrong),
            ("alice", PASSWORD, Some(&future), Told::PasscodeWrong),
        ] {
            let brought = Brought { name, password, passcode };
            assert_eq!(way.try_in(&app, brought).await, expected, "{way:?}: {name} {password} {passcode:?}");
        }
        // The fifth wrong code in a row began a wait; it ends.
        let alice_with = |passcode| Brought { name: "alice", password: PASSWORD, passcode };
        let _ = way.try_in(&app, alice_with(Some("000000"))).await;
        app.advance(Duration::from_secs(2));
        assert_eq!(way.try_in(&app, alice_with(Some(&past))).await, Told::In, "{way:?}: one step back");
        assert_eq!(last_event(&app, alice).await, ("done".into(), "pwd otp mfa".into()));
        assert_eq!(way.try_in(&app, alice_with(Some(&past))).await, Told::PasscodeWrong, "{way:?}: once");
        assert_eq!(last_event(&app, alice).await, ("refused".into(), "passcode".into()));
        assert_eq!(way.try_in(&app, alice_with(Some(&right))).await, Told::In, "{way:?}: the next step");
        assert_eq!(way.try_in(&app, alice_with(Some(&past))).await, Told::PasscodeWrong, "{way:?}: before it");
        assert_eq!(way.try_in(&app, alice_with(Some(&codes[0]))).await, Told::In, "{way:?}");
        assert_eq!(last_event(&app, alice).await, ("done".into(), "pwd recovery mfa".into()));
        assert_eq!(way.try_in(&app, alice_with(Some(&codes[0]))).await, Told::PasscodeWrong, "{way:?}: once");
        assert_eq!(way.try_in(&app, alice_with(Some(&codes[1].to_lowercase()))).await, Told::In, "{way:?}");
    }
}

#[tokio::test]
async fn a_disabled_account_is_not_asked_for_its_passcode() {
    for way in WAYS {
        let House { app, alice, authenticator, .. } = house().await;
        shut_out(&app, alice).await;
        let code = authenticator.code_in(&app, 0);
        for passcode in [None, Some(code.as_str())] {
            let brought = Brought { name: "alice", password: PASSWORD, passcode };
            assert_eq!(way.try_in(&app, brought).await, Told::Wrong, "{way:?}: {passcode:?}");
        }
    }
}

#[tokio::test]
async fn wrong_passcodes_are_counted_apart_and_a_right_password_takes_none_away() {
    for counted in WAYS {
        let House { app, authenticator, .. } = house().await;
        let alice = |passcode| Brought { name: "alice", password: PASSWORD, passcode };
        for n in 1..5 {
            assert_eq!(counted.try_in(&app, alice(Some("000000"))).await, Told::PasscodeWrong, "{counted:?} {n}");
            // The password alone is right each time, and counts for nothing.
            assert_eq!(counted.try_in(&app, alice(None)).await, Told::PasscodeRequired, "{counted:?} {n}");
        }
        assert_eq!(counted.try_in(&app, alice(Some("000000"))).await, Told::Slower, "{counted:?}: the fifth");
        let right = authenticator.code_in(&app, 0);
        for way in WAYS {
            assert_eq!(way.try_in(&app, alice(Some(&right))).await, Told::Slower, "{way:?} after {counted:?}");
            assert_eq!(way.try_in(&app, alice(None)).await, Told::PasscodeRequired, "{way:?}: no wait for a password");
        }
        app.advance(Duration::from_secs(1));
        assert_eq!(counted.try_in(&app, alice(Some(&right))).await, Told::In, "{counted:?}: after the wait");
        let next = Brought { passcode: Some("000000"), ..alice(None) };
        assert_eq!(counted.try_in(&app, next).await, Told::PasscodeWrong, "{counted:?}: counted from the beginning");
    }
}

#[tokio::test]
async fn a_hundred_wrong_passcodes_close_the_factor_until_somebody_opens_it() {
    let House { app, alice, authenticator, .. } = house().await;
    let mut wrong = 0;
    while wrong < 100 {
        let brought = Brought { name: "alice", password: PASSWORD, passcode: Some("000000") };
        match Way::Api.try_in(&app, brought).await {
            Told::PasscodeWrong | Told::Slower => wrong += 1,
            other => panic!("{other:?}"),
        }
        // Within the day in which they count as one row of failures.
        app.advance(Duration::from_secs(900));
    }
    app.advance(Duration::from_secs(3_600));
    let code = authenticator.code_in(&app, 0);
    let brought = Brought { name: "alice", password: PASSWORD, passcode: Some(&code) };
    assert_eq!(Way::Api.try_in(&app, brought).await, Told::Slower);
    usher::admin::forgive(&app.cx(), alice).await.unwrap();
    assert_eq!(Way::Api.try_in(&app, brought).await, Told::In);
}

#[tokio::test]
async fn half_a_login_opens_nothing_and_is_taken_once() {
    let House { app, authenticator, .. } = house().await;
    let browser = app.browser();
    let half =
        browser.form("/login", &[("username", "alice"), ("password", PASSWORD), ("return_to", "/account")]).await;
    assert_eq!((half.status, half.header("location")), (StatusCode::SEE_OTHER, "/login/code"));
    let cookie = half.header("set-cookie");
    assert!(cookie.contains("Path=/;") && cookie.contains("HttpOnly") && cookie.contains("Max-Age=300"), "{cookie}");
    let step = browser.cookie("usher-step").unwrap();
    for page in ["/library", "/account", "/account/security", "/admin", "/password"] {
        let answer = browser.get(page).await;
        assert!(answer.status == StatusCode::SEE_OTHER && answer.header("location").starts_with("/login"), "{page}");
    }
    for place in [app.browser().with_cookie("usher", &step), app.anonymous().bearing(&step)] {
        assert_eq!(place.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(place.get("/api/v1/me/totp").await.status, StatusCode::UNAUTHORIZED);
        let refresh = place.post("/api/v1/refresh", json!({"refresh_token": step})).await;
        assert_eq!(refresh.status, StatusCode::UNAUTHORIZED);
    }
    assert!(browser.get("/login/code").await.text().contains("id=\"passcode\""));
    // A wrong code leaves the step for the next attempt; the right one uses it up.
    assert_eq!(browser.form("/login/code", &[("passcode", "000000")]).await.status, StatusCode::UNAUTHORIZED);
    let thief = app.browser().with_cookie("usher-step", &step);
    let code = authenticator.code_in(&app, 0);
    let done = browser.form("/login/code", &[("passcode", &code)]).await;
    // What changed since the last login comes first, and once.
    let news = done.header("location").to_owned();
    assert_eq!((done.status, news.as_str()), (StatusCode::SEE_OTHER, "/account/news?return_to=%2Faccount"));
    let shown = browser.get(&news).await.text();
    assert!(shown.contains("An authenticator app was set up"), "{shown}");
    let last = shown.split("name=\"last\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let seen = browser.form("/account/news", &[("last", last), ("return_to", "/account")]).await;
    assert_eq!((seen.status, seen.header("location")), (StatusCode::SEE_OTHER, "/account"));
    assert_eq!(browser.get(&news).await.header("location"), "/account");
    assert!(browser.cookie("usher").is_some() && browser.cookie("usher-step").is_none());
    app.advance(Duration::from_secs(30));
    let code = authenticator.code_in(&app, 0);
    assert_eq!(page(&thief.form("/login/code", &[("passcode", &code)]).await), Told::Wrong, "the step was used");
    assert!(thief.cookie("usher").is_none());
}

#[tokio::test]
async fn half_a_login_ends_after_five_minutes_and_with_the_password_it_began_with() {
    let House { app, alice, authenticator, .. } = house().await;
    for changed in [false, true] {
        let browser = app.browser();
        browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
        if changed {
            let now = app.clock.now();
            let hash = app.app.hasher.hash(zeroize::Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
            let set =
                async move |tx: &mut usher_db::Tx| usher::accounts::set_password(tx, alice, &hash, false, now).await;
            app.cx().write("test.password", set).await.unwrap().unwrap();
        } else {
            app.advance(Duration::from_secs(300));
        }
        let code = authenticator.code_in(&app, 0);
        let answer = browser.form("/login/code", &[("passcode", &code)]).await;
        assert_eq!(answer.header("location"), "/login?done=late", "changed: {changed}");
        assert!(browser.cookie("usher").is_none());
    }
}

#[tokio::test]
async fn an_old_hash_is_renewed_on_the_way_to_the_second_step_too() {
    let House { app, alice, authenticator, .. } = house().await;
    let now = app.clock.now();
    let old = {
        let params = scrypt::Params::new(15, 8, 1).unwrap();
        let mut key = [0; 32];
        scrypt::scrypt(PASSWORD.as_bytes(), b"saltsalt", &params, &mut key).unwrap();
        usher::accounts::hash::Encoded::takeout(b"saltsalt", &key).unwrap().to_string()
    };
    let set = async move |tx: &mut usher_db::Tx| usher::accounts::set_password(tx, alice, &old, false, now).await;
    app.cx().write("test.password", set).await.unwrap().unwrap();
    let browser = app.browser();
    browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    let known = usher::accounts::find_credential_of(&app.app.db, alice).await.unwrap().unwrap();
    assert!(known.encoded.unwrap().starts_with("$argon2id$"));
    let code = authenticator.code_in(&app, 0);
    assert_eq!(page(&browser.form("/login/code", &[("passcode", &code)]).await), Told::In);
}
