//! `/admin/*`: the same acts by forms, without scripts.

use super::users::id_of;
use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use http::StatusCode;
use serde_json::json;
use usher::accounts::Role;
use usher::config::{Bucket, Signup, Symlinks};

const NO_ID: &str = "019b0000-0000-7000-8000-000000000000";

/// Every page and form of administration.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/admin"),
    ("GET", "/admin/accounts"),
    ("POST", "/admin/accounts"),
    ("GET", "/admin/accounts/ID"),
    ("POST", "/admin/accounts/ID"),
    ("POST", "/admin/accounts/ID/end-sessions"),
    ("POST", "/admin/accounts/ID/sessions/ID/end"),
    ("POST", "/admin/accounts/ID/reset-link"),
    ("POST", "/admin/accounts/ID/delete"),
    ("GET", "/admin/groups"),
    ("POST", "/admin/groups"),
    ("GET", "/admin/groups/ID"),
    ("POST", "/admin/groups/ID"),
    ("POST", "/admin/groups/ID/members"),
    ("POST", "/admin/groups/ID/members/ID/remove"),
    ("POST", "/admin/groups/ID/delete"),
    ("GET", "/admin/invites"),
    ("POST", "/admin/invites"),
    ("POST", "/admin/invites/ID/revoke"),
    ("GET", "/admin/audit"),
    ("GET", "/admin/refusals"),
    ("GET", "/admin/keys"),
    ("POST", "/admin/keys"),
    ("POST", "/admin/accounts/bulk"),
    ("GET", "/admin/server"),
    ("GET", "/admin/sessions"),
    ("POST", "/admin/sessions/ID/end"),
    ("GET", "/admin/tokens"),
    ("POST", "/admin/tokens/ID/revoke"),
];

async fn ask(actor: &Actor, method: &str, path: &str) -> Answer {
    if method == "GET" { actor.get(path).await } else { actor.form(path, &[]).await }
}

#[tokio::test]
async fn a_member_is_refused_at_every_admin_page_and_a_stranger_led_to_the_login() {
    let app = TestApp::new().await;
    app.admin("root").await;
    let member = app.member("alice").await;
    let program = app.program("root").await;
    for (method, path) in ROUTES {
        let path = path.replace("ID", NO_ID);
        assert_eq!(ask(&member, method, &path).await.status, StatusCode::FORBIDDEN, "{method} {path}");
        for nobody in [&app.browser(), &program] {
            let answer = ask(nobody, method, &path).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{method} {path}");
            assert!(answer.header("location").starts_with("/login?return_to="), "{method} {path}");
        }
    }
    let admin = app.logged_in("root").await;
    assert_eq!(admin.get("/admin").await.header("location"), "/admin/accounts");
}

#[tokio::test]
async fn another_site_cannot_post_the_admins_forms() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    for (_, path) in ROUTES.iter().filter(|(method, _)| *method == "POST") {
        let path = path.replace("ID", NO_ID);
        let mut request = admin.request(http::Method::POST, &path).body(axum::body::Body::empty()).unwrap();
        request.headers_mut().insert("sec-fetch-site", http::HeaderValue::from_static("cross-site"));
        assert_eq!(admin.send(request).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn an_account_is_made_searched_for_and_shown() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let fields =
        [("username", "Alice"), ("password", PASSWORD), ("role", "user"), ("must_change", "yes"), ("buckets", "all")];
    let made = admin.form("/admin/accounts", &fields).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let page = admin.get(made.header("location")).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    assert!(text.contains("The account was made.") && text.contains("New password due"), "{text}");
    assert!(admin.get("/admin/accounts?q=ali").await.text().contains(">Alice</a>"));
    assert!(!admin.get("/admin/accounts?q=zzz").await.text().contains(">Alice</a>"));

    let again = admin.form("/admin/accounts", &fields).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text().contains("id=\"username-problem\""), "{}", again.text());
    let weak = [("username", "bob"), ("password", "bob"), ("role", "user")];
    let weak = admin.form("/admin/accounts", &weak).await.text();
    assert!(weak.contains("id=\"password-problem\"") && weak.contains("value=\"bob\""), "{weak}");
}

