//! The whole server in this process: a fresh database of this run's engine, a temporary folder, a clock that tests move, and people.

use super::engine::{self, Database};
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
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
use usher::media::buckets::Folders;
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
    database: Option<Arc<Database>>,
    twin: Option<Arc<Twin>>,
}

/// How many nodes act where acts are spread over nodes: `USHER_TEST_NODES`, else two; on SQLite there is one.
#[expect(clippy::disallowed_methods, reason = "the one place where a run of the tests is told its nodes")]
pub fn nodes() -> usize {
    let asked = std::env::var("USHER_TEST_NODES").ok().filter(|asked| !asked.is_empty());
    let asked = asked.map_or(2, |asked| asked.parse().expect("USHER_TEST_NODES is a number"));
    if engine::server().is_some() { asked } else { 1 }
}

/// Further nodes on the same database, which act in turn with the first.
struct Twin {
    /// Without the first.
    others: Vec<Arc<App>>,
    /// Of all of them, the first's first.
    routers: Vec<Front>,
    turn: AtomicUsize,
}

impl Twin {
    fn next(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.routers.len()
    }
}

impl TestApp {
    /// A server with the standard configuration, but cheap password hashes.
    pub async fn new() -> TestApp {
        TestApp::with(|_| {}).await
    }

    /// A server whose configuration is changed first.
    pub async fn with(change: impl FnOnce(&mut Config)) -> TestApp {
        let mut config = TestApp::standard();
        change(&mut config);
        let folder = Arc::new(TempDir::with_prefix("usher-test-").unwrap());
        let database = match engine::server() {
            Some(_) => Some(Arc::new(Database::of(schema::MIGRATIONS).await)),
            None => None,
        };
        TestApp::open(config, folder, database, Clock::manual(BEGINNING)).await
    }

    fn standard() -> Config {
        let mut config = Config::default();
        config.accounts.hash.memory_kib = 64;
        config.accounts.hash.passes = 1;
        // A machine that is busy with other tests is not cut off from its database.
        config.database.staleness = Duration::from_secs(60);
        config.database.statement_timeout = Duration::from_secs(30);
        config.database.connect_timeout = Duration::from_secs(30);
        config.database.pool = 8;
        config
    }

    async fn open(config: Config, folder: Arc<TempDir>, database: Option<Arc<Database>>, clock: Clock) -> TestApp {
        let url = match &database {
            Some(database) => database.url().parse().unwrap(),
            None => DatabaseUrl::Sqlite(folder.path().join("usher.db")),
        };
        TestApp::at(url, config, folder, database, clock).await
    }

    async fn at(
        url: DatabaseUrl,
        config: Config,
        folder: Arc<TempDir>,
        database: Option<Arc<Database>>,
        clock: Clock,
    ) -> TestApp {
        let db = Db::open_with(&url, schema::MIGRATIONS, &config.database.options()).await.unwrap();
        let around = Surroundings {
            db,
            vault: Vault::new(&MasterKey::from_bytes([7; 32])),
            clock: clock.clone(),
            rng: Arc::new(Rng::os()),
            folders: Folders { open: true, private: vec![folder.path().to_owned()] },
        };
        let app = App::build(config.clone(), around).await.unwrap();
        TestApp { router: router::build(&app), app, clock, config, folder, database, twin: None }
    }

    /// The same with a second node where the engine allows it, or as many as the run asks for: from here on, contexts
    /// and people (clones of them too) are at one node after the other. So whatever races, races across nodes.
    pub async fn twin(mut self) -> TestApp {
        let (mut others, mut routers) = (Vec::new(), vec![self.router.clone()]);
        while routers.len() < nodes()
            && let Some(other) = self.other_node().await
        {
            routers.push(other.router);
            others.push(other.app);
        }
        if !others.is_empty() {
            self.twin = Some(Arc::new(Twin { others, routers, turn: AtomicUsize::new(0) }));
        }
        self
    }

    /// What runs, on every node.
    pub fn apps(&self) -> Vec<Arc<App>> {
        let others = self.twin.iter().flat_map(|twin| &twin.others);
        std::iter::once(&self.app).chain(others).cloned().collect()
    }

    /// How many nodes act.
    pub fn nodes(&self) -> u64 {
        self.apps().len() as u64
    }

