//! `/api/v1/users`, `/api/v1/sessions/{id}`: accounts in an admin's hands.

use crate::support::app::{Actor, PASSWORD, TestApp};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::Role;
use usher::id::AccountId;
use usher::tokens::personal::{NewPersonalToken, Scope};

/// Every route of the admin API; ids that name nothing.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/api/v1/users"),
    ("POST", "/api/v1/users"),
    ("POST", "/api/v1/users/bulk"),
    ("GET", "/api/v1/users/ID"),
    ("PATCH", "/api/v1/users/ID"),
    ("DELETE", "/api/v1/users/ID"),
    ("POST", "/api/v1/users/ID/reset-link"),
    ("POST", "/api/v1/users/ID/forgive"),
    ("POST", "/api/v1/users/ID/recovery-link"),
    ("GET", "/api/v1/users/ID/factors"),
    ("PUT", "/api/v1/users/ID/factors"),
    ("DELETE", "/api/v1/users/ID/factors"),
    ("PUT", "/api/v1/groups/ID/factors"),
    ("POST", "/api/v1/users/ID/end-sessions"),
    ("GET", "/api/v1/users/ID/sessions"),
    ("DELETE", "/api/v1/sessions/ID"),
    ("GET", "/api/v1/groups"),
    ("POST", "/api/v1/groups"),
    ("GET", "/api/v1/groups/ID"),
    ("PATCH", "/api/v1/groups/ID"),
    ("DELETE", "/api/v1/groups/ID"),
    ("PUT", "/api/v1/groups/ID/members/ID"),
    ("DELETE", "/api/v1/groups/ID/members/ID"),
    ("GET", "/api/v1/invites"),
    ("POST", "/api/v1/invites"),
    ("DELETE", "/api/v1/invites/ID"),
    ("GET", "/api/v1/audit"),
    ("GET", "/api/v1/audit/export"),
    ("GET", "/api/v1/refusals"),
    ("GET", "/api/v1/requests/ID"),
    ("GET", "/api/v1/keys"),
    ("POST", "/api/v1/keys/rotate"),
];

const NO_ID: &str = "019b0000-0000-7000-8000-000000000000";

/// A personal token of an account, as its owner holds it.
pub async fn personal_token(app: &TestApp, account: AccountId, scope: Scope) -> String {
    let cx = app.cx();
    let new = NewPersonalToken::draw(&cx, account, "script", vec![scope], None);
    let plain = new.plain.expose().to_owned();
    let row = new.row();
    cx.write("test", async move |tx| row.insert(tx).await).await.unwrap();
    plain
}

/// The id of the account with this name.
pub async fn id_of(admin: &Actor, name: &str) -> String {
    let listed = admin.get("/api/v1/users?limit=200").await.json();
    let users = listed["users"].as_array().unwrap();
    let user = users.iter().find(|user| user["username"] == name).unwrap_or_else(|| panic!("no {name}"));
    user["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_is_no_admin_gets_403_on_every_admin_route_and_a_stranger_401() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let member = app.member("alice").await;
    let scripts =
        app.anonymous().bearing(&personal_token(&app, app.account("bob", Role::User).await, Scope::Admin).await);
    for (method, path) in ROUTES {
        let method: Method = method.parse().unwrap();
        let path = path.replace("ID", NO_ID);
        for (who, status) in [
            (app.anonymous(), StatusCode::UNAUTHORIZED),
            (app.browser(), StatusCode::UNAUTHORIZED),
            (member.clone(), StatusCode::FORBIDDEN),
            (scripts.clone(), StatusCode::FORBIDDEN),
        ] {
            let answer = who.json(method.clone(), &path, json!({})).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        }
        let answer = admin.json(method.clone(), &path, json!({})).await;
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::METHOD_NOT_ALLOWED];
        assert!(!refused.contains(&answer.status), "the route exists: {method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_table_of_admin_routes_is_the_whole_table() {
    let app = TestApp::new().await;
    let document = app.anonymous().get("/openapi.json").await.json();
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["tags"][0] == "admin" {
                let refusals = operation["responses"].as_object().unwrap();
                for status in ["401", "403", "503"] {
                    let body = &refusals[status]["content"]["application/problem+json"]["schema"];
                    assert!(
                        body["$ref"].as_str().is_some_and(|to| to.ends_with("/Problem")),
                        "{method} {path} {status}"
                    );
                }
                let path = path.replace("{id}", "ID").replace("{account}", "ID");
                described.push((method.to_uppercase(), path));
            }
        }
    }
    let mut known: Vec<(String, String)> =
        ROUTES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    described.sort();
    known.sort();
    assert_eq!(described, known);
}