#[tokio::test]
async fn ticked_boxes_are_what_an_account_has() {
    let folder = tempfile::TempDir::new().unwrap();
    let app = TestApp::with(|config| {
        for name in ["Films", "Music", "Photos"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            config.buckets.push(bucket(name, path));
        }
    })
    .await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    let id = id_of(&admin, "alice").await;
    let family = admin.post("/api/v1/groups", json!({"name": "family"})).await.json()["id"].clone();
    let path = format!("/admin/accounts/{id}");
    let fields = [("role", "user"), ("buckets", "Films"), ("buckets", "Music"), ("groups", family.as_str().unwrap())];
    let saved = admin.form(&path, &fields).await;
    assert_eq!(saved.header("location"), format!("{path}?done=saved"), "{}", saved.text());
    let user = admin.get(&format!("/api/v1/users/{id}")).await.json();
    assert_eq!((&user["buckets"], &user["groups"]), (&json!(["Films", "Music"]), &json!(["family"])));
    let text = admin.get(&path).await.text();
    for (value, ticked) in [("Films", true), ("Music", true), ("Photos", false), ("all", false)] {
        let input = format!("value=\"{value}\"{}>", if ticked { " checked" } else { "" });
        assert!(text.contains(&input), "{value}: {text}");
    }
    admin.form(&path, &[("role", "user")]).await;
    let user = admin.get(&format!("/api/v1/users/{id}")).await.json();
    assert_eq!((&user["buckets"], &user["groups"]), (&json!([]), &json!([])), "no box is nothing");
    let forged = admin.form(&path, &[("role", "user"), ("buckets", "Secrets")]).await;
    assert_eq!(forged.status, StatusCode::UNPROCESSABLE_ENTITY);
}

fn bucket(name: &str, path: std::path::PathBuf) -> Bucket {
    Bucket { name: name.to_owned(), path, symlinks: Symlinks::Inside, hidden: false }
}

#[tokio::test]
async fn disabling_by_the_form_logs_out_and_the_last_admin_is_told_why_not() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let alice = app.member("alice").await;
    let path = format!("/admin/accounts/{}", id_of(&admin, "alice").await);
    admin.form(&path, &[("role", "user"), ("disabled", "yes")]).await;
    assert_eq!(alice.get("/login").await.status, StatusCode::OK, "logged out");
    let own = format!("/admin/accounts/{}", id_of(&admin, "root").await);
    for fields in [[("role", "user"), ("disabled", "")], [("role", "admin"), ("disabled", "yes")]] {
        let refused = admin.form(&own, &fields).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(refused.text().contains("last admin"), "{}", refused.text());
    }
    assert!(admin.get(&own).await.text().contains("This is your own account."));
}

#[tokio::test]
async fn a_reset_link_is_shown_once() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    let path = format!("/admin/accounts/{}", id_of(&admin, "alice").await);
    let shown = admin.form(&format!("{path}/reset-link"), &[]).await;
    let text = shown.text();
    let url = text.split("value=\"").find(|part| part.starts_with("http://localhost/reset/")).expect("a link");
    let url = url.split('"').next().unwrap();
    assert!(shown.header("cache-control").contains("no-store"), "{:?}", shown.headers);
    assert!(!admin.get(&path).await.text().contains("/reset/"), "never again");
    let alice = app.browser();
    alice.get(url.strip_prefix("http://localhost").unwrap()).await;
    assert!(alice.get("/reset").await.text().contains("value=\"alice\""));
}

#[tokio::test]
async fn sessions_end_from_the_page_of_their_account_only() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let alice = app.member("alice").await;
    app.account("bob", Role::User).await;
    let (id, bob) = (id_of(&admin, "alice").await, id_of(&admin, "bob").await);
    let sessions = admin.get(&format!("/api/v1/users/{id}/sessions")).await.json();
    let session = sessions["sessions"][0]["id"].as_str().unwrap();
    let wrong = admin.form(&format!("/admin/accounts/{bob}/sessions/{session}/end"), &[]).await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.get("/login").await.status, StatusCode::SEE_OTHER, "still logged in");
    let ended = admin.form(&format!("/admin/accounts/{id}/sessions/{session}/end"), &[]).await;
    assert_eq!(ended.header("location"), format!("/admin/accounts/{id}?done=ended"));
    assert_eq!(alice.get("/login").await.status, StatusCode::OK);
    let second = app.logged_in("alice").await;
    admin.form(&format!("/admin/accounts/{id}/end-sessions"), &[]).await;
    assert_eq!(second.get("/login").await.status, StatusCode::OK);
}

