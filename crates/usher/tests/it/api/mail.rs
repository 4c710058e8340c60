//! Letters: an address is proven, a lost password replaced, and an account's owner told what happened to it.

use crate::support::app::{Actor, PASSWORD, TestApp};
use crate::support::authenticator::enrol;
use crate::support::post_office::{PostOffice, Received};
use crate::support::together::at_once;
use http::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;
use usher::accounts::profile::{self, Change, Email};
use usher::accounts::{self, Role};
use usher::config::MailSecurity;
use usher::jobs;

const OTHER: &str = "another-plum-anchor-38";
const ADDRESS: &str = "alice@mail.example";

/// A server that hands its letters to `office`.
async fn with_mail(office: &PostOffice) -> TestApp {
    let port = office.address.port();
    TestApp::with(|config| {
        config.server.public_url = Some("http://localhost".parse().unwrap());
        config.mail.server = Some("127.0.0.1".to_owned());
        config.mail.port = Some(port);
        config.mail.security = MailSecurity::None;
        config.mail.from = Some("Usher <usher@house.example>".to_owned());
    })
    .await
}

async fn set_address(alice: &Actor, address: &str) -> http::StatusCode {
    alice.json(Method::PATCH, "/api/v1/me", json!({ "email": address })).await.status
}

/// Opens a link as a browser does: the first GET moves it into a cookie.
async fn open(browser: &Actor, link: &str) -> String {
    let taken = browser.get(link).await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER);
    let page = taken.header("location").to_owned();
    browser.get(&page).await.text()
}

/// Alice, with an address that is proven, and all letters of that taken in.
async fn proven(app: &TestApp, office: &PostOffice) -> Actor {
    let alice = app.member("alice").await;
    assert_eq!(set_address(&alice, ADDRESS).await, StatusCode::OK);
    jobs::once(&app.app).await;
    let letters = office.letters();
    let link = letters.last().unwrap().link("/verify");
    let browser = app.browser();
    open(&browser, &link).await;
    assert_eq!(browser.form("/verify", &[]).await.status, StatusCode::OK);
    assert_eq!(alice.get("/api/v1/me").await.json()["verified"], true);
    alice
}

fn subjects(letters: &[Received]) -> Vec<(String, String)> {
    let subject = |letter: &Received| {
        let line = letter.text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
        line.to_owned()
    };
    letters.iter().map(|letter| (letter.to.clone(), subject(letter))).collect()
}

#[tokio::test]
async fn an_address_is_proven_by_a_button_and_not_by_opening_the_link() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    let alice = app.member("alice").await;
    assert_eq!(set_address(&alice, ADDRESS).await, StatusCode::OK);
    jobs::once(&app.app).await;
    let letter = office.letters().pop().unwrap();
    assert_eq!((letter.to.as_str(), letter.from.as_str()), (ADDRESS, "<usher@house.example>"));
    let link = letter.link("/verify");
    assert!(letter.text.contains(&format!("http://localhost{link}")) && letter.text.contains("text/html"));

    // A scanner opens the link and follows it, twice.
    for _ in 0..2 {
        assert!(open(&app.browser(), &link).await.contains(ADDRESS));
    }
    assert_eq!(alice.get("/api/v1/me").await.json()["verified"], false);
    let browser = app.browser();
    assert!(open(&browser, &link).await.contains("alice"));
    assert_eq!(browser.form("/verify", &[]).await.status, StatusCode::OK);
    let program = app.program("alice").await;
    assert_eq!(program.get("/api/v1/me").await.json()["verified"], true);

    let again = app.browser();
    assert!(open(&again, &link).await.contains("ended"), "a link works once");
    assert_eq!(again.form("/verify", &[]).await.status, StatusCode::GONE);
    // The same address in another spelling is a new one for whoever reads it, and has to be proven again.
    assert_eq!(set_address(&program, "ALICE@mail.example").await, StatusCode::OK);
    assert_eq!(app.program("alice").await.get("/api/v1/me").await.json()["verified"], false);
}