#[tokio::test]
async fn an_admin_makes_an_account_that_logs_in() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let made = admin.post("/api/v1/users", json!({"username": "Alice", "password": PASSWORD})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let user = made.json();
    assert_eq!(
        (&user["username"], &user["role"], &user["disabled"], &user["must_change"], &user["buckets"], &user["groups"]),
        (&json!("Alice"), &json!("user"), &json!(false), &json!(false), &json!([]), &json!([]))
    );
    assert_eq!(user.get("reset_link"), None);
    assert_eq!(admin.get(made.header("location")).await.json()["username"], "Alice");
    app.tokens("alice").await;
}

#[tokio::test]
async fn a_taken_name_is_409_in_any_spelling_and_look_alike() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("paul", Role::User).await;
    for name in ["paul", "PAUL", "ｐaul", "pau1"] {
        let answer = admin.post("/api/v1/users", json!({"username": name, "password": PASSWORD})).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "username_taken"), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_is_422_with_the_reason_in_sentences() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let weak = admin.post("/api/v1/users", json!({"username": "alice", "password": "alice1"})).await;
    assert_eq!((weak.status, weak.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "password_too_weak"));
    assert!(weak.json()["detail"].as_str().unwrap().contains("Use at least 12 characters."), "{}", weak.text());
    let bodies = [
        json!({"username": "", "password": PASSWORD}),
        json!({"username": "a\u{200b}b", "password": PASSWORD}),
        json!({"username": "alice", "password": PASSWORD, "role": "king"}),
        json!({"username": "alice", "password": PASSWORD, "buckets": ["no such bucket"]}),
        json!({"username": "alice", "password": PASSWORD, "groups": ["no such group"]}),
        json!({"username": "alice", "password": PASSWORD, "colour": "blue"}),
        json!({"password": PASSWORD}),
    ];
    for body in bodies {
        let answer = admin.post("/api/v1/users", body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", answer.text());
    }
    assert_eq!(admin.get("/api/v1/users?q=alice").await.json()["users"], json!([]), "none of them left an account");
}

#[tokio::test]
async fn an_account_without_a_password_comes_with_a_link_to_choose_one() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let made = admin.post("/api/v1/users", json!({"username": "alice"})).await.json();
    let url = made["reset_link"]["url"].as_str().unwrap();
    let alice = app.browser();
    assert_eq!(alice.get(url.strip_prefix("http://localhost").unwrap()).await.status, StatusCode::SEE_OTHER);
    let form = [("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(alice.form("/reset", &form).await.header("location"), "/login?done=reset");
    app.logged_in("alice").await;
}

#[tokio::test]
async fn must_change_leads_to_the_password_first() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let body = json!({"username": "alice", "password": PASSWORD, "must_change": true, "role": "admin"});
    assert_eq!(admin.post("/api/v1/users", body).await.status, StatusCode::CREATED);
    let alice = app.program("alice").await;
    let answer = alice.get("/api/v1/users").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "password_change_required"));
}

