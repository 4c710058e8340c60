//! The whole server in this process: a fresh database in a temporary folder, a clock that tests move, and people.

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt;
use usher::accounts::{self, Buckets, NewAccount, Role, username::Username};
use usher::config::Config;
use usher::cx::Cx;
use usher::http::accept::Peer;
use usher::http::front::Front;
use usher::http::router;
use usher::id::AccountId;
use usher::seal::{MasterKey, Vault};
use usher::secret::Rng;
use usher::time::{Clock, Time};
use usher::{App, Surroundings, schema};
use usher_db::{DatabaseUrl, Db};
use zeroize::Zeroizing;

/// The password of every account that a test does not give another one.
pub const PASSWORD: &str = "plum-anchor-violin-37";
/// The instant at which every test begins: 2026-01-01T00:00:00Z.
pub const BEGINNING: Time = Time(1_767_225_600_000);
/// The origin the server is reached at.
pub const ORIGIN_HERE: &str = "http://localhost";

/// A server of its own.
pub struct TestApp {
    /// What runs.
    pub app: Arc<App>,
    /// Moves its time.
    pub clock: Clock,
    /// Everything it answers.
    pub router: Front,
    config: Config,
    folder: Arc<TempDir>,
}

impl TestApp {
    /// A server with the standard configuration, but cheap password hashes.
    pub async fn new() -> TestApp {
        TestApp::with(|_| {}).await
    }

    /// A server whose configuration is changed first.
    pub async fn with(change: impl FnOnce(&mut Config)) -> TestApp {
        let mut config = Config::default();
        config.accounts.hash.memory_kib = 64;
        config.accounts.hash.passes = 1;
        change(&mut config);
        let folder = Arc::new(TempDir::with_prefix("usher-test-").unwrap());
        TestApp::open(config, folder, Clock::manual(BEGINNING)).await
    }

    async fn open(config: Config, folder: Arc<TempDir>, clock: Clock) -> TestApp {
        let url = DatabaseUrl::Sqlite(folder.path().join("usher.db"));
        let db = Db::open(&url, schema::MIGRATIONS).await.unwrap();
        let around = Surroundings {
            db,
            vault: Vault::new(&MasterKey::from_bytes([7; 32])),
            clock: clock.clone(),
            rng: Arc::new(Rng::os()),
        };
        let app = App::build(config.clone(), around).await.unwrap();
        TestApp { router: router::build(&app), app, clock, config, folder }
    }

    /// Ends this server and starts another one on the same files.
    pub async fn restart(self) -> TestApp {
        self.restart_with(|_| {}).await
    }

    /// The same, with a configuration that its owner changed meanwhile.
    pub async fn restart_with(self, change: impl FnOnce(&mut Config)) -> TestApp {
        let TestApp { app, clock, router, mut config, folder } = self;
        change(&mut config);
        usher::sessions::flush_every_use(&Cx::internal(&app, "restart")).await.unwrap();
        drop(router);
        let db = app.db.clone();
        drop(app);
        db.close().await;
        TestApp::open(config, folder, clock).await
    }

    /// Where the database lies.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The context of an act that no request asked for.
    pub fn cx(&self) -> Cx {
        Cx::internal(&self.app, "test")
    }

    /// Moves time.
    pub fn advance(&self, length: Duration) {
        self.clock.advance(length);
    }

    /// Makes an account with the usual password.
    pub async fn account(&self, name: &str, role: Role) -> AccountId {
        self.account_with(name, role, Buckets::None, PASSWORD).await
    }

    /// Makes an account.
    pub async fn account_with(&self, name: &str, role: Role, buckets: Buckets, password: &str) -> AccountId {
        let cx = self.cx();
        let hash = self.app.hasher.hash(Zeroizing::new(password.to_owned())).await.unwrap();
        let id = AccountId::new(cx.now, &self.app.rng);
        let new = NewAccount {
            id,
            username: Username::parse(name).unwrap(),
            password: Some(hash),
            role,
            buckets,
            must_change: false,
        };
        let now = cx.now;
        cx.write("test.account", async move |tx| accounts::create(tx, &new, now).await).await.unwrap().unwrap();
        id
    }