#[tokio::test]
async fn a_link_for_an_address_that_was_given_up_proves_nothing() {
    // A letter to the new address withdraws the link; without one, the link is for an address that is nobody's.
    for with_a_letter in [true, false] {
        let office = PostOffice::open();
        let app = with_mail(&office).await;
        let alice = app.member("alice").await;
        set_address(&alice, ADDRESS).await;
        jobs::once(&app.app).await;
        let first = office.letters()[0].link("/verify");
        let browser = app.browser();
        open(&browser, &first).await;
        let other = "alice@other.example";
        if with_a_letter {
            set_address(&app.program("alice").await, other).await;
        } else {
            let (cx, id) = (app.cx(), accounts::find_by_key(&app.app.db, "alice").await.unwrap().unwrap().id);
            let change = Change { email: Some(Some(Email::parse(other).unwrap())), ..Change::default() };
            let now = cx.now;
            let changed = async move |tx: &mut usher_db::Tx| profile::change(tx, id, &change, now).await;
            cx.write("test.address", changed).await.unwrap().unwrap();
        }
        assert_eq!(browser.form("/verify", &[]).await.status, StatusCode::GONE);
        assert_eq!(app.program("alice").await.get("/api/v1/me").await.json()["verified"], false);
    }
}

#[tokio::test]
async fn another_letter_can_be_asked_for_but_not_without_end() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    let alice = app.member("alice").await;
    let again = "/api/v1/me/email/verification";
    assert_eq!(alice.post(again, json!({})).await.json()["code"], "nothing_to_prove");
    set_address(&alice, ADDRESS).await;
    let alice = app.program("alice").await;
    for _ in 0..4 {
        assert_eq!(alice.post(again, json!({})).await.status, StatusCode::ACCEPTED);
    }
    let refused = alice.post(again, json!({})).await;
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (StatusCode::TOO_MANY_REQUESTS, json!("rate_limited"))
    );
    jobs::once(&app.app).await;
    let letters = office.letters();
    assert_eq!(letters.len(), 5);
    let links: Vec<String> = letters.iter().map(|letter| letter.link("/verify")).collect();
    let mut usable = 0;
    for link in links {
        usable += usize::from(!open(&app.browser(), &link).await.contains("ended"));
    }
    assert_eq!(usable, 1, "a new letter withdraws the link before");
    app.advance(Duration::from_secs(3601));
    let alice = app.program("alice").await;
    assert_eq!(alice.post(again, json!({})).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_lost_password_is_replaced_by_mail_and_nobody_learns_who_has_an_account() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    let alice = proven(&app, &office).await;
    app.account("bob", Role::User).await;
    let before = office.letters().len();
    let mut answers = Vec::new();
    // Nobody, somebody without an address, and Alice at last: by then the others were dealt with or came to nothing.
    for name in ["nobody", "bob", "nobody@mail.example", "", "ALICE@mail.example"] {
        let answer = app.browser().form("/forgot", &[("username", name)]).await;
        answers.push((answer.status, answer.text()));
    }
    assert_eq!(answers[0].0, StatusCode::OK);
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer for everybody");
    let letter = sent(&app, &office, before + 1).await.pop().unwrap();
    assert_eq!(letter.to, ADDRESS);

    let browser = app.browser();
    assert!(open(&browser, &letter.link("/reset")).await.contains("alice"));
    let chosen = [("password", OTHER), ("password2", OTHER)];
    assert_eq!(browser.form("/reset", &chosen).await.status, StatusCode::SEE_OTHER);
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "every session ended");
    let login = |password: &str| json!({ "username": "alice", "password": password });
    assert_eq!(app.anonymous().post("/api/v1/login", login(PASSWORD)).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.anonymous().post("/api/v1/login", login(OTHER)).await.status, StatusCode::OK);
    jobs::once(&app.app).await;
    let letters = office.letters();
    let told = subjects(&letters);
    assert!(told.contains(&(ADDRESS.to_owned(), "Your account at Usher was changed".to_owned())), "{told:?}");
}

