//! Combinations that would be unsafe or could not work, refused before anything is opened.

use super::{App, Bucket, Config, MailSecurity, Place, Problem, Scheme};
use crate::accounts::hash::Params;
use crate::net::is_private;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

type Places = BTreeMap<String, Place>;

/// Defaults that depend on other settings.
pub(super) fn settle(config: &mut Config, places: &Places) {
    // With --lan the household is to reach it, so loopback alone cannot be meant.
    if config.server.lan && !places.contains_key("server.listen") {
        config.server.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.server.listen.port()));
    }
    config.server.hosts.iter_mut().for_each(|host| host.make_ascii_lowercase());
}

/// Everything wrong with the whole.
pub(super) fn problems(config: &Config, places: &Places) -> Vec<Problem> {
    let mut check = Check { places, found: Vec::new() };
    server(config, &mut check);
    exposure(config, &mut check);
    storage(config, &mut check);
    accounts(config, &mut check);
    lives(config, &mut check);
    mail(config, &mut check);
    tables(config, &mut check);
    check.found
}

/// Lower-case ASCII letters and digits, inner `-` and `_`, at most 64. `all` is taken: it grants every bucket.
pub fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    text != "all"
        && bytes.len() <= 64
        && bytes.first().is_some_and(|b| inner(*b))
        && bytes.last().is_some_and(|b| inner(*b))
        && bytes.iter().all(|b| inner(*b) || *b == b'-' || *b == b'_')
}

struct Check<'a> {
    places: &'a Places,
    found: Vec<Problem>,
}

