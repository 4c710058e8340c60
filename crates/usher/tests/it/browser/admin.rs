//! Administration in a real browser: who it is is asked in place, and the act goes on.

use super::person::{arrive, fill, look_everywhere, press, text, until, value};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::browser::Browser;
use crate::support::server::Server;
use serde_json::json;
use std::time::Duration;
use usher::accounts::{Buckets, Role};
use usher::config::Signup;

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_whose_login_is_old_is_asked_in_place_and_the_same_act_goes_on() {
    let app = TestApp::with(|config| config.accounts.signup = Signup::Invite).await;
    app.account_with("root", Role::Admin, Buckets::Every, PASSWORD).await;
    let alice = app.account("alice", Role::User).await;
    for _ in 0..6 {
        app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": "wrong"})).await;
        app.advance(Duration::from_secs(1));
    }
    let server = Server::start(&app).await;
    let origin = format!("http://localhost:{}", server.addr.port());
    let browser = Browser::open().await;
    browser.page.goto(&format!("{origin}/login?return_to=/admin/accounts/{alice}")).await.unwrap();
    fill(&browser, &[("username", "root"), ("password", PASSWORD)]).await;
    press(&browser, "#submit").await;
    arrive(&browser, &format!("/admin/accounts/{alice}")).await;
    until(&browser, "!!document.getElementById('forgive')").await;
    look_everywhere(&browser, "admin-account-guessed").await;
    press(&browser, "#forgive").await;
    until(&browser, "location.search === '?done=forgiven' && !document.getElementById('forgive')").await;

    app.advance(Duration::from_secs(600));
    press(&browser, "#role option[value=admin]").await;
    press(&browser, "#save-account").await;
    until(&browser, "!!document.getElementById('confirm-form')").await;
    look_everywhere(&browser, "admin-confirm").await;
    fill(&browser, &[("own_password", "not this one")]).await;
    press(&browser, "#go-on").await;
    until(&browser, "!!document.getElementById('own_password-problem')").await;
    fill(&browser, &[("own_password", PASSWORD)]).await;
    press(&browser, "#go-on").await;
    until(&browser, "location.search === '?done=saved'").await;
    assert_eq!(text(&browser, "document.getElementById('role').value").await, "admin");

    press(&browser, ".tabs a[href='/admin/invites']").await;
    arrive(&browser, "/admin/invites").await;
    fill(&browser, &[("note", "for Carol")]).await;
    press(&browser, "#invite-form input[value=all]").await;
    press(&browser, "#make-invite").await;
    until(&browser, "!!document.getElementById('new-link')").await;
    look_everywhere(&browser, "admin-invites").await;

    browser.page.goto(&format!("{origin}/account")).await.unwrap();
    fill(&browser, &[("display_name", "The Root"), ("email", "root@example.org")]).await;
    press(&browser, "#save-profile").await;
    until(&browser, "location.search === '?done=profile'").await;
    assert_eq!(value(&browser, "document.getElementById('email').value").await, "root@example.org");
    look_everywhere(&browser, "account-profile").await;
}