    /// Waits until every node has heard of everything that is committed.
    pub async fn settled(&self) {
        if self.twin.is_none() {
            return;
        }
        let head = self.app.db.changes_after(i64::MAX - 1, 0).await.unwrap().head;
        for app in self.apps() {
            while app.db.followed().is_some_and(|followed| followed < head) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Another node on the same database, with the same clock. None where there is no such thing.
    pub async fn other_node(&self) -> Option<TestApp> {
        self.node_with(self.clock.clone(), |_| {}).await
    }

    /// The same, with a clock and a configuration of its own.
    pub async fn node_with(&self, clock: Clock, change: impl FnOnce(&mut Config)) -> Option<TestApp> {
        let database = self.database.clone()?;
        let mut config = self.config.clone();
        change(&mut config);
        Some(TestApp::open(config, self.folder.clone(), Some(database), clock).await)
    }

    /// Another node that reaches the database at `url`.
    pub async fn node_at(&self, url: &str, change: impl FnOnce(&mut Config)) -> TestApp {
        let mut config = self.config.clone();
        change(&mut config);
        TestApp::at(url.parse().unwrap(), config, self.folder.clone(), self.database.clone(), self.clock.clone()).await
    }

    /// A server on a database that the test brings.
    pub async fn on(url: &str, change: impl FnOnce(&mut Config)) -> TestApp {
        let mut config = TestApp::standard();
        change(&mut config);
        let folder = Arc::new(TempDir::with_prefix("usher-test-").unwrap());
        TestApp::at(url.parse().unwrap(), config, folder, None, Clock::manual(BEGINNING)).await
    }

    /// The database of this server, where it is on a server of its own.
    pub fn database(&self) -> Option<&Database> {
        self.database.as_deref()
    }

    /// What the database answers to any text, as text, past everything that the server knows.
    pub fn sql(&self, text: &str) -> Vec<Vec<Option<String>>> {
        match &self.database {
            Some(database) => {
                let url = database.url();
                now(engine::query(&url, text)).unwrap()
            }
            None => in_file(&self.folder.path().join("usher.db"), text),
        }
    }

    /// The one number that the database answers.
    pub fn count(&self, text: &str) -> i64 {
        self.sql(text)[0][0].as_deref().unwrap().parse().unwrap()
    }

    /// Everything that the database has written down, to be searched: its files, or each row of each table with its name.
    pub fn kept(&self) -> Vec<u8> {
        if self.database.is_none() {
            let files = std::fs::read_dir(self.folder.path()).unwrap();
            return files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        }
        let mut all = String::new();
        let tables = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()");
        for table in tables.into_iter().flatten().flatten() {
            all.push_str(&table);
            let rows = self.sql(&format!("SELECT CAST(t AS TEXT) FROM \"{table}\" t"));
            rows.into_iter().flatten().flatten().for_each(|row| all.push_str(&row));
        }
        all.into_bytes()
    }

    /// Ends this server and starts another one on the same files.
    pub async fn restart(self) -> TestApp {
        self.restart_with(|_| {}).await
    }

    /// The same, with a configuration that its owner changed meanwhile.
    pub async fn restart_with(self, change: impl FnOnce(&mut Config)) -> TestApp {
        let TestApp { app, clock, router, mut config, folder, database, twin: _ } = self;
        change(&mut config);
        usher::sessions::flush_every_use(&Cx::internal(&app, "restart")).await.unwrap();
        drop(router);
        let db = app.db.clone();
        drop(app);
        db.close().await;
        TestApp::open(config, folder, database, clock).await
    }

    /// Where its files lie; the database among them, when it is one.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The context of an act that no request asked for.
    pub fn cx(&self) -> Cx {
        let turn = self.twin.as_ref().map_or(0, |twin| twin.next());
        Cx::internal(&self.apps()[turn], "test")
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
        let router = match &self.twin {
            Some(twin) => twin.routers[twin.next()].clone(),
            None => self.router.clone(),
        };
        Actor {
            router,
            twin: self.twin.clone(),
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

/// Does it now, whatever this thread does meanwhile.
pub fn now<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        scope.spawn(move || runtime.block_on(future)).join().unwrap()
    })
}

/// What the SQLite file answers to any text, as text.
pub fn in_file(path: &Path, text: &str) -> Vec<Vec<Option<String>>> {
    use rusqlite::types::ValueRef;
    let database = rusqlite::Connection::open(path).unwrap();
    let mut statement = database.prepare(text).unwrap();
    let columns = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let value = |at| match row.get_ref(at).unwrap() {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
            other => panic!("{other:?} is not of the dialect"),
        };
        found.push((0..columns).map(value).collect());
    }
    found
}

/// Somebody at the other end: a browser with cookies, or a program.
pub struct Actor {
    router: Front,
    twin: Option<Arc<Twin>>,
    browser: bool,
    bearer: Option<String>,
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
    address: String,
}

impl Clone for Actor {
    /// The same person, at the next node.
    fn clone(&self) -> Actor {
        let router = match &self.twin {
            Some(twin) => twin.routers[twin.next()].clone(),
            None => self.router.clone(),
        };
        let Actor { twin, browser, bearer, cookies, address, .. } = self;
        Actor {
            router,
            twin: twin.clone(),
            browser: *browser,
            bearer: bearer.clone(),
            cookies: cookies.clone(),
            address: address.clone(),
        }
    }
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
        Actor { router, twin: None, ..app.anonymous() }
    }

    /// The same, at another node.
    pub fn through(&self, node: &TestApp) -> Actor {
        Actor { router: node.router.clone(), twin: None, ..self.clone() }
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
