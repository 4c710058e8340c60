//! The configuration: one struct per concern, its defaults in the type.
//!
//! Promises: the file (`usher.toml`) is read first, then the environment (`USHER_…`), then the flags, and the
//! last to speak wins. Every mistake is named at once, each with its key, where it was written, what it says, what
//! was expected and what to do. Secrets are never shown.
//!
//! Refuses: keys and variables that nobody knows (with the nearest one that exists), values of another form, and
//! combinations that would be unsafe or could not work. Nothing in here reads the environment: the caller passes it.
//!
//! Variables: `USHER_`, the section, the key, in capitals: `sessions.browser_idle` is `USHER_SESSIONS_BROWSER_IDLE`,
//! `accounts.hash.passes` is `USHER_ACCOUNTS_HASH_PASSES`. Keys of `[server]` and `[storage]` go without the section:
//! `USHER_LISTEN`, `USHER_DATA`. Lists are separated by commas. `[[app]]`, `[[bucket]]` and `[[sessions.data]]` stand
//! in the file only (buckets also on the command line).

mod accounts;
mod check;
mod compat;
mod database;
mod declaration;
mod file;
mod flags;
mod mail;
mod media;
mod origin;
mod problem;
mod read;
mod server;
mod sessions;
mod show;
mod storage;
mod value;
mod visit;

pub use accounts::{Accounts, HashCost, PasskeyVerification, RequireFactor, Signup, Throttle};
pub use check::{Fault, faults_of_app, faults_of_bucket, is_name};
pub use compat::Compat;
pub use database::Database;
pub use declaration::{Declaration, Group, Invite, Lines};
pub use file::File;
pub use flags::Overrides;
pub use mail::{Mail, MailSecurity};
pub use media::{App, Audit, Bucket, Docs, Format, Log, Media, Symlinks};
pub use origin::{NotAnOrigin, Origin, PublicUrl, Scheme};
pub use problem::{Place, Problem, Problems};
pub use read::variable_of;
pub use server::{Server, Tls};
pub use sessions::{Algorithm, Profile, Retain, Retention, RoleLimits, Sessions, Tokens};
pub use storage::Storage;

use std::collections::BTreeMap;
use visit::{Keys, Visit};

/// The environment, as a value.
pub type Strings = BTreeMap<String, String>;

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Where the server listens and what it is called.
    pub server: Server,
    /// Certificate and key, when this process speaks TLS itself.
    pub tls: Option<Tls>,
    /// Where data lies.
    pub storage: Storage,
    /// How a PostgreSQL database is used.
    pub database: Database,
    /// Accounts and passwords.
    pub accounts: Accounts,
    /// Sessions and their data.
    pub sessions: Sessions,
    /// Signing and access tokens.
    pub tokens: Tokens,
    /// How guessing is slowed.
    pub throttle: Throttle,
    /// First-party applications.
    pub apps: Vec<App>,
    /// Folders of media.
    pub buckets: Vec<Bucket>,
    /// Media URLs.
    pub media: Media,
    /// The mail server.
    pub mail: Mail,
    /// The audit log.
    pub audit: Audit,
    /// Log lines.
    pub log: Log,
    /// API documents.
    pub docs: Docs,
    /// What is spoken for programs that know an older system.
    pub compat: Compat,
}

impl Config {
    /// Reads `file`, then `env`, then `flags`, and checks the whole.
    pub fn load(file: Option<&File>, env: &Strings, flags: &Overrides) -> Result<Config, Problems> {
        let flat = file.map(file::flatten).transpose()?.unwrap_or_default();
        let mut config = Config::default();
        let mut reader = read::Reader::new(file, flat, env, flags.by_key());
        config.visit(&mut reader);
        let (places, mut problems) = reader.finish();
        // A combination is only judged when its parts were understood.
        if problems.is_empty() {
            flags.add_buckets(&mut config);
            check::settle(&mut config, &places);
            problems = check::problems(&config, &places);
        }
        if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
    }

    /// The effective configuration as TOML that reads back the same, except that secrets are `***`.
    pub fn effective_toml(&self) -> String {
        let mut printer = show::Printer::default();
        self.clone().visit(&mut printer);
        printer.out
    }
}

impl Keys for Config {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.section("server", &mut self.server);
        let mut files = server::TlsFiles::default();
        if let Some(tls) = &self.tls {
            files = server::TlsFiles { cert: Some(tls.cert.clone()), key: Some(tls.key.clone()) };
        }
        to.section("tls", &mut files);
        // Half a pair is kept with an empty path, for the checks to name.
        self.tls = match (files.cert, files.key) {
            (None, None) => None,
            (cert, key) => Some(Tls { cert: cert.unwrap_or_default(), key: key.unwrap_or_default() }),
        };
        to.section("storage", &mut self.storage);
        to.section("database", &mut self.database);
        to.section("accounts", &mut self.accounts);
        to.section("sessions", &mut self.sessions);
        to.section("tokens", &mut self.tokens);
        to.section("throttle", &mut self.throttle);
        to.section("media", &mut self.media);
        to.section("mail", &mut self.mail);
        to.section("audit", &mut self.audit);
        to.section("log", &mut self.log);
        to.section("docs", &mut self.docs);
        to.section("compat", &mut self.compat);
        visit::tables(to, "app", &mut self.apps);
        visit::tables(to, "bucket", &mut self.buckets);
    }
}

#[cfg(test)]
mod tests;