/// Everything that was sent, once there is so much: what was asked for is posted after the answer.
async fn sent(app: &TestApp, office: &PostOffice, count: usize) -> Vec<Received> {
    for _ in 0..600 {
        jobs::once(&app.app).await;
        if office.letters().len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    office.wait_for(count)
}

#[tokio::test]
async fn nobody_is_buried_in_letters_about_a_lost_password() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    proven(&app, &office).await;
    let before = office.letters().len();
    for network in 1..=6 {
        let stranger = app.browser().at_address(&format!("198.51.{network}.7"));
        assert_eq!(stranger.form("/forgot", &[("username", "alice")]).await.status, StatusCode::OK);
        sent(&app, &office, before + network.min(3)).await;
    }
    assert_eq!(office.letters().len(), before + 3);
    let stranger = app.browser().at_address("198.51.100.9");
    let mut last = StatusCode::OK;
    for _ in 0..40 {
        last = stranger.form("/forgot", &[("username", "nobody")]).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn an_address_that_is_not_proven_gets_no_reset_and_no_notice() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    let alice = app.member("alice").await;
    set_address(&alice, ADDRESS).await;
    let alice = app.logged_in("alice").await;
    let change = json!({ "current": PASSWORD, "password": OTHER });
    assert_eq!(alice.post("/api/v1/me/password", change).await.status, StatusCode::NO_CONTENT);
    app.browser().form("/forgot", &[("username", "alice")]).await;
    app.account("bob", Role::User).await;
    let bob = app.logged_in("bob").await;
    set_address(&bob, "bob@mail.example").await;
    let letters = sent(&app, &office, 2).await;
    let told = subjects(&letters);
    assert!(told.iter().all(|(_, subject)| subject == "Confirm your address for Usher"), "{told:?}");
}

#[tokio::test]
async fn the_owner_is_told_of_new_devices_and_of_what_protects_the_account() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    let alice = proven(&app, &office).await;
    let before = office.letters().len();
    let login = |device: &str| json!({ "username": "alice", "password": PASSWORD, "device": device });
    for device in ["Television", "Television"] {
        assert_eq!(app.anonymous().post("/api/v1/login", login(device)).await.status, StatusCode::OK);
    }
    let token = json!({ "name": "x", "scopes": ["media"] });
    drop(alice);
    let alice = app.logged_in("alice").await;
    assert_eq!(alice.post("/api/v1/me/tokens", token).await.status, StatusCode::CREATED);
    let change = json!({ "current": PASSWORD, "password": OTHER });
    assert_eq!(alice.post("/api/v1/me/password", change).await.status, StatusCode::NO_CONTENT);
    let moved = json!({ "email": "alice@other.example", "password": OTHER });
    assert_eq!(alice.json(Method::PATCH, "/api/v1/me", moved).await.status, StatusCode::OK);
    jobs::once(&app.app).await;
    let letters = office.letters().split_off(before);
    let words: Vec<&str> = letters.iter().map(|letter| letter.text.as_str()).collect();
    let told = |word: &str| words.iter().filter(|text| text.contains(word)).count();
    assert_eq!(told("Device: Television"), 1, "{words:?}");
    assert_eq!((told("personal token"), told("password of your account was changed")), (1, 1), "{words:?}");
    let farewell = letters.iter().find(|letter| letter.text.contains("another email address")).unwrap();
    assert_eq!(farewell.to, ADDRESS, "the address that was given up is told");
    assert!(words.iter().all(|text| !text.contains(PASSWORD) && !text.contains("usp_")));
}

