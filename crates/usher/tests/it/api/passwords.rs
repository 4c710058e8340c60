//! What a password may be, and that it is kept to the letter: through the routes that take one.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::json;
use std::num::NonZeroU32;
use std::time::Duration;
use usher::accounts::hash::Encoded;
use usher::accounts::username::Username;
use usher::accounts::{self, Buckets, NewAccount, Role};
use usher::config::Signup;
use usher::id::AccountId;
use usher::login::links::{self, Kind};

async fn offer(admin: &Actor, name: &str, password: &str) -> Answer {
    admin.post("/api/v1/users", json!({"username": name, "password": password})).await
}

async fn log_in(app: &TestApp, name: &str, password: &str) -> StatusCode {
    app.anonymous().post("/api/v1/login", json!({"username": name, "password": password})).await.status
}

/// A server on which nobody has to wait between guesses.
async fn patient() -> TestApp {
    TestApp::with(|config| {
        config.throttle.free_attempts = 1_000;
        config.throttle.max_failures = 10_000;
    })
    .await
}

#[tokio::test]
async fn strict_asks_for_fifteen_characters_wherever_a_password_is_chosen() {
    let app = TestApp::with(|config| config.accounts.strict = true).await;
    let admin = app.admin("root").await;
    let short = offer(&admin, "alice", "vjq3xkcd8mzp4w").await;
    assert_eq!((short.status, short.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "password_too_weak"));
    assert!(short.text().contains("at least 15 characters"), "{}", short.text());
    assert_eq!(offer(&admin, "alice", "vjq3xkcd8mzp4wt").await.status, StatusCode::CREATED);
    let change = json!({"current": PASSWORD, "password": "vjq3xkcd8mzp4w"});
    assert_eq!(admin.post("/api/v1/me/password", change).await.code(), "password_too_weak");
    assert!(admin.get("/account").await.text().contains("15"), "the form tells the rule");
}

