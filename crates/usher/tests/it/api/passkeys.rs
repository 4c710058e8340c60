//! `/api/v1/me/passkeys` and `/api/v1/login/passkey`, with an authenticator that can be made to lie.

use crate::support::app::{Actor, PASSWORD, TestApp};
use crate::support::authenticator::enrol;
use crate::support::soft_key::{PRESENT, SoftKey, VERIFIED, asked, log_in, register, registered};
use crate::support::together::at_once;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::{Role, Standing};
use usher::config::PasskeyVerification;
use usher::id::AccountId;
use usher::login::notices::{self, What};
use usher::login::passkeys;

async fn me(browser: &Actor) -> Value {
    browser.get("/api/v1/me").await.json()["username"].clone()
}

/// What makes a passkey answer wrongly.
type Lie = fn(&mut SoftKey);

#[tokio::test]
async fn a_passkey_logs_in_without_a_name_and_is_several_factors_by_itself() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let (mut key, codes) = registered(&owner, "Phone").await;
    assert_eq!(codes.len(), 10, "the first factor comes with recovery codes");
    let browser = app.browser();
    let inside = log_in(&browser, &mut key, false).await;
    assert_eq!(inside.status, StatusCode::OK, "{}", inside.text());
    assert!(inside.json()["go"].as_str().unwrap().starts_with("/account/news"), "{}", inside.text());
    assert_eq!(me(&browser).await, "alice");
    let sessions = usher::sessions::list_live(&app.app.db, id).await.unwrap();
    assert!(sessions.iter().any(|session| session.amr == "pop mfa"), "{sessions:?}");
    assert_eq!(usher::sessions::acr("pop mfa"), "aal2");
    let listed = owner.get("/api/v1/me/passkeys").await.json();
    assert_eq!(listed["passkeys"][0]["name"], "Phone");
    assert!(listed["passkeys"][0]["last_used_at"].is_string());
    assert_eq!(notices::unseen(&app.cx(), id).await.unwrap()[0].what, What::PasskeyAdded);
}

#[tokio::test]
async fn a_passkey_is_the_second_step_after_a_right_password_which_is_not_enough_any_more() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (mut key, codes) = registered(&owner, "Phone").await;
    let body = json!({"username": "alice", "password": PASSWORD});
    assert_eq!(app.anonymous().post("/api/v1/login", body).await.code(), "passcode_required");
    let browser = app.browser();
    let refused = browser.post("/api/v1/login/passkey/options", json!({"second": true})).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "no password was given");
    browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    let page = browser.get("/login/code").await.text();
    assert!(page.contains("id=\"passkey-login\"") && page.contains("Recovery code"), "{page}");
    let named = asked(&browser, true).await;
    assert_eq!(named["options"]["publicKey"]["allowCredentials"].as_array().unwrap().len(), 1);
    assert_eq!(log_in(&browser, &mut key, true).await.status, StatusCode::OK);
    assert_eq!(me(&browser).await, "alice");
    // A recovery code does it where the passkey is not at hand.
    let other = app.browser();
    other.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(other.form("/login/code", &[("passcode", &codes[0])]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(me(&other).await, "alice");
}

#[tokio::test]
async fn nobody_learns_whether_a_name_has_passkeys() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    registered(&owner, "Phone").await;
    let shown = asked(&app.browser(), false).await;
    assert!(shown["options"]["publicKey"]["allowCredentials"].as_array().is_none_or(Vec::is_empty), "{shown}");
    assert!(!shown.to_string().contains("alice"));
}

