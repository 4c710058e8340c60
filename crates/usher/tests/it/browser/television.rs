//! A television and a phone, each a browser of its own; on the television nothing but arrow keys and Enter.

use super::person::{arrive, fill, key, look, look_everywhere, press, text, until, value};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::browser::{Browser, Scheme, Screen};
use crate::support::server::Server;
use crate::support::shelf::Shelf;
use fantoccini::key::Key;
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::{Buckets, Role};

/// Presses arrow keys until the focus is on what the selector finds: towards it, as a person does who sees the screen.
async fn arrows_to(tv: &Browser, selector: &str) {
    let there = format!("document.activeElement.matches({})", json!(selector));
    let way = format!(
        "(() => {{ const a = document.activeElement.getBoundingClientRect();
            const b = document.querySelector({}).getBoundingClientRect();
            const x = (b.left + b.right - a.left - a.right) / 2, y = (b.top + b.bottom - a.top - a.bottom) / 2;
            return b.top >= a.bottom - 1 ? 'down' : b.bottom <= a.top + 1 ? 'up' : x > 0 ? 'right' : 'left'; }})()",
        json!(selector)
    );
    let mut tried = Vec::new();
    for _ in 0..40 {
        if value(tv, &there).await == Value::Bool(true) {
            return;
        }
        let pressed = text(tv, &way).await;
        let arrow = match pressed.as_str() {
            "down" => Key::Down,
            "up" => Key::Up,
            "right" => Key::Right,
            _ => Key::Left,
        };
        tried.push(pressed);
        key(tv, arrow).await;
    }
    panic!("the arrows never come to {selector}: {tried:?}, at {}", text(tv, "document.activeElement.outerHTML").await);
}

async fn choose(tv: &Browser, selector: &str) {
    arrows_to(tv, selector).await;
    key(tv, Key::Enter).await;
}

/// The code on the television's screen.
async fn shown(tv: &Browser) -> String {
    until(tv, "/^[A-Z]{4}-[A-Z]{4}$/.test(document.getElementById('user-code')?.textContent ?? '')").await;
    text(tv, "document.getElementById('user-code').textContent").await
}

/// Lets the television in by the address in its QR code, as `name` in this phone.
async fn let_in(phone: &Browser, origin: &str, code: &str, name: &str) {
    phone.page.goto(&format!("{origin}/link?code={code}")).await.unwrap();
    if value(phone, "location.pathname === '/login'").await == Value::Bool(true) {
        fill(phone, &[("username", name), ("password", PASSWORD)]).await;
        press(phone, "#submit").await;
        arrive(phone, "/link").await;
    }
    press(phone, "#submit").await;
    until(phone, "document.getElementById('device-code') !== null").await;
    assert_eq!(text(phone, "document.getElementById('device-code').textContent").await, code);
}

