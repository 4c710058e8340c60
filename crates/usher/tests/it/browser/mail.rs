//! Letters as a person meets them: an address is confirmed and a lost password replaced, in a real browser, with the
//! built program and a mail server.

use super::person::{arrive, fill, look_everywhere, press, until, value};
use crate::support::browser::Browser;
use crate::support::post_office::PostOffice;
use crate::support::program::{Home, PASSWORD, Server};
use std::net::TcpListener;

const OTHER: &str = "another-plum-anchor-38";

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_confirmed_and_a_lost_password_replaced() {
    let home = Home::new();
    home.add_user("alice", &[]);
    let office = PostOffice::open();
    // The port is free a moment before the server takes it: letters need an address to lead to.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let origin = format!("http://localhost:{port}");
    let mut command = home.usher(&["serve", "--listen", &format!("127.0.0.1:{port}"), "--ops-listen", "127.0.0.1:0"]);
    command.env("USHER_PUBLIC_URL", &origin).env("USHER_MAIL_SERVER", "127.0.0.1");
    command.env("USHER_MAIL_PORT", office.address.port().to_string()).env("USHER_MAIL_SECURITY", "none");
    command.env("USHER_MAIL_FROM", "The House <usher@house.example>");
    let server = Server::start(command);
    let browser = Browser::open().await;
    let go = async |path: &str| browser.page.goto(&format!("{origin}{path}")).await.unwrap();

    go("/login").await;
    look_everywhere(&browser, "login-with-mail").await;
    fill(&browser, &[("username", "alice"), ("password", PASSWORD)]).await;
    press(&browser, "#submit").await;
    arrive(&browser, "/library").await;
    go("/account").await;
    fill(&browser, &[("email", "alice@mail.example")]).await;
    press(&browser, "#save-profile").await;
    until(&browser, "document.getElementById('verify-again') !== null").await;
    look_everywhere(&browser, "account-unproven").await;
    let letter = office.wait_for(1).pop().unwrap();
    go(&letter.link("/verify")).await;
    arrive(&browser, "/verify").await;
    look_everywhere(&browser, "verify").await;
    press(&browser, "#submit").await;
    until(&browser, "document.querySelector('h1').textContent === 'Your address is confirmed'").await;
    look_everywhere(&browser, "verified").await;
    go("/account").await;
    assert_eq!(value(&browser, "document.getElementById('verify-again')").await, serde_json::Value::Null);
    press(&browser, "#log-out").await;
    arrive(&browser, "/logout").await;

    go("/login").await;
    press(&browser, "#forgot").await;
    arrive(&browser, "/forgot").await;
    look_everywhere(&browser, "forgot").await;
    fill(&browser, &[("username", "Alice@Mail.example")]).await;
    press(&browser, "#submit").await;
    until(&browser, "document.querySelector('h1').textContent === 'Look at your mail'").await;
    look_everywhere(&browser, "forgot-asked").await;
    let letter = office.wait_for(2).pop().unwrap();
    go(&letter.link("/reset")).await;
    arrive(&browser, "/reset").await;
    fill(&browser, &[("password", OTHER), ("password2", OTHER)]).await;
    press(&browser, "#submit").await;
    arrive(&browser, "/login").await;
    assert_eq!(server.login("alice", PASSWORD).status, 401);
    assert_eq!(server.login("alice", OTHER).status, 200);
}
