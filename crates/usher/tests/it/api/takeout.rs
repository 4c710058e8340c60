//! TakeoutFM's clients, unmodified: each behaves here exactly as it does, its quirks included.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::authenticator::enrol;
use crate::support::together::at_once;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::{Role, Standing};
use usher::sessions::Kind;

const MOBILE: &str = "TakeoutFM-Mobile/0.25.2 (takeoutfm.com; android)";
const PLAYOUT: &str = "Playout/0.9.1 (takeoutfm.com)";

async fn app() -> TestApp {
    TestApp::with(|config| config.compat.takeout = true).await
}

/// A client: an address that somebody typed, and a name.
#[derive(Clone)]
struct App {
    actor: Actor,
    agent: &'static str,
    /// What stands between the host and `/api`: a slash when one was typed behind the host.
    typed: &'static str,
}

impl App {
    fn new(app: &TestApp, agent: &'static str) -> App {
        App { actor: app.anonymous(), agent, typed: "" }
    }

    async fn send(&self, method: Method, path: &str, bearer: Option<&str>, body: Option<Value>) -> Answer {
        let path = format!("{}{path}", self.typed);
        let mut request = self.actor.request(method, &path).header(USER_AGENT, self.agent);
        if let Some(token) = bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json; charset=utf-8");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.actor.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn log_in(&self, user: &str, pass: &str) -> Answer {
        self.send(Method::POST, "/api/token", None, Some(json!({"User": user, "Pass": pass}))).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.send(Method::GET, "/api/token", Some(token), None).await
    }