async fn family(app: &TestApp) {
    for name in ["alice", "bob"] {
        app.account_with(name, Role::User, Buckets::from_names(["films"]), PASSWORD).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_television_is_linked_from_a_phone_and_gone_about_with_arrow_keys_alone() {
    let shelf = Shelf::new().await;
    shelf.put("Concerts/1 Overture.txt", "Doors open at seven.\n");
    shelf.put("Concerts/2 Finale.txt", "The end.\n");
    shelf.put("Notes.txt", "The gallery is closed.\n");
    family(&shelf.app).await;
    let server = Server::start(&shelf.app).await;
    let origin = format!("http://localhost:{}", server.addr.port());
    let (tv, phone) = (Browser::open().await, Browser::open().await);
    tv.screen(Screen::Tv).await;
    phone.screen(Screen::Phone).await;

    // Nobody is there: the code shows itself, and a new one whenever the old one ends.
    tv.page.goto(&format!("{origin}/tv")).await.unwrap();
    let mut code = shown(&tv).await;
    until(&tv, "document.querySelector('#qr svg path') !== null").await;
    look_everywhere(&tv, "tv-code").await;
    tv.screen(Screen::Tv).await;
    for _ in 0..2 {
        shelf.app.advance(Duration::from_secs(601));
        until(&tv, &format!("document.getElementById('user-code').textContent !== '{code}'")).await;
        code = shown(&tv).await;
    }

    // A phone that is not logged in: it logs in there, looks, and says yes.
    let_in(&phone, &origin, &code, "alice").await;
    look_everywhere(&phone, "link-decide").await;
    phone.screen(Screen::Phone).await;
    press(&phone, "#approve").await;
    until(&phone, "document.body.innerText.includes('It is linked')").await;
    look(&phone, "link-done").await;
    arrive(&tv, "/library").await;
    look(&tv, "tv-library").await;

    // Through the library and back, with arrows and Enter.
    choose(&tv, "#buckets a[href*='films']").await;
    until(&tv, "document.querySelectorAll('#entries li').length === 5").await;
    tv.scheme(Scheme::Dark).await;
    look(&tv, "tv-folder-dark").await;
    tv.scheme(Scheme::Light).await;
    choose(&tv, "#entries a[href*='Concerts']").await;
    until(&tv, "document.querySelector('h1').textContent === 'Concerts'").await;
    choose(&tv, "#entries li:last-child a").await;
    until(&tv, "document.querySelector('h1').textContent.startsWith('2 Finale')").await;
    look(&tv, "tv-file").await;

    // Somebody else, with a PIN before the first one.
    choose(&tv, "#change-person").await;
    arrive(&tv, "/tv").await;
    until(&tv, "document.querySelector('[data-person=alice]') !== null").await;
    choose(&tv, "#choose-pin").await;
    until(&tv, "document.querySelector('[data-digit=\"5\"]') !== null").await;
    look(&tv, "tv-new-pin").await;
    for digit in ["1", "3", "5", "7"] {
        choose(&tv, &format!("[data-digit='{digit}']")).await;
    }
    choose(&tv, "#submit").await;
    until(&tv, "document.getElementById('remove-pin') !== null").await;
    choose(&tv, "#add-person").await;
    let code = shown(&tv).await;
    let other = Browser::open().await;
    let_in(&other, &origin, &code, "bob").await;
    press(&other, "#approve").await;
    arrive(&tv, "/library").await;
    choose(&tv, "#change-person").await;
    arrive(&tv, "/tv").await;
    until(&tv, "document.querySelectorAll('[data-person]').length === 2").await;
    look_everywhere(&tv, "tv-people").await;
    tv.screen(Screen::Tv).await;
    choose(&tv, "[data-person=alice]").await;
    until(&tv, "document.getElementById('pin-form') !== null").await;
    look(&tv, "tv-pin").await;
    for digit in ["1", "3", "5", "9"] {
        choose(&tv, &format!("[data-digit='{digit}']")).await;
    }
    choose(&tv, "[data-digit='back']").await;
    choose(&tv, "[data-digit='7']").await;
    choose(&tv, "#submit").await;
    arrive(&tv, "/library").await;
    until(&tv, "document.querySelector('.main-nav [title]').title === 'alice'").await;

    // Ended from the phone: the next step on the television leads out.
    press(&phone, "a[href='/account']").await;
    arrive(&phone, "/account").await;
    press(&phone, "#end-others").await;
    until(&phone, "document.body.innerText.includes('other sessions are over')").await;
    choose(&tv, "#buckets a").await;
    arrive(&tv, "/login").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_television_that_is_turned_away_says_so_and_asks_again_when_told() {
    let app = TestApp::new().await;
    family(&app).await;
    let server = Server::start(&app).await;
    let origin = format!("http://localhost:{}", server.addr.port());
    let (tv, phone) = (Browser::open().await, Browser::open().await);
    tv.screen(Screen::Tv).await;
    tv.page.goto(&format!("{origin}/tv")).await.unwrap();
    let code = shown(&tv).await;
    let_in(&phone, &origin, &code, "alice").await;
    press(&phone, "#refuse").await;
    until(&phone, "document.body.innerText.includes('Turned away')").await;
    until(&tv, "document.getElementById('tv-status').textContent.includes('turned this television away')").await;
    look(&tv, "tv-refused").await;
    choose(&tv, "#again").await;
    until(&tv, &format!("document.getElementById('user-code').textContent !== '{code}'")).await;
    let fresh = shown(&tv).await;
    let_in(&phone, &origin, &fresh, "alice").await;
    press(&phone, "#approve").await;
    arrive(&tv, "/library").await;
}
