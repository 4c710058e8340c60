//! Several nodes on one PostgreSQL database: what one commits holds on all, and a node that cannot know does not guess.

use crate::declared::{bucket, done, films};
use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use crate::support::cluster::Cluster;
use crate::support::engine::{Database, about_nodes};
use crate::support::shelf::{Shelf, personal_token, url};
use crate::support::wire::Wire;
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use usher::accounts::{self, Buckets, Role, Standing, username::Username};
use usher::cx::Cx;
use usher::gate::{self, Door, Refusal, Shown};
use usher::login::links::{self, Kind as LinkKind, LinkError};
use usher::oauth::DEVICE_GRANT;
use usher::schema;
use usher::sessions;
use usher::time::Clock;
use usher::tokens::personal;
use usher_db::Db;

/// Asks until the answer is `wanted`; whoever waits for ever has failed.
async fn until(who: &Actor, path: &str, wanted: StatusCode) {
    while who.get(path).await.status != wanted {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ended_on_one_node_is_refused_on_the_other_and_its_transfers_stop_there() {
    if about_nodes() {
        return;
    }
    let shelf = Shelf::new().await;
    let here = &shelf.app;
    let there = here.other_node().await.unwrap();
    let (_, alice) = shelf.viewer("alice").await;
    let tokens = here.tokens("alice").await;
    let program = here.anonymous().bearing(tokens["access_token"].as_str().unwrap());
    let film = url(&alice, "k.bin").await;
    let (browser, program) = (alice.through(&there), program.through(&there));
    assert_eq!(browser.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(program.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(browser.get(&film).await.status, StatusCode::OK, "a URL that the other node made");
    let session: usher::id::SessionId = tokens["session"]["id"].as_str().unwrap().parse().unwrap();
    let grant = there.app.sessions.remembered(session).unwrap().grant;
    let transfer = there.app.media.transfers.register(grant);

    assert_eq!(alice.form("/logout", &[]).await.status, StatusCode::OK);
    let out = here.anonymous().post("/api/v1/logout", json!({"refresh_token": tokens["refresh_token"]})).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT, "{}", out.text());
    until(&browser, "/api/v1/me", StatusCode::UNAUTHORIZED).await;
    until(&program, "/api/v1/me", StatusCode::UNAUTHORIZED).await;
    until(&browser, &film, StatusCode::FORBIDDEN).await;
    transfer.cancel().cancelled().await;
    let refresh = there.anonymous().post("/api/v1/refresh", json!({"refresh_token": tokens["refresh_token"]})).await;
    assert_eq!(refresh.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_used_on_one_node_is_not_idle_on_the_other() {
    if about_nodes() {
        return;
    }
    let shelf = Shelf::new().await;
    let here = &shelf.app;
    let there = here.other_node().await.unwrap();
    let (_, alice) = shelf.viewer("alice").await;
    let film = url(&alice, "k.bin").await;
    let away = alice.through(&there);
    assert_eq!(away.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(away.get(&film).await.status, StatusCode::OK);
    // A browser's session ends after thirty idle days.
    let days = |n: u64| Duration::from_secs(n * 24 * 3600);
    here.advance(days(20));
    assert_eq!(alice.get("/api/v1/me").await.status, StatusCode::OK);
    sessions::flush_uses(&here.cx()).await.unwrap();
    here.advance(days(20));
    let film = url(&alice, "k.bin").await;
    assert_eq!(away.get(&film).await.status, StatusCode::OK);
    here.advance(days(20));
    assert_eq!(away.get("/api/v1/me").await.status, StatusCode::OK);
    here.advance(days(31));
    for who in [&alice, &away] {
        assert_eq!(who.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_tokens_and_keys_that_one_node_changes_are_changed_on_the_other() {
    if about_nodes() {
        return;
    }
    let shelf = Shelf::new().await;
    let here = &shelf.app;
    let there = here.other_node().await.unwrap();
    let (id, alice) = shelf.viewer("alice").await;
    let root = here.admin("root").await;
    let (token, text) = personal_token(here, id).await;
    let (browser, script) = (alice.through(&there), there.anonymous().bearing(&text));
    assert_eq!(browser.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(script.get("/api/v1/buckets").await.status, StatusCode::OK);

    let now = here.clock.now();
    let revoke = async move |tx: &mut usher_db::Tx| personal::revoke(tx, id, token, now).await;
    assert!(here.cx().write("test.revoke", revoke).await.unwrap());
    until(&script, "/api/v1/buckets", StatusCode::UNAUTHORIZED).await;

    // A key that was made a moment ago on the one is known on the other, and so is what it signs.
    assert_eq!(root.post("/api/v1/keys/rotate", json!({"now": true})).await.status, StatusCode::OK);
    let access = here.tokens("alice").await["access_token"].as_str().unwrap().to_owned();
    until(&there.anonymous().bearing(&access), "/api/v1/me", StatusCode::OK).await;
    let jwks = here.anonymous().get("/oauth/jwks").await.text();
    while there.anonymous().get("/oauth/jwks").await.text() != jwks {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let shut =
        async move |tx: &mut usher_db::Tx| accounts::set_standing(tx, id, Standing::Disabled { at: now }, now).await;
    here.cx().write("test.disable", shut).await.unwrap().unwrap();
    until(&browser, "/api/v1/me", StatusCode::UNAUTHORIZED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_together_share_their_first_keys() {
    if about_nodes() {
        return;
    }
    let database = Database::of(schema::MIGRATIONS).await;
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move { TestApp::on(&url, |_| {}).await })
        })
        .collect();
    let mut nodes = Vec::new();
    for start in starts {
        nodes.push(start.await.unwrap());
    }
    let mut sets = BTreeSet::new();
    for node in &nodes {
        sets.insert(node.anonymous().get("/oauth/jwks").await.text());
    }
    assert_eq!(sets.len(), 1, "{sets:?}");
    let alice = nodes[0].member("alice").await;
    for node in &nodes {
        assert_eq!(alice.through(node).get("/api/v1/me").await.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_whose_clocks_are_hours_and_seconds_apart_agree_on_every_time() {
    if about_nodes() {
        return;
    }
    let app = TestApp::new().await;
    let mut nodes = Vec::new();
    for wrong in [0, 3_600_000, -3_600_000, 30_000] {
        nodes.push(app.node_with(Clock::Wrong(wrong), |_| {}).await.unwrap());
    }
    let times: Vec<i64> = nodes.iter().map(|node| node.cx().now.0).collect();
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(last - first < 2_000, "{times:?}");
    nodes[1].account("alice", Role::User).await;
    // Logged in on the fast node, refreshed on the slow one, ended on the next: nothing is early, late or expired.
    let mut token = nodes[1].tokens("alice").await["refresh_token"].clone();
    for round in 0..12 {
        let node = &nodes[round % 4];
        let answer = node.anonymous().post("/api/v1/refresh", json!({"refresh_token": token})).await;
        assert_eq!(answer.status, StatusCode::OK, "round {round}: {}", answer.text());
        let answer = answer.json();
        token = answer["refresh_token"].clone();
        for other in &nodes {
            let program = other.anonymous().bearing(answer["access_token"].as_str().unwrap());
            assert_eq!(program.get("/api/v1/me").await.status, StatusCode::OK, "round {round}");
        }
    }
    let sessions = nodes[2].sql("SELECT created_at, last_used_at FROM sessions");
    let at = |text: &Option<String>| text.as_deref().unwrap().parse::<i64>().unwrap();
    let now = nodes[3].cx().now.0;
    for row in &sessions {
        // Each node knows the time to half of what a question to the database takes, which is long on a busy machine.
        assert!(at(&row[0]) <= at(&row[1]) + 2_000 && at(&row[1]) <= now + 2_000, "{row:?} {now}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_refuses_after_its_bound_and_recovers_by_itself() {
    if about_nodes() {
        return;
    }
    let here = TestApp::new().await;
    let wire = Wire::to(here.database().unwrap()).await;
    let there = here
        .node_at(&wire.url, |config| {
            config.database.staleness = Duration::from_secs(2);
            config.database.statement_timeout = Duration::from_secs(1);
            config.database.connect_timeout = Duration::from_secs(1);
        })
        .await;
    let alice = here.member("alice").await;
    let bob = here.member("bob").await;
    let (stale, fresh) = (alice.through(&there), bob.through(&there));
    for who in [&stale, &fresh] {
        assert_eq!(who.get("/api/v1/me").await.status, StatusCode::OK);
    }
    let transfer = there.app.media.transfers.register(7);
    let cookie = alice.cookie("usher").unwrap();

    wire.cut(true);
    assert_eq!(alice.form("/logout", &[]).await.status, StatusCode::OK, "the other node has its database");
    // Not by an answer: what reads the database fails before the bound, and what memory knows is served until then.
    while there.app.db.is_current() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // From here on it refuses whoever comes, by every door, until it knows again.
    let cx = there.cx();
    let shown = Shown { cookie: Some(&cookie), bearer: None };
    assert_eq!(gate::admit(&cx, shown, Door::Page).await.unwrap_err(), Refusal::Unavailable);
    assert_eq!(gate::admit_grant(&cx, 7).await.unwrap_err(), Refusal::Unavailable);
    let answer = fresh.get("/api/v1/me").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert!(!answer.header("retry-after").is_empty());
    transfer.cancel().cancelled().await;
    let login = there.anonymous().post("/api/v1/login", json!({"username": "alice", "password": PASSWORD})).await;
    assert_eq!(login.status, StatusCode::SERVICE_UNAVAILABLE);

    wire.cut(false);
    until(&fresh, "/api/v1/me", StatusCode::OK).await;
    assert_eq!(stale.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "it heard of the end before it served");
    assert_eq!(there.logged_in("alice").await.get("/api/v1/me").await.status, StatusCode::OK);
}

/// What was done, and what was answered.
#[derive(Default)]
struct History {
    /// For each session and generation that was shown: the successors that were given.
    successors: Mutex<BTreeMap<(usize, String), BTreeSet<String>>>,
    /// For each link: how many were told that they spent it.
    spent: Mutex<BTreeMap<usize, usize>>,
    /// For each link code: how many devices got its session.
    redeemed: Mutex<BTreeMap<usize, usize>>,
    /// When each session's end was told, by a clock that only counts.
    told: Mutex<BTreeMap<usize, u64>>,
    /// Sessions, with the moment at which their refresh began, that were refreshed.
    refreshed: Mutex<Vec<(usize, u64)>>,
    tick: AtomicU64,
    unavailable: AtomicU64,
    done: AtomicU64,
}

impl History {
    fn tick(&self) -> u64 {
        self.tick.fetch_add(1, Ordering::SeqCst)
    }

    /// Somebody was told to come later.
    fn refused(&self) {
        self.unavailable.fetch_add(1, Ordering::SeqCst);
    }
}

/// What is contended for.
struct Stock {
    /// The newest refresh token of each session.
    current: Vec<Mutex<String>>,
    /// Invitations.
    links: Vec<String>,
    /// Devices' codes that somebody approved.
    codes: Vec<String>,
}

impl Stock {
    async fn of(app: &TestApp) -> Stock {
        app.account("alice", Role::User).await;
        let bob = app.member("bob").await;
        let mut stock = Stock { current: Vec::new(), links: Vec::new(), codes: Vec::new() };
        for _ in 0..SESSIONS {
            let token = app.tokens("alice").await["refresh_token"].as_str().unwrap().to_owned();
            stock.current.push(Mutex::new(token));
        }
        for _ in 0..LINKS {
            let link = links::make(&app.cx(), LinkKind::Invite, None, "").await.unwrap();
            stock.links.push(link.path.rsplit('/').next().unwrap().to_owned());
        }
        for number in 0..CODES {
            let device = app.anonymous().at_address(&format!("198.51.100.{number}"));
            let asked = device.form("/oauth/device_authorization", &[("client_id", "usher-device")]).await.json();
            let code = [("code", asked["user_code"].as_str().unwrap())];
            assert_eq!(bob.form("/link", &code).await.status, StatusCode::OK);
            assert_eq!(bob.form("/link/approve", &code).await.status, StatusCode::SEE_OTHER);
            stock.codes.push(asked["device_code"].as_str().unwrap().to_owned());
        }
        stock
    }
}

/// A device asks for the session of its code.
async fn poll(device: &Actor, code: &str) -> Answer {
    let fields = [("grant_type", DEVICE_GRANT), ("client_id", "usher-device"), ("device_code", code)];
    device.form("/oauth/token", &fields).await
}

const SESSIONS: usize = 48;
const LINKS: usize = 40;
const CODES: usize = 40;
const OPERATIONS: usize = 10_000;

/// Ten thousand exchanges, ends, spent links and redeemed link codes at once on two nodes, while their database is killed and started
/// again. Afterwards the history is checked: whatever could be won once was won once at most, what was told as ended
/// stayed ended, and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn histories_of_two_nodes_have_one_winner_each_and_no_resurrected_session_through_a_restart_of_the_database() {
    if about_nodes() {
        return;
    }
    let cluster = Arc::new(Cluster::start());
    let address = cluster.database();
    let configure = |config: &mut usher::config::Config| {
        config.sessions.max_per_account = 1_000;
        config.database.staleness = Duration::from_secs(20);
        config.database.statement_timeout = Duration::from_secs(10);
        config.database.connect_timeout = Duration::from_secs(5);
    };
    let nodes = [TestApp::on(&address, configure).await, TestApp::on(&address, configure).await];
    let stock = Arc::new(Stock::of(&nodes[0]).await);
    let (history, next) = (Arc::new(History::default()), Arc::new(AtomicU64::new(0)));
    let down = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..24)
        .map(|worker| {
            let (history, stock, next) = (history.clone(), stock.clone(), next.clone());
            let (actor, cx) = (nodes[worker % 2].anonymous(), nodes[worker % 2].cx());
            tokio::spawn(async move {
                loop {
                    let number = usize::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap();
                    if number >= OPERATIONS {
                        return;
                    }
                    operate(number, &history, &stock, &actor, &cx).await;
                    history.done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let (breaker, watched, is_down) = (cluster.clone(), history.clone(), down.clone());
    let killing = tokio::spawn(async move {
        while watched.done.load(Ordering::SeqCst) < OPERATIONS as u64 / 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        is_down.store(true, Ordering::SeqCst);
        tokio::task::spawn_blocking(move || {
            breaker.kill();
            breaker.go();
        })
        .await
        .unwrap();
    });
    for worker in workers {
        worker.await.unwrap();
    }
    killing.await.unwrap();
    assert!(down.load(Ordering::SeqCst) && history.unavailable.load(Ordering::SeqCst) > 0, "it was felt");
    assert!(history.unavailable.load(Ordering::SeqCst) < OPERATIONS as u64 / 2, "and it passed");
    check(&history, &nodes, &stock).await;
}

async fn operate(number: usize, history: &History, stock: &Stock, actor: &Actor, cx: &Cx) {
    let current = &stock.current;
    let session = number.wrapping_mul(7_919) % SESSIONS;
    match number % 100 {
        // Half of the sessions are ended in the course of time, each several times at once.
        97 | 98 if session.is_multiple_of(2) && number > OPERATIONS / 4 => {
            let token = current[session].lock().unwrap().clone();
            let answer = actor.post("/api/v1/logout", json!({"refresh_token": token})).await;
            match answer.status {
                StatusCode::NO_CONTENT => {
                    let at = history.tick();
                    history.told.lock().unwrap().entry(session).or_insert(at);
                }
                StatusCode::SERVICE_UNAVAILABLE => history.refused(),
                StatusCode::UNAUTHORIZED => {}
                other => panic!("{other}: {}", answer.text()),
            }
        }
        20..30 => {
            let code = number / 7 % CODES;
            let answer = poll(actor, &stock.codes[code]).await;
            match answer.status {
                StatusCode::OK => *history.redeemed.lock().unwrap().entry(code).or_default() += 1,
                StatusCode::SERVICE_UNAVAILABLE => history.refused(),
                StatusCode::BAD_REQUEST => {}
                other => panic!("{other}: {}", answer.text()),
            }
        }
        0..20 => {
            let link = number.wrapping_mul(31) % LINKS;
            let name = Username::parse(&format!("guest {number}")).unwrap();
            match links::create_account(cx, LinkKind::Invite, &stock.links[link], name, "no hash".to_owned()).await {
                Ok(_) => *history.spent.lock().unwrap().entry(link).or_default() += 1,
                Err(LinkError::Storage(error)) if error.is_unavailable() => history.refused(),
                Err(_) => {}
            }
        }
        _ => {
            let token = current[session].lock().unwrap().clone();
            let began = history.tick();
            let answer = actor.post("/api/v1/refresh", json!({"refresh_token": token})).await;
            match answer.status {
                StatusCode::OK => {
                    let given = answer.json()["refresh_token"].as_str().unwrap().to_owned();
                    history.refreshed.lock().unwrap().push((session, began));
                    history.successors.lock().unwrap().entry((session, token)).or_default().insert(given.clone());
                    *current[session].lock().unwrap() = given;
                }
                StatusCode::SERVICE_UNAVAILABLE => history.refused(),
                StatusCode::UNAUTHORIZED => {}
                other => panic!("{other}: {}", answer.text()),
            }
        }
    }
}

async fn check(history: &History, nodes: &[TestApp; 2], stock: &Stock) {
    for (shown, given) in history.successors.lock().unwrap().iter() {
        assert_eq!(given.len(), 1, "a token of session {} has {} successors", shown.0, given.len());
    }
    let spent = history.spent.lock().unwrap().clone();
    assert!(spent.len() > LINKS / 2 && spent.values().all(|times| *times == 1), "{spent:?}");
    let told = history.told.lock().unwrap().clone();
    assert!(told.len() >= SESSIONS / 6, "{} sessions were ended", told.len());
    for (session, began) in history.refreshed.lock().unwrap().iter() {
        assert!(told.get(session).is_none_or(|ended| began < ended), "session {session} was refreshed after its end");
    }
    for (session, token) in stock.current.iter().enumerate() {
        let token = token.lock().unwrap().clone();
        for node in nodes {
            let answer = node.anonymous().post("/api/v1/refresh", json!({"refresh_token": token})).await;
            if told.contains_key(&session) {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "session {session} came back");
            }
        }
    }
    let redeemed = history.redeemed.lock().unwrap().clone();
    assert!(redeemed.len() > CODES / 2 && redeemed.values().all(|times| *times == 1), "{redeemed:?}");
    for (code, text) in stock.codes.iter().enumerate() {
        let answer = poll(&nodes[code % 2].anonymous(), text).await;
        assert!(answer.status == StatusCode::BAD_REQUEST || !redeemed.contains_key(&code), "code {code} is good again");
    }
    let bob = accounts::find_by_key(&nodes[1].app.db, "bob").await.unwrap().unwrap().id;
    let live = sessions::list_live(&nodes[1].app.db, bob).await.unwrap();
    let devices = live.iter().filter(|session| session.kind == sessions::Kind::Device).count();
    assert!(devices >= redeemed.len() && devices <= CODES, "{devices} devices of {CODES} codes");
    // Each account that a link was acknowledged for is there, and there are no two of one link.
    let accounts = nodes[0].app.db.changes_after(0, 1).await.unwrap();
    assert!(accounts.head > 0);
    let made = usher::accounts::list(&nodes[1].app.db, "", "guest", 1_000).await.unwrap();
    assert!(made.len() >= spent.len() && made.len() <= LINKS, "{} accounts of {} links", made.len(), spent.len());
}

/// Logins and logouts while the database is killed and started again, twice: what was acknowledged holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_when_the_database_is_killed_under_load() {
    if about_nodes() {
        return;
    }
    let cluster = Arc::new(Cluster::start());
    let address = cluster.database();
    let configure = |config: &mut usher::config::Config| {
        config.sessions.max_per_account = 10_000;
        config.throttle.free_attempts = 10_000;
        config.throttle.max_failures = 100_000;
    };
    let nodes = [TestApp::on(&address, configure).await, TestApp::on(&address, configure).await];
    for n in 0..8 {
        nodes[0].account(&format!("person {n}"), Role::User).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..8)
        .map(|n| {
            let (actor, stop, count) = (nodes[n % 2].anonymous(), stop.clone(), count.clone());
            tokio::spawn(async move {
                let (mut live, mut ended) = (Vec::<Value>::new(), Vec::<Value>::new());
                while !stop.load(Ordering::SeqCst) {
                    let body = json!({"username": format!("person {n}"), "password": PASSWORD});
                    let answer = actor.post("/api/v1/login", body).await;
                    if answer.status == StatusCode::OK {
                        live.push(answer.json()["refresh_token"].clone());
                        count.fetch_add(1, Ordering::SeqCst);
                    } else {
                        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    if live.len() % 3 == 2
                        && let Some(token) = live.pop()
                    {
                        let out = actor.post("/api/v1/logout", json!({"refresh_token": token})).await;
                        // Unknown when it was not acknowledged: then it is in neither list.
                        if out.status == StatusCode::NO_CONTENT {
                            ended.push(token);
                        }
                    }
                }
                (live, ended)
            })
        })
        .collect();
    for round in 1..=2 {
        while count.load(Ordering::SeqCst) < 60 * round {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let breaker = cluster.clone();
        tokio::task::spawn_blocking(move || {
            breaker.kill();
            breaker.go();
        })
        .await
        .unwrap();
    }
    while count.load(Ordering::SeqCst) < 180 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::SeqCst);
    for worker in workers {
        let (live, ended) = worker.await.unwrap();
        for (tokens, wanted) in [(live, StatusCode::OK), (ended, StatusCode::UNAUTHORIZED)] {
            for token in tokens {
                let answer = nodes[1].anonymous().post("/api/v1/refresh", json!({"refresh_token": token})).await;
                assert_eq!(answer.status, wanted, "{}", answer.text());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_spoken_to_under_tls_only_when_its_certificate_and_its_name_are_right() {
    if about_nodes() {
        return;
    }
    let (cluster, authority) = Cluster::start_under_tls();
    let open = async |host: &str, options: &str| {
        let url = format!("postgres://usher@{host}:{}/postgres{options}", cluster.port());
        Db::open(&url.parse().unwrap(), schema::MIGRATIONS).await.map(|db| db.is_current())
    };
    let root = format!("sslrootcert={}", authority.display());
    let refused = |opened: Result<bool, usher_db::OpenError>| opened.unwrap_err().to_string();
    // The server takes nothing in clear, so whoever gets in spoke TLS.
    assert!(refused(open("localhost", "").await).contains("cannot be reached"));
    assert!(refused(open("localhost", "?sslmode=verify-full").await).contains("certificate"), "an unknown authority");
    let wrong = open("127.0.0.1", &format!("?sslmode=verify-full&{root}")).await;
    assert!(refused(wrong).contains("certificate"), "another name");
    for mode in ["verify-full", "require"] {
        assert!(open("localhost", &format!("?sslmode={mode}&{root}")).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_is_told_every_node_serves() {
    if about_nodes() {
        return;
    }
    let here = TestApp::new().await;
    let there = here.other_node().await.unwrap();
    here.account_with("alice", Role::User, Buckets::Every, PASSWORD).await;
    let place = films();
    let text = bucket("films", place.path()) + "[[app]]\nname = \"player\"\norigins = [\"https://player.example\"]\n";
    done(&here, &text).await;
    let alice = here.logged_in("alice").await;
    let away = alice.through(&there);
    while away.get("/api/v1/buckets/films/entries").await.status != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let film = url(&alice, "k.bin").await;
    assert_eq!(away.get(&film).await.text(), "0123456789", "the number in the URL is the same on both");
    while there.app.apps.at("https://player.example").is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    done(&there, "").await;
    while alice.get("/api/v1/buckets/films/entries").await.status != StatusCode::NOT_FOUND {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while here.app.apps.named("player").is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(alice.get(&film).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_on_one_of_all_nodes_is_refused_on_every_other() {
    if about_nodes() {
        return;
    }
    let app = TestApp::new().await.twin().await;
    let nodes = app.nodes();
    assert_eq!(nodes, crate::support::app::nodes() as u64);
    let alice = app.member("alice").await;
    // One after the other, so that each node has one.
    let everywhere: Vec<Actor> = (0..nodes).map(|_| alice.clone()).collect();
    for who in &everywhere {
        assert_eq!(who.get("/api/v1/me").await.status, StatusCode::OK);
    }
    assert!(app.apps().iter().all(|node| node.sessions.len() == 1), "every node knows the session");
    assert_eq!(everywhere[0].form("/logout", &[]).await.status, StatusCode::OK);
    for who in &everywhere {
        until(who, "/api/v1/me", StatusCode::UNAUTHORIZED).await;
    }
}