    async fn make_code(&self) -> Value {
        let answer = self.send(Method::GET, "/api/code", None, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    async fn poll(&self, made: &Value) -> Answer {
        let body = json!({"Code": made["Code"]});
        self.send(Method::POST, "/api/code", made["AccessToken"].as_str(), Some(body)).await
    }

    /// The mobile app always sends a passcode, also an empty one.
    async fn link(&self, code: &str, user: &str, pass: &str) -> Answer {
        let body = json!({"Code": code, "User": user, "Pass": pass, "Passcode": ""});
        self.send(Method::POST, "/api/link", None, Some(body)).await
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Whether an access token is one.
async fn opens(app: &TestApp, token: &str) -> bool {
    app.anonymous().bearing(token).get("/api/v1/me").await.status == StatusCode::OK
}

fn plain(answer: &Answer, status: u16, line: &str) {
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (status, line));
    assert!(answer.header("content-type").starts_with("text/plain"), "{:?}", answer.headers);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn the_mobile_app_logs_in_refreshes_many_times_at_once_and_goes_on() {
    let app = app().await;
    app.account("alice", Role::User).await;
    // The host was typed with a slash behind it.
    let mobile = App { typed: "/", ..App::new(&app, MOBILE) };
    let login = mobile.log_in("alice", PASSWORD).await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.text());
    let mut tokens = login.json();
    assert_eq!(tokens.as_object().unwrap().keys().collect::<Vec<_>>(), ["AccessToken", "MediaToken", "RefreshToken"]);
    assert!(opens(&app, text(&tokens, "AccessToken")).await);
    for _ in 0..5 {
        app.advance(Duration::from_secs(15 * 60));
        assert!(!opens(&app, text(&tokens, "AccessToken")).await, "it has expired");
        // Every request that was refused refreshes by itself, without a lock.
        let token = text(&tokens, "RefreshToken").to_owned();
        let answers = at_once(8, |_| {
            let (mobile, token) = (mobile.clone(), token.clone());
            async move { mobile.refresh(&token).await }
        })
        .await;
        for answer in &answers {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let fresh = answer.json();
            assert!(opens(&app, text(&fresh, "AccessToken")).await);
            assert_eq!(text(&fresh, "RefreshToken"), text(&answers[0].json(), "RefreshToken"), "one line");
        }
        // The media token of the login is kept: a refresh need not give one.
        let media = tokens["MediaToken"].clone();
        tokens = answers[0].json();
        tokens["MediaToken"] = media;
    }
}

#[tokio::test]
async fn the_watch_shows_a_code_and_asks_when_somebody_presses_next() {
    let app = app().await;
    app.account("alice", Role::User).await;
    let (watch, phone) = (App::new(&app, "TakeoutFM-Watch/0.25.2 (takeoutfm.com; wear)"), App::new(&app, MOBILE));
    let made = watch.make_code().await;
    let code = text(&made, "Code").to_owned();
    let letters = b"123456789ABCDEFGHIKLMNPQRSTUVWXYZ";
    assert!(code.len() == 6 && code.bytes().all(|letter| letters.contains(&letter)), "{code}");
    // Pressed as fast as a finger can: never anything but "not yet".
    for _ in 0..20 {
        plain(&watch.poll(&made).await, 403, "access denied\n");
    }
    // A dead code is 404 here, where the original told of an error of its own; the app looks for 204 alone.
    plain(&phone.link("ZZZZZZ", "alice", PASSWORD).await, 404, "no such code\n");
    plain(&phone.link(&code, "alice", "not her password").await, 401, "unauthorized\n");
    plain(&watch.poll(&made).await, 403, "access denied\n");
    let linked = phone.link(&format!(" {} ", code.to_lowercase()), "alice", PASSWORD).await;
    assert_eq!((linked.status, linked.body.len()), (StatusCode::NO_CONTENT, 0));
    let tokens = watch.poll(&made).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text());
    let tokens = tokens.json();
    let sessions = app.anonymous().bearing(text(&tokens, "AccessToken")).get("/api/v1/me/sessions").await.json();
    assert_eq!(sessions["sessions"][0]["kind"], "device");
    assert_eq!(sessions["sessions"][0]["label"], "TakeoutFM-Watch");
    // Once, where the original gave tokens as often as it was asked.
    plain(&watch.poll(&made).await, 401, "unauthorized\n");
    app.advance(Duration::from_secs(700));
    let refreshed = watch.refresh(text(&tokens, "RefreshToken")).await.json();
    assert_ne!(refreshed["RefreshToken"], tokens["RefreshToken"], "the watch keeps what it is given");
}

#[tokio::test]
async fn playout_which_drops_every_later_refresh_token_keeps_working_for_a_bounded_time() {
    let app = app().await;
    let id = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    let playout = App::new(&app, PLAYOUT);
    let made = playout.make_code().await;
    let code = text(&made, "Code");
    assert_eq!(alice.form("/link", &[("code", code)]).await.status, StatusCode::OK, "the page takes these codes, too");
    assert_eq!(alice.form("/link/approve", &[("code", code)]).await.status, StatusCode::SEE_OTHER);
    let tokens = playout.poll(&made).await.json();
    let kept = text(&tokens, "RefreshToken").to_owned();
    for day in 0..89 {
        app.advance(Duration::from_secs(24 * 3600));
        let answer = playout.refresh(&kept).await;
        assert_eq!(answer.status, StatusCode::OK, "day {day}: {}", answer.text());
        assert!(opens(&app, text(&answer.json(), "AccessToken")).await);
    }
    app.advance(Duration::from_secs(2 * 24 * 3600));
    plain(&playout.refresh(&kept).await, 401, "unauthorized\n");
    let filter = usher::audit::Filter { event: Some("login".to_owned()), account: Some(id), ..Default::default() };
    let events = usher::audit::list(&app.app.db, &filter, 100).await.unwrap();
    let told =
        events.iter().filter(|event| event.target == "keeps one refresh token" && event.detail == "link").count();
    assert_eq!(told, 1, "{events:?}");
}

#[tokio::test]
async fn an_unused_session_of_playout_ends_after_a_month_and_any_at_once_when_its_owner_says_so() {
    let app = app().await;
    let alice = app.member("alice").await;
    let playout = App::new(&app, PLAYOUT);
    let link = || async {
        let made = playout.make_code().await;
        let code = text(&made, "Code").to_owned();
        alice.form("/link", &[("code", &code)]).await;
        alice.form("/link/approve", &[("code", &code)]).await;
        text(&playout.poll(&made).await.json(), "RefreshToken").to_owned()
    };
    let (idle, ended) = (link().await, link().await);
    assert!(alice.post("/api/v1/me/sessions/end-others", json!({})).await.status.is_success());
    plain(&playout.refresh(&ended).await, 401, "unauthorized\n");
    plain(&playout.refresh(&idle).await, 401, "unauthorized\n");
    let idle = link().await;
    app.advance(Duration::from_secs(31 * 24 * 3600));
    plain(&playout.refresh(&idle).await, 401, "unauthorized\n");
}

#[tokio::test]
async fn no_other_client_has_a_refresh_token_that_stays() {
    let app = app().await;
    app.account("alice", Role::User).await;
    // A password login is none of playout's, whatever it calls itself.
    let playout = App::new(&app, PLAYOUT);
    let tokens = playout.log_in("alice", PASSWORD).await.json();
    let first = text(&tokens, "RefreshToken");
    assert_eq!(playout.refresh(first).await.status, StatusCode::OK);
    app.advance(Duration::from_secs(60));
    plain(&playout.refresh(first).await, 401, "unauthorized\n");
    let native = app.tokens("alice").await;
    let other = App::new(&app, PLAYOUT);
    let rotated = other.refresh(text(&native, "refresh_token")).await.json();
    assert_ne!(rotated["RefreshToken"], native["refresh_token"]);
}

#[tokio::test]
async fn a_code_is_good_with_its_own_token_only() {
    let app = app().await;
    app.account("alice", Role::User).await;
    let (watch, thief, phone) = (App::new(&app, MOBILE), App::new(&app, MOBILE), App::new(&app, MOBILE));
    let (made, own) = (watch.make_code().await, thief.make_code().await);
    assert_eq!(phone.link(text(&made, "Code"), "alice", PASSWORD).await.status, StatusCode::NO_CONTENT);
    let mixed = json!({"Code": made["Code"], "AccessToken": own["AccessToken"]});
    plain(&thief.poll(&mixed).await, 401, "unauthorized\n");
    let other_way = json!({"Code": own["Code"], "AccessToken": made["AccessToken"]});
    plain(&thief.poll(&other_way).await, 401, "unauthorized\n");
    let native = app.anonymous().form("/oauth/device_authorization", &[("client_id", "usher-device")]).await.json();
    let foreign = json!({"Code": native["user_code"], "AccessToken": native["device_code"]});
    plain(&thief.poll(&foreign).await, 401, "unauthorized\n");
    let fields = [
        ("grant_type", usher::oauth::DEVICE_GRANT),
        ("client_id", "usher-device"),
        ("device_code", text(&made, "AccessToken")),
    ];
    let stolen = app.anonymous().form("/oauth/token", &fields).await;
    assert_eq!(stolen.json()["error"], "invalid_grant", "another client's code");
    let no_token = json!({"Code": made["Code"], "AccessToken": "nonsense"});
    plain(&thief.poll(&no_token).await, 401, "unauthorized\n");
    let body = json!({"Code": made["Code"]});
    plain(&thief.send(Method::POST, "/api/code", None, Some(body)).await, 401, "unauthorized\n");
    assert_eq!(watch.poll(&made).await.status, StatusCode::OK, "its own device still gets it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_polls_at_once_one_gets_the_tokens() {
    let app = app().await.twin().await;
    let id = app.account("alice", Role::User).await;
    let (watch, phone) = (App::new(&app, MOBILE), App::new(&app, MOBILE));
    let made = watch.make_code().await;
    assert_eq!(phone.link(text(&made, "Code"), "alice", PASSWORD).await.status, StatusCode::NO_CONTENT);
    let answers = at_once(50, |_| {
        let (watch, made) = (watch.clone(), made.clone());
        async move { watch.poll(&made).await.status.as_u16() }
    })
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| [200, 401].contains(status)), "{answers:?}");
    let live = usher::sessions::list_live(&app.app.db, id).await.unwrap();
    assert_eq!(live.iter().filter(|session| session.kind == Kind::Device).count(), 1);
}

#[tokio::test]
async fn codes_end_after_five_minutes() {
    let app = app().await;
    app.account("alice", Role::User).await;
    let (watch, phone) = (App::new(&app, MOBILE), App::new(&app, MOBILE));
    let made = watch.make_code().await;
    app.advance(Duration::from_secs(299));
    plain(&watch.poll(&made).await, 403, "access denied\n");
    app.advance(Duration::from_secs(2));
    plain(&watch.poll(&made).await, 401, "unauthorized\n");
    plain(&phone.link(text(&made, "Code"), "alice", PASSWORD).await, 404, "no such code\n");
}

#[tokio::test]
async fn every_failed_login_has_one_text_and_leaves_no_session() {
    let app = app().await;
    app.account("alice", Role::User).await;
    let gone = app.account("carol", Role::User).await;
    let now = app.clock.now();
    let standing = Standing::Disabled { at: now };
    let disable = async move |tx: &mut usher_db::Tx| usher::accounts::set_standing(tx, gone, standing, now).await;
    app.cx().write("test.disable", disable).await.unwrap().unwrap();
    let mobile = App::new(&app, MOBILE);
    let made = mobile.make_code().await;
    for (user, pass) in [("nobody", PASSWORD), ("alice", "wrong"), ("carol", PASSWORD), ("", "")] {
        plain(&mobile.log_in(user, pass).await, 401, "unauthorized\n");
        plain(&mobile.link(text(&made, "Code"), user, pass).await, 401, "unauthorized\n");
    }
    for body in [json!([]), json!({"User": 1, "Pass": "x"}), json!("x")] {
        plain(&mobile.send(Method::POST, "/api/token", None, Some(body)).await, 401, "unauthorized\n");
    }
    plain(&mobile.refresh("nonsense").await, 401, "unauthorized\n");
    plain(&mobile.send(Method::GET, "/api/token", None, None).await, 401, "unauthorized\n");
    let native = app.tokens("alice").await;
    for other in ["access_token", "media_token"] {
        plain(&mobile.refresh(text(&native, other)).await, 401, "unauthorized\n");
    }
    // A right password with a wrong code begins nothing either.
    let id = native["account"]["id"].as_str().unwrap().parse().unwrap();
    let before = usher::sessions::list_live(&app.app.db, id).await.unwrap().len();
    plain(&mobile.link("ZZZZZZ", "alice", PASSWORD).await, 404, "no such code\n");
    assert_eq!(usher::sessions::list_live(&app.app.db, id).await.unwrap().len(), before);
}

#[tokio::test]
async fn guesses_here_count_with_all_others_and_wait_for_them() {
    let app = app().await;
    app.account("alice", Role::User).await;
    let mobile = App::new(&app, MOBILE);
    let made = mobile.make_code().await;
    for n in 0..5 {
        let answer = if n % 2 == 0 {
            mobile.log_in("ALICE", "wrong").await
        } else {
            mobile.link(text(&made, "Code"), "Alice", "wrong").await
        };
        assert!(matches!(answer.status.as_u16(), 401 | 429), "{n}: {}", answer.status);
    }
    for answer in [mobile.log_in("alice", PASSWORD).await, mobile.link(text(&made, "Code"), "alice", PASSWORD).await] {
        plain(&answer, 429, "too many requests\n");
        assert_eq!(answer.header("retry-after"), "1");
    }
    plain(&mobile.poll(&made).await, 403, "access denied\n");
    app.advance(Duration::from_secs(1));
    assert_eq!(mobile.link(text(&made, "Code"), "alice", PASSWORD).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn names_may_be_written_in_any_case_and_the_token_bare() {
    let app = app().await;
    app.account("alice", Role::User).await;
    let mobile = App::new(&app, MOBILE);
    let body = json!({"user": "alice", "PASS": PASSWORD, "passCode": ""});
    let tokens = mobile.send(Method::POST, "/api/token", None, Some(body)).await.json();
    let bare = mobile.actor.request(Method::GET, "/api/token").header(AUTHORIZATION, text(&tokens, "RefreshToken"));
    assert_eq!(mobile.actor.send(bare.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_form_of_the_original_s_login_page_is_taken_beside_our_own() {
    let app = app().await;
    app.account("alice", Role::User).await;
    let person = app.browser();
    let good = person.form("/login", &[("user", "alice"), ("pass", PASSWORD), ("passcode", "")]).await;
    assert_eq!((good.status, good.header("location")), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(person.get("/api/v1/me").await.status, StatusCode::OK);
    plain(&app.browser().form("/login", &[("user", "alice"), ("pass", "wrong")]).await, 401, "unauthorized\n");
    let own = app.browser().form("/login", &[("username", "alice"), ("password", PASSWORD), ("user", "mallory")]).await;
    assert_eq!(own.header("location"), "/library");
}

#[tokio::test]
async fn nothing_of_it_is_there_unless_it_was_switched_on() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let mobile = App::new(&app, MOBILE);
    for (method, path) in [
        (Method::POST, "/api/token"),
        (Method::GET, "/api/token"),
        (Method::GET, "/api/code"),
        (Method::POST, "/api/code"),
        (Method::POST, "/api/link"),
    ] {
        let answer = mobile.send(method, path, None, Some(json!({"User": "alice", "Pass": PASSWORD}))).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        let doubled = App { typed: "/", ..mobile.clone() };
        assert_eq!(doubled.send(Method::GET, path, None, None).await.status, StatusCode::BAD_REQUEST, "/{path}");
    }
    let form = app.browser().form("/login", &[("user", "alice"), ("pass", PASSWORD)]).await;
    assert_eq!(form.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn another_site_s_page_cannot_log_anybody_in_here() {
    let app = app().await;
    app.account("alice", Role::User).await;
    for path in ["/api/token", "//api/token", "/api/link", "/api/code"] {
        let request = app.anonymous().request(Method::POST, path).header("sec-fetch-site", "cross-site");
        let answer = app.anonymous().send(request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_passcode_is_asked_for_at_the_login_and_at_the_link() {
    let app = app().await;
    let owner = app.member("alice").await;
    let (authenticator, codes) = enrol(&app, &owner).await;
    let client = App::new(&app, MOBILE);
    let try_in = async |passcode: &str| {
        let body = json!({"User": "alice", "Pass": PASSWORD, "Passcode": passcode});
        client.send(Method::POST, "/api/token", None, Some(body)).await.status
    };
    let code = authenticator.code_in(&app, 0);
    assert_eq!(client.log_in("alice", PASSWORD).await.status, StatusCode::UNAUTHORIZED, "left out");
    for (passcode, status) in [
        ("", StatusCode::UNAUTHORIZED),
        ("000000", StatusCode::UNAUTHORIZED),
        (code.as_str(), StatusCode::OK),
        (code.as_str(), StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(try_in(passcode).await, status, "{passcode:?}");
    }
    let made = client.make_code().await;
    let link = async |passcode: &str| {
        let body = json!({"Code": made["Code"], "User": "alice", "Pass": PASSWORD, "Passcode": passcode});
        client.send(Method::POST, "/api/link", None, Some(body)).await.status
    };
    for (passcode, status) in [
        ("", StatusCode::UNAUTHORIZED),
        (code.as_str(), StatusCode::UNAUTHORIZED),
        (codes[0].as_str(), StatusCode::NO_CONTENT),
    ] {
        assert_eq!(link(passcode).await, status, "{passcode:?}");
    }
    assert_eq!(client.poll(&made).await.status, StatusCode::OK);
    assert_eq!(try_in(&codes[0]).await, StatusCode::UNAUTHORIZED, "used up by the link");
    let form = app.browser().form("/login", &[("user", "alice"), ("pass", PASSWORD), ("passcode", &codes[1])]).await;
    assert_eq!(form.status, StatusCode::SEE_OTHER, "{}", form.text());
}
