//! A thief's copy of everything on the disk, and of the log: every string in it is tried as every credential.
//!
//! The copy is taken while a credential of every kind is live and used ones lie beside them. The master key
//! is not in it: it lies elsewhere. Each string found is tried as it is, decoded from hexadecimal and from
//! base64, bare and behind every prefix with its checksum made right, in every place that takes a credential.

use super::kit::{Kit, Slot, What};
use crate::support::app::{Actor, PASSWORD, TestApp};
use crate::support::engine::about_the_file;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use usher::gate::Door;
use usher::login::links;
use usher::media::path::CanonicalPath;

/// What somebody typed where the name belongs, as everybody does once.
const MISTYPED: &str = "otter-lantern-granite-58";

/// The single-use links: their kind, what the kit calls them, and their page.
const EVERY_LINK: [(links::Kind, What, &str); 5] = [
    (links::Kind::Setup, What::Setup, "setup"),
    (links::Kind::Invite, What::Invite, "signup"),
    (links::Kind::Reset, What::Reset, "reset"),
    (links::Kind::Recover, What::Recover, "recover"),
    (links::Kind::Verify, What::Verify, "verify"),
];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything a thief could carry away: name and bytes.
type Loot = Vec<(String, Vec<u8>)>;

async fn steal(app: &TestApp, log: &Log) -> Loot {
    let backup = tempfile::TempDir::new().unwrap();
    app.app.db.backup(&backup.path().join("backup.db")).await.unwrap();
    let mut loot = vec![("log".to_owned(), log.0.lock().unwrap().clone())];
    for folder in [app.folder(), backup.path().to_owned()] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                loot.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    loot
}

/// Every text in a copy: the values of all columns, and the runs of letters that the bytes show.
fn strings(loot: &Loot) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let copy = tempfile::TempDir::new().unwrap();
    for (name, bytes) in loot {
        std::fs::write(copy.path().join(name), bytes).unwrap();
        runs(bytes, &mut found);
    }
    for database in ["usher.db", "backup.db"] {
        columns(&copy.path().join(database), &mut found);
    }
    found
}

