//! Registered apps: whose origin may ask, for whose audience a token is, and that no token is worth more than its app.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use usher::accounts::{self, Buckets, Role, Standing};
use usher::config::{App, Config};
use usher_verify::{KeySet, Refusal, TokenType, Verifier};

const SHOP: &str = "https://shop.example";
const DESK: &str = "https://desk.example";

fn two_apps(config: &mut Config) {
    for (name, origin, audience) in [("shop", SHOP, Some("shop-api")), ("desk", DESK, None)] {
        let audience = audience.map(str::to_owned);
        config.apps.push(App { name: name.to_owned(), origins: vec![origin.parse().unwrap()], audience });
    }
}

async fn house() -> TestApp {
    let app = TestApp::with(two_apps).await;
    app.account("alice", Role::User).await;
    app
}

/// Header and claims of a token.
fn read(token: &Value) -> (Value, Value) {
    let parts: Vec<&str> = token.as_str().unwrap().split('.').collect();
    let part = |at: usize| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap();
    (part(0), part(1))
}

fn audience(answer: &Answer) -> Value {
    read(&answer.json()["access_token"]).1["aud"].clone()
}

/// A POST from a page of `origin`, with a cookie or without.
async fn from_page(app: &TestApp, origin: &str, path: &str, cookie: Option<&str>, body: Value) -> Answer {
    let mut request = Request::builder().method(Method::POST).uri(path).header(HOST, "localhost");
    request =
        request.header(ORIGIN, origin).header("sec-fetch-site", "cross-site").header(CONTENT_TYPE, "application/json");
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, format!("usher={cookie}"));
    }
    app.anonymous().send(request.body(body.to_string().into()).unwrap()).await
}

async fn refresh(app: &TestApp, body: Value) -> Answer {
    app.anonymous().post("/api/v1/refresh", body).await
}

#[tokio::test]
async fn a_page_of_a_registered_origin_gets_its_apps_token_for_the_cookie_and_nothing_more() {
    let app = house().await;
    let cookie = app.logged_in("alice").await.cookie("usher").unwrap();
    for (origin, aud) in [(SHOP, "shop-api"), (DESK, "desk")] {
        let answer = from_page(&app, origin, "/api/v1/refresh", Some(&cookie), json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(audience(&answer), aud);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        let body = answer.json();
        let given: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            given,
            BTreeSet::from(["access_token", "expires_in", "token_type"]),
            "no refresh token, no media token"
        );
        let other = if origin == SHOP { "desk" } else { "shop" };
        let greedy = from_page(&app, origin, "/api/v1/refresh", Some(&cookie), json!({"app": other})).await;
        assert_eq!(greedy.status, StatusCode::FORBIDDEN, "{origin} asked for {other}'s");
    }
    for origin in ["https://evil.example", "null", "https://shop.example:444", "http://shop.example"] {
        let answer = from_page(&app, origin, "/api/v1/refresh", Some(&cookie), json!({})).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (StatusCode::FORBIDDEN, ""),
            "{origin}"
        );
    }
    let nobody = from_page(&app, SHOP, "/api/v1/refresh", None, json!({})).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_for_one_app_is_refused_by_another_and_by_this_server() {
    let app = house().await;
    let keys = || -> KeySet { KeySet::from_jwks(&app.app.keys.jwks()).unwrap() };
    let now = app.clock.now().seconds();
    let issuer = app.app.keys.issuer().to_owned();
    let apis = [("shop-api", "shop"), ("desk", "desk"), (app.app.keys.audience(), "")];
    for (audience, name) in apis {
        let mut body = json!({"username": "alice", "password": PASSWORD});
        if !name.is_empty() {
            body["app"] = json!(name);
        }
        let login = app.anonymous().post("/api/v1/login", body).await.json();
        let token = login["access_token"].as_str().unwrap();
        for (api, _) in apis {
            let verdict = Verifier::new(keys(), &*issuer, api).verify(token, TokenType::Access, now);
            if api == audience {
                assert!(verdict.is_ok(), "{audience}'s own API");
            } else {
                assert_eq!(verdict.unwrap_err(), Refusal::WrongAudience, "a token for {audience} at {api}");
            }
        }
        let here = app.anonymous().bearing(token).get("/api/v1/me").await.status;
        assert_eq!(here == StatusCode::OK, name.is_empty(), "{audience} at this server");
    }
}

