//! `/api/v1/me/totp` and `/api/v1/me/recovery-codes`: setting up, being asked, taking away.

use crate::support::app::{PASSWORD, TestApp};
use crate::support::authenticator::{Authenticator, enrol, enrol_as};
use base64::Engine;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use usher::accounts::Role;
use usher::config::RequireFactor;
use usher::login::factors::{self, Adopted};
use usher::login::notices::{self, What};
use usher::login::totp::Otpauth;

async fn login(app: &TestApp, name: &str, passcode: &str) -> (StatusCode, Value) {
    let body = json!({"username": name, "password": PASSWORD, "passcode": passcode});
    let answer = app.anonymous().post("/api/v1/login", body).await;
    (answer.status, answer.json())
}

/// What a token says, unverified.
fn claims(token: &Value) -> Value {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_secret_is_told_once_and_asked_for_after_its_first_good_code() {
    let app = TestApp::with(|config| config.accounts.totp_issuer = Some("The House".to_owned())).await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let begun = owner.post("/api/v1/me/totp", json!({})).await;
    assert_eq!(begun.status, StatusCode::CREATED);
    let told = begun.json();
    let url = told["otpauth_url"].as_str().unwrap();
    assert!(url.starts_with("otpauth://totp/The%20House:alice?secret="), "{url}");
    assert!(url.ends_with("&issuer=The%20House&algorithm=SHA1&digits=6&period=30"), "{url}");
    let secret = Authenticator::read(url).secret;
    assert_eq!(secret.len(), 32, "160 bits");
    assert_eq!(told["secret"].as_str().unwrap().replace(' ', ""), secret);
    assert!(told["qr_svg"].as_str().unwrap().starts_with("<svg"));

    // Nobody is asked for a code of an app that was never seen to work.
    assert_eq!(app.tokens("alice").await["session"]["amr"], json!(["pwd"]));
    let state = owner.get("/api/v1/me/totp").await;
    assert_eq!((&state.json()["active"], &state.json()["pending"]), (&json!(false), &json!(true)));
    for wrong in ["000000", "", "0000-0000-0000-0000-0000-0000"] {
        let answer = owner.post("/api/v1/me/totp/confirm", json!({"passcode": wrong})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::UNPROCESSABLE_ENTITY, "passcode_invalid".to_owned()));
    }
    let code = Authenticator::read(url).code_in(&app, 0);
    let confirmed = owner.post("/api/v1/me/totp/confirm", json!({"passcode": code})).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.text());
    let again = owner.post("/api/v1/me/totp/confirm", json!({"passcode": code})).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "nothing_waits".to_owned()));

    // The code that confirmed is used up by it.
    assert_eq!(login(&app, "alice", &code).await.1["code"], "passcode_invalid");
    app.advance(Duration::from_secs(30));
    let next = Authenticator::read(url).code_in(&app, 0);
    assert_eq!(login(&app, "alice", &next).await.0, StatusCode::OK);
    let state = owner.get("/api/v1/me/totp").await;
    assert_eq!((&state.json()["active"], &state.json()["pending"]), (&json!(true), &json!(false)));
    for path in ["/api/v1/me/totp", "/api/v1/me/recovery-codes", "/api/v1/me", "/account", "/account/security"] {
        let text = owner.get(path).await.text();
        assert!(!text.contains("otpauth") && !text.contains(&secret) && !text.contains(&secret[..4]), "{path}");
    }
    let unseen = notices::unseen(&app.cx(), id).await.unwrap();
    assert_eq!(unseen.iter().map(|news| (news.what, news.own)).collect::<Vec<_>>(), [(What::TotpAdded, true)]);
}