    /// Somebody whom the server does not know, with a program.
    pub fn anonymous(&self) -> Actor {
        Actor {
            router: self.router.clone(),
            browser: false,
            bearer: None,
            cookies: Arc::default(),
            address: "192.0.2.10".to_owned(),
        }
    }

    /// Somebody whom the server does not know, with a browser.
    pub fn browser(&self) -> Actor {
        Actor { browser: true, ..self.anonymous() }
    }

    /// A new account, logged in with a browser.
    pub async fn member(&self, name: &str) -> Actor {
        self.account(name, Role::User).await;
        self.logged_in(name).await
    }

    /// A new admin, logged in with a browser.
    pub async fn admin(&self, name: &str) -> Actor {
        self.account_with(name, Role::Admin, Buckets::Every, PASSWORD).await;
        self.logged_in(name).await
    }

    /// A further browser of an existing account.
    pub async fn logged_in(&self, name: &str) -> Actor {
        let actor = self.browser();
        let answer = actor.form("/login", &[("username", name), ("password", PASSWORD)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name} could not log in: {}", answer.text());
        actor
    }

    /// Logs in through the API: the answer with its tokens.
    pub async fn tokens(&self, name: &str) -> Value {
        let answer = self.anonymous().post("/api/v1/login", json!({"username": name, "password": PASSWORD})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    /// A program that holds an access token of a fresh session.
    pub async fn program(&self, name: &str) -> Actor {
        let tokens = self.tokens(name).await;
        self.anonymous().bearing(tokens["access_token"].as_str().unwrap())
    }
}

/// Somebody at the other end: a browser with cookies, or a program.
#[derive(Clone)]
pub struct Actor {
    router: Front,
    browser: bool,
    bearer: Option<String>,
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
    address: String,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON ({}): {}", self.status, self.text()))
    }

    /// The problem's code.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header's text, empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Actor {
    /// Somebody at another router over the same application.
    pub fn of(app: &TestApp, router: Front) -> Actor {
        Actor { router, ..app.anonymous() }
    }

    /// The same, holding a bearer token.
    pub fn bearing(&self, token: &str) -> Actor {
        Actor { bearer: Some(token.to_owned()), ..self.clone() }
    }

    /// The same, from another address.
    pub fn at_address(&self, address: &str) -> Actor {
        Actor { address: address.to_owned(), ..self.clone() }
    }

    /// A cookie's value.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    /// Puts a cookie in place, as a thief would.
    pub fn with_cookie(&self, name: &str, value: &str) -> Actor {
        let cookies = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Actor { cookies: Arc::new(Mutex::new(cookies)), ..self.clone() }
    }

    /// A GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// A DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).body(Body::empty()).unwrap()).await
    }

    /// A POST with JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// Any method with JSON.
    pub async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method, path).header(CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A form, as a browser posts it.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(pairs.join("&"))).unwrap()).await
    }

    /// A request with this actor's credentials and, for a browser, the headers a browser adds.
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method.clone()).uri(path).header(HOST, "localhost");
        if self.browser {
            request = request.header("sec-fetch-site", "same-origin");
            if method != Method::GET {
                request = request.header(ORIGIN, ORIGIN_HERE);
            }
        }
        if let Some(token) = &self.bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let cookies = self.cookies.lock().unwrap();
        if !cookies.is_empty() {
            let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        request
    }

    /// Sends any request, keeping the cookies that come back.
    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        let addr: SocketAddr = format!("{}:40000", self.address).parse().unwrap();
        request.extensions_mut().insert(Peer { addr, tls: false });
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        self.keep_cookies(&parts.headers);
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    fn keep_cookies(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().unwrap();
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
