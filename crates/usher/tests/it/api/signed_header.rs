//! `POST /login` with a signed header: the programs it is made for log in, and nobody else by it.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::authenticator::enrol;
use crate::support::together::at_once;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, StatusCode};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;
use usher::accounts::{Role, Standing};
use usher::time::{Clock, Time};

const SECRET: &str = "Pr0gRamM1ng";
const NAME: &str = "Alan Turing";

async fn app() -> TestApp {
    TestApp::with(|config| config.compat.signed_header = true).await
}

/// An account that has set a secret.
async fn holder(app: &TestApp, name: &str, secret: &str) -> Actor {
    let person = app.member(name).await;
    let answer = person.json(Method::PUT, "/api/v1/me/signed-header", json!({"secret": secret})).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    person
}

async fn show(app: &TestApp, value: &str) -> Answer {
    let stranger = app.anonymous();
    stranger
        .send(stranger.request(Method::POST, "/login").header(AUTHORIZATION, value).body(Body::empty()).unwrap())
        .await
}

fn workspace(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn run(mut command: Command) -> String {
    let said = command.output().expect("the interpreter could not be started; run scripts/test, which installs it");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// A header as one of the three originals makes it: `browser`, `python` or `rust`.
fn original(writing: &str, user: &str, secret: &str, at: Time) -> String {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/originals.py");
    let mut python = Command::new("python3");
    python.arg("-I").arg(script).args([writing, user, secret, &at.seconds().to_string()]);
    run(python)
}

fn seconds(seconds: i64) -> Time {
    Time::from_seconds(seconds)
}

#[tokio::test]
async fn the_published_vector_logs_in_at_its_time() {
    let app = app().await;
    holder(&app, NAME, SECRET).await;
    let Clock::Manual(clock) = &app.clock else { panic!("a test moves its clock") };
    clock.store(seconds(1_700_000_000).0, Ordering::SeqCst);
    // base64 of the name as a browser writes it, the published signature, and the time.
    let signature = "c032ff584ea347b429c7264d6b61e7c0b1c5026bee46308b0335a91b9a7196fe1c7765942978792ef81b2217c6045a8fc56062b904ec56b20ba9a3d163015a22";
    let name: String = NAME.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let inside = format!("{name},{signature},1700000000");
    let header = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, inside);
    assert_eq!(original("browser", NAME, SECRET, seconds(1_700_000_000)), header, "the independent maker agrees");
    let answer = show(&app, &header).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"redirect_url": "/library"})));
    assert!(answer.header("set-cookie").starts_with("usher="), "{:?}", answer.headers);
}

#[tokio::test]
async fn each_of_the_originals_logs_in_whatever_letters_the_name_and_the_secret_have() {
    let app = app().await;
    for (name, secret) in
        [(NAME, SECRET), ("zoë", "Straße-nach-Köln"), ("東京", "パスワードの秘密です"), ("ida", "emoji 😀 secret")]
    {
        let person = holder(&app, name, secret).await;
        for writing in ["browser", "python", "rust"] {
            let answer = show(&app, &original(writing, name, secret, app.clock.now())).await;
            assert_eq!(answer.status, StatusCode::OK, "{name} as {writing}: {}", answer.text());
            // The three write letters of ASCII alike, and a signature is good once.
            app.advance(Duration::from_secs(1));
        }
        let sessions = person.get("/api/v1/me/sessions").await.json();
        assert!(sessions["sessions"].as_array().unwrap().len() >= 4, "{name}");
    }
}