#[tokio::test]
async fn every_shape_of_code_is_verified() {
    for (algorithm, digits, length) in [("SHA1", 8, 32), ("SHA256", 6, 52), ("SHA512", 8, 103)] {
        let app = TestApp::new().await;
        let owner = app.member("alice").await;
        let (authenticator, _) = enrol_as(&app, &owner, json!({"algorithm": algorithm, "digits": digits})).await;
        assert_eq!(authenticator.secret.len(), length);
        let code = authenticator.code_in(&app, 0);
        assert_eq!(code.len(), digits);
        assert_eq!(login(&app, "alice", &code).await.0, StatusCode::OK, "{algorithm} {digits}");
    }
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    for shape in [json!({"digits": 7}), json!({"algorithm": "MD5"}), json!({"digits": 0})] {
        assert_eq!(owner.post("/api/v1/me/totp", shape).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn what_was_proven_is_what_session_and_tokens_say() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let plain = claims(&app.tokens("alice").await["access_token"]);
    assert_eq!((&plain["amr"], &plain["acr"]), (&json!(["pwd"]), &json!("aal1")));
    assert_eq!(plain["auth_time"], app.clock.now().seconds());
    let (authenticator, codes) = enrol(&app, &owner).await;
    // The session that set the app up was proven by it.
    let mine = owner.get("/api/v1/me/sessions").await.json();
    assert_eq!(mine["sessions"].as_array().unwrap().len(), 2);
    for (passcode, method) in [(authenticator.code_in(&app, 0), "otp"), (codes[0].clone(), "recovery")] {
        let (_, answer) = login(&app, "alice", &passcode).await;
        assert_eq!(answer["session"]["amr"], json!(["pwd", method, "mfa"]));
        for token in ["access_token", "media_token"] {
            let said = claims(&answer[token]);
            assert_eq!((&said["amr"], &said["acr"]), (&json!(["pwd", method, "mfa"]), &json!("aal2")), "{token}");
            assert_eq!(said["auth_time"], app.clock.now().seconds());
        }
        // A refresh proves nobody.
        let then = app.clock.now().seconds();
        app.advance(Duration::from_secs(300));
        let refreshed =
            app.anonymous().post("/api/v1/refresh", json!({"refresh_token": answer["refresh_token"]})).await;
        let said = claims(&refreshed.json()["access_token"]);
        assert_eq!((&said["auth_time"], &said["acr"]), (&json!(then), &json!("aal2")));
    }
}

#[tokio::test]
async fn setting_up_and_taking_away_need_a_fresh_proof_which_a_passcode_is() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    app.advance(Duration::from_secs(301));
    for (method, path) in [(Method::POST, "/api/v1/me/totp"), (Method::POST, "/api/v1/me/recovery-codes")] {
        let answer = owner.json(method, path, json!({})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "reauthentication_required".to_owned()));
    }
    let (authenticator, codes) = enrol_as(&app, &owner, json!({"password": PASSWORD})).await;
    app.advance(Duration::from_secs(301));
    let stale = owner.json(Method::DELETE, "/api/v1/me/totp", json!({})).await;
    assert_eq!(stale.code(), "reauthentication_required");
    let wrong = owner.json(Method::DELETE, "/api/v1/me/totp", json!({"passcode": "000000"})).await;
    assert_eq!((wrong.status, wrong.code()), (StatusCode::UNAUTHORIZED, "passcode_invalid".to_owned()));

    let before = owner.cookie("usher").unwrap();
    let code = authenticator.code_in(&app, 0);
    let renewed = owner.post("/api/v1/me/recovery-codes", json!({"passcode": code})).await;
    assert_eq!(renewed.status, StatusCode::CREATED, "{}", renewed.text());
    assert_ne!(owner.cookie("usher").unwrap(), before, "a new proof renews the cookie");
    let thief = app.browser().with_cookie("usher", &before);
    assert_eq!(thief.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    let replayed = owner.post("/api/v1/me/recovery-codes", json!({"passcode": code})).await;
    assert_eq!(replayed.code(), "passcode_invalid", "each code once, here too");
    assert_eq!(login(&app, "alice", &codes[0]).await.1["code"], "passcode_invalid", "replaced");
    let fresh = renewed.json()["recovery_codes"][0].as_str().unwrap().to_owned();
    // The email address and tokens take a passcode as well.
    app.advance(Duration::from_secs(301));
    let code = authenticator.code_in(&app, 0);
    let email = owner.json(Method::PATCH, "/api/v1/me", json!({"email": "a@example.org", "passcode": code})).await;
    assert_eq!(email.status, StatusCode::OK, "{}", email.text());
    app.advance(Duration::from_secs(301));
    let body = json!({"name": "x", "scopes": ["media"], "passcode": fresh});
    assert_eq!(owner.post("/api/v1/me/tokens", body).await.status, StatusCode::CREATED);

    let gone = owner.json(Method::DELETE, "/api/v1/me/totp", json!({"password": PASSWORD})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text());
    assert_eq!(app.tokens("alice").await["session"]["amr"], json!(["pwd"]));
    assert_eq!(owner.get("/api/v1/me/recovery-codes").await.json()["left"], 0, "they stood in for it");
    assert_eq!(owner.json(Method::DELETE, "/api/v1/me/totp", json!({})).await.status, StatusCode::NOT_FOUND);
    let answer = owner.post("/api/v1/me/recovery-codes", json!({})).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::CONFLICT, "no_factor".to_owned()));
}

