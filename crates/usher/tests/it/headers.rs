//! What every answer carries, and what no request brings about: headers, methods, hosts, limits, other sites.

use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::engine;
use axum::body::Body;
use http::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use usher::accounts::Role;

const PAGES: &[&str] = &[
    "/",
    "/login",
    "/login/code",
    "/logout",
    "/setup",
    "/signup",
    "/reset",
    "/forgot",
    "/verify",
    "/docs/",
    "/account",
    "/account/security",
    "/account/news",
    "/library",
    "/admin",
    "/admin/accounts",
    "/admin/groups",
    "/admin/invites",
    "/admin/audit",
    "/admin/keys",
    "/admin/refusals",
    "/admin/server",
    "/admin/sessions",
    "/admin/tokens",
    "/password",
    "/link",
    "/tv",
];

/// Every operation of the API description: method, path with ids filled in.
pub async fn operations(app: &TestApp) -> Vec<(Method, String)> {
    let document = app.anonymous().get("/openapi.json").await.json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if let Ok(method) = method.to_uppercase().parse::<Method>() {
                all.push((method, filled(path)));
            }
        }
    }
    assert!(all.len() >= 4, "{all:?}");
    all
}

/// A path whose parameters are ids of things that do not exist.
pub fn filled(path: &str) -> String {
    let part = |part: &str| {
        if part.starts_with('{') { "0190f5b0-0000-7000-8000-000000000000".to_owned() } else { part.to_owned() }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

async fn shop() -> TestApp {
    TestApp::with(|config| {
        config.apps.push(usher::config::App {
            name: "shop".to_owned(),
            origins: vec!["https://shop.example".parse().unwrap()],
            audience: Some("shop-api".to_owned()),
        });
    })
    .await
}

pub fn protects(answer: &Answer, what: &str) {
    let csp = answer.header("content-security-policy");
    for rule in ["frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'", "default-src 'none'"] {
        assert!(csp.contains(rule), "{what}: no {rule} in {csp:?}");
    }
    assert!(
        !csp.contains("unsafe-eval") && !csp.contains("script-src 'unsafe-inline'") && !csp.contains('*'),
        "{what}"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert!(matches!(answer.header("referrer-policy"), "same-origin" | "no-referrer"), "{what}");
    assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{what}");
    assert!(answer.header("cache-control").contains("no-store"), "{what}: {:?}", answer.header("cache-control"));
    assert_eq!(answer.header("server"), "", "{what}");
    assert_eq!(answer.header("x-powered-by"), "", "{what}");
}

#[tokio::test]
async fn every_page_and_every_failure_carries_the_protective_headers() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    for actor in [&admin, &app.browser()] {
        for page in PAGES.iter().chain(&["/nowhere", "/setup/x", "/reset/%3b", "/login;x", "/docs/nothing.js", "/%ff"])
        {
            protects(&actor.get(page).await, page);
        }
        for (method, path) in operations(&app).await {
            // A key set is public and may be kept; everything that may hold something private may not.
            protects(&actor.json(method.clone(), &path, json!({})).await, &format!("{method} {path}"));
        }
    }
    let stranger = Request::builder().uri("/login").header(HOST, "evil.example").body(Body::empty()).unwrap();
    protects(&app.anonymous().send(stranger).await, "an unknown host");
    let nameless = Request::builder().uri("/login").body(Body::empty()).unwrap();
    let answer = app.anonymous().send(nameless).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    protects(&answer, "no host");
}

#[tokio::test]
async fn tokens_are_never_kept_by_a_cache_and_a_form_is_left_by_303() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let fields = [("username", "alice"), ("password", PASSWORD)];
    let login = app.anonymous().post("/api/v1/login", json!({"username": "alice", "password": PASSWORD})).await;
    let refresh = json!({"refresh_token": login.json()["refresh_token"]});
    for answer in
        [login, app.anonymous().post("/api/v1/refresh", refresh).await, app.anonymous().form("/token", &fields).await]
    {
        assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
    }
    let answer = app.browser().form("/login", &fields).await;
    assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::SEE_OTHER, "no-store"));
}

