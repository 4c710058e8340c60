//! `usher doctor`: looks at the whole chain, changes nothing, and says what to change.

mod certificate;

use super::commands::Command;
use super::commands::table::plain;
use super::place::{Files, Place};
use super::stop::{Code, Stop};
use super::{Common, control, print_line};
use crate::config::{Config, Overrides, Scheme, Strings};
use crate::http::tls::Certificates;
use crate::login::passkeys::{RelyingParty, stranded};
use crate::mail::Courier;
use crate::secret::Rng;
use crate::time::{Clock, Time};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use usher_db::DatabaseUrl;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Good,
    /// Worth knowing; nothing is broken.
    Note,
    /// It does not work, or not safely.
    Problem,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Good => "good",
            Level::Note => "note",
            Level::Problem => "PROBLEM",
        }
    }
}

/// What was found, in the order of looking.
#[derive(Default)]
struct Findings(Vec<(Level, &'static str, String)>);

impl Findings {
    fn good(&mut self, what: &'static str, said: impl ToString) {
        self.0.push((Level::Good, what, said.to_string()));
    }
    fn note(&mut self, what: &'static str, said: impl ToString) {
        self.0.push((Level::Note, what, said.to_string()));
    }
    fn problem(&mut self, what: &'static str, said: impl ToString) {
        self.0.push((Level::Problem, what, said.to_string()));
    }
}

pub async fn run(common: &Common, env: &Strings) -> Result<(), Stop> {
    let place = Place::find(common, Overrides::default(), env)?;
    let mut found = Findings::default();
    let file =
        place.file.as_ref().map_or_else(|| "no file, the defaults".to_owned(), |file| file.display().to_string());
    found.good("configuration", file);
    clock(&mut found);
    let running = data(&place, &mut found).await;
    exposure(&place.config, &mut found);
    passkeys(&place.config, running.as_ref(), &mut found);
    if let Some(remark) = place.config.accounts.hash.remark() {
        found.note("password hashes", remark);
    }
    certificate(&place.config, &mut found);
    mail(&place.config, &mut found).await;
    buckets(&place.config, &mut found);
    declared(running.as_ref(), &mut found);
    if running.is_none() {
        for (what, address) in
            [("port", Some(place.config.server.listen)), ("operations port", place.config.server.ops_listen)]
        {
            port(what, address, &mut found).await;
        }
    }
    let problems = found.0.iter().filter(|(level, ..)| *level == Level::Problem).count();
    if common.json {
        let list: Vec<Value> = found
            .0
            .iter()
            .map(|(level, what, said)| json!({ "level": level.word().to_lowercase(), "about": what, "message": said }))
            .collect();
        print_line(&json!({ "problems": problems, "findings": list }).to_string());
    } else {
        for (level, what, said) in &found.0 {
            print_line(&format!("{:<8} {what}: {said}", level.word()));
        }
    }
    match problems {
        0 => Ok(()),
        1 => Err(Stop::new(Code::Refused, "problems", "1 problem was found")),
        many => Err(Stop::new(Code::Refused, "problems", format!("{many} problems were found"))),
    }
}

/// A clock far off breaks lives of sessions, tokens and links.
fn clock(found: &mut Findings) {
    /// 2026-01-01: before this program was written.
    const WRITTEN: Time = Time(1_767_225_600_000);
    let now = Clock::System.now();
    if now < WRITTEN {
        found.problem("clock", format!("it says {now}, which is past; set it, and keep it right with NTP"));
    } else {
        found.good("clock", now);
    }
}

/// Data directory, key, database; the running server's own word where there is one.
async fn data(place: &Place, found: &mut Findings) -> Option<Value> {
    if !place.data.exists() {
        found.note("data directory", format!("{} does not exist; the first start makes it", place.data.display()));
        return None;
    }
    let files = match place.files() {
        Ok(files) => files,
        Err(stop) => {
            found.problem("data directory", stop.message);
            return None;
        }
    };
    found.good("data directory", format!("{}, for its owner only, on a local disk", files.data.path().display()));
    if let Err(stop) = files.keep_out_of(&place.config) {
        found.problem("data directory", stop.message);
    }
    let length = files.file().map(|file| std::fs::metadata(file).map_or(0, |database| database.len()));
    if length == Some(0) {
        found.note("database", "not begun; the first start makes it and its master key");
        return None;
    }
    match files.data.master_key(&files.key, false, &Rng::os()) {
        Ok(_) => found.good("master key", "found; keep a copy of it apart from the backups"),
        Err(refusal) => found.problem("master key", refusal),
    }
    if let Some(file) = files.file() {
        ahead(file, found);
    }
    let running = status(&files, found).await;
    if running.is_some() {
        found.good("database", "checked when the server started");
    } else {
        match usher_db::examine(&files.database, crate::schema::MIGRATIONS).await {
            Ok(()) => found.good("database", format!("{} holds together", shown(&files.database))),
            Err(error) => found.problem("database", error),
        }
    }
    running
}

fn shown(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Sqlite(path) => path.display().to_string(),
        DatabaseUrl::Postgres(url) => url.shown().to_owned(),
        _ => "it".to_owned(),
    }
}

/// A database from the future means that a clock went back.
fn ahead(database: &Path, found: &mut Findings) {
    let modified = std::fs::metadata(database).and_then(|database| database.modified());
    let Some(since) = modified.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()) else { return };
    let written = Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    if written > Clock::System.now() + Duration::from_secs(60) {
        found.problem("clock", format!("the database was written at {written}, later than now; set the clock"));
    }
}