impl Check<'_> {
    fn refuse(&mut self, key: &str, value: impl ToString, expected: &str, remedy: &str) {
        self.found.push(Problem {
            key: key.to_owned(),
            place: self.places.get(key).cloned().unwrap_or(Place::Default),
            value: Some(value.to_string()).filter(|value| !value.is_empty()),
            expected: expected.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    fn length(&mut self, key: &str, value: Duration, from: Duration, to: Duration, remedy: &str) {
        if value < from || value > to {
            let expected = format!("expected a length from {}s to {}s", from.as_secs(), to.as_secs());
            self.refuse(key, format!("{}s", value.as_secs()), &expected, remedy);
        }
    }
}

fn server(config: &Config, check: &mut Check<'_>) {
    let server = &config.server;
    if server.max_connections == 0 {
        check.refuse("server.max_connections", 0, "expected at least 1", "Leave it out for 10000.");
    }
    let name = &server.service_name;
    if name.trim().is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        check.refuse(
            "server.service_name",
            name.escape_debug(),
            "expected 1 to 64 characters without control characters",
            "Choose a short name; it stands on every page.",
        );
    }
    for host in &server.hosts {
        if super::origin::host_name(host).is_none() {
            check.refuse(
                "server.hosts",
                host.escape_debug(),
                "expected host names without scheme, port or `*`",
                "Write them as `media.example`; names outside ASCII in their `xn--` form.",
            );
        }
    }
    if server.ops_listen == Some(server.listen) && server.listen.port() != 0 {
        check.refuse(
            "server.ops_listen",
            server.listen,
            "health and metrics need a listener of their own",
            "Choose another port, or `off`.",
        );
    }
    if let Some(open) = server.trusted_proxies.iter().find(|network| network.prefix_len() == 0) {
        check.refuse(
            "server.trusted_proxies",
            open,
            "this trusts everybody to say who they are",
            "Name the addresses of the proxies only.",
        );
    }
}

fn exposure(config: &Config, check: &mut Check<'_>) {
    let server = &config.server;
    if server.lan && config.tls.is_some() {
        check.refuse("server.lan", true, "plain HTTP for the house and TLS exclude each other", "Drop one of the two.");
    }
    let address = server.listen.ip();
    if server.lan && !address.is_unspecified() && !is_private(address) {
        check.refuse(
            "server.listen",
            server.listen,
            "with `lan` only private addresses are served",
            "Listen on a private address or on 0.0.0.0, or use TLS instead.",
        );
    }
    if let Some(url) = &server.public_url {
        if url.scheme == Scheme::Http && config.tls.is_some() {
            check.refuse("server.public_url", url, "TLS is on but the public address is plain HTTP", "Write https://.");
        } else if url.scheme == Scheme::Http && !url.is_loopback() && !server.lan {
            check.refuse(
                "server.public_url",
                url,
                "passwords would cross the network in clear",
                "Write https:// (with [tls] or behind a proxy), or use `lan` at home.",
            );
        }
    }
    let https = server.public_url.as_ref().is_some_and(|url| url.scheme == Scheme::Https);
    let shielded = config.tls.is_some() || server.lan || https || !server.trusted_proxies.is_empty();
    if !address.is_loopback() && !shielded {
        check.refuse(
            "server.listen",
            server.listen,
            "other machines would be served plain HTTP",
            "Use --tls-cert and --tls-key, or set trusted_proxies and an https public_url, or --lan at home.",
        );
    }
    if let Some(tls) = &config.tls {
        for (key, path) in [("tls.cert", &tls.cert), ("tls.key", &tls.key)] {
            if path.as_os_str().is_empty() {
                check.refuse(key, "", "TLS needs both the certificate and the key", "Set tls.cert and tls.key.");
            }
        }
    }
}

fn storage(config: &Config, check: &mut Check<'_>) {
    const KNOWN: [&str; 3] = ["sqlite:", "postgres://", "postgresql://"];
    if let Some(url) = &config.storage.database
        && !KNOWN.iter().any(|scheme| url.starts_with(scheme))
    {
        // The value may hold a password, and what is no URL cannot be shown in part.
        check.refuse(
            "storage.database",
            "",
            "expected a URL that begins with sqlite:, postgres:// or postgresql://",
            "Leave it out for SQLite in the data directory.",
        );
    }
    let seconds = Duration::from_secs;
    let database = &config.database;
    check.length(
        "database.staleness",
        database.staleness,
        seconds(2),
        seconds(60),
        "Leave it out for 5s: as long as this, a node that is cut off may still admit whom another one has shown out.",
    );
    for (key, value) in [
        ("database.statement_timeout", database.statement_timeout),
        ("database.connect_timeout", database.connect_timeout),
    ] {
        check.length(key, value, seconds(1), seconds(60), "Leave it out.");
    }
    if !(2..=500).contains(&database.pool) {
        check.refuse("database.pool", database.pool, "expected 2 to 500", "Leave it out for 16.");
    }
}

fn mail(config: &Config, check: &mut Check<'_>) {
    let mail = &config.mail;
    let Some(server) = &mail.server else {
        if mail.from.is_some() || mail.username.is_some() {
            check.refuse(
                "mail.server",
                "",
                "letters need a server to hand them to",
                "Set mail.server, or drop [mail].",
            );
        }
        return;
    };
    let this_machine = server.parse().map_or(server == "localhost", |ip: std::net::IpAddr| ip.is_loopback());
    if mail.security == MailSecurity::None && !this_machine {
        check.refuse(
            "mail.security",
            "none",
            "links that log people in would cross the network in clear",
            "Use starttls or tls; `none` is for a server on this machine.",
        );
    }
    if mail.from.is_none() {
        check.refuse(
            "mail.from",
            "",
            "letters need a sender",
            "Set it to an address such as `Usher <usher@example.org>`.",
        );
    }
    if config.server.public_url.is_none() {
        check.refuse(
            "server.public_url",
            "",
            "the links in letters need an address to lead to",
            "Set it to the address that people use.",
        );
    }
    if mail.username.is_some() == (mail.password.is_none() && mail.password_file.is_none()) {
        check.refuse(
            "mail.password_file",
            "",
            "a username needs a password, and a password a username",
            "Set both, or neither when the mail server asks nobody.",
        );
    }
}

fn accounts(config: &Config, check: &mut Check<'_>) {
    let accounts = &config.accounts;
    if !(8..=128).contains(&accounts.password_min_length) {
        check.refuse(
            "accounts.password_min_length",
            accounts.password_min_length,
            "expected 8 to 128",
            "Leave it out for 12.",
        );
    }
    let hash = accounts.hash;
    if !(12_288..=4_194_304).contains(&hash.memory_kib) {
        check.refuse(
            "accounts.hash.memory_kib",
            hash.memory_kib,
            "expected 12288 (12 MiB) to 4194304 (4 GiB)",
            "Leave it out for 65536.",
        );
    } else if !Params::new(hash.memory_kib, hash.passes, 1).is_ok_and(Params::meets_floor) || hash.passes > 64 {
        check.refuse(
            "accounts.hash.passes",
            hash.passes,
            "expected 1 to 64, and at least 2 below 46 MiB, 3 below 19 MiB",
            "Leave it out for 3.",
        );
    }
    if hash.threads == Some(0) || hash.threads.is_some_and(|threads| threads > 1024) {
        check.refuse(
            "accounts.hash.threads",
            hash.threads.unwrap_or_default(),
            "expected 1 to 1024",
            "Leave it out for one per processor.",
        );
    }
    if hash.queue == 0 {
        check.refuse("accounts.hash.queue", 0, "expected at least 1", "Leave it out for 64.");
    }
    let throttle = config.throttle;
    if throttle.max_failures <= throttle.free_attempts {
        check.refuse(
            "throttle.max_failures",
            throttle.max_failures,
            "expected more than free_attempts",
            "Leave it out for 100.",
        );
    }
    if throttle.first_delay.is_zero() || throttle.first_delay > throttle.longest_delay {
        check.refuse(
            "throttle.first_delay",
            format!("{}s", throttle.first_delay.as_secs()),
            "expected at least 1s and at most longest_delay",
            "Leave both out for 1s and 15m.",
        );
    }
    for (key, value) in [
        ("throttle.per_address", throttle.per_address),
        ("throttle.per_network", throttle.per_network),
        ("throttle.signups_per_address", throttle.signups_per_address),
    ] {
        if value == 0 {
            check.refuse(key, 0, "expected at least 1", "Leave it out for the default.");
        }
    }
    if throttle.window.is_zero() {
        check.refuse("throttle.window", "0s", "expected at least 1s", "Leave it out for 15m.");
    }
}

fn lives(config: &Config, check: &mut Check<'_>) {
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);
    const AGES: Duration = Duration::from_secs(36_525 * 86_400);
    let sessions = &config.sessions;
    let mut idle = vec![
        ("sessions.browser_idle".to_owned(), sessions.browser_idle, sessions.absolute),
        ("sessions.device_idle".to_owned(), sessions.device_idle, sessions.absolute),
        ("sessions.api_idle".to_owned(), sessions.api_idle, sessions.absolute),
    ];
    check.length("sessions.absolute", sessions.absolute, MINUTE, AGES, "Leave it out for 365d.");
    for (role, limits) in &sessions.roles {
        let absolute = limits.absolute.unwrap_or(sessions.absolute);
        check.length(&format!("sessions.roles.{role}.absolute"), absolute, MINUTE, AGES, "Leave it out.");
        if let Some(length) = limits.idle {
            idle.push((format!("sessions.roles.{role}.idle"), length, absolute));
        }
    }
    for (key, length, absolute) in idle {
        check.length(&key, length, MINUTE, absolute, "A session cannot idle for longer than its absolute life.");
    }
    if sessions.max_per_account == 0 {
        check.refuse("sessions.max_per_account", 0, "expected at least 1", "Leave it out for 50.");
    }
    check.length("sessions.refresh_grace", sessions.refresh_grace, Duration::ZERO, 5 * MINUTE, "Leave it out for 30s.");
    let tokens = &config.tokens;
    check.length("tokens.access_life", tokens.access_life, MINUTE, HOUR, "Leave it out for 10m.");
    check.length("tokens.publish_ahead", tokens.publish_ahead, HOUR, AGES, "Leave it out for 24h.");
    if tokens.rotate_every <= tokens.publish_ahead {
        check.refuse(
            "tokens.rotate_every",
            format!("{}s", tokens.rotate_every.as_secs()),
            "expected longer than publish_ahead",
            "Leave it out for 90d.",
        );
    }
    let media = config.media;
    check.length("media.url_life_max", media.url_life_max, MINUTE, 24 * HOUR, "Leave it out for 24h.");
    check.length(
        "media.url_life_min",
        media.url_life_min,
        MINUTE,
        media.url_life_max,
        "Leave it out for 4h; url_life_max must be longer.",
    );
    check.length("media.lease_max", media.lease_max, Duration::ZERO, 24 * HOUR, "Leave it out for 12h.");
    check.length("media.lease", media.lease, Duration::ZERO, media.lease_max, "Leave it out for 15m.");
    check.length("audit.retain", config.audit.retain, 24 * HOUR, AGES, "Leave it out for 365d.");
}