#[tokio::test]
async fn over_https_the_cookie_is_bound_to_the_host_and_the_browser_is_told_to_stay() {
    let app = TestApp::with(|config| {
        config.server.public_url = Some("https://media.example".parse().unwrap());
        config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    app.account("alice", Role::User).await;
    let proxied = |peer: &str| {
        let request = Request::builder().method(Method::POST).uri("/login").header(HOST, "media.example");
        let request = request.header("x-forwarded-proto", "https").header(ORIGIN, "https://media.example");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let actor = app.anonymous().at_address(peer);
        async move { actor.send(request.body(Body::from(format!("username=alice&password={PASSWORD}"))).unwrap()).await }
    };
    let answer = proxied("10.1.2.3").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    let cookie = answer.header("set-cookie");
    for attribute in ["__Host-usher=", "; Secure", "; HttpOnly", "; Path=/;", "; SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{attribute} is not in {cookie}");
    }
    assert!(
        !cookie.to_lowercase().contains("domain=") && cookie.len() < 4_096 && !cookie.contains("alice"),
        "{cookie}"
    );
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000; includeSubDomains");
    // The same words from a peer that nobody trusts: the request came in clear, and is refused, not redirected.
    let answer = proxied("192.0.2.9").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::FORBIDDEN, ""));
    assert_eq!(answer.header("set-cookie"), "");
    // A page that only reads is refused for the same reason: no other rule stands before this one.
    let request = Request::builder().uri("/login").header(HOST, "media.example").body(Body::empty()).unwrap();
    let answer = app.anonymous().at_address("192.0.2.9").send(request).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("through HTTPS only"), "{}", answer.text());
}

/// Who may have caused a state change, and who may not: method, `Sec-Fetch-Site`, `Origin`, whether a cookie is sent.
#[tokio::test]
async fn a_state_change_is_taken_from_this_origin_and_from_programs_only() {
    let app = shop().await;
    app.account("alice", Role::User).await;
    const HERE: &str = "http://localhost";
    let cases: &[(Option<&str>, Option<&str>, bool, bool)] = &[
        (Some("same-origin"), Some(HERE), true, true),
        (Some("none"), None, true, true),
        (None, Some(HERE), true, true),
        (None, None, false, true),
        (None, None, true, false),
        (Some("cross-site"), Some("https://evil.example"), true, false),
        (Some("cross-site"), Some("https://evil.example"), false, false),
        (Some("cross-site"), None, true, false),
        (Some("cross-site"), Some(HERE), true, false),
        (Some("same-site"), Some("https://sub.localhost"), true, false),
        (Some("same-site"), None, false, false),
        (Some(""), None, false, false),
        (None, Some("https://evil.example"), true, false),
        (None, Some("https://evil.example"), false, false),
        (None, Some("null"), true, false),
        (None, Some("http://localhost:81"), true, false),
        (None, Some("https://localhost"), true, false),
        (None, Some("http://localhost.evil.example"), true, false),
        (None, Some("http://LOCALHOST/"), true, false),
    ];
    for (site, origin, with_cookie, taken) in cases {
        let browser = app.logged_in("alice").await;
        let cookie = browser.cookie("usher").unwrap();
        let shown = format!("{site:?} {origin:?} cookie: {with_cookie}");
        for (path, kind, body) in [
            ("/logout", "application/x-www-form-urlencoded", String::new()),
            ("/login", "application/x-www-form-urlencoded", format!("username=alice&password={PASSWORD}")),
            ("/api/v1/login", "application/json", json!({"username": "alice", "password": PASSWORD}).to_string()),
            ("/api/v1/login", "text/plain", json!({"username": "alice", "password": PASSWORD}).to_string()),
            ("/token", "application/x-www-form-urlencoded", format!("username=alice&password={PASSWORD}")),
            ("/api/v1/logout", "application/json", "{}".to_owned()),
        ] {
            let mut request = Request::builder().method(Method::POST).uri(path).header(HOST, "localhost");
            request = request.header(CONTENT_TYPE, kind);
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    request = request.header(name, *value);
                }
            }
            if *with_cookie {
                request = request.header(COOKIE, format!("usher={cookie}"));
            }
            let answer = app.anonymous().send(request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.status != StatusCode::FORBIDDEN, *taken, "{path} as {kind}: {shown}: {}", answer.status);
            if kind == "text/plain" && *taken {
                assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            if !taken {
                assert_eq!(answer.header("set-cookie"), "", "{path}: {shown}");
                let still = app.browser().with_cookie("usher", &cookie).get("/login").await;
                assert_eq!(still.status, StatusCode::SEE_OTHER, "{path} ended the session: {shown}");
            }
        }
    }
}