#[tokio::test]
async fn the_owner_is_told_of_every_change_of_a_factor() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    let alice = proven(&app, &office).await;
    let before = office.letters().len();
    let told = || async {
        jobs::once(&app.app).await;
        let sentence = |letter: &Received| {
            let after = letter.text.split("\r\n\r\n").nth(2).unwrap_or_default();
            after.lines().find(|line| !line.is_empty()).unwrap_or_default().to_owned()
        };
        office.letters().split_off(before).iter().map(sentence).collect::<Vec<String>>()
    };
    let (authenticator, codes) = enrol(&app, &alice).await;
    assert_eq!(told().await, ["An authenticator app was set up."]);
    let login = |passcode: &str| json!({ "username": "alice", "password": PASSWORD, "passcode": passcode });
    let program = app.anonymous().post("/api/v1/login", login(&codes[0])).await;
    assert_eq!(program.status, StatusCode::OK, "{}", program.text());
    assert!(told().await.contains(&"A recovery code was used to log in.".to_owned()), "{:?}", told().await);
    let renewed = alice.post("/api/v1/me/recovery-codes", json!({ "passcode": authenticator.code_in(&app, 0) })).await;
    assert_eq!(renewed.status, StatusCode::CREATED, "{}", renewed.text());
    assert!(told().await.contains(&"New recovery codes were made.".to_owned()), "{:?}", told().await);
    let root = app.admin("root").await;
    let users = root.get("/api/v1/users?q=alice").await.json();
    let id = users["users"][0]["id"].as_str().unwrap().to_owned();
    let removed = root.delete(&format!("/api/v1/users/{id}/factors")).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text());
    assert!(told().await.contains(&"Your second factors were taken away.".to_owned()), "{:?}", told().await);
    let letters = office.letters();
    assert!(letters.iter().all(|letter| codes.iter().all(|code| !letter.text.contains(code.as_str()))));
}

#[tokio::test]
async fn the_account_page_sends_the_letter_again_while_there_is_something_to_prove() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    let alice = app.member("alice").await;
    assert!(!alice.get("/account").await.text().contains("verification-form"), "there is no address");
    set_address(&alice, ADDRESS).await;
    assert!(alice.get("/account").await.text().contains("verification-form"));
    let sent = alice.form("/account/verification", &[]).await;
    assert_eq!((sent.status, sent.header("location")), (StatusCode::SEE_OTHER, "/account?done=letter"));
    jobs::once(&app.app).await;
    let link = office.letters().last().unwrap().link("/verify");
    let browser = app.browser();
    open(&browser, &link).await;
    assert_eq!(browser.form("/verify", &[]).await.status, StatusCode::OK);
    assert!(!alice.get("/account").await.text().contains("verification-form"), "it is proven");
    assert_eq!(office.letters().len(), 2);
}

#[tokio::test]
async fn a_mail_server_that_is_away_holds_up_nobody_and_gets_the_letter_later() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    let alice = app.member("alice").await;
    office.refuse_next("451 come back later");
    assert_eq!(set_address(&alice, ADDRESS).await, StatusCode::OK);
    jobs::once(&app.app).await;
    jobs::once(&app.app).await;
    assert_eq!(office.letters().len(), 0, "it waits a minute");
    app.advance(Duration::from_secs(61));
    jobs::once(&app.app).await;
    assert_eq!(office.letters().len(), 1);
    jobs::once(&app.app).await;
    assert_eq!(office.letters().len(), 1, "and is sent once");

    office.refuse_next("550 no such mailbox");
    set_address(&app.program("alice").await, "alice@gone.example").await;
    jobs::once(&app.app).await;
    app.advance(Duration::from_secs(3600));
    jobs::once(&app.app).await;
    assert!(office.letters().iter().all(|letter| letter.to != "alice@gone.example"), "refused for good");
    assert_eq!(waiting(&app), 0);
}

