//! Sensitive acts of admins: a session whose last proof is older than five minutes asks for the password first.

use crate::api::users::{id_of, personal_token};
use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::{Buckets, Role};
use usher::config::Signup;
use usher::tokens::personal::Scope;

const FRESH: Duration = Duration::from_secs(300);

async fn house() -> (TestApp, Actor) {
    let app = TestApp::with(|config| config.accounts.signup = Signup::Invite).await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    admin.post("/api/v1/groups", json!({"name": "family", "buckets": []})).await;
    (app, admin)
}

async fn group(admin: &Actor) -> String {
    let groups = admin.get("/api/v1/groups").await.json();
    groups["groups"][0]["id"].as_str().unwrap().to_owned()
}

/// What needs a fresh proof, through the API.
async fn sensitive(admin: &Actor) -> Vec<(Method, String, Value)> {
    let (alice, family) = (id_of(admin, "alice").await, group(admin).await);
    let user = format!("/api/v1/users/{alice}");
    vec![
        (Method::POST, "/api/v1/users".to_owned(), json!({"username": "eve", "password": PASSWORD, "role": "admin"})),
        (
            Method::POST,
            "/api/v1/users".to_owned(),
            json!({"username": "eva", "password": PASSWORD, "buckets": ["all"]}),
        ),
        (Method::PATCH, user.clone(), json!({"role": "admin"})),
        (Method::PATCH, user.clone(), json!({"buckets": ["all"]})),
        (Method::POST, format!("{user}/reset-link"), json!({})),
        (Method::POST, "/api/v1/groups".to_owned(), json!({"name": "everything", "buckets": ["all"]})),
        (Method::PATCH, format!("/api/v1/groups/{family}"), json!({"buckets": ["all"]})),
        (Method::POST, "/api/v1/invites".to_owned(), json!({"buckets": ["all"]})),
        (Method::POST, "/api/v1/keys/rotate".to_owned(), json!({"now": true})),
        (Method::DELETE, user, json!({})),
    ]
}