#[tokio::test]
async fn every_operation_that_changes_something_refuses_another_site() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let cookie = format!("usher={}", admin.cookie("usher").unwrap());
    let before = state(&app);
    for (method, path) in operations(&app).await {
        if method == Method::GET {
            continue;
        }
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
            let request = Request::builder().method(method.clone()).uri(&path).header(HOST, "localhost");
            let request = request.header(COOKIE, &cookie).header(name, value).header(CONTENT_TYPE, "application/json");
            let answer = app.anonymous().send(request.body(Body::from("{}")).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} with {name}: {value}");
            assert_eq!(answer.code(), "cross_site", "{method} {path}");
        }
    }
    assert_eq!(state(&app), before);
}

#[tokio::test]
async fn only_registered_origins_may_read_and_only_on_the_routes_made_for_them() {
    let app = shop().await;
    for (origin, known) in [
        ("https://shop.example", true),
        ("https://evil.example", false),
        ("null", false),
        ("https://shop.example.evil.example", false),
        ("https://shop.example:444", false),
        ("http://shop.example", false),
        ("http://localhost:3000", false),
    ] {
        for (path, shared) in [
            ("/api/v1/login", true),
            ("/api/v1/refresh", true),
            ("/token", true),
            ("/login", false),
            ("/logout", false),
        ] {
            for preflight in [true, false] {
                let method = if preflight { Method::OPTIONS } else { Method::POST };
                let mut request =
                    Request::builder().method(method).uri(path).header(HOST, "localhost").header(ORIGIN, origin);
                if preflight {
                    request = request.header("access-control-request-method", "POST");
                }
                let answer = app.anonymous().send(request.body(Body::empty()).unwrap()).await;
                let allowed = answer.header("access-control-allow-origin");
                assert_eq!(
                    allowed,
                    if known && shared { origin } else { "" },
                    "{origin} at {path}, preflight: {preflight}"
                );
                assert_eq!(
                    answer.header("access-control-allow-credentials") == "true",
                    known && shared,
                    "{origin} {path}"
                );
            }
        }
    }
}

/// All rows of all tables but the instants of last use and the feed, which is not a state.
fn state(app: &TestApp) -> BTreeMap<String, Vec<String>> {
    if engine::server().is_some() {
        let tables = app.sql("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()");
        let rows = |table: &str| {
            let text =
                format!("SELECT CAST(to_jsonb(t) - 'last_used_at' AS TEXT) AS it FROM \"{table}\" t ORDER BY it");
            app.sql(&text).into_iter().flatten().flatten().collect()
        };
        return tables.into_iter().flatten().flatten().map(|table| (table.clone(), rows(&table))).collect();
    }
    let database = rusqlite::Connection::open_with_flags(
        app.folder().join("usher.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    let mut listed = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").unwrap();
    let tables: Vec<String> = listed.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = BTreeMap::new();
    for table in tables {
        let mut select = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
        let mut rows = select.query([]).unwrap();
        let mut texts = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let shown = columns.iter().enumerate().filter(|(_, name)| *name != "last_used_at");
            let values: Vec<String> =
                shown.map(|(at, name)| format!("{name}={:?}", row.get_ref(at).unwrap())).collect();
            texts.push(values.join(" "));
        }
        texts.sort();
        all.insert(table, texts);
    }
    assert!(all.len() > 10);
    all
}

