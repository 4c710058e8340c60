//! `/api/v1/invites` and what the links do: one account each, spent only by success. The setup link likewise.

use crate::support::app::{Actor, PASSWORD, TestApp};
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use usher::config::Signup;
use usher::login::links;

async fn inviting() -> TestApp {
    TestApp::with(|config| config.accounts.signup = Signup::Invite).await
}

async fn invite(admin: &Actor) -> (String, String) {
    let made = admin.post("/api/v1/invites", json!({"note": "for Bob"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    let url = made["url"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
    (url.to_owned(), made["id"].as_str().unwrap().to_owned())
}

async fn sign_up(app: &TestApp, page: &str, link: &str, name: &str, password: &str) -> (StatusCode, Actor) {
    let guest = app.browser();
    assert_eq!(guest.get(link).await.header("location"), page);
    let fields = [("username", name), ("password", password), ("password2", password)];
    (guest.form(page, &fields).await.status, guest)
}

async fn first(admin: &Actor) -> Value {
    admin.get("/api/v1/invites").await.json()["invites"][0].clone()
}

#[tokio::test]
async fn an_invite_makes_one_account_and_is_spent_only_by_success() {
    let app = inviting().await;
    let admin = app.admin("root").await;
    let (link, id) = invite(&admin).await;
    let weak = sign_up(&app, "/signup", &link, "bob", "short").await.0;
    assert_eq!(weak, StatusCode::UNPROCESSABLE_ENTITY);
    let taken = sign_up(&app, "/signup", &link, "ROOT", PASSWORD).await.0;
    assert_eq!(taken, StatusCode::CONFLICT);
    let open = first(&admin).await;
    assert_eq!((&open["id"], &open["state"], &open["note"]), (&json!(id), &json!("open"), &json!("for Bob")));

    let (status, bob) = sign_up(&app, "/signup", &link, "bob", PASSWORD).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(bob.get("/login").await.status, StatusCode::SEE_OTHER, "logged in at once");
    let used = first(&admin).await;
    assert_eq!((&used["state"], used["used_by"].is_string()), (&json!("used"), true));
    assert_eq!(sign_up(&app, "/signup", &link, "carol", PASSWORD).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn of_32_who_hold_one_invite_one_gets_an_account() {
    let app = inviting().await;
    let admin = app.admin("root").await;
    let (link, _) = invite(&admin).await;
    assert_eq!(winners(&app, "/signup", &link).await, 1);
    let users = admin.get("/api/v1/users?q=guest").await.json();
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_32_who_hold_the_setup_link_one_becomes_the_admin() {
    let app = TestApp::new().await;
    let made = links::make(&app.cx(), links::Kind::Setup, None, "").await.unwrap();
    assert_eq!(winners(&app, "/setup", &made.path).await, 1);
    assert_eq!(sign_up(&app, "/setup", &made.path, "late", PASSWORD).await.0, StatusCode::GONE);
}

async fn winners(app: &TestApp, page: &'static str, link: &str) -> usize {
    // Every guest has the form open before the first one sends it.
    let mut guests = Vec::new();
    for n in 0..32 {
        let guest = app.browser().at_address(&format!("192.0.2.{}", n + 20));
        guest.get(link).await;
        guests.push(guest);
    }
    let tasks: Vec<_> = guests
        .into_iter()
        .enumerate()
        .map(|(n, guest)| {
            tokio::spawn(async move {
                let name = format!("guest {n}");
                let fields = [("username", name.as_str()), ("password", PASSWORD), ("password2", PASSWORD)];
                guest.form(page, &fields).await.status
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        let status = task.await.unwrap();
        assert!(status == StatusCode::SEE_OTHER || !status.is_success(), "{status}");
        won += usize::from(status == StatusCode::SEE_OTHER);
    }
    won
}

#[tokio::test]
async fn a_withdrawn_and_an_expired_invite_make_no_account() {
    let app = inviting().await;
    let admin = app.admin("root").await;
    let (link, id) = invite(&admin).await;
    let path = format!("/api/v1/invites/{id}");
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(admin.delete(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(sign_up(&app, "/signup", &link, "bob", PASSWORD).await.0, StatusCode::FORBIDDEN);
    assert_eq!(first(&admin).await["state"], "revoked");

    app.advance(Duration::from_secs(1));
    let (link, _) = invite(&admin).await;
    app.advance(Duration::from_secs(7 * 86_400));
    assert_eq!(sign_up(&app, "/signup", &link, "bob", PASSWORD).await.0, StatusCode::FORBIDDEN);
    assert_eq!(first(&admin).await["state"], "expired");
}

#[tokio::test]
async fn the_link_is_in_no_list_and_in_no_audit_event() {
    let app = inviting().await;
    let admin = app.admin("root").await;
    let (link, _) = invite(&admin).await;
    let secret = link.rsplit('/').next().unwrap();
    for path in ["/api/v1/invites", "/api/v1/audit", "/admin/invites", "/admin/audit"] {
        assert!(!admin.get(path).await.text().contains(secret), "{path}");
    }
}

#[tokio::test]
async fn where_sign_up_is_off_nobody_is_invited_and_an_older_invite_does_nothing() {
    let app = inviting().await;
    let admin = app.admin("root").await;
    let off = TestApp::new().await;
    let made = off.admin("root").await.post("/api/v1/invites", json!({})).await;
    assert_eq!((made.status, made.code().as_str()), (StatusCode::CONFLICT, "signup_off"));
    drop(admin);

    let older = links::make(&off.cx(), links::Kind::Invite, None, "").await.unwrap();
    assert_eq!(sign_up(&off, "/signup", &older.path, "bob", PASSWORD).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_invite_gives_its_account_groups_and_buckets_once_among_32() {
    let app = inviting().await;
    let admin = app.admin("root").await;
    for name in ["family", "film club", "gone"] {
        admin.post("/api/v1/groups", json!({"name": name, "buckets": []})).await;
    }
    let gifts = json!({"note": "for Bob", "groups": ["Family", "Gone"], "buckets": ["all"]});
    let made = admin.post("/api/v1/invites", gifts).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let link = made.json()["url"].as_str().unwrap().strip_prefix("http://localhost").unwrap().to_owned();
    let listed = first(&admin).await;
    assert_eq!((&listed["groups"], &listed["buckets"]), (&json!(["family", "gone"]), &json!(["all"])));
    let page = admin.get("/admin/invites").await.text();
    assert!(page.contains("Groups: family, gone") && page.contains("Buckets: All"), "{page}");

    let groups = admin.get("/api/v1/groups").await.json();
    let gone = groups["groups"].as_array().unwrap().iter().find(|group| group["name"] == "gone").unwrap();
    admin.delete(&format!("/api/v1/groups/{}", gone["id"].as_str().unwrap())).await;
    assert_eq!(winners(&app, "/signup", &link).await, 1);
    let users = admin.get("/api/v1/users?q=guest").await.json();
    let [guest] = users["users"].as_array().unwrap().as_slice() else { panic!("{users}") };
    assert_eq!((&guest["groups"], &guest["buckets"]), (&json!(["family"]), &json!(["all"])), "{guest}");
    assert_eq!(guest["role"], "user");
    let events = admin.get("/api/v1/audit?event=link_created").await.json();
    let told = events["events"][0]["detail"].as_str().unwrap();
    assert!(told.starts_with("invite; groups ") && told.ends_with("; buckets all"), "{told}");
}

#[tokio::test]
async fn the_page_and_the_command_line_invite_with_groups_and_buckets_too() {
    let app = inviting().await;
    let admin = app.admin("root").await;
    let made = admin.post("/api/v1/groups", json!({"name": "family", "buckets": []})).await.json();
    let group = made["id"].as_str().unwrap();
    let fields = [("note", "for Carol"), ("groups", group), ("buckets", "all")];
    let page = admin.form("/admin/invites", &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let listed = first(&admin).await;
    assert_eq!(
        (&listed["note"], &listed["groups"], &listed["buckets"]),
        (&json!("for Carol"), &json!(["family"]), &json!(["all"]))
    );

    let command = usher::cli::commands::Command::UserInvite {
        groups: vec!["FAMILY".to_owned()],
        buckets: Vec::new(),
        note: "for Dave".to_owned(),
    };
    let said = usher::cli::commands::run(&app.app, command).await.unwrap();
    let url = said.value["url"].as_str().unwrap();
    assert!(said.text.starts_with(url) && url.starts_with("http://localhost:8080/signup/usi_"), "{}", said.text);
    let link = url.strip_prefix("http://localhost:8080").unwrap();
    assert_eq!(sign_up(&app, "/signup", link, "dave", PASSWORD).await.0, StatusCode::SEE_OTHER);
    let users = admin.get("/api/v1/users?q=dave").await.json();
    assert_eq!((&users["users"][0]["groups"], &users["users"][0]["buckets"]), (&json!(["family"]), &json!([])));
}

#[tokio::test]
async fn nobody_is_invited_into_what_there_is_not() {
    let app = inviting().await;
    let admin = app.admin("root").await;
    for gifts in [json!({"groups": ["nobody"]}), json!({"buckets": ["nowhere"]})] {
        let refused = admin.post("/api/v1/invites", gifts.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{gifts}");
    }
    for (field, value) in [("groups", "019b0000-0000-7000-8000-000000000000"), ("groups", "x"), ("buckets", "nowhere")]
    {
        let refused = admin.form("/admin/invites", &[(field, value)]).await;
        assert!(refused.status.is_client_error(), "{field} {value}: {}", refused.status);
    }
    assert_eq!(admin.get("/api/v1/invites").await.json()["invites"], json!([]));
}

#[tokio::test]
async fn an_invite_does_not_tell_all_the_names_there_are() {
    let app = inviting().await;
    let admin = app.admin("root").await;
    let (link, _) = invite(&admin).await;
    let guest = app.browser();
    guest.get(&link).await;
    let ask = |n: usize| {
        let guest = guest.at_address(&format!("198.51.{n}.7"));
        async move {
            let fields = [("username", "root"), ("password", PASSWORD), ("password2", PASSWORD)];
            guest.form("/signup", &fields).await.status
        }
    };
    for n in 0..10 {
        assert_eq!(ask(n).await, StatusCode::CONFLICT, "{n}");
    }
    assert_eq!(ask(10).await, StatusCode::TOO_MANY_REQUESTS);
    app.advance(Duration::from_secs(15 * 60 + 1));
    let fields = [("username", "bob"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(guest.form("/signup", &fields).await.status, StatusCode::SEE_OTHER, "and is not spent by it");
}
