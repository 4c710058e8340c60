//! Many accounts: one act on many, lists of a hundred thousand, and the keys in a browser.

use crate::api::users::id_of;
use crate::support::app::{Actor, PASSWORD, TestApp};
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

/// A hundred thousand of something, in the words of the run's engine: `i` counts from 0, and `{six}` is `i` in six digits.
fn a_hundred_thousand(app: &TestApp, insert: &str, values: &str) {
    let (source, six) = match app.database() {
        Some(_) => ("generate_series(0, 99999) n(i)", "lpad(CAST(i AS TEXT), 6, '0')"),
        None => (
            "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) SELECT i FROM n)",
            "printf('%06d', i)",
        ),
    };
    app.sql(&format!("INSERT INTO {insert} SELECT {} FROM {source}", values.replace("{six}", six)));
    app.sql("ANALYZE");
}

/// How the run's engine goes about a statement of the house with these arguments.
fn plan(app: &TestApp, name: &str, args: &[&str]) -> String {
    let list = usher::schema::statements().into_iter().find(|one| one.name.ends_with(name)).unwrap();
    // From the last to the first, so that $10 is not taken for $1.
    let text = (1..=args.len()).rev().fold(list.text.to_owned(), |text, n| text.replace(&format!("${n}"), args[n - 1]));
    let how = if app.database().is_some() { "EXPLAIN" } else { "EXPLAIN QUERY PLAN" };
    let steps = app.sql(&format!("{how} {text}"));
    steps.into_iter().map(|row| row.into_iter().next_back().flatten().unwrap()).collect::<Vec<_>>().join("\n")
}

/// A list that is sorted after it was read, or read from end to end, grows with everything there is.
fn in_the_order_of(index: &str, plan: &str) {
    assert!(plan.contains(index), "{plan}");
    assert!(!["TEMP B-TREE", "Sort", "Seq Scan", "SCAN"].iter().any(|word| plan.contains(word)), "{plan}");
}

#[tokio::test]
async fn a_hundred_thousand_accounts_are_paged_and_searched_in_the_order_of_an_index() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    a_hundred_thousand(
        &app,
        "accounts (id, username, username_key, skeleton_key, role, created_at, ver)",
        "'019b0000-0000-7000-8000-000000' || {six}, 'user ' || {six}, 'user ' || {six}, 'user ' || {six}, 'user', 0, 1",
    );
    assert_eq!(app.count("SELECT count(*) FROM accounts"), 100_001);
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
    let first = plan(&app, "accounts::store::LIST", &["''", "'%'", "51"]);
    let later = plan(&app, "accounts::store::LIST", &["'user 050000'", "'%'", "51"]);
    let index = if app.database().is_some() { "accounts_username_key_key" } else { "SEARCH accounts USING INDEX" };
    in_the_order_of(index, &first);
    in_the_order_of(index, &later);
}

#[tokio::test]
async fn a_rare_event_among_a_hundred_thousand_is_found_by_an_index() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    admin.post("/api/v1/groups", json!({"name": "family", "buckets": []})).await;
    // Older than everything that was done so far, and about somebody else.
    a_hundred_thousand(
        &app,
        "audit_events (id, at, event, result, account_id, actor_id, session_id, target, address, request_id, detail)",
        "'00000000-0001-7000-8000-000000' || {six}, 1, 'login', 'done', '019b0000-0000-7000-8000-000000000001', NULL, \
         NULL, '', '192.0.2.1', 'x', ''",
    );
    let found = async |filter: &str| {
        let page = admin.get(&format!("/api/v1/audit?limit=200&{filter}")).await.json();
        page["events"].as_array().unwrap_or_else(|| panic!("{page}")).clone()
    };
    assert_eq!(found("event=group_created").await.len(), 1);
    let mine = id_of(&admin, "root").await;
    let of_root = found(&format!("account={mine}")).await;
    assert!(!of_root.is_empty() && of_root.iter().all(|event| event["account"] == json!(mine)), "{of_root:?}");
    let both = found(&format!("account={mine}&event=login")).await;
    assert!(!both.is_empty() && both.len() < of_root.len(), "{both:?}");
    let since = found("since=2026-01-01T00:00:00Z").await;
    assert!((1..50).contains(&since.len()), "the instant itself counts, and nothing older: {since:?}");
    assert!(found("since=2026-01-01T00:00:01Z").await.is_empty());

    let id = |text: &str| format!("'{text}'");
    let (from, to) = (id("00000000-0000-0000-0000-000000000000"), id("ffffffff-ffff-ffff-ffff-ffffffffffff"));
    let account = id(&mine);
    let of = |name: &str, more: &[&str]| plan(&app, name, &[&[from.as_str(), to.as_str(), "101"][..], more].concat());
    in_the_order_of("audit_by_event", &of("audit::store::OF_EVENT", &["'group_created'"]));
    in_the_order_of("audit_by_account", &of("audit::store::OF_ACCOUNT", &[&account]));
    let newest = of("audit::store::NEWEST", &[]);
    let index = if app.database().is_some() { "audit_events_pkey" } else { "sqlite_autoindex_audit_events_1" };
    in_the_order_of(index, &newest);
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