#[tokio::test]
async fn both_forms_of_the_header_are_taken() {
    let app = app().await;
    holder(&app, "alice", SECRET).await;
    for prefix in ["", "Bearer ", "bearer "] {
        let value = original("python", "alice", SECRET, app.clock.now());
        assert_eq!(show(&app, &format!("{prefix}{value}")).await.status, StatusCode::OK, "{prefix:?}");
        app.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn our_own_helpers_make_headers_that_log_in() {
    let app = app().await;
    holder(&app, "zoë", "Straße 😀 zum Meer").await;
    let at = app.clock.now().seconds().to_string();
    let mut python = Command::new("python3");
    let code = "import sys; sys.path.insert(0, sys.argv[1]); from usher_signed_header import signed_header as h; print(h(sys.argv[2], sys.argv[3], int(sys.argv[4])))";
    python.args(["-I", "-B", "-c", code]).arg(workspace("sdk/python")).args(["zoë", "Straße 😀 zum Meer", &at]);
    let answer = show(&app, &run(python)).await;
    assert_eq!(answer.status, StatusCode::OK, "python: {}", answer.text());
    // Node is no part of what the tests install; where it is, the same helper that browsers load is run in it.
    if Command::new("node").arg("--version").output().is_ok_and(|said| said.status.success()) {
        app.advance(Duration::from_secs(1));
        let at = app.clock.now().seconds().to_string();
        let script = workspace("sdk/js/signed-header.js");
        let source = std::fs::read_to_string(script).unwrap();
        let call = "const [user, secret, at] = process.argv.slice(1); console.log(await signedHeader(user, secret, Number(at)));";
        let mut node = Command::new("node");
        node.args(["--input-type=module", "-e", &format!("{source}\n{call}"), "zoë", "Straße 😀 zum Meer", &at]);
        let answer = show(&app, &run(node)).await;
        assert_eq!(answer.status, StatusCode::OK, "node: {}", answer.text());
    }
}

#[tokio::test]
async fn late_early_swapped_and_used_headers_are_refused_in_one_text() {
    let app = TestApp::with(|config| {
        config.compat.signed_header = true;
        config.throttle.free_attempts = 50;
    })
    .await;
    holder(&app, "alice", SECRET).await;
    holder(&app, "bob", "another secret of his").await;
    let at = |offset: i64| seconds(app.clock.now().seconds() + offset);
    for offset in [-60, 60] {
        assert_eq!(
            show(&app, &original("python", "alice", SECRET, at(offset))).await.status,
            StatusCode::OK,
            "{offset}"
        );
    }
    let used = original("python", "alice", SECRET, at(0));
    assert_eq!(show(&app, &used).await.status, StatusCode::OK);
    let decoded = |value: &str| {
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let encoded = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let (good, hers) = (decoded(&original("python", "alice", SECRET, at(1))), "\\u0061\\u006c\\u0069\\u0063\\u0065");
    for (what, value) in [
        ("used", used.clone()),
        ("used, with another prefix", format!("Bearer {used}")),
        ("used, with its digits in capitals", encoded(&decoded(&used).replace("\\u006c", "\\u006C"))),
        ("late", original("python", "alice", SECRET, at(-61))),
        ("early", original("python", "alice", SECRET, at(61))),
        ("another time stamp", encoded(&good.replace(&at(1).seconds().to_string(), &at(2).seconds().to_string()))),
        ("another name", encoded(&good.replace(hers, "\\u0062\\u006f\\u0062"))),
        ("wrong secret", original("python", "alice", "not the secret", at(0))),
        ("her password", original("python", "alice", PASSWORD, at(0))),
        ("nobody", original("python", "nobody", SECRET, at(0))),
        ("nobody at all", original("browser", "", SECRET, at(0))),
    ] {
        let answer = show(&app, &value).await;
        let told = (answer.status, answer.json(), answer.header("set-cookie").to_owned());
        let expected = (StatusCode::UNAUTHORIZED, json!({"detail": "Incorrect username or password"}), String::new());
        assert_eq!(told, expected, "{what}");
    }
    for broken in [
        "",
        "Bearer",
        "!!!",
        &used[..used.len() - 3],
        &encoded("a,b"),
        &encoded(&format!("{good},x")),
        "Basic YWxpY2U6eA==",
    ] {
        let answer = show(&app, broken).await;
        assert_eq!((answer.status, answer.json()["detail"].is_string()), (StatusCode::BAD_REQUEST, true), "{broken}");
    }
}

#[tokio::test]
async fn a_signature_is_good_once_also_after_the_sweep_and_a_restart() {
    let app = app().await;
    holder(&app, "alice", SECRET).await;
    // As far ahead as it may be, so that it stays fresh for two minutes.
    let value = original("rust", "alice", SECRET, seconds(app.clock.now().seconds() + 60));
    assert_eq!(show(&app, &value).await.status, StatusCode::OK);
    app.advance(Duration::from_secs(119));
    usher::jobs::once(&app.app).await;
    assert_eq!(show(&app, &value).await.status, StatusCode::UNAUTHORIZED);
    let app = app.restart().await;
    assert_eq!(show(&app, &value).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_uses_of_one_signature_at_once_one_logs_in() {
    let app = TestApp::with(|config| {
        config.compat.signed_header = true;
        config.throttle.free_attempts = 1_000;
    })
    .await
    .twin()
    .await;
    holder(&app, "alice", SECRET).await;
    let value = original("browser", "alice", SECRET, app.clock.now());
    let statuses = at_once(50, |_| {
        let (stranger, value) = (app.anonymous(), value.clone());
        async move {
            let request = stranger.request(Method::POST, "/login").header(AUTHORIZATION, value);
            stranger.send(request.body(Body::empty()).unwrap()).await.status
        }
    })
    .await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn a_disabled_account_and_a_removed_or_changed_secret_log_nobody_in() {
    let app = app().await;
    let person = holder(&app, "alice", SECRET).await;
    let fresh = |secret: &str| original("python", "alice", secret, app.clock.now());
    let body = json!({"secret": "a second secret"});
    assert_eq!(person.json(Method::PUT, "/api/v1/me/signed-header", body).await.status, StatusCode::NO_CONTENT);
    assert_eq!(show(&app, &fresh(SECRET)).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(show(&app, &fresh("a second secret")).await.status, StatusCode::OK);
    assert_eq!(person.delete("/api/v1/me/signed-header").await.status, StatusCode::NO_CONTENT);
    assert_eq!(person.delete("/api/v1/me/signed-header").await.status, StatusCode::NO_CONTENT, "twice is once");
    app.advance(Duration::from_secs(1));
    assert_eq!(show(&app, &fresh("a second secret")).await.status, StatusCode::UNAUTHORIZED);

    let id = app.account("carol", Role::User).await;
    let carol = app.logged_in("carol").await;
    carol.json(Method::PUT, "/api/v1/me/signed-header", json!({"secret": SECRET})).await;
    let now = app.clock.now();
    let standing = Standing::Disabled { at: now };
    let disable = async move |tx: &mut usher_db::Tx| usher::accounts::set_standing(tx, id, standing, now).await;
    app.cx().write("test.disable", disable).await.unwrap().unwrap();
    let value = original("python", "carol", SECRET, app.clock.now());
    assert_eq!(show(&app, &value).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_reset_password_takes_the_secret_with_it() {
    let app = app().await;
    let id = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    alice.json(Method::PUT, "/api/v1/me/signed-header", json!({"secret": SECRET})).await;
    let link = usher::login::links::make(&app.cx(), usher::login::links::Kind::Reset, Some(id), "").await.unwrap();
    let owner = app.browser();
    owner.get(&link.path).await;
    let new = "harbor-lantern-quince-58";
    assert_eq!(owner.form("/reset", &[("password", new), ("password2", new)]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        show(&app, &original("python", "alice", SECRET, app.clock.now())).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_secret_is_set_by_its_owner_with_a_fresh_proof_and_told_to_nobody() {
    let app = app().await;
    let alice = app.member("alice").await;
    let set = |body: serde_json::Value| {
        let alice = alice.clone();
        async move { alice.json(Method::PUT, "/api/v1/me/signed-header", body).await }
    };
    for bad in ["short", "sevench", &"x".repeat(257), "control\u{7}character"] {
        assert_eq!(set(json!({"secret": bad})).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    let same = set(json!({"secret": PASSWORD, "password": PASSWORD})).await;
    assert_eq!(same.status, StatusCode::UNPROCESSABLE_ENTITY, "the password must not be kept readable");
    app.advance(Duration::from_secs(301));
    let stale = set(json!({"secret": SECRET})).await;
    assert_eq!((stale.status, stale.code().as_str()), (StatusCode::UNAUTHORIZED, "reauthentication_required"));
    assert_eq!(set(json!({"secret": SECRET, "password": "wrong"})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(set(json!({"secret": SECRET, "password": PASSWORD})).await.status, StatusCode::NO_CONTENT);
    let told = alice.get("/api/v1/me/signed-header").await;
    assert!(told.json()["since"].is_string() && !told.text().contains(SECRET), "{}", told.text());
    let page = alice.get("/account/signed-header").await.text();
    assert!(page.contains("A secret is set") && !page.contains(SECRET));
    let kept = app.kept();
    let holds = |text: &str| kept.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("alice") && !holds(SECRET), "it lies in clear on the disk");
    app.advance(Duration::from_secs(301));
    let fields = [("secret", "set on the page 1"), ("confirm", PASSWORD)];
    assert_eq!(alice.form("/account/signed-header", &fields[..1]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(alice.form("/account/signed-header", &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        show(&app, &original("rust", "alice", "set on the page 1", app.clock.now())).await.status,
        StatusCode::OK
    );
    assert_eq!(alice.form("/account/signed-header/remove", &[]).await.status, StatusCode::SEE_OTHER);
    assert!(alice.get("/account/signed-header").await.text().contains("No secret is set"));
}

/// Who answers `POST /login`, by what the request shows.
#[tokio::test]
async fn one_address_takes_the_callers_of_every_system_and_none_is_another_s() {
    for enabled in [false, true] {
        let app = TestApp::with(|config| config.compat.signed_header = enabled).await;
        app.account("alice", Role::User).await;
        let alice = app.logged_in("alice").await;
        if enabled {
            alice.json(Method::PUT, "/api/v1/me/signed-header", json!({"secret": SECRET})).await;
        }
        let form = format!("username=alice&password={PASSWORD}");
        let header = original("python", "alice", SECRET, app.clock.now());
        let ask = |header: Option<&str>, body: Option<&str>| {
            let stranger = app.anonymous();
            let mut request = stranger.request(Method::POST, "/login");
            if let Some(value) = header {
                request = request.header(AUTHORIZATION, value);
            }
            if body.is_some() {
                request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            }
            let request = request.body(Body::from(body.unwrap_or_default().to_owned())).unwrap();
            async move { stranger.send(request).await }
        };
        let page = ask(None, Some(&form)).await;
        assert_eq!((page.status, page.header("location")), (StatusCode::SEE_OTHER, "/library"), "on: {enabled}");
        let signed = ask(Some(&header), None).await;
        assert_eq!(signed.status == StatusCode::OK, enabled, "{}", signed.status);
        // The header decides, whatever else is there; switched off, it says nothing.
        let both = ask(Some("!!!"), Some(&form)).await;
        assert_eq!(both.status, if enabled { StatusCode::BAD_REQUEST } else { StatusCode::SEE_OTHER });
        let neither = ask(None, None).await;
        let expected = if enabled { StatusCode::UNAUTHORIZED } else { StatusCode::UNSUPPORTED_MEDIA_TYPE };
        assert_eq!(neither.status, expected);
        if !enabled {
            let refused = alice.json(Method::PUT, "/api/v1/me/signed-header", json!({"secret": SECRET})).await;
            assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "signed_header_off"));
            assert_eq!(alice.get("/account/signed-header").await.status, StatusCode::NOT_FOUND);
        }
    }
}

#[tokio::test]
async fn a_rotated_master_key_keeps_every_secret() {
    let app = app().await;
    holder(&app, "alice", SECRET).await;
    let resealed = usher::login::signed::reseal(&app.cx()).await.unwrap();
    assert_eq!(resealed.count(), 1);
    app.cx().write("test.reseal", async move |tx| resealed.put(tx).await).await.unwrap();
    assert_eq!(show(&app, &original("python", "alice", SECRET, app.clock.now())).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_account_with_a_second_factor_is_not_let_in_by_a_header() {
    let app = app().await;
    let person = holder(&app, NAME, SECRET).await;
    enrol(&app, &person).await;
    let answer = show(&app, &original("browser", NAME, SECRET, app.clock.now())).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text());
    let gone = person.json(Method::DELETE, "/api/v1/me/totp", json!({})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text());
    app.advance(Duration::from_secs(1));
    assert_eq!(show(&app, &original("browser", NAME, SECRET, app.clock.now())).await.status, StatusCode::OK);
}