/// Letters in the outbox.
fn waiting(app: &TestApp) -> i64 {
    app.sql("SELECT CAST(count(*) AS TEXT) FROM outbox")[0][0].as_deref().unwrap().parse().unwrap()
}

#[tokio::test]
async fn letters_that_cannot_be_handed_over_do_not_pile_up_and_hold_no_link_in_clear() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    proven(&app, &office).await;
    for number in 0..20 {
        let login = json!({ "username": "alice", "password": PASSWORD, "device": format!("Device {number}") });
        assert_eq!(app.anonymous().post("/api/v1/login", login).await.status, StatusCode::OK);
    }
    assert_eq!(waiting(&app), 10, "one account has so many letters waiting and no more");
    let program = app.program("alice").await;
    assert_eq!(program.post("/api/v1/me/email/verification", json!({})).await.json()["code"], "nothing_to_prove");
    let sealed: Vec<String> = app.sql("SELECT sealed FROM outbox").into_iter().flatten().flatten().collect();
    assert!(sealed.iter().all(|text| !text.contains("Device") && !text.contains("usv_")));
    app.advance(Duration::from_secs(3 * 86_400));
    jobs::once(&app.app).await;
    assert_eq!(waiting(&app), 0, "what is too old is dropped");
    assert!(office.letters().iter().all(|letter| !letter.text.contains("Device 0")));
}

#[tokio::test]
async fn a_restored_copy_sends_no_letter_of_back_then() {
    let office = PostOffice::open();
    let app = with_mail(&office).await;
    let alice = app.member("alice").await;
    set_address(&alice, ADDRESS).await;
    assert_eq!(waiting(&app), 1);
    usher::mail::begin_anew(&app.cx()).await.unwrap();
    jobs::once(&app.app).await;
    assert_eq!((waiting(&app), office.letters().len()), (0, 0));
}

#[tokio::test]
async fn everything_works_without_mail_and_says_so() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    assert_eq!(set_address(&alice, ADDRESS).await, StatusCode::OK);
    assert_eq!(waiting(&app), 0);
    let again = app.program("alice").await.post("/api/v1/me/email/verification", json!({})).await;
    assert_eq!((again.status, again.json()["code"].clone()), (StatusCode::CONFLICT, json!("no_mail")));
    assert!(app.browser().get("/forgot").await.text().contains("sends no mail"));
    assert!(app.browser().form("/forgot", &[("username", "alice")]).await.text().contains("sends no mail"));
    assert!(!app.browser().get("/login").await.text().contains("/forgot"));
    let office = PostOffice::open();
    assert!(with_mail(&office).await.browser().get("/login").await.text().contains("/forgot"));
}

#[tokio::test]
async fn of_fifty_who_confirm_one_link_at_once_one_does() {
    let office = PostOffice::open();
    let app = with_mail(&office).await.twin().await;
    let alice = app.member("alice").await;
    set_address(&alice, ADDRESS).await;
    jobs::once(&app.app).await;
    let link = office.letters()[0].link("/verify");
    let mut browsers = Vec::new();
    for _ in 0..50 {
        let browser = app.browser();
        open(&browser, &link).await;
        browsers.push(browser);
    }
    let done = at_once(50, |number| {
        let browser = browsers[number].clone();
        async move { browser.form("/verify", &[]).await.status }
    })
    .await;
    assert_eq!(done.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{done:?}");
    assert!(done.iter().all(|status| [StatusCode::OK, StatusCode::GONE].contains(status)), "{done:?}");
}

#[tokio::test]
async fn a_letter_is_sent_once_however_many_look_into_the_outbox() {
    let office = PostOffice::open();
    let app = with_mail(&office).await.twin().await;
    let alice = app.member("alice").await;
    set_address(&alice, ADDRESS).await;
    at_once(32, |_| {
        let cx = app.cx();
        async move { usher::mail::send_due(&cx, 10).await.unwrap() }
    })
    .await;
    assert_eq!(office.letters().len(), 1);
}