#[tokio::test]
async fn deleting_needs_the_name() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    let path = format!("/admin/accounts/{}", id_of(&admin, "alice").await);
    let wrong = admin.form(&format!("{path}/delete"), &[("confirm", "alic")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("id=\"confirm-problem\""));
    let gone = admin.form(&format!("{path}/delete"), &[("confirm", "alice")]).await;
    assert_eq!(gone.header("location"), "/admin/accounts?done=deleted");
    assert_eq!(admin.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn groups_are_made_filled_changed_and_removed() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    let id = id_of(&admin, "alice").await;
    let made = admin.form("/admin/groups", &[("name", "Family"), ("buckets", "all")]).await;
    let path = made.header("location").split('?').next().unwrap().to_owned();
    assert!(path.starts_with("/admin/groups/"), "{}", made.text());
    assert_eq!(admin.form("/admin/groups", &[("name", "family")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = admin.form(&format!("{path}/members"), &[("username", "nobody")]).await;
    assert!(nobody.text().contains("There is no account of this name."));
    admin.form(&format!("{path}/members"), &[("username", " ALICE ")]).await;
    assert!(admin.get(&path).await.text().contains(&format!("{path}/members/{id}/remove")));
    assert!(admin.get("/admin/accounts").await.text().contains("Family"));
    admin.form(&path, &[("name", "Relatives")]).await;
    let text = admin.get("/admin/groups").await.text();
    assert!(text.contains("Relatives") && !text.contains("Family"), "{text}");
    admin.form(&format!("{path}/members/{id}/remove"), &[]).await;
    assert!(admin.get(&path).await.text().contains("Nobody is in this group yet."));
    assert_eq!(
        admin.form(&format!("{path}/delete"), &[("confirm", "x")]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let gone = admin.form(&format!("{path}/delete"), &[("confirm", "Relatives")]).await;
    assert_eq!(gone.header("location"), "/admin/groups?done=group-deleted");
}

#[tokio::test]
async fn invites_are_made_told_and_revoked() {
    let app = TestApp::with(|config| config.accounts.signup = Signup::Invite).await;
    let admin = app.admin("root").await;
    let made = admin.form("/admin/invites", &[]).await.text();
    assert!(made.contains("http://localhost/signup/"), "{made}");
    let listed = admin.get("/admin/invites").await.text();
    assert!(!listed.contains("/signup/") && listed.contains("Open") && listed.contains("Made by root"), "{listed}");
    let id = admin.get("/api/v1/invites").await.json()["invites"][0]["id"].as_str().unwrap().to_owned();
    let revoked = admin.form(&format!("/admin/invites/{id}/revoke"), &[]).await;
    assert_eq!(revoked.header("location"), "/admin/invites?done=revoked");
    assert!(admin.get("/admin/invites").await.text().contains("Revoked"));

    let off = TestApp::new().await;
    let root = off.admin("root").await;
    assert!(root.get("/admin/invites").await.text().contains("id=\"invites-off\""));
    assert_eq!(root.form("/admin/invites", &[]).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_audit_log_is_filtered_by_event_name_and_day() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    admin.post("/api/v1/groups", json!({"name": "family"})).await;
    let all = admin.get("/admin/audit").await.text();
    assert!(all.contains(">Group created</td>") && all.contains(">Login</td>") && all.contains(">root</td>"), "{all}");
    let some = admin.get("/admin/audit?event=login&account=ROOT&since=2026-01-01").await.text();
    assert!(!some.contains(">Group created</td>") && some.contains(">Login</td>"), "{some}");
    let later = admin.get("/admin/audit?since=2026-01-02").await.text();
    assert!(later.contains("Nothing was recorded that fits this filter."), "{later}");
    for (query, problem) in
        [("account=nobody", "account-problem"), ("since=soon", "since-problem"), ("event=x", "problem")]
    {
        let answer = admin.get(&format!("/admin/audit?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(answer.text().contains(&format!("id=\"{problem}\"")), "{query}");
    }
}