#[tokio::test]
async fn an_older_session_is_asked_for_the_password_by_every_sensitive_act_and_by_no_other() {
    let (app, admin) = house().await;
    let program = app.program("root").await;
    app.advance(FRESH + Duration::from_millis(1));
    let before = admin.get("/api/v1/users?limit=200").await.text();
    for (method, path, body) in sensitive(&admin).await {
        for actor in [&admin, &program] {
            let refused = actor.json(method.clone(), &path, body.clone()).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{method} {path} {body}: {}", refused.text());
            assert_eq!(refused.code(), "reauthentication_required", "{method} {path} {body}");
            assert!(refused.header("www-authenticate").contains("insufficient_user_authentication"), "{path}");
        }
    }
    assert_eq!(admin.get("/api/v1/users?limit=200").await.text(), before, "nothing was done");
    let alice = format!("/api/v1/users/{}", id_of(&admin, "alice").await);
    for body in [json!({"role": "user"}), json!({"disabled": true}), json!({"disabled": false}), json!({"buckets": []})]
    {
        assert_eq!(admin.json(Method::PATCH, &alice, body.clone()).await.status, StatusCode::OK, "{body}");
    }
    let made = admin.post("/api/v1/users", json!({"username": "bob", "password": PASSWORD})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(admin.post(&format!("{alice}/end-sessions"), json!({})).await.status, StatusCode::OK);
    assert_eq!(admin.post("/api/v1/invites", json!({})).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_is_so_already_needs_no_proof() {
    let (app, admin) = house().await;
    app.account_with("second", Role::Admin, Buckets::Every, PASSWORD).await;
    let family = format!("/api/v1/groups/{}", group(&admin).await);
    admin.json(Method::PATCH, &family, json!({"buckets": ["all"]})).await;
    app.advance(FRESH * 2);
    let second = format!("/api/v1/users/{}", id_of(&admin, "second").await);
    let body = json!({"role": "admin", "buckets": ["all"], "display_name": "Second"});
    assert_eq!(admin.json(Method::PATCH, &second, body).await.status, StatusCode::OK);
    let renamed = admin.json(Method::PATCH, &family, json!({"name": "household", "buckets": ["all"]})).await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.text());
}

#[tokio::test]
async fn a_password_opens_them_for_five_minutes_and_renews_the_cookie() {
    let (app, admin) = house().await;
    app.advance(FRESH * 2);
    let stale = admin.cookie("usher").unwrap();
    let wrong = admin.post("/api/v1/me/reauthenticate", json!({"password": "not this one"})).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_credentials"));
    assert_eq!(wrong.header("set-cookie"), "");
    let proven = admin.post("/api/v1/me/reauthenticate", json!({"password": PASSWORD})).await;
    assert_eq!(proven.status, StatusCode::NO_CONTENT, "{}", proven.text());
    let old = app.browser().with_cookie("usher", &stale);
    assert_eq!(old.get("/api/v1/me").await.code(), "session_ended", "the cookie of before is dead");
    app.advance(FRESH);
    for (method, path, body) in sensitive(&admin).await {
        let done = admin.json(method.clone(), &path, body.clone()).await;
        assert!(done.status.is_success(), "{method} {path} {body}: {}", done.text());
    }
    app.advance(Duration::from_secs(1));
    assert_eq!(admin.post("/api/v1/keys/rotate", json!({"now": true})).await.code(), "reauthentication_required");
    let events = admin.get("/api/v1/audit?event=reauthenticated").await.json();
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
    assert_eq!(events["events"][0]["target"], "");
}

#[tokio::test]
async fn a_program_proves_itself_by_the_same_door_and_goes_on_with_its_token() {
    let (app, admin) = house().await;
    let program = app.program("root").await;
    app.advance(FRESH + Duration::from_secs(1));
    let proven = program.post("/api/v1/me/reauthenticate", json!({"password": PASSWORD})).await;
    assert_eq!((proven.status, proven.header("set-cookie")), (StatusCode::NO_CONTENT, ""));
    let alice = id_of(&program, "alice").await;
    assert_eq!(program.delete(&format!("/api/v1/users/{alice}")).await.status, StatusCode::NO_CONTENT);
    let refused = admin.post("/api/v1/keys/rotate", json!({"now": true})).await;
    assert_eq!(refused.code(), "reauthentication_required", "the proof is of that session alone");
}

#[tokio::test]
async fn an_admin_s_personal_token_is_its_own_proof_and_cannot_give_one() {
    let (app, admin) = house().await;
    let owner = id_of(&admin, "root").await.parse().unwrap();
    let script = app.anonymous().bearing(&personal_token(&app, owner, Scope::Admin).await);
    app.advance(FRESH * 100);
    for (method, path, body) in sensitive(&script).await {
        let done = script.json(method.clone(), &path, body.clone()).await;
        assert!(done.status.is_success(), "{method} {path} {body}: {}", done.text());
    }
    let proof = script.post("/api/v1/me/reauthenticate", json!({"password": PASSWORD})).await;
    assert_eq!(proof.status, StatusCode::UNAUTHORIZED);
}

/// The form of a page that asks for the password, as a browser without scripts would send it on.
async fn go_on(admin: &Actor, page: &Answer, password: &str) -> Answer {
    let text = page.text();
    let form = text.split("id=\"confirm-form\"").next().unwrap().rsplit("action=\"").next().unwrap();
    let action = form.split('"').next().unwrap().to_owned();
    let mut fields: Vec<(String, String)> = Vec::new();
    for input in text.split("<input type=\"hidden\" name=\"").skip(1) {
        let mut parts = input.split('"');
        let name = parts.next().unwrap().to_owned();
        let value = parts.nth(1).unwrap().replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&");
        fields.push((name, value));
    }
    fields.push(("own_password".to_owned(), password.to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    admin.form(&action, &fields).await
}

#[tokio::test]
async fn the_pages_ask_in_place_and_go_on_with_the_same_act() {
    for act in ["make an admin", "all buckets", "reset link", "group", "group of its own", "invite", "delete"] {
        let (app, admin) = house().await;
        let alice = id_of(&admin, "alice").await;
        let account = format!("/admin/accounts/{alice}");
        let family = group(&admin).await;
        app.advance(FRESH * 2);
        let send = async || match act {
            "make an admin" => admin.form(&account, &[("role", "admin"), ("groups", &family)]).await,
            "all buckets" => admin.form(&account, &[("role", "user"), ("buckets", "all")]).await,
            "reset link" => admin.form(&format!("{account}/reset-link"), &[]).await,
            "group" => admin.form(&format!("/admin/groups/{family}"), &[("name", "kin"), ("buckets", "all")]).await,
            "group of its own" => admin.form("/admin/groups", &[("name", "a & b"), ("buckets", "all")]).await,
            "invite" => admin.form("/admin/invites", &[("note", "for \"Bob\""), ("buckets", "all")]).await,
            _ => admin.form(&format!("{account}/delete"), &[("confirm", "alice")]).await,
        };
        let asked = send().await;
        assert_eq!(asked.status, StatusCode::FORBIDDEN, "{act}: {}", asked.text());
        assert!(asked.text().contains("name=\"own_password\""), "{act}");
        let wrong = go_on(&admin, &asked, "not this one").await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{act}: {}", wrong.text());
        assert!(wrong.text().contains("That is not your present password."), "{act}");
        let done = go_on(&admin, &wrong, PASSWORD).await;
        assert!(
            matches!(done.status, StatusCode::SEE_OTHER | StatusCode::OK),
            "{act}: {} {}",
            done.status,
            done.text()
        );
        assert!(done.header("set-cookie").starts_with("usher="), "{act}: the cookie is renewed");
        let users = admin.get("/api/v1/users?q=alice").await.json();
        let groups = admin.get("/api/v1/groups").await.text();
        match act {
            "make an admin" => {
                assert_eq!(users["users"][0]["role"], "admin");
                assert_eq!(users["users"][0]["groups"], json!(["family"]), "the other boxes came along");
            }
            "all buckets" => assert_eq!(users["users"][0]["buckets"], json!(["all"])),
            "reset link" => assert!(done.text().contains("/reset/usw_"), "{}", done.text()),
            "group" => assert!(groups.contains("kin") && groups.contains("all"), "{groups}"),
            "group of its own" => assert!(groups.contains("a & b"), "{groups}"),
            "invite" => assert!(done.text().contains("/signup/usi_"), "{}", done.text()),
            _ => assert_eq!(users["users"], json!([])),
        }
        // For the next five minutes nobody is asked again.
        let again = admin.form("/admin/groups", &[("name", "everything"), ("buckets", "all")]).await;
        assert_eq!(again.status, StatusCode::SEE_OTHER, "{act}");
    }
}

#[tokio::test]
async fn a_new_admin_needs_the_admin_s_own_password_beside_the_first_one_and_no_page_repeats_either() {
    let (app, admin) = house().await;
    assert!(!admin.get("/admin/accounts").await.text().contains("own_password"), "a fresh login is not asked");
    app.advance(FRESH * 2);
    assert!(admin.get("/admin/accounts").await.text().contains("name=\"own_password\""));
    let first = "harbor-lantern-quince-58";
    let form = |own: &'static str| {
        let admin = admin.clone();
        async move {
            let fields = [("username", "eve"), ("password", first), ("role", "admin"), ("own_password", own)];
            admin.form("/admin/accounts", &fields).await
        }
    };
    for (own, status) in [("", StatusCode::UNPROCESSABLE_ENTITY), ("wrong", StatusCode::UNPROCESSABLE_ENTITY)] {
        let asked = form(own).await;
        assert_eq!(asked.status, status, "{own:?}: {}", asked.text());
        assert!(asked.text().contains("own_password-problem") && !asked.text().contains(first), "{own:?}");
    }
    let done = form(PASSWORD).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    assert_eq!(admin.get("/api/v1/users?q=eve").await.json()["users"][0]["role"], "admin");
    let plain = [("username", "bob"), ("password", first), ("role", "user")];
    app.advance(FRESH * 2);
    assert_eq!(admin.form("/admin/accounts", &plain).await.status, StatusCode::SEE_OTHER, "others need no proof");
}

#[tokio::test]
async fn guesses_in_place_are_counted_like_every_other() {
    let (app, admin) = house().await;
    app.advance(FRESH * 2);
    let bare = admin.with_cookie("usher", &admin.cookie("usher").unwrap());
    let alice = id_of(&admin, "alice").await;
    let path = format!("/admin/accounts/{alice}/delete");
    for _ in 0..5 {
        bare.form(&path, &[("confirm", "alice"), ("own_password", "a guess")]).await;
    }
    let slowed = bare.form(&path, &[("confirm", "alice"), ("own_password", PASSWORD)]).await;
    assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS, "{}", slowed.text());
    let login = app.anonymous().post("/api/v1/login", json!({"username": "root", "password": PASSWORD})).await;
    assert_eq!(login.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(admin.get("/api/v1/users?q=alice").await.json()["users"].as_array().unwrap().len(), 1);
}
