//! `/account`, `/password`: one's own account in a browser.

use crate::support::app::{Actor, PASSWORD, TestApp};
use http::StatusCode;
use std::time::Duration;
use usher::accounts::{self, Role};
use zeroize::Zeroizing;

const NEW: &str = "harbor-quilt-marble-52";

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}")).1;
    rest.split_once(after).unwrap().0
}

async fn change(actor: &Actor, current: &str, password: &str) -> crate::support::app::Answer {
    let fields = [("current", current), ("password", password), ("password2", password), ("end_others", "yes")];
    actor.form("/account/password", &fields).await
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_led_to_the_login_and_back() {
    let app = TestApp::new().await;
    let answer = app.browser().get("/account").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), "/login?return_to=%2Faccount");
}

#[tokio::test]
async fn the_page_shows_where_one_is_logged_in() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let page = alice.get("/account").await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    assert!(text.contains("This one") && text.contains("192.0.2.10") && text.contains("You have no tokens."));
    assert!(!text.contains("end-others-form"), "there is no other session to end");
    app.logged_in("alice").await;
    assert!(alice.get("/account").await.text().contains("end-others-form"));
}

#[tokio::test]
async fn a_session_is_ended_from_the_list() {
    let app = TestApp::new().await;
    let tablet = app.member("alice").await;
    app.advance(Duration::from_secs(60));
    let alice = app.logged_in("alice").await;
    let text = alice.get("/account").await.text();
    let other = text.split("<li>").nth(1).unwrap();
    let action = between(other, "action=\"", "\"").to_owned();
    let answer = alice.form(&action, &[]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/account?done=ended"));
    assert_eq!(tablet.get("/account").await.status, StatusCode::SEE_OTHER, "the tablet must log in again");
    assert_eq!(alice.form(&action, &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn ending_all_sessions_leads_to_the_login() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    let answer = alice.form("/account/sessions/end-all", &[]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/login"));
    assert_eq!(alice.cookie("usher"), None);
    assert_eq!(tablet.get("/account").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn ending_the_others_leaves_this_browser_logged_in() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    assert_eq!(alice.form("/account/sessions/end-others", &[]).await.header("location"), "/account?done=others");
    assert_eq!(tablet.get("/account").await.status, StatusCode::SEE_OTHER);
    assert!(alice.get("/account?done=others").await.text().contains("All your other sessions are over."));
}

#[tokio::test]
async fn the_password_form_changes_the_password_and_keeps_one_logged_in() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let tablet = app.logged_in("alice").await;
    let answer = change(&alice, PASSWORD, NEW).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/account?done=password"));
    assert!(alice.get("/account?done=password").await.text().contains("Your password is changed."));
    assert_eq!(tablet.get("/account").await.status, StatusCode::SEE_OTHER, "it was asked for");
}

#[tokio::test]
async fn the_password_form_says_at_its_fields_what_is_wrong() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    for (current, password, password2, id) in [
        ("not it at all", NEW, NEW, "current-problem"),
        (PASSWORD, "short", "short", "password-problem"),
        (PASSWORD, NEW, "something else", "password2-problem"),
    ] {
        let fields = [("current", current), ("password", password), ("password2", password2)];
        let answer = alice.form("/account/password", &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let text = answer.text();
        assert!(text.contains(&format!("id=\"{id}\"")), "{id} is not in {text}");
        assert!(!text.contains(current) && !text.contains(password), "no password is sent back");
    }
}

#[tokio::test]
async fn a_token_made_on_the_page_is_shown_once_and_works() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let fields = [("name", "<Script>"), ("expires_days", "7"), ("scopes", "media"), ("scopes", "profile")];
    let page = alice.form("/account/tokens", &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let text = page.text();
    let secret = format!("usp_{}", between(&text, "value=\"usp_", "\""));
    assert!(text.contains("&#60;Script&#62;"));
    assert_eq!(app.anonymous().bearing(&secret).get("/api/v1/me").await.json()["username"], "alice");
    let after = alice.get("/account").await.text();
    assert!(!after.contains(&secret));
    let action = format!("/account/tokens/{}", between(&after, "action=\"/account/tokens/", "\""));
    assert_eq!(alice.form(&action, &[]).await.header("location"), "/account?done=revoked");
    assert_eq!(app.anonymous().bearing(&secret).get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_token_form_keeps_what_was_typed_and_says_what_is_wrong() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let answer = alice.form("/account/tokens", &[("name", "My script"), ("expires_days", "30")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = answer.text();
    assert!(text.contains("value=\"My script\"") && text.contains("scopes-problem"));
    assert!(text.contains("<option value=\"30\" selected>"));
    assert!(!text.contains("value=\"admin\""), "what only admins can choose is not offered");
}

#[tokio::test]
async fn a_page_that_was_open_for_long_asks_for_the_password_before_it_makes_a_token() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    assert!(!alice.get("/account").await.text().contains("name=\"confirm\""));
    app.advance(Duration::from_secs(301));
    let with = |confirm| [("name", "x"), ("expires_days", "7"), ("scopes", "media"), ("confirm", confirm)];
    let asked = alice.form("/account/tokens", &with("")).await;
    assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(asked.text().contains("id=\"confirm-problem\""));
    let wrong = alice.form("/account/tokens", &with("not it at all")).await;
    assert!(wrong.text().contains("That is not your present password."));
    let made = alice.form("/account/tokens", &with(PASSWORD)).await;
    assert!(made.status == StatusCode::OK && made.text().contains("value=\"usp_"), "{}", made.text());
    assert_eq!(alice.get("/account").await.status, StatusCode::OK, "the renewed cookie is in place");
}

#[tokio::test]
async fn somebody_elses_things_are_not_found_from_the_page_either() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let mallory = app.member("mallory").await;
    let text = alice.get("/account").await.text();
    let end = format!("/account/sessions/{}", between(&text, "action=\"/account/sessions/", "\""));
    assert_eq!(mallory.form(&end, &[]).await.status, StatusCode::NOT_FOUND);
    let made = alice.form("/account/tokens", &[("name", "x"), ("expires_days", "7"), ("scopes", "media")]).await;
    let revoke = format!("/account/tokens/{}", between(&made.text(), "action=\"/account/tokens/", "\""));
    assert_eq!(mallory.form(&revoke, &[]).await.status, StatusCode::NOT_FOUND);
    assert!(alice.get("/account").await.text().contains(&revoke));
}

#[tokio::test]
async fn whoever_must_change_the_password_is_led_there_first_and_to_the_library_after() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let alice = app.logged_in("alice").await;
    let hash = app.app.hasher.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
    let now = app.cx().now;
    let cx = app.cx();
    let set = cx.write("test.demand", async move |tx| accounts::set_password(tx, id, &hash, true, now).await);
    set.await.unwrap().unwrap();

    assert_eq!(alice.get("/account").await.header("location"), "/password");
    assert!(alice.get("/password").await.text().contains("Choose your own password"));
    let form = |password| [("current", PASSWORD), ("password", password), ("password2", password)];
    let same = alice.form("/password", &form(PASSWORD)).await;
    assert_eq!(same.status, StatusCode::UNPROCESSABLE_ENTITY, "the one that was set by somebody else is no own one");
    let done = alice.form("/password", &form(NEW)).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/library"));
    assert_eq!(alice.get("/account").await.status, StatusCode::OK);
    assert_eq!(alice.get("/password").await.header("location"), "/account", "nothing more to do there");
}

#[tokio::test]
async fn the_facts_form_changes_name_and_email_and_asks_for_the_password_when_the_login_is_old() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    let fields = |name: &'static str, email: &'static str, confirm: &'static str| {
        [("display_name", name), ("email", email), ("confirm", confirm)]
    };
    let saved = alice.form("/account/profile", &fields("Alice A.", "alice@example.org", "")).await;
    assert_eq!((saved.status, saved.header("location")), (StatusCode::SEE_OTHER, "/account?done=profile"));
    let me = alice.get("/api/v1/me").await.json();
    assert_eq!((me["display_name"].as_str(), me["email"].as_str()), (Some("Alice A."), Some("alice@example.org")));
    let page = alice.get("/account").await.text();
    assert!(page.contains("value=\"alice@example.org\"") && page.contains("Not proven yet"), "{page}");

    let id = me["id"].as_str().unwrap().parse().unwrap();
    let verify = |address: &'static str| {
        app.sql(&format!("UPDATE accounts SET verified_at = 1 WHERE email_key = '{address}'"));
    };
    verify("alice@example.org");
    app.advance(Duration::from_secs(301));
    // A name is nobody's way in, and the address one has already is no change.
    let named = alice.form("/account/profile", &fields("Al", "alice@example.org", "")).await;
    assert_eq!(named.status, StatusCode::SEE_OTHER, "{}", named.text());
    let verified = async || accounts::find(&app.app.db, id).await.unwrap().unwrap().verified_at.is_some();
    assert!(verified().await, "what did not change stays proven");
    let asked = alice.form("/account/profile", &fields("Al", "eve@example.org", "")).await;
    assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(asked.text().contains("Enter your password once more") && asked.text().contains("eve@example.org"));
    let wrong = alice.form("/account/profile", &fields("Al", "eve@example.org", "not this one")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(verified().await);
    let before = alice.cookie("usher");
    let moved = alice.form("/account/profile", &fields("Al", "al@example.org", PASSWORD)).await;
    assert_eq!(moved.status, StatusCode::SEE_OTHER, "{}", moved.text());
    assert_ne!(alice.cookie("usher"), before, "a proof renews the cookie");
    assert!(!verified().await, "a new address is nobody's proven one");
    let gone = alice.form("/account/profile", &fields("", "", "")).await;
    assert_eq!(gone.status, StatusCode::SEE_OTHER);
    let me = alice.get("/api/v1/me").await.json();
    assert!(me["display_name"].is_null() && me["email"].is_null(), "{me}");
}

#[tokio::test]
async fn what_cannot_be_a_name_or_an_address_is_shown_with_the_reason() {
    let app = TestApp::new().await;
    let bob = app.member("bob").await;
    bob.form("/account/profile", &[("display_name", ""), ("email", "bob@example.org")]).await;
    let alice = app.member("alice").await;
    for (name, email, status, reason) in [
        ("a\nb", "", StatusCode::UNPROCESSABLE_ENTITY, "display_name-problem"),
        ("", "nobody", StatusCode::UNPROCESSABLE_ENTITY, "This is not an email address."),
        ("Al", "BOB@example.org", StatusCode::CONFLICT, "Another account has this email address."),
    ] {
        let answer = alice.form("/account/profile", &[("display_name", name), ("email", email)]).await;
        assert_eq!(answer.status, status, "{name:?} {email}");
        assert!(answer.text().contains(reason), "{name:?} {email}: {}", answer.text());
    }
    assert!(alice.get("/api/v1/me").await.json()["display_name"].is_null(), "all of it or nothing");
    let events = usher::audit::Filter { event: Some("account_changed".to_owned()), ..Default::default() };
    assert_eq!(usher::audit::list(&app.app.db, &events, 10).await.unwrap().len(), 1, "bob's alone");
}