#[tokio::test]
async fn a_second_app_replaces_the_first_by_its_own_code_only() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (first, codes) = enrol(&app, &owner).await;
    let begun = owner.post("/api/v1/me/totp", json!({})).await;
    let second = Authenticator::told(&begun.json());
    assert_eq!(login(&app, "alice", &second.code_in(&app, 0)).await.1["code"], "passcode_invalid", "it waits");
    let answer = owner.post("/api/v1/me/totp/confirm", json!({"passcode": first.code_in(&app, 0)})).await;
    assert_eq!(answer.code(), "passcode_invalid");
    assert_eq!(login(&app, "alice", &first.code_in(&app, 0)).await.0, StatusCode::OK, "the first goes on meanwhile");
    let confirmed = owner.post("/api/v1/me/totp/confirm", json!({"passcode": second.code_in(&app, 0)})).await;
    assert_eq!(confirmed.json()["recovery_codes"], json!([]), "those it has stay");
    app.advance(Duration::from_secs(60));
    assert_eq!(login(&app, "alice", &first.code_in(&app, 0)).await.1["code"], "passcode_invalid");
    assert_eq!(login(&app, "alice", &second.code_in(&app, 0)).await.0, StatusCode::OK);
    assert_eq!(login(&app, "alice", &codes[0]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_set_up_that_is_left_alone_for_an_hour_is_begun_again() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let begun = owner.post("/api/v1/me/totp", json!({})).await.json();
    app.advance(Duration::from_secs(3600));
    let code = Authenticator::told(&begun).code_in(&app, 0);
    assert_eq!(owner.post("/api/v1/me/totp/confirm", json!({"passcode": code})).await.code(), "nothing_waits");
    app.advance(Duration::from_secs(24 * 3600));
    assert_eq!(factors::sweep(&app.cx(), 100).await.unwrap(), 1);
}

#[tokio::test]
async fn recovery_codes_are_hard_to_guess_and_not_to_be_found_anywhere() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (authenticator, codes) = enrol(&app, &owner).await;
    assert_eq!(codes.len(), 10);
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 10);
    // 24 characters of 32: 120 bits, above the 64 that are asked for and the 112 from which a digest keeps them.
    assert!(codes.iter().all(|code| code.replace('-', "").len() == 24), "{codes:?}");
    let kept = app.kept();
    let holds = |text: &str| kept.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("recovery_codes") && holds("alice"));
    for code in &codes {
        assert!(!holds(code) && !holds(&code.replace('-', "")));
    }
    assert!(!holds(&authenticator.secret));
    assert_eq!(owner.get("/api/v1/me/recovery-codes").await.json()["left"], 10);
    login(&app, "alice", &codes[3]).await;
    assert_eq!(owner.get("/api/v1/me/recovery-codes").await.json()["left"], 9);
}