/// One field after the other is made wrong; each alone is refused (WebAuthn Level 3 section 7.2).
#[tokio::test]
async fn an_answer_with_anything_wrong_is_refused() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (mut good, _) = registered(&owner, "Phone").await;
    let liars: [(&str, Lie); 12] = [
        ("another type", |key| key.kind = Some("webauthn.create")),
        ("another site", |key| key.origin = "https://evil.example".to_owned()),
        ("a site whose name ends alike", |key| key.origin = "http://badlocalhost".to_owned()),
        ("a subdomain", |key| key.origin = "http://sub.localhost".to_owned()),
        ("another scheme", |key| key.origin = "https://localhost".to_owned()),
        ("another party", |key| key.party = "evil.example".to_owned()),
        ("framed", |key| key.cross_origin = true),
        ("framed, by name", |key| key.top_origin = Some("https://evil.example")),
        ("nobody there", |key| key.flags = VERIFIED),
        ("nobody verified", |key| key.flags = PRESENT),
        ("backed up without being able to", |key| key.flags = PRESENT | VERIFIED | 0x10),
        ("of nobody", |key| key.user = None),
    ];
    for (what, lie) in liars {
        let mut liar = good.clone();
        lie(&mut liar);
        let browser = app.browser();
        let answer = log_in(&browser, &mut liar, false).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "passkey_invalid".to_owned()), "{what}");
        assert!(browser.cookie("usher").is_none(), "{what}");
    }
    for (what, lie) in &liars[..11] {
        let mut liar = SoftKey::new();
        lie(&mut liar);
        if *what == "framed, by name" || *what == "another type" {
            continue;
        }
        let answer = register(&owner, &mut liar, "Liar").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "registered: {what}: {}", answer.text());
    }
    let mut forged = SoftKey { id: good.id.clone(), user: good.user.clone(), ..SoftKey::new() };
    assert_eq!(log_in(&app.browser(), &mut forged, false).await.code(), "passkey_invalid", "another key's signature");
    let mut unknown = SoftKey { user: good.user.clone(), ..SoftKey::new() };
    assert_eq!(log_in(&app.browser(), &mut unknown, false).await.code(), "passkey_invalid", "never registered");
    assert_eq!(log_in(&app.browser(), &mut good, false).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_challenge_is_answered_once_within_five_minutes_and_for_what_it_was_made() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (mut key, _) = registered(&owner, "Phone").await;
    let browser = app.browser();
    let first = asked(&browser, false).await;
    let challenge = first["options"]["publicKey"]["challenge"].as_str().unwrap();
    assert!(challenge.len() >= 22, "16 bytes at least");
    let answer = key.answer(&first["options"]);
    let body = json!({"step": first["step"], "answer": answer});
    assert_eq!(browser.post("/api/v1/login/passkey", body.clone()).await.status, StatusCode::OK);
    assert_eq!(app.browser().post("/api/v1/login/passkey", body).await.code(), "passkey_invalid", "replayed");
    // An old answer under a new step, and a new answer under an old step.
    let second = asked(&browser, false).await;
    let mixed = json!({"step": second["step"], "answer": answer});
    assert_eq!(app.browser().post("/api/v1/login/passkey", mixed).await.code(), "passkey_invalid");
    let late = key.answer(&second["options"]);
    app.advance(Duration::from_secs(300));
    let body = json!({"step": second["step"], "answer": late});
    assert_eq!(app.browser().post("/api/v1/login/passkey", body).await.code(), "passkey_invalid", "five minutes");
    // A challenge of a fresh proof is none of a login, nor of anybody else.
    let proof = owner.post("/api/v1/me/passkeys/proof-options", json!({})).await.json();
    let answer = key.answer(&proof["options"]);
    let body = json!({"step": proof["step"], "answer": answer});
    assert_eq!(app.browser().post("/api/v1/login/passkey", body.clone()).await.code(), "passkey_invalid");
    let mallory = app.member("mallory").await;
    assert_eq!(mallory.post("/api/v1/me/passkeys/proof", body.clone()).await.code(), "passkey_invalid");
    assert_eq!(owner.post("/api/v1/me/passkeys/proof", body).await.status, StatusCode::NO_CONTENT);
    // A registration's challenge is its account's.
    let theirs = mallory.post("/api/v1/me/passkeys/options", json!({})).await.json();
    let answer = SoftKey::new().register(&theirs["options"]);
    let body = json!({"step": theirs["step"], "name": "x", "answer": answer});
    assert_eq!(owner.post("/api/v1/me/passkeys", body.clone()).await.code(), "nothing_waits");
    assert_eq!(mallory.post("/api/v1/me/passkeys", body.clone()).await.status, StatusCode::CREATED);
    assert_eq!(mallory.post("/api/v1/me/passkeys", body).await.code(), "nothing_waits", "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_answers_to_one_challenge_at_once_one_logs_in() {
    let app = TestApp::new().await.twin().await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let (mut key, _) = registered(&owner, "Phone").await;
    let asked = asked(&app.browser(), false).await;
    let body = json!({"step": asked["step"], "answer": key.answer(&asked["options"])});
    let statuses = at_once(50, |_| {
        let (browser, body) = (app.browser(), body.clone());
        async move { browser.post("/api/v1/login/passkey", body).await.status }
    })
    .await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status.as_u16(), 200 | 401)), "{statuses:?}");
    let live = usher::sessions::list_live(&app.app.db, id).await.unwrap();
    assert_eq!(live.iter().filter(|session| session.amr == "pop mfa").count(), 1);
}