#[tokio::test]
async fn whatever_is_read_changes_nothing() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let program = app.program("root").await;
    app.advance(Duration::from_secs(90));
    let before = state(&app);
    let mut paths: BTreeSet<String> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    paths.extend(operations(&app).await.into_iter().map(|(_, path)| path));
    // Whatever the pages link to, too.
    for page in PAGES {
        let text = admin.get(page).await.text();
        let linked = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        paths.extend(
            linked
                .filter(|href| href.starts_with('/') && !href.starts_with("//"))
                .map(|href| href.replace("&amp;", "&")),
        );
    }
    for path in &paths {
        for actor in [&admin, &program] {
            for method in [Method::GET, Method::HEAD] {
                actor.send(actor.request(method, path).body(Body::empty()).unwrap()).await;
            }
        }
    }
    assert!(paths.len() > 20, "{paths:?}");
    usher::sessions::flush_uses(&app.cx()).await.unwrap();
    assert_eq!(state(&app), before);
    assert!(admin.cookie("usher").is_some());
}

#[tokio::test]
async fn a_method_that_a_route_does_not_have_is_405_and_trace_is_nowhere() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let mut routes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (method, path) in operations(&app).await {
        routes.entry(path).or_default().insert(method.to_string());
    }
    for page in ["/login", "/logout", "/setup", "/signup", "/reset", "/link", "/forgot", "/verify"] {
        routes.entry(page.to_owned()).or_default().extend(["GET".to_owned(), "POST".to_owned()]);
    }
    for read in ["/openapi.json", "/oauth/jwks", "/.well-known/oauth-authorization-server", "/setup/x"] {
        routes.entry(read.to_owned()).or_default().insert("GET".to_owned());
    }
    for (path, own) in &routes {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW"] {
            if own.contains(method) {
                continue;
            }
            let request = admin.request(method.parse().unwrap(), path).header(CONTENT_TYPE, "application/json");
            let answer = admin.send(request.body(Body::from("{}")).unwrap()).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            protects(&answer, &format!("{method} {path}"));
        }
    }
    assert!(admin.cookie("usher").is_some(), "something ended the session");
}

fn leaks(text: &str) -> Option<&'static str> {
    let words = [
        "SELECT",
        "INSERT",
        "UPDATE ",
        "sqlite",
        "rusqlite",
        "panicked",
        ".rs:",
        "crates/",
        "src/",
        "stack backtrace",
        "thread '",
        "RUST_BACKTRACE",
        "tokio",
        "axum",
        "serde",
        "hyper",
        "argon2",
        "/root/",
        "/home/",
        "usher.db",
        "usher::",
        "unwrap",
        "Option<",
        "Err(",
        "0.1.0",
    ];
    words.into_iter().find(|word| text.contains(word))
}

#[tokio::test]
async fn no_answer_to_nonsense_shows_what_is_inside() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"\"".to_vec(),
        b"1e999".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe".to_vec(),
        b"{\"username\":\"\\ud800\"}".to_vec(),
        deep.into_bytes(),
        json!({"username": 1, "password": []}).to_string().into_bytes(),
        json!({"username": "x".repeat(5_000), "password": "\u{0}"}).to_string().into_bytes(),
        json!({"username": "' OR 1=1 --", "password": "'; DROP TABLE accounts; --"}).to_string().into_bytes(),
        json!({"refresh_token": "../../etc/passwd"}).to_string().into_bytes(),
        json!({"name": {"$gt": ""}, "role": "root", "groups": [[[]]]}).to_string().into_bytes(),
        b"username=%ff&password=%00".to_vec(),
        b"a=b&a=c&&&===".to_vec(),
        b"a=b;c=d\r\nx: y".to_vec(),
    ];
    for (method, path) in operations(&app).await.into_iter().chain([
        (Method::POST, "/login".to_owned()),
        (Method::POST, "/setup".to_owned()),
        (Method::POST, "/reset".to_owned()),
        (Method::POST, "/forgot".to_owned()),
        (Method::POST, "/verify".to_owned()),
        (Method::GET, "/login?return_to=%ff%00".to_owned()),
        (Method::GET, "/docs/../../etc/passwd".to_owned()),
        (Method::GET, "/static/x/%2e%2e%2fCargo.toml".to_owned()),
    ]) {
        // Logging out would end the admin's part in this.
        if path.ends_with("/logout") {
            continue;
        }
        for kind in ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/xml"] {
            for body in &bodies {
                let request = admin.request(method.clone(), &path).header(CONTENT_TYPE, kind);
                let answer = admin.send(request.body(Body::from(body.clone())).unwrap()).await;
                assert!(answer.status != StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}: {}", answer.text());
                if answer.status.is_client_error() {
                    let leak = leaks(&answer.text());
                    assert_eq!(leak, None, "{method} {path} as {kind}, {body:?}: {}", answer.text());
                }
            }
        }
    }
}