#[tokio::test]
async fn a_sealed_secret_opens_in_its_own_row_only() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let mallory = app.member("mallory").await;
    let (_, _) = enrol(&app, &alice).await;
    let (theirs, _) = enrol(&app, &mallory).await;
    // Somebody who writes to the database puts a secret that they know into another's row.
    let swap = "UPDATE totp SET sealed = (SELECT sealed FROM totp t JOIN accounts a ON a.id = t.account_id \
        WHERE a.username = 'mallory'), last_step = 0 WHERE account_id = (SELECT id FROM accounts WHERE username = 'alice') \
        RETURNING id";
    assert_eq!(app.sql(swap).len(), 1);
    assert_eq!(login(&app, "alice", &theirs.code_in(&app, 0)).await.1["code"], "passcode_invalid");
    assert_eq!(login(&app, "mallory", &theirs.code_in(&app, 0)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn who_must_have_a_factor_sets_one_up_at_the_next_login_and_keeps_one() {
    let app = TestApp::with(|config| config.accounts.require_factor = RequireFactor::Everybody).await;
    app.account("alice", Role::User).await;
    let other = app.tokens("alice").await;
    assert_eq!(other["account"]["must_enrol"], true);
    let owner = app.browser();
    let answer = owner.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(owner.get(answer.header("location")).await.header("location"), "/account/security");
    let refused = owner.get("/api/v1/me/tokens").await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "factor_required".to_owned()));
    let (authenticator, _) = enrol(&app, &owner).await;
    assert_eq!(owner.get("/api/v1/me/tokens").await.status, StatusCode::OK);
    // What was begun without the factor is over.
    let refresh = app.anonymous().post("/api/v1/refresh", json!({"refresh_token": other["refresh_token"]})).await;
    assert_eq!(refresh.status, StatusCode::UNAUTHORIZED);
    let removal = owner.json(Method::DELETE, "/api/v1/me/totp", json!({})).await;
    assert_eq!((removal.status, removal.code()), (StatusCode::CONFLICT, "factor_required".to_owned()));
    let (status, answer) = login(&app, "alice", &authenticator.code_in(&app, 0)).await;
    assert_eq!((status, &answer["account"]["must_enrol"]), (StatusCode::OK, &json!(false)));
}

