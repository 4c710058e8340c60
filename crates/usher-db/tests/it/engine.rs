//! Which engine the tests run on: SQLite, or the PostgreSQL server that `USHER_TEST_POSTGRES` names
//! (`postgres://USER@HOST:PORT/postgres`, by somebody who may make databases). Decided once, here.
//!
//! On PostgreSQL every test has a database of its own, copied from one that was migrated once.
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use usher_db::{DatabaseUrl, Db, Migration};

/// The server of this run; none when it runs on SQLite.
#[expect(clippy::disallowed_methods, reason = "the one place where a run of the tests is told its engine")]
pub fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER.get_or_init(|| std::env::var("USHER_TEST_POSTGRES").ok().filter(|url| !url.is_empty())).as_deref()
}

/// Whether a test that is about SQLite's file has nothing to do in this run. It says so, and is not counted.
pub fn about_the_file() -> bool {
    server().is_some() && left_out()
}

/// Whether a test that is about several nodes has nothing to do in this run. It says so, and is not counted.
pub fn about_nodes() -> bool {
    server().is_none() && left_out()
}

/// Notes the running test in the file that `USHER_TEST_LEFT_OUT` names, which `scripts/test` subtracts.
#[expect(clippy::disallowed_methods, reason = "the same place")]
fn left_out() -> bool {
    if let Ok(path) = std::env::var("USHER_TEST_LEFT_OUT") {
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        // One write, so that lines of several threads stay whole.
        let _ = file.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
    }
    true
}

/// A database of its own on the server, dropped with this.
pub struct Database {
    name: String,
}

impl Database {
    /// A copy of the database that has these migrations.
    pub async fn of(migrations: &'static [Migration]) -> Database {
        static TEMPLATES: tokio::sync::Mutex<Vec<(usize, String)>> = tokio::sync::Mutex::const_new(Vec::new());
        let mut templates = TEMPLATES.lock().await;
        // By address: each schema of a test binary is one static.
        let of = migrations.as_ptr() as usize;
        if !templates.iter().any(|(known, _)| *known == of) {
            let name = fresh_name();
            admin(&format!("CREATE DATABASE {name}")).await;
            let url: DatabaseUrl = url_of(&name).parse().unwrap_or_else(|error| panic!("{error}"));
            let made = Db::open(&url, migrations).await.unwrap_or_else(|error| panic!("{error}"));
            made.close().await;
            templates.push((of, name));
        }
        let template = templates.iter().find(|(known, _)| *known == of).map(|(_, name)| name.clone());
        let template = template.unwrap_or_else(|| panic!("the template was made just now"));
        // Under the lock: a database that is copied may not be in use, also not by another copy.
        let name = fresh_name();
        admin(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Database { name }
    }

    /// An empty one.
    pub async fn empty() -> Database {
        let name = fresh_name();
        admin(&format!("CREATE DATABASE {name}")).await;
        Database { name }
    }

    /// Its address.
    pub fn url(&self) -> String {
        url_of(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        static DROPPER: OnceLock<SyncSender<String>> = OnceLock::new();
        let dropper = DROPPER.get_or_init(|| {
            let (sender, names) = sync_channel::<String>(10_000);
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let Ok(runtime) = runtime else { return };
                for name in names {
                    runtime.block_on(admin(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")));
                }
            });
            sender
        });
        // What is left behind goes with the server of the run.
        let _ = dropper.try_send(self.name.clone());
    }
}

fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("usher_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn url_of(database: &str) -> String {
    let server = server().unwrap_or_else(|| panic!("this run has no PostgreSQL server"));
    let (server, options) = server.split_once('?').unwrap_or((server, ""));
    let (server, _) = server.rsplit_once('/').unwrap_or((server, ""));
    format!("{server}/{database}{}{options}", if options.is_empty() { "" } else { "?" })
}

/// Runs a statement on the server itself.
pub async fn admin(sql: &str) {
    let url = server().unwrap_or_else(|| panic!("this run has no PostgreSQL server"));
    query(url, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// What the server at `url` answers to any text, as text.
pub async fn query(url: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let driven = tokio::spawn(connection);
    let answer = client.simple_query(sql).await;
    drop(client);
    drop(driven.await);
    let mut rows = Vec::new();
    for message in answer? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
        }
    }
    Ok(rows)
}