#[tokio::test]
async fn a_refresh_token_given_to_an_app_is_good_for_that_app_only_however_often_it_rotates() {
    let app = house().await;
    let login = json!({"username": "alice", "password": PASSWORD});
    let page = from_page(&app, SHOP, "/api/v1/login", None, login.clone()).await;
    assert_eq!((page.status, audience(&page)), (StatusCode::OK, json!("shop-api")), "{}", page.text());
    let mut named = login.clone();
    named["app"] = json!("shop");
    let program = app.anonymous().post("/api/v1/login", named).await;
    let mut form = app.anonymous().request(Method::POST, "/token").header(ORIGIN, SHOP);
    form = form.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let fields = format!("username=alice&password={PASSWORD}&scope=offline_access");
    let token = app.anonymous().send(form.body(fields.into()).unwrap()).await;
    for (way, answer) in [("page", page), ("program", program), ("form", token)] {
        let mut token = answer.json()["refresh_token"].clone();
        for round in 0..3 {
            // Whoever stole it from the page is no page, and says what it likes.
            let other = refresh(&app, json!({"refresh_token": token, "app": "desk"})).await;
            assert_eq!(other.code(), "session_ended", "{way} {round}: named another app");
            let desk = from_page(&app, DESK, "/api/v1/refresh", None, json!({"refresh_token": token})).await;
            assert_eq!(desk.code(), "session_ended", "{way} {round}: from another app's page");
            let plain = refresh(&app, json!({"refresh_token": token})).await;
            assert_eq!((plain.status, audience(&plain)), (StatusCode::OK, json!("shop-api")), "{way} {round}");
            let thief = app.anonymous().bearing(plain.json()["access_token"].as_str().unwrap());
            assert_eq!(thief.get("/api/v1/me").await.code(), "invalid_token", "{way} {round}: the account's own door");
            token = plain.json()["refresh_token"].clone();
            app.advance(Duration::from_secs(60));
        }
        let out = app.anonymous().post("/api/v1/logout", json!({"refresh_token": token})).await;
        assert_eq!(out.status, StatusCode::NO_CONTENT);
        assert_eq!(refresh(&app, json!({"refresh_token": token})).await.code(), "session_ended", "{way} logged out");
    }
}

#[tokio::test]
async fn one_s_own_program_may_ask_for_any_app_s_audience_and_for_none_that_is_unknown() {
    let app = house().await;
    let mut token = app.tokens("alice").await["refresh_token"].clone();
    for (name, aud) in [(json!("shop"), json!("shop-api")), (json!("desk"), json!("desk")), (Value::Null, Value::Null)]
    {
        let answer = refresh(&app, json!({"refresh_token": token, "app": name})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let aud = if aud.is_null() { json!(app.app.keys.audience()) } else { aud };
        assert_eq!(audience(&answer), aud);
        token = answer.json()["refresh_token"].clone();
    }
    let unknown = refresh(&app, json!({"refresh_token": token, "app": "nowhere"})).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refresh(&app, json!({"refresh_token": token})).await.status, StatusCode::OK, "and it was not used up");
}

