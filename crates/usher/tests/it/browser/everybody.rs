//! Pages for everybody: on every screen, in light and in dark, axe finds nothing serious on the pages that lead in and on
//! those behind them.

use super::person::{arrive, fill, judge_everywhere, key, press, tab_to, typed, until};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::authenticator::enrol;
use crate::support::browser::Browser;
use crate::support::server::Server;
use crate::support::soft_key::registered;
use fantoccini::key::Key;
use http::Method;
use serde_json::json;
use usher::accounts::{Buckets, Role};

struct House {
    origin: String,
    _server: Server,
    app: TestApp,
}

/// `root` is an admin, `alice` has an app, a passkey and recovery codes, `bob` has nothing.
async fn house() -> House {
    let app = TestApp::with(|config| config.compat.signed_header = true).await;
    app.account_with("root", Role::Admin, Buckets::Every, PASSWORD).await;
    app.account("bob", Role::User).await;
    let alice = app.member("alice").await;
    registered(&alice, "Phone").await;
    enrol(&app, &alice).await;
    let server = Server::start(&app).await;
    House { origin: format!("http://localhost:{}", server.addr.port()), _server: server, app }
}

impl House {
    async fn go(&self, browser: &Browser, path: &str) {
        browser.page.goto(&format!("{}{path}", self.origin)).await.unwrap();
    }

    async fn log_in(&self, browser: &Browser, name: &str) {
        self.go(browser, "/login").await;
        fill(browser, &[("username", name), ("password", PASSWORD)]).await;
        press(browser, "#submit").await;
    }

    async fn judge(&self, browser: &Browser, path: &str, name: &str) {
        self.go(browser, path).await;
        judge_everywhere(browser, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_serious_on_the_pages_that_lead_in() {
    let house = house().await;
    let browser = Browser::open().await;
    house.judge(&browser, "/login", "axe-login").await;
    fill(&browser, &[("username", "alice"), ("password", "not this one")]).await;
    press(&browser, "#submit").await;
    until(&browser, "document.getElementById('problem') !== null").await;
    judge_everywhere(&browser, "axe-login-wrong").await;
    house.log_in(&browser, "alice").await;
    arrive(&browser, "/login/code").await;
    judge_everywhere(&browser, "axe-second-step").await;
    fill(&browser, &[("passcode", "000000")]).await;
    press(&browser, "#submit").await;
    until(&browser, "document.getElementById('problem') !== null").await;
    judge_everywhere(&browser, "axe-second-step-wrong").await;
    let id = usher::accounts::find_by_key(&house.app.app.db, "alice").await.unwrap().unwrap().id;
    let link = usher::admin::factors::make_recovery_link(&house.app.cx(), id).await.unwrap();
    house.judge(&browser, &link.path, "axe-recover").await;
    house.go(&browser, "/tv").await;
    until(&browser, "document.querySelector('#qr svg path') !== null").await;
    judge_everywhere(&browser, "axe-tv").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_serious_on_the_link_and_account_pages() {
    let house = house().await;
    let browser = Browser::open().await;
    house.log_in(&browser, "bob").await;
    arrive(&browser, "/library").await;
    house.judge(&browser, "/link", "axe-link").await;
    let fields = [("client_id", "usher-device"), ("device_name", "Living room")];
    let asked = house.app.anonymous().form("/oauth/device_authorization", &fields).await.json();
    fill(&browser, &[("code", asked["user_code"].as_str().unwrap())]).await;
    press(&browser, "#submit").await;
    until(&browser, "document.getElementById('device-code') !== null").await;
    judge_everywhere(&browser, "axe-link-decide").await;
    press(&browser, "#approve").await;
    until(&browser, "document.body.innerText.includes('It is linked')").await;
    judge_everywhere(&browser, "axe-link-done").await;
    house.judge(&browser, "/account", "axe-account").await;
    house.judge(&browser, "/account/security", "axe-security").await;
    press(&browser, "#begin-totp").await;
    until(&browser, "document.querySelector('svg.qr') !== null").await;
    judge_everywhere(&browser, "axe-authenticator").await;
    house.judge(&browser, "/account/signed-header", "axe-signed-header").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_serious_on_the_pages_of_an_admin() {
    let house = house().await;
    let root = house.app.logged_in("root").await;
    let group = root.post("/api/v1/groups", json!({"name": "Staff"})).await.json()["id"].as_str().unwrap().to_owned();
    let id = usher::accounts::find_by_key(&house.app.app.db, "alice").await.unwrap().unwrap().id;
    root.json(Method::PUT, &format!("/api/v1/groups/{group}/members/{id}"), json!({})).await;
    let browser = Browser::open().await;
    house.log_in(&browser, "root").await;
    arrive(&browser, "/library").await;
    house.judge(&browser, "/admin/accounts", "axe-admin-accounts").await;
    house.judge(&browser, &format!("/admin/accounts/{id}"), "axe-admin-account").await;
    press(&browser, "#make-recovery-link").await;
    until(&browser, "document.getElementById('new-recovery-link') !== null").await;
    judge_everywhere(&browser, "axe-admin-recovery-link").await;
    house.judge(&browser, "/admin/groups", "axe-admin-groups").await;
    house.judge(&browser, &format!("/admin/groups/{group}"), "axe-admin-group").await;
    house.judge(&browser, "/admin/invites", "axe-admin-invites").await;
    house.judge(&browser, "/admin/audit", "axe-admin-audit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_lets_a_device_in_and_demands_a_factor_of_a_group() {
    let house = house().await;
    let root = house.app.logged_in("root").await;
    let group = root.post("/api/v1/groups", json!({"name": "Staff"})).await.json()["id"].as_str().unwrap().to_owned();
    let fields = [("client_id", "usher-device"), ("device_name", "Living room")];
    let asked = house.app.anonymous().form("/oauth/device_authorization", &fields).await.json();
    let browser = Browser::open().await;
    // The address in the QR code: the login comes first, and the code is filled in behind it.
    house.go(&browser, &format!("/link?code={}", asked["user_code"].as_str().unwrap())).await;
    arrive(&browser, "/login").await;
    tab_to(&browser, "#username").await;
    typed(&browser, "root").await;
    tab_to(&browser, "#password").await;
    typed(&browser, PASSWORD).await;
    key(&browser, Key::Enter).await;
    arrive(&browser, "/link").await;
    tab_to(&browser, "#submit").await;
    key(&browser, Key::Enter).await;
    until(&browser, "document.getElementById('device-code') !== null").await;
    tab_to(&browser, "#approve").await;
    key(&browser, Key::Enter).await;
    until(&browser, "document.body.innerText.includes('It is linked')").await;
    tab_to(&browser, "a[href='/admin']").await;
    key(&browser, Key::Enter).await;
    arrive(&browser, "/admin/accounts").await;
    tab_to(&browser, ".tabs a[href='/admin/groups']").await;
    key(&browser, Key::Enter).await;
    arrive(&browser, "/admin/groups").await;
    tab_to(&browser, ".row-link").await;
    key(&browser, Key::Enter).await;
    arrive(&browser, &format!("/admin/groups/{group}")).await;
    tab_to(&browser, "#required").await;
    key(&browser, Key::Space).await;
    tab_to(&browser, "#demand-factor").await;
    key(&browser, Key::Enter).await;
    until(&browser, "location.search === '?done=saved' && document.getElementById('required').checked").await;
}