#[tokio::test]
async fn sixty_four_characters_of_any_kind_are_taken_and_more_than_a_kibibyte_is_not_hashed() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let emoji = "🦆🐝🌵🥁🧊🪁🧦🎈🪵🧭🪴🧲🥨🪀🧵🪞".repeat(4);
    assert_eq!(emoji.chars().count(), 64);
    assert_eq!(offer(&admin, "alice", &emoji).await.status, StatusCode::CREATED);
    assert_eq!(log_in(&app, "alice", &emoji).await, StatusCode::OK);
    let before = app.app.hasher.stats().done;
    let giant = "ab cd ".repeat(171);
    assert!(giant.len() == 1_026 && offer(&admin, "bob", &giant).await.code() == "password_too_weak");
    assert_eq!(app.app.hasher.stats().done, before);
    assert_eq!(offer(&admin, "bob", &giant[..1_024]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn no_character_of_a_password_is_cut_off_folded_or_trimmed() {
    let app = patient().await;
    let admin = app.admin("root").await;
    let phrase = " Eleven otters polish brass lanterns beside the quiet canal while rain drums on. ";
    assert!(phrase.len() >= 80);
    assert_eq!(offer(&admin, "alice", phrase).await.status, StatusCode::CREATED);
    let others = [
        phrase.trim().to_owned(),
        phrase.trim_start().to_owned(),
        phrase.trim_end().to_owned(),
        phrase.to_lowercase(),
        phrase.to_uppercase(),
        phrase.replace("on. ", "on! "),
        phrase.replace("on. ", "oN. "),
        phrase[..72].to_owned(),
        phrase[..64].to_owned(),
        format!("{phrase} "),
        phrase.replace(' ', ""),
        phrase.replace(' ', "\u{a0}"),
    ];
    for other in others {
        assert_eq!(log_in(&app, "alice", &other).await, StatusCode::UNAUTHORIZED, "{other:?}");
    }
    assert_eq!(log_in(&app, "alice", phrase).await, StatusCode::OK);
}

#[tokio::test]
async fn letters_typed_on_another_keyboard_are_the_same_letters_and_look_alikes_are_not() {
    let app = patient().await;
    let admin = app.admin("root").await;
    assert_eq!(offer(&admin, "alice", "caf\u{e9} fiord \u{e9}toile nuage").await.status, StatusCode::CREATED);
    assert_eq!(log_in(&app, "alice", "cafe\u{301} fiord e\u{301}toile nuage").await, StatusCode::OK);
    for other in
        ["cafe fiord etoile nuage", "caf\u{e9} \u{fb01}ord \u{e9}toile nuage", "caf\u{e8} fiord \u{e9}toile nuage"]
    {
        assert_eq!(log_in(&app, "alice", other).await, StatusCode::UNAUTHORIZED, "{other:?}");
    }
}

#[tokio::test]
async fn no_kind_of_character_is_asked_for_and_a_password_does_not_age() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    assert_eq!(offer(&admin, "alice", "vmqzkxwjrphtydbnclfg").await.status, StatusCode::CREATED);
    app.advance(Duration::from_secs(400 * 86_400));
    let body = json!({"username": "alice", "password": "vmqzkxwjrphtydbnclfg"});
    let late = app.anonymous().post("/api/v1/login", body).await;
    assert_eq!((late.status, &late.json()["account"]["must_change"]), (StatusCode::OK, &json!(false)));
}

/// A browser that carries a link of this kind.
async fn carrying(app: &TestApp, kind: Kind, of: Option<AccountId>) -> Actor {
    let made = links::make(&app.cx(), kind, of, "").await.unwrap();
    let browser = app.browser();
    browser.get(&made.path).await;
    browser
}

#[tokio::test]
async fn a_common_or_own_word_is_refused_with_the_reason_wherever_a_password_is_chosen() {
    let app = TestApp::with(|config| {
        config.accounts.signup = Signup::Invite;
        config.server.service_name = "Lighthouse".to_owned();
    })
    .await;
    let owner = app.account("alexandrina", Role::User).await;
    let member = app.logged_in("alexandrina").await;
    let reset = carrying(&app, Kind::Reset, Some(owner)).await;
    let setup = carrying(&app, Kind::Setup, None).await;
    let invited = carrying(&app, Kind::Invite, None).await;
    let admin = app.admin("root").await;
    for (password, reason) in [
        ("understandingmichael", "common"),
        ("Alexandrina-2026-07", "your name"),
        ("lighthouse-lighthouse-1", "name of this service"),
    ] {
        let twice = [("username", "alexandrina"), ("password", password), ("password2", password)];
        let mut told = vec![
            ("reset", reset.form("/reset", &twice[1..]).await),
            ("change", {
                let change = json!({"current": PASSWORD, "password": password});
                member.post("/api/v1/me/password", change).await
            }),
        ];
        // A name that is taken is refused as well; what counts here is what is said of the password.
        told.push(("setup", setup.form("/setup", &twice).await));
        told.push(("sign-up", invited.form("/signup", &twice).await));
        told.push(("create", offer(&admin, "alexandrina", password).await));
        for (way, answer) in told {
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{way} took {password}: {}", answer.text());
            assert!(answer.text().contains(reason), "{way} of {password}: {}", answer.text());
        }
    }
    assert_eq!(offer(&admin, "bob", "my dragon ate a baseball").await.status, StatusCode::CREATED, "words in a phrase");
    assert_eq!(log_in(&app, "alexandrina", PASSWORD).await, StatusCode::OK, "nothing was changed");
}

/// The account's hash as its row has it.
fn stored(app: &TestApp, id: AccountId) -> String {
    app.sql(&format!("SELECT encoded FROM passwords WHERE account_id = '{id}'"))[0][0].clone().unwrap()
}

async fn imported(app: &TestApp, name: &str, encoded: String) -> AccountId {
    let id = AccountId::new(app.clock.now(), &app.app.rng);
    let new = NewAccount {
        id,
        username: Username::parse(name).unwrap(),
        password: Some(encoded),
        role: Role::User,
        buckets: Buckets::None,
        must_change: false,
    };
    let now = app.clock.now();
    app.cx().write("test.import", async move |tx| accounts::create(tx, &new, now).await).await.unwrap().unwrap();
    id
}

/// [`PASSWORD`] in every form that is imported, and in our own at another cost.
fn forms() -> Vec<(&'static str, String)> {
    let mut key = [0; 32];
    let takeout = scrypt::Params::new(15, 8, 1).unwrap();
    scrypt::scrypt(PASSWORD.as_bytes(), b"8 bytes!", &takeout, &mut key).unwrap();
    let mut derived = [0; 32];
    let rounds = NonZeroU32::new(1_000).unwrap();
    let algorithm = aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256;
    aws_lc_rs::pbkdf2::derive(algorithm, rounds, b"Zu9TfVP3kYwq", PASSWORD.as_bytes(), &mut derived);
    let argon2 = argon2::Params::new(128, 1, 1, None).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, argon2);
    let mut tag = [0; 32];
    argon2.hash_password_into(PASSWORD.as_bytes(), &[7; 16], &mut tag).unwrap();
    let plain = |bytes: &[u8]| STANDARD.encode(bytes).replace('=', "");
    vec![
        ("scrypt", Encoded::takeout(b"8 bytes!", &key).unwrap().to_string()),
        ("bcrypt", bcrypt::hash_with_salt(PASSWORD, 4, [3; 16]).unwrap().to_string()),
        ("pbkdf2", format!("pbkdf2_sha256$1000$Zu9TfVP3kYwq${}", STANDARD.encode(derived))),
        ("argon2", format!("$argon2id$v=19$m=128,t=1,p=1${}${}", plain(&[7; 16]), plain(&tag))),
    ]
}

#[tokio::test]
async fn an_imported_hash_logs_in_and_is_brought_to_todays_strength_by_its_owner_only() {
    let app = patient().await;
    for (name, encoded) in forms() {
        let id = imported(&app, name, encoded.clone()).await;
        assert_eq!(log_in(&app, name, "not the password 1").await, StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(stored(&app, id), encoded, "a wrong password changes nothing");
        assert_eq!(log_in(&app, name, PASSWORD).await, StatusCode::OK, "{name}");
        // It is hashed anew after the answer.
        let mut now = stored(&app, id);
        for _ in 0..4_000 {
            if now != encoded {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            now = stored(&app, id);
        }
        assert!(now.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{name}: {now}");
        assert_eq!(log_in(&app, name, PASSWORD).await, StatusCode::OK, "{name} in its new form");
        assert_eq!(log_in(&app, name, "not the password 1").await, StatusCode::UNAUTHORIZED, "{name} in its new form");
        assert_eq!(stored(&app, id), now, "once is enough");
    }
}
