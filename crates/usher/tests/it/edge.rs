//! The edge, route by route: the list is read from the route table itself, so that a new route is held to it.

use crate::headers::protects;
use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::server::{Server, request};
use axum::Router;
use axum::routing::get;
use http::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::{Method, Request, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use usher::accounts::Role;
use usher::config::Signup;
use usher::http::router;
use usher::login::links::{self, Kind};

const NO_ID: &str = "019b0000-0000-7000-8000-000000000000";

/// Pages and the like, as the route table has them: path with its parameters filled in, and methods.
fn routes() -> BTreeMap<String, Vec<Method>> {
    let table = include_str!("../../src/http/router.rs");
    let mut all: BTreeMap<String, Vec<Method>> = BTreeMap::new();
    for rest in table.split(".route(\"").skip(1) {
        let (path, rest) = rest.split_once('"').unwrap();
        let ends = [".merge(", ".layer(", ".fallback(", ".method_not", ";"];
        let end = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        let part = |part: &str| match part {
            _ if part.starts_with("{*") => "x".to_owned(),
            _ if part.starts_with('{') => NO_ID.to_owned(),
            _ => part.to_owned(),
        };
        let path = path.split('/').map(part).collect::<Vec<_>>().join("/");
        let methods = all.entry(path).or_default();
        for (word, method) in [("get(", Method::GET), ("post(", Method::POST)] {
            if rest[..end].contains(word) {
                methods.push(method);
            }
        }
    }
    // What takes every method refuses in its own way, and what is static has its own headers.
    all.retain(|path, methods| !methods.is_empty() && !path.starts_with("/static/"));
    assert!(all.len() > 35, "the table was not read: {all:?}");
    assert_eq!(all["/login"], [Method::GET, Method::POST]);
    assert_eq!(all[&format!("/admin/accounts/{NO_ID}/delete")], [Method::POST]);
    all
}

#[tokio::test]
async fn every_form_is_taken_from_this_origin_only() {
    let app = TestApp::with(|config| config.accounts.signup = Signup::Open).await;
    let admin = app.admin("root").await;
    let cookie = format!("usher={}", admin.cookie("usher").unwrap());
    let mut forms = 0;
    for (path, _) in routes().iter().filter(|(_, methods)| methods.contains(&Method::POST)) {
        for (name, value) in
            [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
        {
            let request = Request::builder().method(Method::POST).uri(path).header(HOST, "localhost");
            let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            let request = request.header(COOKIE, &cookie).header(name, value);
            let answer = app.anonymous().send(request.body("username=x".into()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} with {name}: {value}");
        }
        let silent =
            Request::builder().method(Method::POST).uri(path).header(HOST, "localhost").header(COOKIE, &cookie);
        let silent = silent.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = app.anonymous().send(silent.body("username=x".into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} with a cookie and no word on where it comes from");
        forms += 1;
    }
    assert!(forms > 20, "{forms}");
    assert_eq!(admin.get("/api/v1/me").await.status, StatusCode::OK, "nothing of it ended the session");
    // The same forms from this origin come further: the rule is what refused them.
    for (path, _) in routes().iter().filter(|(_, methods)| methods.contains(&Method::POST)) {
        let own = app.logged_in("root").await.form(path, &[("nothing", "known")]).await;
        assert_ne!(own.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn every_route_names_the_methods_that_it_has() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    for (path, own) in routes() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND"] {
            let method: Method = method.parse().unwrap();
            if own.contains(&method) {
                continue;
            }
            let request =
                admin.request(method.clone(), &path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            let answer = admin.send(request.body("a=b".into()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            // RFC 9110 section 15.5.6.
            let allowed = answer.header("allow");
            assert!(own.iter().all(|method| allowed.contains(method.as_str())), "{method} {path}: Allow: {allowed:?}");
        }
    }
}

#[tokio::test]
async fn every_page_is_protected_whoever_asks() {
    let app = TestApp::new().await;
    let admin = app.admin("root").await;
    let member = app.member("alice").await;
    for (path, _) in routes().iter().filter(|(_, methods)| methods.contains(&Method::GET)) {
        for actor in [&admin, &member, &app.browser()] {
            let answer = actor.get(path).await;
            protects(&answer, path);
            assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        }
    }
}

#[tokio::test]
async fn a_path_that_two_could_read_differently_is_refused_on_the_wire() {
    let app = TestApp::new().await;
    let server = Server::start(&app).await;
    for path in [
        "//login",
        "/login//",
        "/./login",
        "/docs/../login",
        "/docs/%2e%2e/login",
        "/docs/%2E./login",
        "/login;jsessionid=1",
        "/login%3bx",
        "/login\\x",
        "/login%5cx",
        "/api%2fv1/me",
        "/api/v1/me%00",
        "/login%0a",
        "/api/v1/users/..;/me",
        "/static/../login",
    ] {
        let answer = server.get(path, &[]).await;
        assert_eq!(answer.status, 400, "{path}");
    }
    for (path, status) in [("/login", 200), ("/login?a=//..;%2e%5c", 200), ("/api/v1/me", 401), ("/%ff", 404)] {
        assert_eq!(server.get(path, &[]).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn heads_and_bodies_have_their_limits_at_the_real_door() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    let server = Server::start(&app).await;
    let line = |length: usize| format!("X-Long: {}", "x".repeat(length));
    assert_eq!(server.get("/login", &[&line(15 * 1024)]).await.status, 200);
    assert_eq!(server.get("/login", &[&line(17 * 1024)]).await.status, 431);
    let many: Vec<String> = (0..120).map(|n| format!("X-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(server.get("/login", &many).await.status, 431);
    assert_eq!(server.get(&format!("/login?{}", "x".repeat(17 * 1024)), &[]).await.status, 431);
    for (path, kind, whole) in [
        ("/login", "application/x-www-form-urlencoded", "username=alice&password="),
        ("/token", "application/x-www-form-urlencoded", "username=alice&password="),
        ("/api/v1/login", "application/json", "{\"username\":\"alice\",\"password\":\""),
    ] {
        for (length, refused) in [(64 * 1024, false), (64 * 1024 + 1, true)] {
            let tail = if kind.ends_with("json") { "\"}" } else { "" };
            let body = format!("{whole}{}{tail}", "x".repeat(length - whole.len() - tail.len()));
            let mut bytes =
                request("POST", path, &[&format!("Content-Type: {kind}"), &format!("Content-Length: {length}")], true);
            bytes.extend_from_slice(body.as_bytes());
            let status = server.raw(&bytes).await.status;
            assert_eq!(status == 413, refused, "{length} bytes at {path}: {status}");
        }
    }
}

#[tokio::test]
async fn tls_1_1_is_not_spoken() {
    let app = TestApp::new().await;
    let server = Server::start_tls(&app).await;
    // A ClientHello (RFC 5246 section 7.4.1.2) whose highest version is the given one, with suites of that time.
    let hello = |minor: u8| {
        let suites: &[u8] = &[0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f];
        let groups: &[u8] = &[0x00, 0x0a, 0x00, 0x06, 0x00, 0x04, 0x00, 0x17, 0x00, 0x1d];
        let points: &[u8] = &[0x00, 0x0b, 0x00, 0x02, 0x01, 0x00];
        let signatures: &[u8] = &[0x00, 0x0d, 0x00, 0x08, 0x00, 0x06, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01];
        let master: &[u8] = &[0x00, 0x17, 0x00, 0x00];
        let extensions = [groups, points, signatures, master].concat();
        let mut body = vec![3, minor];
        body.extend([7; 32]);
        body.push(0);
        body.extend(u16::try_from(suites.len()).unwrap().to_be_bytes());
        body.extend(suites);
        body.extend([1, 0]);
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[1, length[1], length[2], length[3]], body.as_slice()].concat();
        let record = u16::try_from(message.len()).unwrap().to_be_bytes();
        [&[0x16, 3, 1, record[0], record[1]], message.as_slice()].concat()
    };
    for (minor, spoken) in [(1, false), (2, false), (3, true)] {
        let mut stream = server.connect().await;
        stream.write_all(&hello(minor)).await.unwrap();
        let mut first = [0; 7];
        stream.read_exact(&mut first).await.unwrap();
        // 22 begins a handshake; 21 is an alert, here `protocol_version` (70).
        let answer = (first[0], first[6]);
        if spoken {
            assert_eq!(first[0], 22, "TLS 1.2: {first:?}");
        } else {
            assert_eq!(answer, (21, 70), "TLS 1.{}: {first:?}", minor - 1);
        }
    }
}

/// A server behind a proxy that speaks HTTPS, and a browser that came through it.
async fn behind_a_proxy() -> TestApp {
    TestApp::with(|config| {
        config.server.public_url = Some("https://media.example".parse().unwrap());
        config.server.hosts = vec!["alias.example".to_owned()];
        config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        config.accounts.signup = Signup::Invite;
    })
    .await
}

fn proxied(method: Method, path: &str, host: &str, cookies: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path).header(HOST, host);
    let request = request.header("x-forwarded-proto", "https").header(ORIGIN, format!("https://{host}"));
    if cookies.is_empty() { request } else { request.header(COOKIE, cookies) }
}

async fn https(app: &TestApp, method: Method, path: &str, cookies: &str, body: &str) -> Answer {
    let kind = if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
    let request = proxied(method, path, "media.example", cookies).header(CONTENT_TYPE, kind);
    app.anonymous().at_address("10.0.0.1").send(request.body(body.to_owned().into()).unwrap()).await
}

fn set_cookies(answer: &Answer) -> Vec<String> {
    answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

fn kept(answer: &Answer) -> String {
    let pairs = set_cookies(answer).into_iter().map(|line| line.split(';').next().unwrap().to_owned());
    pairs.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn every_cookie_is_bound_to_its_host_hidden_from_scripts_and_sent_over_tls_only() {
    let app = behind_a_proxy().await;
    let id = app.account("alexandra", Role::User).await;
    let mut seen = Vec::new();
    for (kind, of) in [(Kind::Setup, None), (Kind::Invite, None), (Kind::Reset, Some(id))] {
        let link = links::make(&app.cx(), kind, of, "").await.unwrap();
        let taken = https(&app, Method::GET, &link.path, "", "").await;
        seen.push(("link", taken));
    }
    let fields = format!("username=benedict&password={PASSWORD}&password2={PASSWORD}");
    let invited = https(&app, Method::POST, "/signup", &kept(&seen[1].1), &fields).await;
    assert_eq!(invited.status, StatusCode::SEE_OTHER, "{}", invited.text());
    seen.push(("sign-up", invited));
    let form = format!("username=alexandra&password={PASSWORD}");
    let page = https(&app, Method::POST, "/login", "", &form).await;
    let cookies = kept(&page);
    seen.push(("login", page));
    let body = json!({"username": "alexandra", "password": PASSWORD, "cookie": true}).to_string();
    seen.push(("api", https(&app, Method::POST, "/api/v1/login", "", &body).await));
    let change = format!("current={PASSWORD}&password=harbor-quilt-marble-52&password2=harbor-quilt-marble-52");
    let renewed = https(&app, Method::POST, "/account/password", &cookies, &change).await;
    let cookies = kept(&renewed);
    seen.push(("password", renewed));
    seen.push(("logout", https(&app, Method::POST, "/logout", &cookies, "").await));
    for (what, answer) in &seen {
        let lines = set_cookies(answer);
        assert!(!lines.is_empty(), "{what} sets no cookie: {}", answer.status);
        for line in lines {
            let (name, rest) = line.split_once('=').unwrap();
            let attributes: Vec<&str> = rest.split("; ").skip(1).collect();
            let path = attributes.iter().find_map(|one| one.strip_prefix("Path=")).unwrap();
            assert!(name.starts_with("__Host-") && path == "/" || name.starts_with("__Secure-"), "{what}: {line}");
            assert!(attributes.contains(&"Secure") && attributes.contains(&"HttpOnly"), "{what}: {line}");
            assert!(attributes.contains(&"SameSite=Lax") || attributes.contains(&"SameSite=Strict"), "{what}: {line}");
            assert!(!attributes.iter().any(|one| one.to_ascii_lowercase().starts_with("domain")), "{what}: {line}");
            assert!(line.len() <= 4_096 && !line.contains("alexandra") && !line.contains("benedict"), "{what}: {line}");
        }
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000; includeSubDomains", "{what}");
    }
}

#[tokio::test]
async fn links_name_the_configured_address_whatever_a_request_calls_the_server() {
    let app = behind_a_proxy().await;
    app.account_with("root", Role::Admin, usher::accounts::Buckets::Every, PASSWORD).await;
    let alice = app.account("alice", Role::User).await;
    let login = https(&app, Method::POST, "/login", "", &format!("username=root&password={PASSWORD}")).await;
    let cookies = kept(&login);
    for host in ["alias.example", "media.example:8443", "alias.example:1"] {
        for (path, body, status) in [
            (format!("/api/v1/users/{alice}/reset-link"), "{}".to_owned(), StatusCode::CREATED),
            ("/api/v1/invites".to_owned(), "{}".to_owned(), StatusCode::CREATED),
            (format!("/admin/accounts/{alice}/reset-link"), "a=b".to_owned(), StatusCode::OK),
            ("/admin/invites".to_owned(), "note=x".to_owned(), StatusCode::OK),
        ] {
            let kind = if body == "{}" { "application/json" } else { "application/x-www-form-urlencoded" };
            let request = proxied(Method::POST, &path, host, &cookies).header(CONTENT_TYPE, kind);
            let request = request.header("x-forwarded-host", host).body(body.into()).unwrap();
            let answer = app.anonymous().at_address("10.0.0.1").send(request).await;
            assert_eq!(answer.status, status, "{path} at {host}: {}", answer.text());
            let text = answer.text();
            assert!(text.contains("https://media.example/"), "{path} at {host}: {text}");
            assert!(!text.contains("alias.example") && !text.contains("8443"), "{path} at {host}: {text}");
        }
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_one_500_and_the_next_request_is_served() {
    let app = TestApp::new().await;
    let cx = app.cx();
    let broken = get(move || {
        let cx = cx.clone();
        async move {
            // In a write first, so that the storage has seen it too.
            let written =
                cx.write("test.panic", async move |_| -> Result<(), usher_db::Error> { panic!("a secret detail") });
            if written.await.is_err() {
                panic!("a secret detail of crates/usher/src");
            }
            StatusCode::OK
        }
    });
    let router = router::dressed(&app.app, Router::new().route("/broken", broken));
    let actor = Actor::of(&app, router);
    for _ in 0..3 {
        let answer = actor.get("/broken").await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
        assert!(!answer.text().contains("secret") && !answer.text().contains("crates"), "{}", answer.text());
        protects(&answer, "/broken");
        assert!(!answer.header("x-request-id").is_empty(), "the log can be searched for it");
    }
    app.member("alice").await;
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
async fn a_log_line_of_a_change_carries_the_id_that_its_answer_told() {
    let app = TestApp::new().await;
    let lines = Lines::default();
    let to = lines.clone();
    let settings = usher::config::Log::default();
    let guard = tracing::subscriber::set_default(usher::log::subscriber(&settings, move || to.clone()));
    let answer = app.anonymous().post("/api/v1/login", json!({"username": "nobody", "password": "x"})).await;
    drop(guard);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let id = answer.header("x-request-id");
    let line = text.lines().find(|line| line.contains("login_failed")).unwrap_or_else(|| panic!("{text}"));
    assert!(id.len() == 16 && line.ends_with(&format!("request={id}")), "{id} is not at the end of {line}");
}