#[tokio::test]
async fn an_app_of_another_server_goes_on_here() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let url = "otpauth://totp/Takeout:alice?algorithm=SHA1&digits=6&issuer=Takeout&period=30&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let told = Otpauth::parse(url).unwrap();
    let adopt = async || {
        let cx = app.cx();
        let (adopted, now) = (Adopted::new(&cx, id, &told).unwrap(), cx.now);
        cx.write("test.adopt", async move |tx| adopted.put(tx, now).await).await.unwrap()
    };
    assert!(adopt().await);
    assert!(!adopt().await, "it has one now");
    let authenticator = Authenticator::read(url);
    assert_eq!(login(&app, "alice", &authenticator.code_in(&app, 0)).await.1["code"], "passcode_invalid", "maybe used");
    app.advance(Duration::from_secs(30));
    assert_eq!(login(&app, "alice", &authenticator.code_in(&app, 0)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_restored_copy_takes_no_code_that_may_have_been_used_since() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    let (authenticator, _) = enrol(&app, &owner).await;
    let code = authenticator.code_in(&app, 0);
    usher::login::links::begin_anew(&app.cx()).await.unwrap();
    assert_eq!(login(&app, "alice", &code).await.1["code"], "passcode_invalid");
    app.advance(Duration::from_secs(30));
    assert_eq!(login(&app, "alice", &authenticator.code_in(&app, 0)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_recovery_link_stands_in_once_beside_the_password_and_a_new_app_is_next() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    let bob = app.account("bob", Role::User).await;
    let link = format!("/api/v1/users/{id}/recovery-link");
    assert_eq!(admin.post(&link, json!({})).await.code(), "no_factor");
    let owner = app.logged_in("alice").await;
    let (lost, codes) = enrol(&app, &owner).await;
    let made = admin.post(&link, json!({})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let url = made.json()["url"].as_str().unwrap().to_owned();
    let token = url.rsplit('/').next().unwrap().to_owned();

    // It is no password, and no one else's.
    let other = json!({"username": "bob", "password": PASSWORD, "passcode": token});
    assert_eq!(app.anonymous().post("/api/v1/login", other).await.json()["session"]["amr"], json!(["pwd"]));
    let wrong = json!({"username": "alice", "password": "wrong", "passcode": token});
    assert_eq!(app.anonymous().post("/api/v1/login", wrong).await.code(), "invalid_credentials");
    let browser = app.browser();
    let moved = browser.get(&format!("/recover/{token}")).await;
    assert_eq!((moved.status, moved.header("location")), (StatusCode::SEE_OTHER, "/recover"));
    assert!(browser.get("/recover").await.text().contains("alice"));
    assert_eq!(browser.form("/recover", &[("password", "wrong")]).await.status, StatusCode::UNAUTHORIZED);
    assert!(browser.cookie("usher").is_none());

    let inside = browser.form("/recover", &[("password", PASSWORD)]).await;
    assert!(inside.header("location").starts_with("/account/news?return_to="), "{}", inside.header("location"));
    let page = browser.get(inside.header("location")).await.text();
    assert!(page.contains("A recovery link was used in place of a lost factor"), "{page}");
    assert_eq!(browser.get("/library").await.header("location"), "/account/security");
    assert_eq!(login(&app, "alice", &lost.code_in(&app, 0)).await.1["account"]["must_enrol"], true);
    let state = browser.get("/api/v1/me/recovery-codes").await.json();
    assert_eq!(state["left"], 0, "{codes:?} went with the app");
    let (new, fresh) = enrol(&app, &browser).await;
    assert_eq!(fresh.len(), 10);
    assert_eq!(browser.get("/api/v1/me/tokens").await.status, StatusCode::OK);
    assert_eq!(login(&app, "alice", &token).await.1["code"], "passcode_invalid", "once");
    assert_eq!(login(&app, "alice", &new.code_in(&app, 0)).await.0, StatusCode::OK);
    assert_eq!(app.browser().with_cookie("usher-recover", &token).get("/recover").await.status, StatusCode::GONE);
    let filter = usher::audit::Filter { account: Some(id), ..Default::default() };
    let events = usher::audit::list(&app.app.db, &filter, 100).await.unwrap();
    let said = |word: &str| events.iter().filter(|event| event.event == word).count();
    assert_eq!([said("factor_recovered"), said("factor_added"), said("link_created")], [1, 2, 1]);
    assert!(notices::unseen(&app.cx(), bob).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_recovery_link_ends_after_an_hour() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    enrol(&app, &owner).await;
    let made = usher::admin::factors::make_recovery_link(&app.cx(), id).await.unwrap();
    let token = made.path.rsplit('/').next().unwrap().to_owned();
    app.advance(Duration::from_secs(3600));
    assert_eq!(login(&app, "alice", &token).await.1["code"], "passcode_invalid");
}

#[tokio::test]
async fn an_admin_sees_demands_and_takes_away_factors_and_the_owner_hears_of_it() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let path = format!("/api/v1/users/{id}/factors");
    assert_eq!(admin.delete(&path).await.code(), "no_factor");
    enrol(&app, &owner).await;
    let seen = admin.get(&path).await;
    assert!(!seen.text().contains("secret"));
    let seen = seen.json();
    assert_eq!(
        (&seen["totp"], &seen["recovery_codes_left"], &seen["demanded"]),
        (&json!(true), &json!(10), &json!(false))
    );
    let page = admin.get(&format!("/admin/accounts/{id}")).await.text();
    assert!(page.contains("id=\"make-recovery-link\"") && !page.contains("usf_"));
    let made = admin.form(&format!("/admin/accounts/{id}/recovery-link"), &[]).await.text();
    assert!(made.contains("/recover/usf_"), "{made}");

    let demand = admin.json(Method::PUT, &path, json!({"required": true})).await;
    assert_eq!(demand.status, StatusCode::NO_CONTENT);
    assert_eq!(owner.get("/library").await.status, StatusCode::OK, "she has one");
    assert_eq!(admin.form(&format!("/admin/accounts/{id}/factors/remove"), &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(owner.get("/library").await.header("location"), "/account/security");
    let undone = admin.form(&format!("/admin/accounts/{id}/factors/demand"), &[]).await;
    assert_eq!(undone.status, StatusCode::SEE_OTHER);
    assert_eq!(owner.get("/library").await.status, StatusCode::OK);
    let news = notices::unseen(&app.cx(), id).await.unwrap();
    let told: Vec<(What, bool)> = news.iter().map(|news| (news.what, news.own)).collect();
    assert_eq!(told, [(What::AllRemoved, false), (What::TotpAdded, true)]);
    let group = admin.post("/api/v1/groups", json!({"name": "Staff"})).await.json();
    let path = format!("/api/v1/groups/{}/factors", group["id"].as_str().unwrap());
    assert_eq!(admin.json(Method::PUT, &path, json!({"required": true})).await.status, StatusCode::NO_CONTENT);
    admin.json(Method::PUT, &format!("/api/v1/groups/{}/members/{id}", group["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(admin.get(&format!("/api/v1/users/{id}/factors")).await.json()["demanded"], true);
}

/// What stands in the text area of this name.
fn area<'t>(page: &'t str, id: &str) -> &'t str {
    let from = page.find(&format!("<textarea id=\"{id}\"")).unwrap();
    page[from..].split('>').nth(1).unwrap().split('<').next().unwrap()
}

#[tokio::test]
async fn the_page_leads_through_setting_up_without_scripts_and_asks_again_when_it_is_late() {
    let app = TestApp::new().await;
    let owner = app.member("alice").await;
    app.advance(Duration::from_secs(301));
    let page = owner.get("/account/security").await.text();
    assert!(page.contains("id=\"again-form\"") && !page.contains("id=\"totp-form\""));
    let late = owner.form("/account/security/totp", &[]).await;
    assert_eq!(late.header("location"), "/account/security?done=again");
    for (fields, status) in [
        (vec![], StatusCode::UNPROCESSABLE_ENTITY),
        (vec![("confirm", "wrong")], StatusCode::UNPROCESSABLE_ENTITY),
        (vec![("confirm", PASSWORD), ("return_to", "/account/security")], StatusCode::SEE_OTHER),
    ] {
        assert_eq!(owner.form("/account/again", &fields).await.status, status);
    }
    let begun = owner.form("/account/security/totp", &[]).await;
    let page = begun.text();
    assert!(page.contains("class=\"qr\"") && page.contains("id=\"confirm-form\""));
    let secret = area(&page, "secret").replace(' ', "");
    assert!(!owner.get("/account/security").await.text().contains(&secret[..8]), "told once");
    let authenticator = Authenticator::read(&format!("otpauth://totp/x?secret={secret}&algorithm=SHA1&digits=6"));
    let wrong = owner.form("/account/security/totp/confirm", &[("passcode", "000000")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let code = authenticator.code_in(&app, 0);
    let codes = owner.form("/account/security/totp/confirm", &[("passcode", &code)]).await.text();
    assert_eq!(codes.matches("<li>").count(), 10);
    let page = owner.get("/account/security").await.text();
    assert!(page.contains("id=\"codes-left\">10<"));
    let new = owner.form("/account/security/codes", &[]).await.text();
    assert!(new.matches("<li>").count() == 10 && new != codes);
    // A code of the app proves it again as well.
    app.advance(Duration::from_secs(301));
    let code = authenticator.code_in(&app, 0);
    let again = owner.form("/account/again", &[("confirm_code", &code), ("return_to", "/account/security")]).await;
    assert_eq!(again.header("location"), "/account/security");
    let off = owner.form("/account/security/totp/remove", &[]).await;
    assert_eq!(off.header("location"), "/account/security?done=removed");
}

#[tokio::test]
async fn an_admin_whose_login_is_old_weakens_nobody_s_login_without_a_fresh_proof() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    enrol(&app, &owner).await;
    let path = format!("/api/v1/users/{id}");
    let group = admin.post("/api/v1/groups", json!({"name": "Staff"})).await.json();
    let group = format!("/api/v1/groups/{}/factors", group["id"].as_str().unwrap());
    app.advance(Duration::from_secs(301));
    // To demand more is done in a hurry, and can be undone.
    for demand in [format!("{path}/factors"), group.clone()] {
        assert_eq!(admin.json(Method::PUT, &demand, json!({"required": true})).await.status, StatusCode::NO_CONTENT);
    }
    let weaker = [
        (Method::PUT, group, json!({"required": false})),
        (Method::PUT, format!("{path}/factors"), json!({"required": false})),
        (Method::POST, format!("{path}/recovery-link"), json!({})),
        (Method::DELETE, format!("{path}/factors"), json!({})),
    ];
    for (method, path, body) in &weaker {
        let refused = admin.json(method.clone(), path, body.clone()).await;
        assert_eq!(refused.code(), "reauthentication_required", "{method} {path}");
    }
    // The pages ask in place and go on with the same act.
    for (act, fields) in [("recovery-link", vec![]), ("factors/demand", vec![]), ("factors/remove", vec![])] {
        let address = format!("/admin/accounts/{id}/{act}");
        let asked = admin.form(&address, &fields).await;
        assert_eq!(asked.status, StatusCode::FORBIDDEN, "{act}");
        assert!(asked.text().contains("id=\"confirm-form\"") && asked.text().contains(&address), "{act}");
    }
    let done = admin.form(&format!("/admin/accounts/{id}/recovery-link"), &[("own_password", PASSWORD)]).await;
    assert!(done.text().contains("/recover/usf_"), "{}", done.text());
    for (method, path, body) in &weaker {
        let done = admin.json(method.clone(), path, body.clone()).await;
        assert!(done.status.is_success(), "{method} {path}: {}", done.text());
    }
}

#[tokio::test]
async fn the_page_of_a_group_demands_a_factor_of_everybody_in_it() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let group = admin.post("/api/v1/groups", json!({"name": "Staff"})).await.json();
    let group = group["id"].as_str().unwrap();
    admin.json(Method::PUT, &format!("/api/v1/groups/{group}/members/{id}"), json!({})).await;
    let page = format!("/admin/groups/{group}");
    let checked = "value=\"yes\" checked";
    let named = "name=\"name\" value=\"Staff\"";
    assert!(admin.get(&page).await.text().contains(named), "its own form says its name");
    let taken = admin.form("/admin/groups", &[("name", "Staff")]).await;
    assert!(taken.status == StatusCode::UNPROCESSABLE_ENTITY && taken.text().contains(named), "what was typed stays");
    assert!(!admin.get(&page).await.text().contains(checked));
    let saved = admin.form(&format!("{page}/factors/demand"), &[("required", "yes")]).await;
    assert_eq!(saved.header("location"), format!("{page}?done=saved"));
    assert!(admin.get(&page).await.text().contains(checked));
    assert_eq!(owner.get("/library").await.header("location"), "/account/security", "felt at once");
    // An unticked box sends nothing.
    assert_eq!(admin.form(&format!("{page}/factors/demand"), &[]).await.status, StatusCode::SEE_OTHER);
    assert!(!admin.get(&page).await.text().contains(checked));
    assert_eq!(owner.get("/library").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_admin_sets_an_app_up_beside_its_owner_who_hears_of_it() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let page = format!("/admin/accounts/{id}");
    let begun = admin.form(&format!("{page}/factors/totp"), &[]).await.text();
    let secret = area(&begun, "secret").replace(' ', "");
    assert!(begun.contains("class=\"qr\"") && begun.contains("id=\"confirm-form\""));
    assert!(!admin.get(&page).await.text().contains(&secret[..8]), "told once");
    assert_eq!(app.tokens("alice").await["session"]["amr"], json!(["pwd"]), "not before its first good code");
    let confirm = format!("{page}/factors/totp/confirm");
    let wrong = admin.form(&confirm, &[("passcode", "000000")]).await;
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text().contains("passcode-problem"));
    let authenticator = Authenticator::read(&format!("otpauth://totp/x?secret={secret}&algorithm=SHA1&digits=6"));
    let code = authenticator.code_in(&app, 0);
    let codes = admin.form(&confirm, &[("passcode", &code)]).await.text();
    assert_eq!(codes.split("id=\"codes\"").nth(1).unwrap().split("</ol>").next().unwrap().matches("<li>").count(), 10);
    assert_eq!(owner.get("/library").await.status, StatusCode::OK, "what she was doing goes on");
    app.advance(Duration::from_secs(30));
    assert_eq!(login(&app, "alice", "").await.1["code"], "passcode_required");
    assert_eq!(login(&app, "alice", &authenticator.code_in(&app, 0)).await.0, StatusCode::OK);
    let news = notices::unseen(&app.cx(), id).await.unwrap();
    assert_eq!(news.iter().map(|news| (news.what, news.own)).collect::<Vec<_>>(), [(What::TotpAdded, false)]);
    let filter = usher::audit::Filter { event: Some("factor_added".into()), account: Some(id), ..Default::default() };
    let events = usher::audit::list(&app.app.db, &filter, 10).await.unwrap();
    assert!(events.len() == 1 && events[0].actor.is_some_and(|actor| actor != id), "{events:?}");
    app.advance(Duration::from_secs(301));
    let late = admin.form(&format!("{page}/factors/totp"), &[]).await;
    assert!(late.status == StatusCode::FORBIDDEN && late.text().contains("id=\"confirm-form\""));
}