#[tokio::test]
async fn the_list_pages_in_the_order_of_names_and_searches() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    for name in ["dora", "Anna", "carl", "Bert", "a_b"] {
        app.account(name, Role::User).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/users?limit=2".to_owned();
    for _ in 0..10 {
        let page = admin.get(&path).await.json();
        let users = page["users"].as_array().unwrap().clone();
        seen.extend(users.iter().map(|user| user["username"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/users?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["a_b", "Anna", "Bert", "carl", "dora", "root"]);
    let found = |answer: Value| answer["users"].as_array().unwrap().len();
    assert_eq!(found(admin.get("/api/v1/users?q=AN").await.json()), 1);
    assert_eq!(found(admin.get("/api/v1/users?q=_").await.json()), 1, "a wildcard of the database is a letter here");
    for bad in ["after=nonsense", &format!("after={NO_ID}"), "limit=many"] {
        assert_eq!(admin.get(&format!("/api/v1/users?{bad}")).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

#[tokio::test]
async fn an_admin_does_not_set_the_password_of_an_account_that_exists() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    let path = format!("/api/v1/users/{id}");
    let answer = admin.json(Method::PATCH, &path, json!({"password": "another-long-password-9"})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("reset link"), "{}", answer.text());
    app.logged_in("alice").await;
}

#[tokio::test]
async fn a_change_is_made_whole_or_not_at_all() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::User).await;
    admin.post("/api/v1/groups", json!({"name": "family"})).await;
    let path = format!("/api/v1/users/{id}");
    let body = json!({"role": "admin", "buckets": ["all"], "groups": ["Family"], "display_name": "Alice A."});
    let changed = admin.json(Method::PATCH, &path, body).await.json();
    assert_eq!(
        (&changed["role"], &changed["buckets"], &changed["groups"], &changed["display_name"]),
        (&json!("admin"), &json!(["all"]), &json!(["family"]), &json!("Alice A."))
    );
    let body = json!({"role": "user", "groups": ["nobody"]});
    assert_eq!(admin.json(Method::PATCH, &path, body).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let body = json!({"display_name": null});
    let after = admin.json(Method::PATCH, &path, body).await.json();
    assert_eq!((&after["role"], &after["display_name"]), (&json!("admin"), &Value::Null));
}

#[tokio::test]
async fn a_new_role_outdates_access_tokens_and_a_change_of_nothing_does_not() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let id = app.account("alice", Role::Admin).await;
    let alice = app.program("alice").await;
    let path = format!("/api/v1/users/{id}");
    admin.json(Method::PATCH, &path, json!({"role": "admin", "disabled": false, "buckets": [], "groups": []})).await;
    assert_eq!(alice.get("/api/v1/users").await.status, StatusCode::OK);
    admin.json(Method::PATCH, &path, json!({"role": "user"})).await;
    let answer = alice.get("/api/v1/users").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "token_outdated"));
    assert_eq!(app.program("alice").await.get("/api/v1/users").await.status, StatusCode::FORBIDDEN);
}

/// One of every credential of an admin's, and how each is refused.
struct Everything {
    browser: Actor,
    program: Actor,
    refresh: Value,
    script: Actor,
    reset: String,
    invite: String,
}

impl Everything {
    async fn of(app: &TestApp, admin: &Actor, name: &str) -> Everything {
        let id: AccountId = id_of(admin, name).await.parse().unwrap();
        let tokens = app.tokens(name).await;
        let browser = app.logged_in(name).await;
        let reset = admin.post(&format!("/api/v1/users/{id}/reset-link"), json!({})).await.json();
        let invite = browser.post("/api/v1/invites", json!({})).await.json();
        let path = |link: &Value| link["url"].as_str().unwrap().strip_prefix("http://localhost").unwrap().to_owned();
        Everything {
            program: app.anonymous().bearing(tokens["access_token"].as_str().unwrap()),
            refresh: tokens["refresh_token"].clone(),
            script: app.anonymous().bearing(&personal_token(app, id, Scope::Admin).await),
            reset: path(&reset),
            invite: path(&invite),
            browser,
        }
    }

    async fn works(&self) {
        for actor in [&self.browser, &self.program, &self.script] {
            let answer = actor.get("/api/v1/keys").await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        }
    }

    async fn is_over(&self, app: &TestApp) {
        for (what, actor) in [("cookie", &self.browser), ("access", &self.program), ("personal", &self.script)] {
            assert_eq!(actor.get("/api/v1/keys").await.status, StatusCode::UNAUTHORIZED, "{what}");
        }
        let body = json!({"refresh_token": self.refresh});
        assert_eq!(app.anonymous().post("/api/v1/refresh", body).await.status, StatusCode::UNAUTHORIZED);
        let stranger = app.browser();
        stranger.get(&self.reset).await;
        let form = [("password", "quiet-harbor-lantern-58"), ("password2", "quiet-harbor-lantern-58")];
        assert_eq!(stranger.form("/reset", &form).await.status, StatusCode::GONE, "reset link");
        stranger.get(&self.invite).await;
        let form = [("username", "guest"), ("password", PASSWORD), ("password2", PASSWORD)];
        assert_eq!(stranger.form("/signup", &form).await.status, StatusCode::FORBIDDEN, "an invite it gave");
    }
}

async fn with_invites() -> TestApp {
    TestApp::with(|config| config.accounts.signup = usher::config::Signup::Invite).await
}

#[tokio::test]
async fn disabling_ends_everything_at_once_and_enabling_brings_nothing_back() {
    let app = with_invites().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::Admin).await;
    let alice = Everything::of(&app, &admin, "alice").await;
    alice.works().await;
    let path = format!("/api/v1/users/{}", id_of(&admin, "alice").await);
    let disabled = admin.json(Method::PATCH, &path, json!({"disabled": true})).await;
    assert_eq!((disabled.status, &disabled.json()["disabled"]), (StatusCode::OK, &json!(true)));
    alice.is_over(&app).await;
    let login = json!({"username": "alice", "password": PASSWORD});
    let answer = app.anonymous().post("/api/v1/login", login).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_credentials"));
    let link = admin.post(&format!("{path}/reset-link"), json!({})).await;
    assert_eq!((link.status, link.code().as_str()), (StatusCode::CONFLICT, "disabled"));

    admin.json(Method::PATCH, &path, json!({"disabled": false})).await;
    alice.is_over(&app).await;
    app.logged_in("alice").await;
}