async fn status(files: &Files, found: &mut Findings) -> Option<Value> {
    match control::ask(&files.data.control_socket(), &Command::Status {}).await {
        Ok(None) => {
            found.note("server", "does not run");
            None
        }
        Ok(Some(Ok(output))) => {
            let value = output.value;
            match (value["broken"].as_bool(), value["writes_failing"].as_str()) {
                (Some(true), _) => found.problem("server", "its memory could not follow the database; restart it"),
                (_, Some(why)) => found.problem("server", format!("runs, but writes fail: {why}. Is the disk full?")),
                _ => found.good("server", format!("runs, version {}", value["version"].as_str().unwrap_or_default())),
            }
            if value["version"].as_str() != Some(env!("CARGO_PKG_VERSION")) {
                found.note("server", "is another version than this command; restart it after an update");
            }
            Some(value)
        }
        Ok(Some(Err(error))) => {
            found.problem("server", error);
            Some(Value::Null)
        }
        Err(stop) => {
            found.problem("server", stop.message);
            Some(Value::Null)
        }
    }
}

/// Whether the addresses, TLS and proxies fit together. What is unsafe was refused with the configuration.
fn exposure(config: &Config, found: &mut Findings) {
    let server = &config.server;
    let https = server.public_url.as_ref().is_some_and(|url| url.scheme == Scheme::Https);
    match &server.public_url {
        _ if server.lan => found.note("address", "plain HTTP in this house; whoever is in the network could listen in"),
        None if config.tls.is_some() => {
            found.problem(
                "public_url",
                "TLS is on, but nobody said under which name: set public_url, or every other host name is refused",
            );
        }
        None if server.listen.ip().is_loopback() => {
            found.note("address", "only this machine can reach it; see --lan, --tls-cert, or a proxy with public_url");
        }
        None => found.problem(
            "public_url",
            "other machines reach this server, but links and cookies have no address to stand on: set public_url",
        ),
        Some(url) => found.good("address", url),
    }
    if https && config.tls.is_none() && server.trusted_proxies.is_empty() {
        found.problem(
            "trusted_proxies",
            "public_url is https and this server speaks plain HTTP, so a proxy stands before it, but none is trusted: \
             set trusted_proxies to its address, or every request is refused as unencrypted",
        );
    }
}

/// Whether passkeys would be stranded by the name that this configuration gives the server. The running server, which
/// has the name of before, says what there is.
fn passkeys(config: &Config, running: Option<&Value>, found: &mut Findings) {
    let made = running.and_then(|status| serde_json::from_value::<Vec<(String, i64)>>(status["passkeys"].clone()).ok());
    if let Some(warning) = made.and_then(|made| stranded(&made, RelyingParty::of(config).as_ref())) {
        found.problem("passkeys", warning);
    }
}

fn certificate(config: &Config, found: &mut Findings) {
    let Some(tls) = &config.tls else { return };
    if let Err(error) = Certificates::load(tls) {
        return found.problem("certificate", error);
    }
    match certificate::ends(&tls.cert) {
        None => found.note("certificate", "can be used; its end could not be read"),
        Some(end) if end <= Clock::System.now() => {
            found.problem(
                "certificate",
                format!("expired at {end}; put a new one in its place, it is noticed by itself"),
            );
        }
        Some(end) if end <= Clock::System.now() + Duration::from_secs(14 * 86_400) => {
            found.note("certificate", format!("ends soon, at {end}"));
        }
        Some(end) => found.good("certificate", format!("until {end}")),
    }
}

/// Whether the mail server takes letters. None is sent.
async fn mail(config: &Config, found: &mut Findings) {
    let server = config.mail.server.as_deref().unwrap_or_default();
    match Courier::of(config) {
        Ok(None) => found.note("mail", "none is sent; lost passwords are replaced by links that an admin makes"),
        Err(error) => found.problem("mail", error),
        Ok(Some(courier)) => match courier.knock().await {
            Ok(()) => found.good("mail", format!("{server} takes letters")),
            Err(error) => found.problem("mail", format!("{server}, port {}: {error}", config.mail.port())),
        },
    }
}

fn buckets(config: &Config, found: &mut Findings) {
    for bucket in &config.buckets {
        match std::fs::read_dir(&bucket.path) {
            Ok(_) => found.good("bucket", format!("{} = {}", bucket.name, bucket.path.display())),
            Err(error) => found.problem(
                "bucket",
                format!(
                    "{} = {}: {error}. Correct its path, mount it, or let Usher's user read it",
                    bucket.name,
                    bucket.path.display()
                ),
            ),
        }
    }
}

/// What the running server cannot use of what files declared.
fn declared(running: Option<&Value>, found: &mut Findings) {
    let list = |name: &str| running.and_then(|status| status[name].as_array()).cloned().unwrap_or_default();
    let word = |value: &Value, name: &str| plain(value[name].as_str().unwrap_or_default());
    for bucket in list("missing_buckets") {
        let (name, path, why) = (word(&bucket, "name"), word(&bucket, "path"), word(&bucket, "why"));
        found.problem(
            "bucket",
            format!("{name} = {path} was declared, and {why}; mount it, or let Usher's user read it. It is tried again by itself"),
        );
    }
    for thing in list("hidden") {
        let (kind, name, owner) = (word(&thing, "kind"), word(&thing, "name"), word(&thing, "declared_by"));
        found.problem(
            "declared",
            format!(
                "the {kind} {name} of {owner} is hidden by the configuration, which names the same; keep one of them"
            ),
        );
    }
}

async fn port(what: &'static str, address: Option<SocketAddr>, found: &mut Findings) {
    let Some(address) = address else { return };
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => found.good(what, format!("{address} is free")),
        Err(error) => found.problem(what, format!("{address}: {error}; stop what uses it, or choose another")),
    }
}