const NAME: &str = "expected a name of lower-case letters, digits, inner `-` and `_`, not `all`";

/// What is wrong with one table, wherever it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key in the table.
    pub key: &'static str,
    /// What it says; empty when it says nothing.
    pub value: String,
    /// What is wrong, or what was expected.
    pub expected: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Fault {
    fn new(key: &'static str, value: impl ToString, expected: &'static str, remedy: &'static str) -> Fault {
        Fault { key, value: value.to_string(), expected, remedy }
    }
}

/// What is wrong with an app beside these others.
pub fn faults_of_app(app: &App, config: &Config, others: &[&App]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !is_name(&app.name) {
        faults.push(Fault::new("name", app.name.escape_debug(), NAME, "Give the app a short name."));
    } else if others.iter().any(|other| other.name == app.name) {
        let what = "there is an app of this name already";
        faults.push(Fault::new("name", &app.name, what, "Give each app its own name."));
    }
    for origin in app.origins.iter().filter(|origin| origin.is_open_to_tampering() && !config.server.lan) {
        faults.push(Fault::new(
            "origins",
            origin,
            "a page over plain HTTP can be changed on its way and act with a person's session",
            "Serve the app over https (http is accepted for localhost, and with `lan`).",
        ));
    }
    let audience = app.audience();
    // The issuer is the audience of this server's own tokens: with it an app's token would open this server.
    let issuer = match &config.server.public_url {
        Some(url) => url.to_string(),
        None => format!("http://localhost:{}", config.server.listen.port()),
    };
    const OTHERWISE: &str = "Tokens tell apps apart by it: choose another.";
    if issuer == *audience || config.tokens.audience.as_deref() == Some(audience) {
        faults.push(Fault::new("audience", audience, "this is the audience of the server's own tokens", OTHERWISE));
    }
    let twin = others.iter().any(|other| other.audience() == audience);
    if twin && !app.name.is_empty() {
        faults.push(Fault::new("audience", audience, "another app has this audience", OTHERWISE));
    }
    faults
}