#[tokio::test]
async fn deleting_ends_and_erases_everything() {
    let app = with_invites().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::Admin).await;
    let alice = Everything::of(&app, &admin, "alice").await;
    alice.works().await;
    let id = id_of(&admin, "alice").await;
    let path = format!("/api/v1/users/{id}");
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    alice.is_over(&app).await;
    assert_eq!(admin.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(admin.delete(&path).await.status, StatusCode::NOT_FOUND);
    // Somebody new of the same name inherits nothing.
    app.account("alice", Role::User).await;
    alice.is_over(&app).await;
    let told = admin.get(&format!("/api/v1/audit?event=account_deleted&account={id}")).await.json();
    assert_eq!(told["events"][0]["target"], "alice");
}

#[tokio::test]
async fn a_demoted_admin_lets_nobody_in() {
    let app = with_invites().await;
    let admin = app.admin("root").await;
    let other = app.admin("alice").await;
    let invite = other.post("/api/v1/invites", json!({"note": "for a friend"})).await.json();
    let path = format!("/api/v1/users/{}", id_of(&admin, "alice").await);
    admin.json(Method::PATCH, &path, json!({"role": "user"})).await;
    let invites = admin.get("/api/v1/invites").await.json();
    let kept = &invites["invites"][0];
    assert_eq!((&kept["id"], &kept["state"]), (&invite["id"], &json!("revoked")));
}

#[tokio::test]
async fn the_last_admin_stays() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let path = format!("/api/v1/users/{}", id_of(&admin, "root").await);
    for body in [json!({"role": "user"}), json!({"disabled": true}), json!({"role": "user", "disabled": true})] {
        let answer = admin.json(Method::PATCH, &path, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "last_admin"));
    }
    let answer = admin.delete(&path).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "last_admin"));
    assert_eq!(admin.get(&path).await.json()["role"], "admin", "and is still logged in");
}