fn columns(path: &Path, found: &mut BTreeSet<String>) {
    let database = rusqlite::Connection::open(path).unwrap();
    let names = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let mut listed = database.prepare(names).unwrap();
    let tables: Vec<String> = listed.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() > 10, "{path:?} holds {tables:?} only");
    for table in tables {
        let mut all = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let width = all.column_count();
        let mut rows = all.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..width {
                match row.get_ref(column).unwrap() {
                    rusqlite::types::ValueRef::Text(text) => {
                        found.insert(String::from_utf8_lossy(text).into_owned());
                        runs(text, found);
                    }
                    rusqlite::types::ValueRef::Blob(bytes) => {
                        found.insert(URL_SAFE_NO_PAD.encode(bytes));
                    }
                    rusqlite::types::ValueRef::Integer(number) => {
                        found.insert(number.to_string());
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Runs of at least 16 letters of the alphabets that secrets are written in. Neighboring columns run together in
/// the bytes of a page, so a run is also cut at the lengths that our secrets have.
fn runs(bytes: &[u8], found: &mut BTreeSet<String>) {
    for dots in [false, true] {
        let inside = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=') || dots && *byte == b'.'
        };
        for run in bytes.split(|byte| !inside(byte)).filter(|run| run.len() >= 16) {
            let run = std::str::from_utf8(run).unwrap();
            found.insert(run.to_owned());
            for separators in [&['='][..], &['/'], &['=', '/']] {
                found.extend(run.split(separators).filter(|part| part.len() >= 16).map(str::to_owned));
            }
            for (at, _) in run.match_indices("us") {
                // Opaque secrets are 53 characters long, refresh tokens 102.
                found.extend([53, 102].into_iter().filter_map(|length| run.get(at..at + length)).map(str::to_owned));
            }
            found.extend(run.match_indices("eyJ").map(|(at, _)| run[at..].to_owned()));
        }
    }
}

/// A run cut at every place at which a cookie could stand in it.
fn cookies_in(strings: &BTreeSet<String>) -> BTreeSet<&str> {
    let cuts = |text: &'_ str| 0..text.len().saturating_sub(107);
    strings.iter().flat_map(|text| cuts(text).filter_map(|at| text.get(at..at + 108))).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let even = text.len() >= 2 && text.len().is_multiple_of(2) && text.is_ascii();
    even.then(|| (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()).collect())?
}

/// The checksum at a secret's end. Anybody can make it; it keeps nobody out.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// What a thief makes of one string.
fn variants(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::from([text.to_owned()]);
    let mut decoded: Vec<Vec<u8>> = unhex(text).into_iter().collect();
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        decoded.extend(engine.decode(text));
    }
    decoded.push(text.as_bytes().to_vec());
    for bytes in decoded {
        out.insert(URL_SAFE_NO_PAD.encode(&bytes));
        out.extend(String::from_utf8(bytes.clone()));
        if bytes.len() == 32 || bytes.len() == 69 {
            for prefix in ["usr_", "usp_", "ust_", "usi_", "usw_", "usv_", "usd_"] {
                let body = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(&bytes));
                let check = URL_SAFE_NO_PAD.encode(crc32(body.as_bytes()).to_be_bytes());
                out.insert(format!("{body}{check}"));
                out.insert(body);
            }
        }
    }
    out
}

/// Each string that opens something, with what it opened.
async fn openers(kit: &Kit, strings: &BTreeSet<String>) -> BTreeSet<(&'static str, String)> {
    let mut opened = BTreeSet::new();
    for cookie in cookies_in(strings) {
        if kit.admit(Slot::Cookie, cookie, Door::PasswordPage).await.is_ok() {
            opened.insert(("cookie", cookie.to_owned()));
        }
    }
    let all: BTreeSet<String> = strings.iter().flat_map(|text| variants(text)).collect();
    let (cx, anonymous) = (kit.app.cx(), kit.app.anonymous());
    let film = CanonicalPath::from_bytes(b"film.webm").unwrap();
    for text in &all {
        for (slot, door) in [
            (Slot::Cookie, Door::PasswordPage),
            (Slot::Cookie, Door::Page),
            (Slot::Cookie, Door::AppToken),
            (Slot::Bearer, Door::Own),
            (Slot::Bearer, Door::Library),
            (Slot::Bearer, Door::Location),
        ] {
            if kit.admit(slot, text, door).await.is_ok() {
                opened.insert(("gate", text.clone()));
            }
        }
        for kind in EVERY_LINK.map(|(kind, _, _)| kind) {
            if links::look(&cx, kind, text).await.unwrap().is_some() {
                opened.insert(("link", text.clone()));
            }
        }
        if let Ok(token) = usher::media::token::Token::parse(text)
            && token.verify(&kit.app.app.media.keys, &film, cx.now).is_ok()
        {
            opened.insert(("media", text.clone()));
        }
        if text.starts_with("usd_") && polls(&anonymous, text).await {
            opened.insert(("device", text.clone()));
        }
        if refreshes(&anonymous, text).await {
            opened.insert(("refresh", text.clone()));
        }
    }
    opened
}

async fn polls(anonymous: &Actor, text: &str) -> bool {
    let grant = usher::oauth::DEVICE_GRANT;
    let fields = [("grant_type", grant), ("client_id", "usher-device"), ("device_code", text)];
    let answer = anonymous.form("/oauth/token", &fields).await;
    // Whoever may ask has it, also before it was approved.
    let told = answer.json()["error"].as_str().unwrap_or_default().to_owned();
    answer.status == http::StatusCode::OK || ["authorization_pending", "slow_down"].contains(&told.as_str())
}

async fn refreshes(anonymous: &Actor, text: &str) -> bool {
    text.starts_with("usr_")
        && anonymous.post("/api/v1/refresh", json!({"refresh_token": text})).await.status == http::StatusCode::OK
}

async fn kit_with_a_log() -> (Kit, Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let (level, to) = ("trace".to_owned(), log.clone());
    let settings = usher::config::Log { level, ..Default::default() };
    let guard = tracing::subscriber::set_default(usher::log::subscriber(&settings, move || to.clone()));
    let kit = Kit::new().await;
    let program = kit.app.anonymous();
    program.post("/api/v1/login", json!({"username": MISTYPED, "password": "x"})).await;
    program.post("/api/v1/login", json!({"username": "root", "password": MISTYPED})).await;
    program.post(&format!("/api/v1/login?password={MISTYPED}"), json!({})).await;
    for (_, what, page) in EVERY_LINK {
        kit.app.browser().get(&format!("/{page}/{}", kit.get(what))).await;
    }
    for held in &kit.held {
        program.bearing(&held.text).post("/api/v1/refresh", json!({})).await;
        kit.app.browser().with_cookie("usher", &held.text).get("/docs/").await;
    }
    (kit, log, guard)
}

#[tokio::test]
async fn a_stolen_copy_opens_nothing() {
    if about_the_file() {
        return;
    }
    let (kit, log, _guard) = kit_with_a_log().await;
    let loot = steal(&kit.app, &log).await;
    let names: Vec<_> = loot.iter().map(|(name, _)| name.as_str()).collect();
    for file in ["log", "usher.db", "usher.db-wal", "backup.db"] {
        assert!(names.contains(&file), "{names:?}");
    }
    let strings = strings(&loot);
    // What is public is there, so the search is not blind.
    for known in [What::SessionId, What::AccountId] {
        assert!(strings.contains(kit.get(known)), "{known:?} was not found");
    }
    assert_eq!(openers(&kit, &strings).await, BTreeSet::new());
    for (name, bytes) in &loot {
        let text = String::from_utf8_lossy(bytes);
        for secret in [PASSWORD, MISTYPED, &"07".repeat(32), &STANDARD.encode([7; 32])] {
            assert!(!text.contains(secret), "{name} holds {secret}");
        }
        for held in kit.held.iter().filter(|held| !matches!(held.what, What::SessionId | What::AccountId)) {
            assert!(!text.contains(&held.text), "{name} holds {:?}", held.what);
        }
    }
}

#[tokio::test]
async fn the_same_search_finds_whatever_is_planted() {
    if about_the_file() {
        return;
    }
    let (kit, log, _guard) = kit_with_a_log().await;
    let mut planted: Vec<(&str, String, String)> = [
        ("gate", What::Personal),
        ("gate", What::Access),
        ("gate", What::Media),
        ("cookie", What::Cookie),
        ("link", What::Setup),
        ("link", What::Invite),
        ("link", What::Reset),
        ("link", What::Recover),
        ("link", What::Verify),
        ("media", What::MediaUrl),
        ("refresh", What::Refresh),
    ]
    .map(|(way, what)| (way, kit.get(what).to_owned(), kit.get(what).to_owned()))
    .to_vec();
    for base64 in [false, true] {
        let (token, _) = kit.personal(usher::tokens::personal::Scope::ALL.to_vec(), None).await;
        let bytes = URL_SAFE_NO_PAD.decode(&token[4..47]).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        planted.push(("gate", token, if base64 { STANDARD.encode(bytes) } else { hex }));
    }
    // One that nobody has approved, because an approved one opens once.
    let begun = usher::devices::begin(&kit.app.cx(), usher::devices::Client::Device, "").await.unwrap();
    planted.push(("device", begun.device.expose().to_owned(), begun.device.expose().to_owned()));
    let stolen = steal(&kit.app, &log).await;
    for place in ["a table", "the log"] {
        let mut loot = stolen.clone();
        if place == "a table" {
            let copy = tempfile::TempDir::new().unwrap();
            let path = copy.path().join("backup.db");
            let (_, bytes) = loot.iter_mut().find(|(name, _)| name == "backup.db").unwrap();
            std::fs::write(&path, &*bytes).unwrap();
            let database = rusqlite::Connection::open(&path).unwrap();
            database.execute("CREATE TABLE planted (a TEXT, b TEXT, c TEXT)", []).unwrap();
            for (_, _, text) in &planted {
                database.execute("INSERT INTO planted VALUES ('before', ?1, 'after')", [text]).unwrap();
            }
            drop(database);
            *bytes = std::fs::read(&path).unwrap();
        } else {
            for (_, _, text) in &planted {
                writeln!(&mut loot[0].1, "INFO token={text} request=1").unwrap();
            }
        }
        let opened = openers(&kit, &strings(&loot)).await;
        for (way, token, _) in &planted {
            assert!(opened.contains(&(*way, token.clone())), "{token} planted in {place} was not found");
        }
    }
}
