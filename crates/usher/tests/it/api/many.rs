//! Many accounts: one act on many, lists of a hundred thousand, and the keys in a browser.

use crate::api::users::id_of;
use crate::support::app::{Actor, PASSWORD, TestApp};
use crate::support::engine::about_the_file;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::Role;

async fn people(app: &TestApp, admin: &Actor, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        app.account(name, Role::User).await;
        ids.push(id_of(admin, name).await);
    }
    ids
}

async fn user(admin: &Actor, id: &str) -> Value {
    admin.get(&format!("/api/v1/users/{id}")).await.json()
}

#[tokio::test]
async fn one_request_disables_groups_and_opens_for_many() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let ids = people(&app, &admin, &["alice", "bob", "carol"]).await;
    let bob = app.logged_in("bob").await;
    admin.post("/api/v1/groups", json!({"name": "family", "buckets": []})).await;
    let act = async |mut body: Value| {
        body["users"] = json!(ids[..2]);
        admin.post("/api/v1/users/bulk", body).await
    };
    for (body, field, value) in [
        (json!({"act": "join", "group": "Family"}), "groups", json!(["family"])),
        (json!({"act": "leave", "group": "Family"}), "groups", json!([])),
        (json!({"act": "buckets", "buckets": ["all"]}), "buckets", json!(["all"])),
        (json!({"act": "buckets"}), "buckets", json!([])),
        (json!({"act": "disable"}), "disabled", json!(true)),
    ] {
        let done = act(body.clone()).await;
        assert_eq!(done.status, StatusCode::OK, "{body}: {}", done.text());
        assert_eq!(done.json(), json!({"done": 2, "refused": []}), "{body}");
        for id in &ids[..2] {
            assert_eq!(user(&admin, id).await[field], value, "{body}");
        }
        assert_ne!((field, &user(&admin, &ids[2]).await[field]), ("disabled", &json!(true)), "who was not named");
    }
    assert_eq!(bob.get("/api/v1/me").await.code(), "session_ended", "what they held ends with it");
    act(json!({"act": "enable"})).await;
    app.logged_in("bob").await;
    let events = admin.get("/api/v1/audit?event=account_disabled").await.json();
    assert_eq!(events["events"].as_array().unwrap().len(), 2, "each has its event");
}

#[tokio::test]
async fn who_is_refused_is_named_and_holds_up_nobody() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let ids = people(&app, &admin, &["alice"]).await;
    let root = id_of(&admin, "root").await;
    let gone = "019b0000-0000-7000-8000-000000000000";
    let body = json!({"act": "disable", "users": [ids[0], root, gone]});
    let done = admin.post("/api/v1/users/bulk", body).await.json();
    assert_eq!(done["done"], 1);
    let refused = done["refused"].as_array().unwrap();
    let told = |id: &str| refused.iter().find(|one| one["id"] == id).map(|one| one["code"].clone());
    assert_eq!((told(&root), told(gone)), (Some(json!("last_admin")), Some(json!("not_found"))));
    assert_eq!(user(&admin, &ids[0]).await["disabled"], true);
    let form = [("ids", root.as_str()), ("ids", ids[0].as_str()), ("act", "disable")];
    let page = admin.form("/admin/accounts/bulk", &form).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text().contains("last admin") && page.text().contains("1 of 2"), "{}", page.text());

    let many: Vec<String> = (0..201).map(|n| format!("019b0000-0000-7000-8000-{n:012}")).collect();
    for wrong in [
        json!({"act": "disable", "users": many}),
        json!({"act": "explode", "users": []}),
        json!({"act": "join", "users": [ids[0]]}),
        json!({"act": "join", "users": [ids[0]], "group": "nobody"}),
        json!({"act": "buckets", "users": [ids[0]], "buckets": ["nowhere"]}),
        json!({"act": "disable", "users": ["x"]}),
    ] {
        let status = admin.post("/api/v1/users/bulk", wrong.clone()).await.status;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn every_bucket_for_many_asks_an_older_session_for_the_password_and_the_page_goes_on() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let ids = people(&app, &admin, &["alice", "bob"]).await;
    app.advance(Duration::from_secs(301));
    let body = json!({"act": "buckets", "users": ids, "buckets": ["all"]});
    assert_eq!(admin.post("/api/v1/users/bulk", body).await.code(), "reauthentication_required");
    let mut form = vec![("ids", ids[0].as_str()), ("ids", ids[1].as_str()), ("act", "buckets"), ("buckets", "all")];
    let asked = admin.form("/admin/accounts/bulk", &form).await;
    assert_eq!(asked.status, StatusCode::FORBIDDEN);
    assert_eq!(asked.text().matches("name=\"ids\"").count(), 2, "every field is carried on");
    form.push(("own_password", PASSWORD));
    let done = admin.form("/admin/accounts/bulk", &form).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/admin/accounts?done=bulk"));
    for id in &ids {
        assert_eq!(user(&admin, id).await["buckets"], json!(["all"]));
    }
}