#[tokio::test]
async fn apps_in_the_making_are_heard_from_this_machine_only_where_dev_says_so() {
    for dev in [true, false] {
        let app = TestApp::with(|config| {
            two_apps(config);
            config.server.dev = dev;
        })
        .await;
        app.account("alice", Role::User).await;
        let cookie = app.logged_in("alice").await.cookie("usher").unwrap();
        for (origin, local) in [
            ("http://localhost:5173", true),
            ("http://127.0.0.1:3000", true),
            ("http://localhost.evil.example", false),
            ("http://localhost:5173.evil.example", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://localhost:99999", false),
            ("https://evil.example", false),
        ] {
            let answer = from_page(&app, origin, "/api/v1/refresh", Some(&cookie), json!({})).await;
            let taken = answer.status == StatusCode::OK;
            assert_eq!(taken, dev && local, "{origin}, dev: {dev}: {}", answer.status);
            assert_eq!(answer.header("access-control-allow-origin") == origin, dev && local, "{origin}");
        }
    }
}

#[tokio::test]
async fn an_access_token_says_what_rfc_9068_asks_and_lives_ten_minutes() {
    let app = house().await;
    let login = app.tokens("alice").await;
    let (header, claims) = read(&login["access_token"]);
    let jwks = app.anonymous().get("/oauth/jwks").await.json();
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert_eq!(header["kid"], jwks["keys"][0]["kid"]);
    assert_eq!(header.as_object().unwrap().len(), 3, "{header}");
    let metadata = app.anonymous().get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(claims["iss"], metadata["issuer"]);
    assert_eq!(claims["aud"], metadata["issuer"]);
    assert_eq!((&claims["sub"], &claims["sid"]), (&login["account"]["id"], &login["session"]["id"]));
    assert_eq!((&claims["client_id"], &claims["roles"]), (&json!("usher"), &json!(["user"])));
    let now = app.clock.now().seconds();
    assert_eq!((&claims["iat"], &claims["exp"], &login["expires_in"]), (&json!(now), &json!(now + 600), &json!(600)));
    let again = app.tokens("alice").await;
    assert_ne!(read(&again["access_token"]).1["jti"], claims["jti"]);
    let media = read(&login["media_token"]);
    assert_eq!(media.0["typ"], "media+jwt");
    let program = app.anonymous().bearing(login["access_token"].as_str().unwrap());
    app.advance(Duration::from_secs(599));
    assert_eq!(program.get("/api/v1/me").await.status, StatusCode::OK);
    app.advance(Duration::from_secs(1));
    assert_eq!(program.get("/api/v1/me").await.code(), "token_expired");
}

#[tokio::test]
async fn a_refreshed_token_says_what_is_true_now() {
    let app = house().await;
    let admin = app.admin("root").await;
    let login = app.tokens("alice").await;
    let id: usher::id::AccountId = login["account"]["id"].as_str().unwrap().parse().unwrap();
    let mut token = login["refresh_token"].clone();
    let made = admin.post("/api/v1/groups", json!({"name": "family"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let path = format!("/api/v1/users/{id}");
    for (change, roles, groups) in [
        (json!({"role": "admin"}), json!(["admin"]), json!([])),
        (json!({"groups": ["family"]}), json!(["admin"]), json!(["family"])),
        (json!({"role": "user", "groups": []}), json!(["user"]), json!([])),
    ] {
        assert_eq!(admin.json(Method::PATCH, &path, change).await.status, StatusCode::OK);
        let answer = refresh(&app, json!({"refresh_token": token})).await;
        let claims = read(&answer.json()["access_token"]).1;
        let said = claims.get("groups").cloned().unwrap_or(json!([]));
        assert_eq!((&claims["roles"], &said), (&roles, &groups));
        token = answer.json()["refresh_token"].clone();
        let program = app.anonymous().bearing(answer.json()["access_token"].as_str().unwrap());
        assert_eq!(program.get("/api/v1/me").await.status, StatusCode::OK);
    }
    let now = app.clock.now();
    let shut =
        async move |tx: &mut usher_db::Tx| accounts::set_standing(tx, id, Standing::Disabled { at: now }, now).await;
    app.cx().write("test.disable", shut).await.unwrap().unwrap();
    assert_eq!(refresh(&app, json!({"refresh_token": token})).await.code(), "session_ended", "a disabled account");
}

#[tokio::test]
async fn the_published_keys_have_no_private_member_and_may_be_kept_for_a_while() {
    for algorithm in
        [usher::config::Algorithm::ES256, usher::config::Algorithm::Ed25519, usher::config::Algorithm::RS256]
    {
        let app = TestApp::with(|config| config.tokens.algorithm = algorithm).await;
        let answer = app.anonymous().get("/oauth/jwks").await;
        assert_eq!(answer.header("content-type"), "application/jwk-set+json");
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let keys = answer.json()["keys"].as_array().unwrap().clone();
        assert_eq!(keys.len(), 2, "the one that signs, and the next one");
        for key in keys {
            for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                assert!(key.get(private).is_none(), "{algorithm:?} shows {private}");
            }
        }
    }
}

/// Somebody who verifies by the published set, and fetches it anew only as often as it says.
struct Api {
    set: Verifier,
    fetched: i64,
}

impl Api {
    async fn fetch(app: &TestApp) -> Api {
        let text = app.anonymous().get("/oauth/jwks").await.text();
        let (issuer, audience) = (app.app.keys.issuer().to_owned(), app.app.keys.audience().to_owned());
        let set = Verifier::new(KeySet::from_jwks(&text).unwrap(), &*issuer, &*audience);
        Api { set, fetched: app.clock.now().seconds() }
    }
}

#[tokio::test]
async fn keys_rotate_under_load_and_no_verification_fails_anywhere() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let mut api = Api::fetch(&app).await;
    let mut outstanding: Vec<(String, i64)> = Vec::new();
    let mut line = app.tokens("root").await["refresh_token"].clone();
    let (mut rotations, mut verified) = (0, 0);
    // Four days in steps of seven minutes; a rotation is tried every hour.
    for step in 0..830 {
        app.advance(Duration::from_secs(7 * 60));
        let now = app.clock.now().seconds();
        if step % 9 == 0 {
            admin.post("/api/v1/me/reauthenticate", json!({"password": PASSWORD})).await;
            let answer = admin.post("/api/v1/keys/rotate", json!({})).await;
            assert!([StatusCode::OK, StatusCode::CONFLICT].contains(&answer.status), "{}", answer.text());
            rotations += usize::from(answer.status == StatusCode::OK);
        }
        if now >= api.fetched + 300 {
            api = Api::fetch(&app).await;
        }
        let fresh = refresh(&app, json!({"refresh_token": line})).await.json();
        let expires = read(&fresh["access_token"]).1["exp"].as_i64().unwrap();
        outstanding.push((fresh["access_token"].as_str().unwrap().to_owned(), expires));
        line = fresh["refresh_token"].clone();
        outstanding.retain(|(_, expires)| now < *expires);
        for (token, _) in &outstanding {
            api.set.verify(token, TokenType::Access, now).unwrap();
            // Ourselves, by the ring in memory.
            assert_eq!(app.anonymous().bearing(token).get("/api/v1/me").await.status, StatusCode::OK);
            verified += 1;
        }
    }
    assert!(rotations >= 3 && verified > 300, "{rotations} rotations, {verified} verifications");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rotations_that_are_forced_while_many_ask_fail_nobody_here() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account_with("alice", Role::User, Buckets::None, PASSWORD).await;
    let tokens = app.tokens("alice").await;
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let program: Actor = app.anonymous().bearing(tokens["access_token"].as_str().unwrap());
            tokio::spawn(async move {
                for _ in 0..150 {
                    let answer = program.get("/api/v1/me").await;
                    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(admin.post("/api/v1/keys/rotate", json!({"now": true})).await.status, StatusCode::OK);
    }
    for one in asking {
        one.await.unwrap();
    }
}
