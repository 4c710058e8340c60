use super::users::id_of;
use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;
use std::time::Duration;
use usher::config::{Bucket, Signup, Symlinks};

#[tokio::test]
async fn dump() {
    let folder = tempfile::TempDir::new().unwrap();
    let app = TestApp::with(|config| {
        config.accounts.signup = Signup::Invite;
        for name in ["Films", "Music", "Photos"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            config.buckets.push(Bucket { name: name.to_owned(), path, symlinks: Symlinks::Inside, hidden: false });
        }
    })
    .await;
    let admin = app.admin("root").await;
    for (name, buckets) in [("Alice", json!(["Films", "Music"])), ("bob", json!([])), ("Carol Smith", json!(["all"]))] {
        app.advance(Duration::from_secs(100));
        let r = admin.post("/api/v1/users", json!({"username": name, "password": PASSWORD, "buckets": buckets, "must_change": name == "bob"})).await;
        assert_eq!(r.status, 201, "{}", r.text());
    }
    app.logged_in("alice").await;
    app.program("alice").await;
    let g = admin.post("/api/v1/groups", json!({"name": "Family", "buckets": ["Films"]})).await.json()["id"].as_str().unwrap().to_owned();
    admin.post("/api/v1/groups", json!({"name": "Friends"})).await;
    let alice = id_of(&admin, "Alice").await;
    admin.json(http::Method::PUT, &format!("/api/v1/groups/{g}/members/{alice}"), json!({})).await;
    app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": "wrong"})).await;
    admin.form("/admin/invites", &[]).await;
    let inv = admin.get("/api/v1/invites").await.json()["invites"][0]["id"].as_str().unwrap().to_owned();
    admin.form(&format!("/admin/invites/{inv}/revoke"), &[]).await;
    app.advance(Duration::from_secs(4000));
    let pages = [
        ("accounts", admin.get("/admin/accounts?done=created").await),
        ("account", admin.form(&format!("/admin/accounts/{alice}/reset-link"), &[]).await),
        ("groups", admin.get("/admin/groups").await),
        ("group", admin.get(&format!("/admin/groups/{g}")).await),
        ("invites", admin.form("/admin/invites", &[]).await),
        ("audit", admin.get("/admin/audit").await),
    ];
    for (name, page) in pages {
        let mut text = page.text();
        while let Some(at) = text.find("/static/") {
            let rest = &text[at + 8..];
            let slash = rest.find('/').unwrap();
            text = format!("{}/work/wt/config/crates/usher/static/{}", &text[..at], &rest[slash + 1..]).replacen("\"/work/wt", "\"file:///work/wt", 1);
        }
        std::fs::write(format!("/tmp/admin-{name}.html"), text).unwrap();
    }
}