#[tokio::test]
async fn a_counter_that_does_not_rise_is_refused_and_told() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let (mut key, _) = registered(&owner, "Stick").await;
    key.counter = 7;
    assert_eq!(log_in(&app.browser(), &mut key, false).await.status, StatusCode::OK);
    let mut copy = key.clone();
    for counter in [7, 6, 0] {
        copy.counter = counter;
        assert_eq!(log_in(&app.browser(), &mut copy, false).await.code(), "passkey_invalid", "{counter}");
    }
    key.counter = 8;
    assert_eq!(log_in(&app.browser(), &mut key, false).await.status, StatusCode::OK);
    let filter =
        usher::audit::Filter { event: Some("passkey_suspect".into()), account: Some(id), ..Default::default() };
    let events = usher::audit::list(&app.app.db, &filter, 10).await.unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!((events[0].result.as_str(), events[0].target.as_str()), ("refused", "Stick"));
}

#[tokio::test]
async fn a_credential_belongs_to_one_account() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let mallory = app.member("mallory").await;
    let (mut key, _) = registered(&alice, "Phone").await;
    for other in [&mallory, &alice] {
        let again = register(other, &mut SoftKey { id: key.id.clone(), ..SoftKey::new() }, "Mine").await;
        assert!(matches!(again.status.as_u16(), 409 | 422), "{}", again.text());
    }
    assert_eq!(mallory.get("/api/v1/me/passkeys").await.json()["passkeys"], json!([]));
    // Who names another's account with their own key gets into neither.
    let (mut own, _) = registered(&mallory, "Own").await;
    own.user.clone_from(&key.user);
    assert_eq!(log_in(&app.browser(), &mut own, false).await.code(), "passkey_invalid");
    let browser = app.browser();
    browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    own.user = None;
    assert_eq!(
        log_in(&browser, &mut own, true).await.code(),
        "passkey_invalid",
        "mallory's key as alice's second step"
    );
    assert_eq!(log_in(&browser, &mut key, true).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_removed_passkey_is_of_no_use_at_once_also_for_a_challenge_that_is_out() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (mut key, codes) = registered(&owner, "Phone").await;
    let (mut second, more) = registered(&owner, "Laptop").await;
    assert!(more.is_empty(), "those it has stay");
    let out = asked(&app.browser(), false).await;
    let answer = key.answer(&out["options"]);
    let listed = owner.get("/api/v1/me/passkeys").await.json();
    let at = |name: &str| {
        let all = listed["passkeys"].as_array().unwrap();
        let one = all.iter().find(|key| key["name"] == name).unwrap();
        format!("/api/v1/me/passkeys/{}", one["id"].as_str().unwrap())
    };
    let path = at("Phone");
    let renamed = owner.json(Method::PATCH, &path, json!({"name": "Old phone"})).await;
    assert_eq!(renamed.status, StatusCode::NO_CONTENT);
    assert_eq!(owner.json(Method::PATCH, &path, json!({"name": " "})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    app.advance(Duration::from_secs(200));
    let mallory = app.member("mallory").await;
    assert_eq!(mallory.json(Method::DELETE, &path, json!({})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(owner.json(Method::DELETE, &path, json!({})).await.status, StatusCode::NO_CONTENT);
    let body = json!({"step": out["step"], "answer": answer});
    assert_eq!(app.browser().post("/api/v1/login/passkey", body).await.code(), "passkey_invalid");
    assert_eq!(log_in(&app.browser(), &mut key, false).await.code(), "passkey_invalid");
    assert_eq!(log_in(&app.browser(), &mut second, false).await.status, StatusCode::OK, "a second passkey gets in");
    let last = at("Laptop");
    app.advance(Duration::from_secs(200));
    assert_eq!(owner.json(Method::DELETE, &last, json!({})).await.code(), "reauthentication_required");
    let given = json!({"passcode": codes[0]});
    assert_eq!(owner.json(Method::DELETE, &last, given).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.tokens("alice").await["session"]["amr"], json!(["pwd"]), "the last factor went");
}

#[tokio::test]
async fn guesses_at_the_password_keep_nobody_with_a_passkey_out() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (mut key, _) = registered(&owner, "Phone").await;
    for _ in 0..6 {
        app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": "wrong"})).await;
    }
    let right = json!({"username": "alice", "password": PASSWORD});
    assert_eq!(app.anonymous().post("/api/v1/login", right).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(log_in(&app.browser(), &mut key, false).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_disabled_account_s_passkey_opens_nothing() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let (mut key, _) = registered(&owner, "Phone").await;
    let now = app.clock.now();
    let shut = async move |tx: &mut usher_db::Tx| {
        usher::accounts::set_standing(tx, id, Standing::Disabled { at: now }, now).await
    };
    app.cx().write("test.shut", shut).await.unwrap().unwrap();
    assert_eq!(log_in(&app.browser(), &mut key, false).await.code(), "passkey_invalid");
}

#[tokio::test]
async fn a_passkey_is_a_fresh_proof_and_renews_the_cookie() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (mut key, _) = registered(&owner, "Phone").await;
    app.advance(Duration::from_secs(301));
    let body = json!({"name": "x", "scopes": ["media"]});
    assert_eq!(owner.post("/api/v1/me/tokens", body.clone()).await.code(), "reauthentication_required");
    let asked = owner.post("/api/v1/me/passkeys/proof-options", json!({})).await.json();
    let before = owner.cookie("usher").unwrap();
    let answer = json!({"step": asked["step"], "answer": key.answer(&asked["options"])});
    assert_eq!(owner.post("/api/v1/me/passkeys/proof", answer.clone()).await.status, StatusCode::NO_CONTENT);
    assert_ne!(owner.cookie("usher").unwrap(), before);
    assert_eq!(owner.post("/api/v1/me/tokens", body).await.status, StatusCode::CREATED);
    assert_eq!(owner.post("/api/v1/me/passkeys/proof", answer).await.code(), "passkey_invalid", "once");
}

#[tokio::test]
async fn a_passkey_satisfies_a_demand_and_the_last_factor_stays_while_one_is_demanded() {
    let app = TestApp::with(|config| config.accounts.require_factor = usher::config::RequireFactor::Everybody).await;
    app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    assert_eq!(owner.get("/library").await.header("location"), "/account/security");
    registered(&owner, "Phone").await;
    assert_eq!(owner.get("/library").await.status, StatusCode::OK);
    let id = owner.get("/api/v1/me/passkeys").await.json()["passkeys"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/me/passkeys/{id}");
    assert_eq!(owner.json(Method::DELETE, &path, json!({})).await.code(), "factor_required");
    enrol(&app, &owner).await;
    assert_eq!(owner.json(Method::DELETE, &path, json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(owner.json(Method::DELETE, "/api/v1/me/totp", json!({})).await.code(), "factor_required");
}

#[tokio::test]
async fn a_key_that_verifies_nobody_is_the_second_step_where_the_owner_takes_such_keys_and_never_alone() {
    let app = TestApp::with(|config| config.accounts.passkey_verification = PasskeyVerification::Preferred).await;
    let id = app.account("alice", Role::User).await;
    let (mut stick, mut phone) = taken_where_preferred(&app, id).await;
    // Where every key must verify, one that never did is of no use.
    let app = app.restart_with(|config| config.accounts.passkey_verification = PasskeyVerification::Required).await;
    let browser = app.browser();
    browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(log_in(&browser, &mut stick, true).await.code(), "passkey_invalid");
    assert_eq!(log_in(&app.browser(), &mut phone, false).await.status, StatusCode::OK);
}

/// A key that verifies nobody and one that verifies, both `alice`'s, as far as each gets her in.
async fn taken_where_preferred(app: &TestApp, id: AccountId) -> (SoftKey, SoftKey) {
    let owner = app.logged_in("alice").await;
    let asked = owner.post("/api/v1/me/passkeys/options", json!({})).await.json();
    assert_eq!(asked["options"]["publicKey"]["authenticatorSelection"]["userVerification"], "preferred");
    let mut stick = SoftKey { flags: PRESENT, ..SoftKey::new() };
    assert_eq!(register(&owner, &mut stick, "Stick").await.status, StatusCode::CREATED);
    let mut phone = SoftKey::new();
    assert_eq!(register(&owner, &mut phone, "Phone").await.status, StatusCode::CREATED);
    let half = async || {
        let browser = app.browser();
        browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
        browser
    };
    let amr = async |browser: &Actor| {
        let current = browser.get("/api/v1/me/sessions").await.json();
        let current =
            current["sessions"].as_array().unwrap().iter().find(|one| one["current"] == true).unwrap().clone();
        let live = usher::sessions::list_live(&app.app.db, id).await.unwrap();
        live.iter().find(|one| one.id.to_string() == current["id"].as_str().unwrap()).unwrap().amr.clone()
    };
    assert_eq!(log_in(&app.browser(), &mut stick, false).await.code(), "passkey_invalid", "alone");
    let browser = half().await;
    assert_eq!(log_in(&browser, &mut stick, true).await.status, StatusCode::OK);
    assert_eq!(amr(&browser).await, "pwd hwk mfa");
    // An answer to the question of somebody's second step is none to the question of whoever is there.
    let browser = half().await;
    let second = self::asked(&browser, true).await;
    let body = json!({"step": second["step"], "answer": stick.answer(&second["options"])});
    assert_eq!(app.browser().post("/api/v1/login/passkey", body).await.code(), "passkey_invalid");
    // A device that can verify goes on having to.
    let mut lazy = phone.clone();
    lazy.flags = PRESENT;
    assert_eq!(log_in(&half().await, &mut lazy, true).await.code(), "passkey_invalid");
    let browser = app.browser();
    assert_eq!(log_in(&browser, &mut phone, false).await.status, StatusCode::OK);
    assert_eq!(amr(&browser).await, "pop mfa");
    (stick, phone)
}

#[tokio::test]
async fn passkeys_of_another_name_are_told_of_at_the_start() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    registered(&owner, "Phone").await;
    let made = passkeys::by_party(&app.app.db).await.unwrap();
    assert_eq!(made, [("localhost".to_owned(), 1)]);
    assert_eq!(passkeys::stranded(&made, app.app.passkeys.as_ref()), None);
    drop(owner);
    let app =
        app.restart_with(|config| config.server.public_url = Some("https://other.example".parse().unwrap())).await;
    let told = passkeys::stranded(&made, app.app.passkeys.as_ref()).unwrap();
    assert!(told.contains("of no use under other.example: 1 made for localhost"), "{told}");
    let told = passkeys::stranded(&made, None).unwrap();
    assert!(told.contains("no passkeys for: 1 made for localhost"), "{told}");
}

#[tokio::test]
async fn an_address_of_numbers_has_no_passkeys_and_its_pages_offer_none() {
    let app = TestApp::with(|config| config.server.public_url = Some("http://127.0.0.1:8080".parse().unwrap())).await;
    assert!(app.app.passkeys.is_none());
    assert_eq!(passkeys::stranded(&[], None), None);
}