#[tokio::test]
async fn of_32_admins_removing_each_other_at_once_one_is_left() {
    let app = TestApp::new().await.twin().await;
    let mut admins = Vec::new();
    for n in 0..8 {
        admins.push((app.admin(&format!("admin {n}")).await, String::new()));
    }
    let first = admins[0].0.clone();
    for (n, (_, id)) in admins.iter_mut().enumerate() {
        *id = id_of(&first, &format!("admin {n}")).await;
    }
    let tasks: Vec<_> = (0..32)
        .map(|n| {
            let (actor, (_, id)) = (admins[n % 8].0.clone(), &admins[(n * 5 + 3) % 8]);
            let path = format!("/api/v1/users/{id}");
            tokio::spawn(async move {
                match n % 3 {
                    0 => actor.json(Method::PATCH, &path, json!({"role": "user"})).await.status,
                    1 => actor.json(Method::PATCH, &path, json!({"disabled": true})).await.status,
                    _ => actor.delete(&path).await.status,
                }
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        let status = task.await.unwrap();
        assert!(status.is_success() || status.is_client_error(), "{status}");
        done += usize::from(status.is_success());
    }
    assert!(done >= 1);
    let left = app.cx().write("test", async |tx| usher::accounts::has_admin(tx).await).await.unwrap();
    assert!(left, "nobody can manage accounts any more");
}

#[tokio::test]
async fn an_admin_sees_and_ends_anybodys_sessions() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let alice = app.member("alice").await;
    let program = app.program("alice").await;
    let bob = app.member("bob").await;
    let path = format!("/api/v1/users/{}", id_of(&admin, "alice").await);
    let sessions = admin.get(&format!("{path}/sessions")).await.json()["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    let browser = sessions.as_array().unwrap().iter().find(|session| session["kind"] == "browser").unwrap();
    assert_eq!((&browser["address"], &browser["amr"]), (&json!("192.0.2.10"), &json!(["pwd"])));

    let one = format!("/api/v1/sessions/{}", browser["id"].as_str().unwrap());
    assert_eq!(admin.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.get("/login").await.status, StatusCode::OK, "the cookie is dead");
    assert_eq!(program.get("/api/v1/users").await.status, StatusCode::FORBIDDEN, "the other session lives");
    assert_eq!(admin.delete(&one).await.status, StatusCode::NO_CONTENT, "idempotent");
    assert_eq!(admin.delete(&format!("/api/v1/sessions/{NO_ID}")).await.status, StatusCode::NOT_FOUND);

    let all = admin.post(&format!("{path}/end-sessions"), json!({})).await;
    assert_eq!((all.status, all.json()), (StatusCode::OK, json!({"ended": 1})));
    assert_eq!(program.get("/api/v1/users").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(admin.get(&format!("{path}/sessions")).await.json()["sessions"], json!([]));
    assert_eq!(bob.get("/login").await.status, StatusCode::SEE_OTHER, "nobody else is logged out");
}

async fn reset_path(admin: &Actor, id: &str) -> String {
    let link = admin.post(&format!("/api/v1/users/{id}/reset-link"), json!({})).await;
    assert_eq!(link.status, StatusCode::CREATED, "{}", link.text());
    link.json()["url"].as_str().unwrap().strip_prefix("http://localhost").unwrap().to_owned()
}

#[tokio::test]
async fn of_32_resets_with_one_link_one_is_done() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    let path = reset_path(&admin, &id_of(&admin, "alice").await).await;
    let tasks: Vec<_> = (0..32)
        .map(|n| {
            let (browser, path) = (app.browser(), path.clone());
            tokio::spawn(async move {
                browser.get(&path).await;
                let password = format!("harbor-{n}-lantern-quiet-58");
                let answer = browser.form("/reset", &[("password", &password), ("password2", &password)]).await;
                (answer.status, password)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            (StatusCode::SEE_OTHER, password) => winners.push(password),
            (StatusCode::GONE | StatusCode::SERVICE_UNAVAILABLE, _) => {}
            (other, _) => panic!("{other}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let login = json!({"username": "alice", "password": winners[0]});
    assert_eq!(app.anonymous().post("/api/v1/login", login).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_reset_link_replaces_the_one_before_ends_after_an_hour_and_forgives_failures() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    app.account("alice", Role::User).await;
    let id = id_of(&admin, "alice").await;
    for _ in 0..8 {
        app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": "wrong"})).await;
        app.advance(Duration::from_secs(5));
    }
    let login = json!({"username": "alice", "password": PASSWORD});
    assert_eq!(app.anonymous().post("/api/v1/login", login).await.status, StatusCode::TOO_MANY_REQUESTS);
    let first = reset_path(&admin, &id).await;
    app.logged_in("alice").await;
    let second = reset_path(&admin, &id).await;
    let form = [("password", "quiet-harbor-lantern-58"), ("password2", "quiet-harbor-lantern-58")];
    for (path, wait, status) in [(&first, 0, StatusCode::GONE), (&second, 3_601, StatusCode::GONE)] {
        let browser = app.browser();
        browser.get(path).await;
        app.advance(Duration::from_secs(wait));
        assert_eq!(browser.form("/reset", &form).await.status, status);
    }
    app.logged_in("alice").await;
}