#[tokio::test]
async fn a_hundred_thousand_accounts_are_paged_and_searched_in_the_order_of_an_index() {
    // Filled and explained in SQLite's own words.
    if about_the_file() {
        return;
    }
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let database = rusqlite::Connection::open(app.folder().join("usher.db")).unwrap();
    let made = database
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) \
             INSERT INTO accounts (id, username, username_key, skeleton_key, role, created_at, ver) \
             SELECT printf('019b0000-0000-7000-8000-%012d', i), printf('user %06d', i), printf('user %06d', i), \
             printf('user %06d', i), 'user', 0, 1 FROM n",
            [],
        )
        .unwrap();
    assert_eq!(made, 100_000);
    let (mut path, mut seen) = ("/api/v1/users?limit=200".to_owned(), Vec::new());
    for _ in 0..4 {
        let page = admin.get(&path).await.json();
        let names = page["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned());
        seen.extend(names);
        path = format!("/api/v1/users?limit=200&after={}", page["next"].as_str().unwrap());
    }
    let expected: Vec<String> =
        std::iter::once("root".to_owned()).chain((0..799).map(|n| format!("user {n:06}"))).collect();
    assert_eq!(seen, expected);
    let last = admin.get("/api/v1/users?q=user+09999").await.json();
    assert_eq!(last["users"].as_array().unwrap().len(), 10);
    let page = admin.get("/admin/accounts?q=099998").await;
    assert!(page.text().contains("user 099998") && !page.text().contains("user 099997"));
    // What decides is the plan: a list that is sorted after it was read grows with everything there is.
    let list = usher::schema::statements().into_iter().find(|one| one.name.ends_with("accounts::store::LIST")).unwrap();
    let text = list.text.replace('$', "?");
    let mut plan = database.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
    let steps: Vec<String> = plan
        .query_map(rusqlite::params!["", "%", 51], |row| row.get::<_, String>(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(steps.iter().any(|step| step.starts_with("SEARCH accounts USING INDEX")), "{steps:?}");
    assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
}

#[tokio::test]
async fn the_keys_are_shown_and_turned_in_a_browser() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let before = admin.get("/admin/keys").await.text();
    assert!(before.contains("Signs") && before.contains("Waits") && before.contains("name=\"now\""), "{before}");
    let soon = admin.form("/admin/keys", &[]).await;
    assert_eq!(soon.status, StatusCode::CONFLICT, "{}", soon.text());
    let turned = admin.form("/admin/keys", &[("now", "yes")]).await;
    assert_eq!((turned.status, turned.header("location")), (StatusCode::SEE_OTHER, "/admin/keys?done=rotated"));
    assert!(admin.get("/admin/keys").await.text().contains("Verifies"));
    app.advance(Duration::from_secs(301));
    assert_eq!(admin.form("/admin/keys", &[("now", "yes")]).await.status, StatusCode::FORBIDDEN, "asks who it is");
    assert_eq!(app.member("alice").await.get("/admin/keys").await.status, StatusCode::FORBIDDEN);
    let refused = app.browser().json(Method::POST, "/admin/keys", json!({})).await;
    assert!(!refused.status.is_success());
}