#[tokio::test]
async fn only_configured_names_are_answered_for_and_none_comes_from_the_request() {
    let app = TestApp::with(|config| {
        config.server.public_url = Some("https://media.example".parse().unwrap());
        config.server.hosts = vec!["alias.example".to_owned()];
    })
    .await;
    let ask = |host: &'static str, extra: Option<(&'static str, &'static str)>| {
        let mut request = Request::builder().uri("/.well-known/oauth-authorization-server").header(HOST, host);
        if let Some((name, value)) = extra {
            request = request.header(name, value);
        }
        let actor = app.anonymous();
        async move { actor.send(request.body(Body::empty()).unwrap()).await }
    };
    for host in [
        "evil.example",
        "media.example.evil.example",
        "evil.example:443",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "x@media.example",
        "[::2]",
        "",
    ] {
        let answer = ask(host, None).await;
        assert!(matches!(answer.status.as_u16(), 400 | 421), "{host}: {}", answer.status);
        assert!(!answer.text().contains("evil"), "{host} came back");
    }
    for spoofed in ["x-forwarded-host", "forwarded", "x-host", "x-original-host", "x-forwarded-server"] {
        let value = if spoofed == "forwarded" { "host=evil.example;proto=https" } else { "evil.example" };
        let answer = ask("localhost", Some((spoofed, value))).await;
        assert_eq!(answer.status, StatusCode::OK, "{spoofed}");
        assert_eq!(answer.json()["issuer"], "https://media.example", "{spoofed}");
        assert!(!answer.text().contains("evil"));
    }
}

#[tokio::test]
async fn an_address_is_believed_from_a_trusted_proxy_only() {
    let app = TestApp::with(|config| config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let id = app.account("alice", Role::User).await;
    for (peer, headers, recorded) in [
        ("192.0.2.10", vec![("x-forwarded-for", "203.0.113.1")], "192.0.2.10"),
        ("192.0.2.11", vec![("x-real-ip", "203.0.113.2"), ("forwarded", "for=203.0.113.2")], "192.0.2.11"),
        ("192.0.2.12", vec![("x_forwarded_for", "203.0.113.3"), ("true-client-ip", "203.0.113.3")], "192.0.2.12"),
        ("10.0.0.1", vec![("x-forwarded-for", "203.0.113.4")], "203.0.113.4"),
        ("10.0.0.1", vec![("x-forwarded-for", "127.0.0.1, 203.0.113.5")], "203.0.113.5"),
        ("10.0.0.1", vec![("x-real-ip", "203.0.113.6")], "10.0.0.1"),
    ] {
        let mut request = Request::builder().method(Method::POST).uri("/api/v1/login").header(HOST, "localhost");
        request = request.header(CONTENT_TYPE, "application/json");
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        for (name, value) in [("usher-user", "root"), ("x-remote-user", "root"), ("remote_user", "root")] {
            request = request.header(name, value);
        }
        let body = json!({"username": "alice", "password": PASSWORD}).to_string();
        let answer = app.anonymous().at_address(peer).send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json()["account"]["username"], "alice");
        let session: String = answer.json()["session"]["id"].as_str().unwrap().to_owned();
        let listed = usher::sessions::list_live(&app.app.db, id).await.unwrap();
        let session = listed.into_iter().find(|one| one.id.to_string() == session).unwrap();
        assert_eq!(session.address, recorded, "{peer} {headers:?}");
    }
}