/// What is wrong with a bucket beside these others.
pub fn faults_of_bucket(bucket: &Bucket, others: &[&Bucket]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !is_name(&bucket.name) {
        faults.push(Fault::new("name", bucket.name.escape_debug(), NAME, "Give the bucket a short name."));
    } else if others.iter().any(|other| other.name == bucket.name) {
        let what = "there is a bucket of this name already";
        faults.push(Fault::new("name", &bucket.name, what, "Give each bucket its own name."));
    }
    if bucket.path.as_os_str().is_empty() {
        let remedy = "Write path = \"/where/the/files/are\".";
        faults.push(Fault::new("path", "", "a bucket needs a folder", remedy));
    }
    faults
}

fn tables(config: &Config, check: &mut Check<'_>) {
    for (index, app) in config.apps.iter().enumerate() {
        let others: Vec<&App> = config.apps[..index].iter().collect();
        for Fault { key, value, expected, remedy } in faults_of_app(app, config, &others) {
            check.refuse(&format!("app[{index}].{key}"), value, expected, remedy);
        }
    }
    for (index, bucket) in config.buckets.iter().enumerate() {
        let others: Vec<&Bucket> = config.buckets[..index].iter().collect();
        for Fault { key, value, expected, remedy } in faults_of_bucket(bucket, &others) {
            check.refuse(&format!("bucket[{index}].{key}"), value, expected, remedy);
        }
    }
    let mut seen = BTreeSet::new();
    for (index, rule) in config.sessions.data.iter().enumerate() {
        if !seen.insert(rule.prefix.as_str()) {
            let key = format!("sessions.data[{index}].prefix");
            check.refuse(
                &key,
                rule.prefix.escape_debug(),
                "there is a rule for this prefix already",
                "Keep one of them.",
            );
        }
    }
    if config.log.level.parse::<tracing_subscriber::EnvFilter>().is_err() {
        check.refuse(
            "log.level",
            config.log.level.escape_debug(),
            "expected error, warn, info, debug or trace, or such per target",
            "For example `info` or `info,usher::login=debug`.",
        );
    }
    if let Some(audience) = config.tokens.audience.as_deref().filter(|audience| audience.trim().is_empty()) {
        check.refuse("tokens.audience", audience, "expected a text", "Leave it out for the issuer.");
    }
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_short_and_plain_and_never_all() {
        for name in ["films", "films-2", "a", "0", "tv_shows"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "all", "Films", "a b", "-a", "a-", "é", "a/b", "..", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
