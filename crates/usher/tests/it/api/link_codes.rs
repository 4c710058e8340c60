//! Link codes: a device asks, a person looks and decides, and the device becomes a session of its own (RFC 8628).

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::authenticator::enrol;
use crate::support::together::at_once;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::{Role, Standing};
use usher::id::AccountId;
use usher::oauth::DEVICE_GRANT;

/// What a form says.
type Fields<'a> = &'a [(&'a str, &'a str)];

const CLIENT: (&str, &str) = ("client_id", "usher-device");

async fn ask(device: &Actor, name: &str) -> Value {
    let answer = device.form("/oauth/device_authorization", &[CLIENT, ("device_name", name)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

async fn poll(device: &Actor, asked: &Value) -> Answer {
    let code = asked["device_code"].as_str().unwrap();
    device.form("/oauth/token", &[("grant_type", DEVICE_GRANT), CLIENT, ("device_code", code)]).await
}

/// The standard's word for what a poll was told; `ok` when it got its tokens.
async fn told(device: &Actor, asked: &Value) -> String {
    let answer = poll(device, asked).await;
    if answer.status == StatusCode::OK { "ok".to_owned() } else { answer.json()["error"].as_str().unwrap().to_owned() }
}

fn user_code(asked: &Value) -> &str {
    asked["user_code"].as_str().unwrap()
}

async fn open(person: &Actor, code: &str) -> Answer {
    person.form("/link", &[("code", code)]).await
}

async fn decide(person: &Actor, what: &str, code: &str) -> Answer {
    person.form(&format!("/link/{what}"), &[("code", code)]).await
}

async fn approve(person: &Actor, asked: &Value) {
    assert_eq!(open(person, user_code(asked)).await.status, StatusCode::OK);
    let answer = decide(person, "approve", user_code(asked)).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/link?done=approved"));
}

async fn set_standing(app: &TestApp, id: AccountId, disabled: bool) {
    let now = app.clock.now();
    let standing = if disabled { Standing::Disabled { at: now } } else { Standing::Active };
    let set = async move |tx: &mut usher_db::Tx| usher::accounts::set_standing(tx, id, standing, now).await;
    app.cx().write("test.standing", set).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_device_is_shown_approved_and_becomes_a_session_of_its_own() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let device = app.anonymous().at_address("198.51.100.7");
    let asked = ask(&device, "Living room").await;
    assert_eq!((&asked["expires_in"], &asked["interval"]), (&json!(600), &json!(5)));
    assert_eq!(asked["verification_uri"], "http://localhost/link");
    let complete = format!("http://localhost/link?code={}", user_code(&asked));
    assert_eq!(asked["verification_uri_complete"], complete);
    assert_eq!(told(&device, &asked).await, "authorization_pending");

    let shown = open(&alice, &user_code(&asked).to_lowercase()).await.text();
    for fact in [user_code(&asked), "Living room", "198.51.100.7", "another network than yours", "as <strong>alice"] {
        assert!(shown.contains(fact), "{fact} is not in {shown}");
    }
    app.advance(Duration::from_secs(5));
    assert_eq!(told(&device, &asked).await, "authorization_pending", "looking at it is no approval");
    assert_eq!(decide(&alice, "approve", user_code(&asked)).await.status, StatusCode::SEE_OTHER);
    assert!(alice.get("/link?done=approved").await.text().contains("It is linked"));

    let tokens = poll(&device, &asked).await;
    assert_eq!((tokens.status, tokens.header("cache-control")), (StatusCode::OK, "no-store"));
    let tokens = tokens.json();
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(600)));
    let player = app.anonymous().bearing(tokens["access_token"].as_str().unwrap());
    let sessions = player.get("/api/v1/me/sessions").await.json();
    let own = sessions["sessions"].as_array().unwrap().iter().find(|one| one["current"] == true).unwrap().clone();
    assert_eq!((&own["kind"], &own["label"]), (&json!("device"), &json!("Living room")));
    let refreshed = player.post("/api/v1/refresh", json!({"refresh_token": tokens["refresh_token"]})).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    assert!(alice.get("/account").await.text().contains("Living room"), "its owner sees it");

    assert_eq!(told(&device, &asked).await, "invalid_grant", "a code is redeemed once");
    let end = format!("/api/v1/me/sessions/{}", own["id"].as_str().unwrap());
    assert_eq!(alice.delete(&end).await.status, StatusCode::NO_CONTENT);
    assert_eq!(player.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "and can end it");
}

#[tokio::test]
async fn a_code_is_eight_letters_of_the_published_alphabet_and_its_secret_cannot_be_guessed() {
    let app = TestApp::new().await;
    let asked = ask(&app.anonymous(), "").await;
    let code = user_code(&asked);
    assert!(code.len() == 9 && code.as_bytes()[4] == b'-', "{code}");
    assert!(code.replace('-', "").bytes().all(|letter| b"BCDFGHJKLMNPQRSTVWXZ".contains(&letter)), "{code}");
    let secret = asked["device_code"].as_str().unwrap();
    assert!(secret.starts_with("usd_") && secret.len() == 53, "{secret}");
}

#[tokio::test]
async fn no_get_decides_anything_and_a_stranger_logs_in_first_and_comes_back() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let device = app.anonymous();
    let asked = ask(&device, "Player").await;
    let link = format!("/link?code={}", user_code(&asked));
    let page = alice.get(&link).await;
    assert!(page.status == StatusCode::OK && page.text().contains(user_code(&asked)), "filled in");
    assert!(!page.text().contains("Player"), "looking at the device is a POST, which counts wrong codes");
    for path in ["/link/approve", "/link/refuse"] {
        assert_eq!(alice.get(path).await.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    // The second step alone is none: whoever decides has looked.
    assert_eq!(decide(&alice, "approve", user_code(&asked)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(told(&device, &asked).await, "authorization_pending");
    let stranger = app.browser().get(&link).await;
    let back = percent_encoding::utf8_percent_encode(&link, percent_encoding::NON_ALPHANUMERIC);
    assert_eq!(stranger.header("location"), format!("/login?return_to={back}"));
    let fields = [("username", "alice"), ("password", PASSWORD), ("return_to", link.as_str())];
    assert_eq!(app.browser().form("/login", &fields).await.header("location"), link);
}

#[tokio::test]
async fn whoever_logs_in_on_the_way_to_the_link_page_is_asked_for_the_passcode_there() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (authenticator, _) = enrol(&app, &owner).await;
    let device = app.anonymous();
    let asked = ask(&device, "Player").await;
    let link = format!("/link?code={}", user_code(&asked));
    let phone = app.browser();
    let login = phone.get(&link).await.header("location").to_owned();
    assert!(phone.get(&login).await.text().contains(&format!("name=\"return_to\" value=\"{link}\"")), "{login}");
    let fields = [("username", "alice"), ("password", PASSWORD), ("return_to", link.as_str())];
    assert_eq!(phone.form("/login", &fields).await.header("location"), "/login/code");
    assert!(
        open(&phone, user_code(&asked)).await.header("location").starts_with("/login"),
        "half a login decides nothing"
    );
    let code = authenticator.code_in(&app, 0);
    let done = phone.form("/login/code", &[("passcode", &code)]).await;
    let news = done.header("location");
    let back = format!("/account/news?return_to=%2Flink%3Fcode%3D{}", user_code(&asked));
    assert_eq!(news, back, "what is new comes first, then the device");
    approve(&phone, &asked).await;
    assert_eq!(told(&device, &asked).await, "ok");
}

#[tokio::test]
async fn another_site_can_neither_look_nor_decide() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let device = app.anonymous();
    let asked = ask(&device, "Player").await;
    open(&alice, user_code(&asked)).await;
    for path in ["/link", "/link/approve", "/link/refuse"] {
        let request = http::Request::builder().method("POST").uri(path).header("host", "localhost");
        let request = request.header("sec-fetch-site", "cross-site").header("origin", "https://evil.example");
        let request = request.header("cookie", format!("usher={}", alice.cookie("usher").unwrap()));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let body = format!("code={}", user_code(&asked));
        let answer = app.anonymous().send(request.body(body.into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(told(&device, &asked).await, "authorization_pending");
}

#[tokio::test]
async fn the_words_of_a_poll_are_the_standard_s() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let device = app.anonymous();
    let asked = ask(&device, "").await;
    assert_eq!(told(&device, &asked).await, "authorization_pending");
    assert_eq!(told(&device, &asked).await, "slow_down");
    app.advance(Duration::from_secs(5));
    assert_eq!(told(&device, &asked).await, "slow_down", "the interval is ten seconds now");
    app.advance(Duration::from_secs(15));
    assert_eq!(told(&device, &asked).await, "authorization_pending");

    let refused = ask(&device, "").await;
    open(&alice, user_code(&refused)).await;
    assert_eq!(decide(&alice, "refuse", user_code(&refused)).await.header("location"), "/link?done=refused");
    assert_eq!(told(&device, &refused).await, "access_denied");
    assert_eq!(decide(&alice, "approve", user_code(&refused)).await.status, StatusCode::NOT_FOUND, "no is no");

    let late = ask(&device, "").await;
    app.advance(Duration::from_secs(599));
    open(&alice, user_code(&late)).await;
    app.advance(Duration::from_secs(2));
    assert_eq!(told(&device, &late).await, "expired_token");
    assert_eq!(decide(&alice, "approve", user_code(&late)).await.status, StatusCode::NOT_FOUND);
    app.advance(Duration::from_secs(3601));
    usher::jobs::once(&app.app).await;
    assert_eq!(told(&device, &late).await, "invalid_grant", "long gone, and its row too");
}

#[tokio::test]
async fn an_approval_is_of_no_use_after_its_time() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let device = app.anonymous();
    let asked = ask(&device, "").await;
    approve(&alice, &asked).await;
    app.advance(Duration::from_secs(601));
    assert_eq!(told(&device, &asked).await, "expired_token");
}

#[tokio::test]
async fn whoever_is_shut_out_before_the_device_comes_lets_nobody_in() {
    let app = TestApp::new().await;
    for (name, after) in [("alice", "disabled"), ("bob", "disabled and let in again"), ("carol", "new password")] {
        let id = app.account(name, Role::User).await;
        let person = app.logged_in(name).await;
        let device = app.anonymous();
        let asked = ask(&device, "").await;
        approve(&person, &asked).await;
        if after == "new password" {
            let body = json!({"current": PASSWORD, "password": "harbor-lantern-quince-58"});
            assert!(person.post("/api/v1/me/password", body).await.status.is_success());
        } else {
            set_standing(&app, id, true).await;
            if after != "disabled" {
                set_standing(&app, id, false).await;
            }
        }
        assert_eq!(told(&device, &asked).await, "access_denied", "{after}");
        assert_eq!(told(&device, &asked).await, "access_denied", "{after}, asked again");
        let live = usher::sessions::list_live(&app.app.db, id).await.unwrap();
        assert!(live.iter().all(|session| session.kind != usher::sessions::Kind::Device), "{after}");
    }
}

#[tokio::test]
async fn whoever_looked_first_decides_and_nobody_else() {
    let app = TestApp::new().await;
    let (alice, mallory) = (app.member("alice").await, app.member("mallory").await);
    let device = app.anonymous();
    let asked = ask(&device, "").await;
    open(&alice, user_code(&asked)).await;
    for what in ["approve", "refuse"] {
        assert_eq!(decide(&mallory, what, user_code(&asked)).await.status, StatusCode::NOT_FOUND, "{what}");
    }
    assert_eq!(open(&mallory, user_code(&asked)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(told(&device, &asked).await, "authorization_pending");
    approve(&alice, &asked).await;
    assert_eq!(decide(&alice, "approve", user_code(&asked)).await.status, StatusCode::SEE_OTHER, "pressed twice");
    assert_eq!(decide(&mallory, "approve", user_code(&asked)).await.status, StatusCode::NOT_FOUND);
    let tokens = poll(&device, &asked).await.json();
    let player = app.anonymous().bearing(tokens["access_token"].as_str().unwrap());
    assert_eq!(player.get("/api/v1/me").await.json()["username"], "alice");
}

#[tokio::test]
async fn after_five_wrong_codes_the_right_one_is_not_looked_at() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let bob = app.member("bob").await.at_address("198.51.100.9");
    let asked = ask(&app.anonymous(), "").await;
    for n in 0..5 {
        // Nonsense counts as much as a code that nobody shows.
        let wrong = if n % 2 == 0 { "BBBB-BBBB" } else { "no code at all" };
        assert_eq!(open(&alice, wrong).await.status, StatusCode::NOT_FOUND);
    }
    let refused = open(&alice, user_code(&asked)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "900"));
    assert_eq!(open(&alice.at_address("203.0.113.5"), user_code(&asked)).await.status, StatusCode::TOO_MANY_REQUESTS);
    let same_house = app.logged_in("bob").await;
    assert_eq!(
        open(&same_house, user_code(&asked)).await.status,
        StatusCode::TOO_MANY_REQUESTS,
        "the address counts too"
    );
    assert_eq!(open(&bob, user_code(&asked)).await.status, StatusCode::OK, "others are not held up");
    app.advance(Duration::from_secs(901));
    let fresh = ask(&app.anonymous(), "").await;
    approve(&alice, &fresh).await;
}

#[tokio::test]
async fn right_codes_are_no_guesses() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    for _ in 0..8 {
        let asked = ask(&app.anonymous(), "").await;
        approve(&alice, &asked).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_guesses_at_once_five_are_looked_at() {
    let app = TestApp::new().await.twin().await;
    let alice = app.member("alice").await;
    let statuses = at_once(50, |_| {
        let alice = alice.clone();
        async move { open(&alice, "BBBB-BBBB").await.status }
    })
    .await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::NOT_FOUND).count(), 5, "{statuses:?}");
}

#[tokio::test]
async fn a_network_gets_so_many_codes_and_no_more() {
    let app = TestApp::new().await;
    let fields = [CLIENT];
    for n in 0..60 {
        let device = app.anonymous().at_address(&format!("192.0.2.{n}"));
        assert_eq!(device.form("/oauth/device_authorization", &fields).await.status, StatusCode::OK, "{n}");
    }
    let refused = app.anonymous().form("/oauth/device_authorization", &fields).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    assert!(!refused.header("retry-after").is_empty());
    let elsewhere = app.anonymous().at_address("198.51.100.1");
    assert_eq!(elsewhere.form("/oauth/device_authorization", &fields).await.status, StatusCode::OK);
    app.advance(Duration::from_secs(901));
    assert_eq!(app.anonymous().form("/oauth/device_authorization", &fields).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_polls_at_once_one_gets_the_session() {
    let app = TestApp::new().await.twin().await;
    let id = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    let asked = ask(&app.anonymous(), "").await;
    approve(&alice, &asked).await;
    let answers = at_once(50, |_| {
        let (device, asked) = (app.anonymous(), asked.clone());
        async move { told(&device, &asked).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|told| *told == "ok").count(), 1, "{answers:?}");
    assert!(answers.iter().all(|told| ["ok", "invalid_grant"].contains(&told.as_str())), "{answers:?}");
    let live = usher::sessions::list_live(&app.app.db, id).await.unwrap();
    assert_eq!(live.iter().filter(|session| session.kind == usher::sessions::Kind::Device).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_people_at_once_one_gets_to_decide() {
    let app = TestApp::with(|config| config.accounts.hash.queue = 1_000).await.twin().await;
    let asked = ask(&app.anonymous(), "").await;
    let mut people = Vec::new();
    for n in 0..50 {
        let name = format!("person {n}");
        people.push(app.member(&name).await.at_address(&format!("198.51.{n}.1")));
    }
    let statuses = at_once(50, |n| {
        let (person, code) = (people[n].clone(), user_code(&asked).to_owned());
        async move { open(&person, &code).await.status }
    })
    .await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn a_linked_session_is_no_fresh_proof() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let asked = ask(&app.anonymous(), "").await;
    approve(&alice, &asked).await;
    let tokens = poll(&app.anonymous(), &asked).await.json();
    let device = app.anonymous().bearing(tokens["access_token"].as_str().unwrap());
    let wish = json!({"name": "x", "scopes": ["media"]});
    let refused = device.post("/api/v1/me/tokens", wish.clone()).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNAUTHORIZED, "reauthentication_required"));
    assert!(alice.post("/api/v1/me/tokens", wish).await.status.is_success(), "her own login is fresh");
}

#[tokio::test]
async fn what_is_no_request_of_the_built_in_client_is_refused_in_the_standard_s_words() {
    let app = TestApp::new().await;
    let asked = ask(&app.anonymous(), "").await;
    let code = ("device_code", asked["device_code"].as_str().unwrap());
    let grant = ("grant_type", DEVICE_GRANT);
    let other = ("client_id", "someone-else");
    let cases: &[(&str, Fields, &str)] = &[
        ("/oauth/device_authorization", &[], "invalid_request"),
        ("/oauth/device_authorization", &[("client_id", "")], "invalid_request"),
        ("/oauth/device_authorization", &[CLIENT, CLIENT], "invalid_request"),
        ("/oauth/device_authorization", &[other], "invalid_client"),
        ("/oauth/device_authorization", &[CLIENT, ("client_secret", "x")], "invalid_client"),
        ("/oauth/device_authorization", &[CLIENT, ("scope", "openid")], "invalid_scope"),
        ("/oauth/token", &[], "invalid_request"),
        ("/oauth/token", &[grant, code], "invalid_request"),
        ("/oauth/token", &[CLIENT, code], "invalid_request"),
        ("/oauth/token", &[grant, CLIENT], "invalid_request"),
        ("/oauth/token", &[grant, CLIENT, code, code], "invalid_request"),
        ("/oauth/token", &[grant, other, code], "invalid_client"),
        (
            "/oauth/token",
            &[("grant_type", "password"), CLIENT, ("username", "a"), ("password", "b")],
            "unsupported_grant_type",
        ),
        ("/oauth/token", &[("grant_type", "refresh_token"), CLIENT], "unsupported_grant_type"),
        ("/oauth/token", &[grant, CLIENT, ("device_code", "nonsense")], "invalid_grant"),
        ("/oauth/token", &[grant, CLIENT, ("device_code", user_code(&asked))], "invalid_grant"),
    ];
    for (path, fields, word) in cases {
        let answer = app.anonymous().form(path, fields).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (StatusCode::BAD_REQUEST, Some(*word)),
            "{path} {fields:?}"
        );
    }
    let by_json = app.anonymous().post("/oauth/token", json!({"grant_type": DEVICE_GRANT})).await;
    assert_eq!((by_json.status, by_json.json()["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request")));
    let with_header = app.anonymous().bearing("x").form("/oauth/token", &[grant, CLIENT, code]).await;
    assert_eq!(
        (with_header.status, with_header.json()["error"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("invalid_client"))
    );
    assert!(with_header.header("www-authenticate").starts_with("Basic"));
    assert_eq!(told(&app.anonymous(), &asked).await, "authorization_pending");
    let scoped = [CLIENT, ("scope", "offline_access"), ("unknown", "ignored")];
    assert_eq!(app.anonymous().form("/oauth/device_authorization", &scoped).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_metadata_lists_what_works_and_nothing_else() {
    let app = TestApp::new().await;
    let metadata = app.anonymous().get("/.well-known/oauth-authorization-server").await.json();
    let issuer = metadata["issuer"].as_str().unwrap();
    assert_eq!(metadata["grant_types_supported"], json!([DEVICE_GRANT]));
    assert_eq!(
        (&metadata["response_types_supported"], &metadata["token_endpoint_auth_methods_supported"]),
        (&json!([]), &json!(["none"]))
    );
    for (name, fields) in [
        ("device_authorization_endpoint", vec![CLIENT]),
        ("token_endpoint", vec![("grant_type", DEVICE_GRANT), CLIENT, ("device_code", "x")]),
    ] {
        let path = metadata[name].as_str().unwrap().strip_prefix(issuer).unwrap();
        let answer = app.anonymous().form(path, &fields).await;
        assert!(matches!(answer.status.as_u16(), 200 | 400), "{name}: {}", answer.status);
    }
    let known = [
        "issuer",
        "jwks_uri",
        "token_endpoint",
        "token_endpoint_auth_methods_supported",
        "device_authorization_endpoint",
        "introspection_endpoint",
        "introspection_endpoint_auth_methods_supported",
        "grant_types_supported",
        "response_types_supported",
    ];
    for name in metadata.as_object().unwrap().keys() {
        assert!(known.contains(&name.as_str()), "{name} is named and not tested here");
    }
}

#[tokio::test]
async fn the_audit_log_tells_who_let_which_device_in() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    let asked = ask(&app.anonymous(), "Living room").await;
    open(&alice, "BBBB-BBBB").await;
    approve(&alice, &asked).await;
    poll(&app.anonymous(), &asked).await;
    let filter = usher::audit::Filter { account: Some(id), ..Default::default() };
    let events = usher::audit::list(&app.app.db, &filter, 100).await.unwrap();
    let told: Vec<(&str, &str, &str)> =
        events.iter().map(|event| (event.event.as_str(), event.result.as_str(), event.detail.as_str())).collect();
    for event in
        [("device_approved", "refused", "code"), ("device_approved", "done", "Living room"), ("login", "done", "link")]
    {
        assert!(told.contains(&event), "{event:?} is not in {told:?}");
    }
    assert!(events.iter().all(|event| event.actor == Some(id)), "{events:?}");
}

#[tokio::test]
async fn whoever_must_choose_a_password_links_nothing_until_then() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let hash = app.app.hasher.hash(zeroize::Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
    let now = app.clock.now();
    let set = async move |tx: &mut usher_db::Tx| usher::accounts::set_password(tx, id, &hash, true, now).await;
    app.cx().write("test.must_change", set).await.unwrap().unwrap();
    let alice = app.logged_in("alice").await;
    let asked = ask(&app.anonymous(), "").await;
    assert_eq!(open(&alice, user_code(&asked)).await.header("location"), "/password");
}