#[tokio::test]
async fn a_body_too_large_too_deep_or_compressed_is_refused() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let send = |body: Vec<u8>, encoding: Option<&'static str>| {
        let mut request = Request::builder().method(Method::POST).uri("/api/v1/login").header(HOST, "localhost");
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let actor = app.anonymous();
        async move { actor.send(request.body(Body::from(body)).unwrap()).await }
    };
    let nested = |depth: usize| {
        let inner = format!("{}{}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        format!("{{\"username\":\"alice\",\"password\":\"x\",\"more\":{inner}}}").into_bytes()
    };
    let shallow = send(nested(32), None).await;
    assert_eq!((shallow.status, shallow.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request"));
    for depth in [33, 200, 20_000] {
        let answer = send(nested(depth), None).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_json"), "{depth}");
    }
    // Brackets inside a text are text.
    let brackets = json!({"username": "alice", "password": "[{\"".repeat(40)}).to_string().into_bytes();
    assert_eq!(send(brackets, None).await.status, StatusCode::UNAUTHORIZED);
    let large = json!({"username": "alice", "password": "x".repeat(65_536)}).to_string().into_bytes();
    assert_eq!(send(large, None).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Ten bytes of gzip: what it would become does not matter, nobody inflates it.
    let gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    assert_eq!(send(gzip, Some("gzip")).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn text_in_a_link_s_address_writes_no_cookie_attributes() {
    let app = TestApp::new().await;
    for (text, status) in [
        ("x;%20Domain=example", StatusCode::BAD_REQUEST),
        ("x%3B%20Path%3D%2F", StatusCode::BAD_REQUEST),
        ("%0d%0aSet-Cookie:%20a=b", StatusCode::BAD_REQUEST),
        ("x,y", StatusCode::SEE_OTHER),
        ("x%20Path=", StatusCode::SEE_OTHER),
        ("ust_short", StatusCode::SEE_OTHER),
        ("%22", StatusCode::SEE_OTHER),
    ] {
        for page in ["setup", "signup", "reset", "recover", "verify"] {
            let answer = app.browser().get(&format!("/{page}/{text}")).await;
            assert_eq!((answer.status, answer.header("set-cookie")), (status, ""), "{page} {text}");
        }
    }
    let link = usher::login::links::make(&app.cx(), usher::login::links::Kind::Setup, None, "").await.unwrap();
    let answer = app.browser().get(&link.path).await;
    assert!(answer.header("set-cookie").starts_with("usher-setup=ust_"));
    assert_eq!(answer.header("location"), "/setup", "the secret leaves the address");
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_name_with_line_ends_writes_one_log_line() {
    for format in [usher::config::Format::Text, usher::config::Format::Json] {
        let app = TestApp::new().await;
        let lines = Lines::default();
        let settings = usher::config::Log { level: "info".to_owned(), format };
        let to = lines.clone();
        let guard = tracing::subscriber::set_default(usher::log::subscriber(&settings, move || to.clone()));
        let name =
            "x\r\n2026-01-01T00:00:00Z WARN usher::login: event=\"login_failed\" address=203.0.113.9 reason=\"y\"";
        let agent = app.anonymous();
        agent.post("/api/v1/login", json!({"username": name, "password": "x"})).await;
        app.browser().form("/login", &[("username", name), ("password", "x")]).await;
        drop(guard);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let failed: Vec<&str> = text.lines().filter(|line| line.contains("login_failed")).collect();
        assert_eq!(failed.len(), 2, "{text}");
        assert!(failed.iter().all(|line| line.contains("192.0.2.10") && !line.contains("203.0.113.9")), "{text}");
        if format == usher::config::Format::Json {
            assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
        }
    }
}

#[tokio::test]
async fn another_account_s_things_are_not_there_and_what_the_server_decides_is_not_taken() {
    let app = TestApp::new().await;
    let alice = app.member("alice").await;
    for extra in [json!({"role": "admin"}), json!({"sub": "root"}), json!({"ver": 9}), json!({"kind": "device"})] {
        let mut body = json!({"username": "alice", "password": PASSWORD});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(app.anonymous().post("/api/v1/login", body).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let mallory: Actor = app.member("mallory").await;
    let theirs = alice.cookie("usher").unwrap();
    for (method, path) in operations(&app).await {
        // A key of one's own session data is no id of somebody else's thing.
        if !path.contains("0190f5b0") || path.starts_with("/api/v1/session/data/") {
            continue;
        }
        let answer = mallory.json(method.clone(), &path, json!({})).await;
        assert!(matches!(answer.status.as_u16(), 403 | 404 | 415 | 422), "{method} {path}: {}", answer.status);
    }
    assert_eq!(app.browser().with_cookie("usher", &theirs).get("/login").await.status, StatusCode::SEE_OTHER);
}
