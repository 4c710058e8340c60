//! Second factors in a real browser: a passkey from its registration to its end, by a virtual authenticator, and an
//! authenticator app by the keyboard alone.

use super::person::{arrive, fill, key, look, look_everywhere, press, tab_to, text, typed, until, value};
use crate::support::authenticator::Authenticator;
use crate::support::browser::Browser;
use crate::support::program::{Home, PASSWORD};
use fantoccini::key::Key;
use serde_json::json;
use usher::time::Clock;

async fn go(browser: &Browser, origin: &str, path: &str) {
    browser.page.goto(&format!("{origin}{path}")).await.unwrap();
}

/// Fills fields in and sends the form, by the keyboard alone.
async fn type_in(browser: &Browser, fields: &[(&str, &str)]) {
    for (field, text) in fields {
        tab_to(browser, field).await;
        typed(browser, text).await;
    }
    key(browser, Key::Enter).await;
}

/// What a printer is given: the codes, whose they are and for what, and nothing to press.
async fn on_paper(browser: &Browser, code: &str) {
    let shown = "[...document.querySelectorAll('main p, main li, nav, button, a')].filter((one) => one.checkVisibility())\
        .map((one) => one.textContent.trim())";
    let seen =
        async |text: &str| value(browser, &format!("{shown}.some((one) => one.includes({}))", json!(text))).await;
    assert_eq!(seen(", account alice").await, false, "on a screen the page itself says whose it is");
    assert_eq!(value(browser, "!document.getElementById('print').hidden").await, true);
    browser.devtools("Emulation.setEmulatedMedia", json!({"media": "print"})).await;
    for (text, there) in [(", account alice", true), (code, true), ("Log out", false), ("I have kept", false)] {
        assert_eq!(seen(text).await, there, "{text}");
    }
    look(browser, "recovery-codes-on-paper").await;
    browser.devtools("Emulation.setEmulatedMedia", json!({"media": ""})).await;
}

async fn log_out(browser: &Browser) {
    press(browser, "#log-out").await;
    arrive(browser, "/logout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_from_its_registration_to_its_end() {
    let home = Home::new();
    home.add_user("alice", &["--admin"]);
    let server = home.serve();
    let origin = format!("http://localhost:{}", server.address.port());
    let browser = Browser::open().await;
    let authenticator = browser
        .webauthn(
            "",
            json!({"protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
                "isUserConsenting": true, "isUserVerified": false}),
        )
        .await;
    let authenticator = authenticator.as_str().unwrap().to_owned();
    let verified = async |verified: bool| {
        browser.webauthn(&format!("/{authenticator}/uv"), json!({"isUserVerified": verified})).await;
    };

    go(&browser, &origin, "/login").await;
    assert_eq!(text(&browser, "document.getElementById('username').autocomplete").await, "username webauthn");
    fill(&browser, &[("username", "alice"), ("password", PASSWORD)]).await;
    press(&browser, "#submit").await;
    arrive(&browser, "/library").await;
    verified(true).await;
    go(&browser, &origin, "/account/security").await;
    until(&browser, "!document.getElementById('passkey-form').hidden").await;
    value(&browser, "(document.getElementById('passkey-name').value = 'Laptop', true)").await;
    press(&browser, "#passkey-add").await;
    until(&browser, "document.querySelectorAll('#codes li').length === 10").await;
    let code = text(&browser, "document.querySelector('#codes li').textContent").await;
    look_everywhere(&browser, "recovery-codes").await;
    on_paper(&browser, &code).await;
    press(&browser, "#done").await;
    until(&browser, "document.querySelector('#passkeys h3')?.textContent === 'Laptop'").await;
    look_everywhere(&browser, "security").await;
    log_out(&browser).await;

    // Among the browser's suggestions for the name: nothing is typed and nothing pressed.
    go(&browser, &origin, "/login").await;
    arrive(&browser, "/account/news").await;
    look_everywhere(&browser, "news").await;
    press(&browser, "#seen").await;
    arrive(&browser, "/library").await;
    log_out(&browser).await;

    // A person whom the device does not verify is offered nothing, and needs the password and a second step.
    verified(false).await;
    go(&browser, &origin, "/login").await;
    until(&browser, "!document.querySelector('[data-passkeys]').hidden").await;
    look_everywhere(&browser, "login").await;
    fill(&browser, &[("username", "alice"), ("password", PASSWORD)]).await;
    press(&browser, "#submit").await;
    arrive(&browser, "/login/code").await;
    verified(true).await;
    look_everywhere(&browser, "second-step").await;
    press(&browser, "#passkey-login").await;
    arrive(&browser, "/library").await;
    log_out(&browser).await;

    // Removed, it is refused, and a recovery code would do if there still were a factor to stand in for.
    go(&browser, &origin, "/login").await;
    arrive(&browser, "/library").await;
    go(&browser, &origin, "/account/security").await;
    press(&browser, "#passkeys .danger").await;
    until(&browser, "document.getElementById('notice')?.textContent.includes('of no use')").await;
    log_out(&browser).await;
    go(&browser, &origin, "/login").await;
    until(&browser, "document.getElementById('passkey-told').textContent.includes('not accepted')").await;
    assert_eq!(text(&browser, "location.pathname").await, "/login");
    assert_eq!(server.login("alice", PASSWORD).status, 200, "{code} stands in for nothing any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authenticator_app_is_set_up_and_stood_in_for_by_the_keyboard_alone() {
    let home = Home::new();
    home.add_user("alice", &[]);
    let server = home.serve();
    let origin = format!("http://localhost:{}", server.address.port());
    let browser = Browser::open().await;
    go(&browser, &origin, "/login").await;
    type_in(&browser, &[("#username", "alice"), ("#password", PASSWORD)]).await;
    arrive(&browser, "/library").await;
    go(&browser, &origin, "/account/security").await;
    tab_to(&browser, "#begin-totp").await;
    key(&browser, Key::Enter).await;
    until(&browser, "document.querySelector('svg.qr path')?.getBBox().width > 20").await;
    look_everywhere(&browser, "authenticator").await;
    let url = text(&browser, "document.getElementById('open-app').href").await;
    let authenticator = Authenticator::read(&url);
    let code = || authenticator.code(Clock::System.now());
    type_in(&browser, &[("#passcode", &code())]).await;
    until(&browser, "document.querySelectorAll('#codes li').length === 10").await;
    let recovery = text(&browser, "document.querySelector('#codes li').textContent").await;
    tab_to(&browser, "#log-out").await;
    key(&browser, Key::Enter).await;
    arrive(&browser, "/logout").await;
    go(&browser, &origin, "/login").await;
    type_in(&browser, &[("#username", "alice"), ("#password", PASSWORD)]).await;
    arrive(&browser, "/login/code").await;
    look_everywhere(&browser, "passcode").await;
    type_in(&browser, &[("#passcode", &recovery)]).await;
    arrive(&browser, "/account/news").await;
}
