//! Usher: one binary that logs people in, keeps them in, and shows them out everywhere at once.
//!
//! The house, room by room. Three verbs have three places: *log in* (`login/`: many proofs, one result,
//! a session), *admit* (`gate/`: many credentials, one result, a caller), *end* (`sessions/`: one
//! function, one commit, one event). Around them: `accounts/` (who exists and what they may do),
//! `devices/` (link codes), `oauth/` (its endpoints), `mail/` (letters),
//! `tokens/` (what is derived from a session), `media/` (folders, media URLs, bytes), `audit/` (what
//! happened), `declared/` (what a file declares), `admin/` (acts over all of them). `http/` is the edge and holds the
//! route table, `pages/` the face, `cli/` the same acts from a terminal, `jobs/` what happens by itself, `config/` what
//! the owner decides. `id`, `secret`, `time`, `json` and `cx` are leaves that all of them stand on.
//!
//! [`App`] is everything a running server has in memory. `main` and the tests build it the same way.

pub mod accounts;
pub mod admin;
pub mod audit;
pub mod cli;
pub mod config;
pub mod cx;
pub mod datadir;
pub mod declared;
pub mod devices;
pub mod gate;
pub mod http;
pub mod id;
pub mod installation;
pub mod jobs;
pub mod json;
pub mod log;
pub mod login;
pub mod mail;
pub mod media;
pub mod net;
pub mod oauth;
pub mod ops;
pub mod pages;
pub mod schema;
pub mod seal;
pub mod secret;
pub mod sessions;
pub mod takeout;
pub mod time;
pub mod tokens;

use crate::accounts::hash::{Params, Peppers};
use crate::accounts::hasher::{Hasher, Settings};
use crate::accounts::policy::Policy;
use crate::config::Config;
use crate::installation::InstallationError;
use crate::seal::Vault;
use crate::secret::Rng;
use crate::time::Clock;
use crate::tokens::live::Identity;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use usher_db::{Change, Db, Interruption};

/// Everything a running server has in memory.
pub struct App {
    /// What its owner decided.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// Where `now` comes from.
    pub clock: Clock,
    /// Where randomness comes from.
    pub rng: Arc<Rng>,
    /// Keeps the events of one instant in order.
    pub events: id::Sequence,
    /// Seals what must be recoverable, under the master key.
    pub vault: Vault,
    /// The slow hash, bounded.
    pub hasher: Hasher,
    /// What a new password must be.
    pub policy: Arc<Policy>,
    /// Rights in memory.
    pub accounts: accounts::hot::Accounts,
    /// Live sessions in memory.
    pub sessions: sessions::hot::Sessions,
    /// Personal tokens in memory.
    pub personal: tokens::personal::Personal,
    /// Logins that are being judged.
    pub attempts: Arc<login::throttle::InFlight>,
    /// Requests for a new password that are being looked at.
    pub resets_asked: login::letters::Asked,
    /// The signing keys in use.
    pub keys: tokens::live::Keys,
    /// The MAC keys in use.
    pub macs: tokens::macs::Macs,
    /// Host names this server answers for.
    pub hosts: http::context::Hosts,
    /// Names for requests.
    pub request_names: http::context::RequestNames,
    /// First-party apps, configured and declared.
    pub apps: declared::live::Apps,
    /// Buckets, media URLs and transfers.
    pub media: media::live::Media,
    /// Who asks browsers for passkeys; none where browsers know none.
    pub passkeys: Option<login::passkeys::RelyingParty>,
    /// Hands letters to the mail server, where there is one.
    pub courier: Option<mail::Courier>,
    /// The last refusals, with their reasons.
    pub refusals: audit::refused::Refusals,
    /// Counters for the operations listener.
    pub metrics: ops::Metrics,
    /// How the last day went.
    pub history: ops::history::History,
}

/// What `App::build` needs that is not configuration.
pub struct Surroundings {
    /// The open database.
    pub db: Db,
    /// The master key's vault.
    pub vault: Vault,
    /// Where `now` comes from.
    pub clock: Clock,
    /// Where randomness comes from.
    pub rng: Arc<Rng>,
    /// What becomes of the folders of buckets.
    pub folders: media::buckets::Folders,
}

/// Why the application cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] usher_db::Error),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] tokens::live::KeysError),
    /// A bucket cannot be opened.
    #[error(transparent)]
    Media(#[from] media::live::MediaError),
    /// Letters cannot be sent as configured.
    #[error(transparent)]
    Mail(#[from] mail::NoCourier),
    /// The password rules or the hasher cannot be set up.
    #[error("{0}")]
    Accounts(String),
}

impl App {
    /// Builds the application and lets memory follow the database's commits from here on.
    pub async fn build(config: Config, around: Surroundings) -> Result<Arc<App>, BuildError> {
        let Surroundings { db, vault, clock, rng, folders } = around;
        let clock = clock.with(&db);
        let now = clock.now();
        let identity = identity(&config);
        let algorithm = algorithm(config.tokens.algorithm);
        let keys = tokens::live::Keys::load(&db, &vault, &rng, identity, algorithm, now).await?;
        let (macs, media_keys) = tokens::live::load_macs(&db, &vault, &rng, now).await?;
        let app = Arc::new(App {
            hasher: hasher(&config, rng.clone())?,
            policy: Arc::new(policy(&config)?),
            accounts: Default::default(),
            sessions: Default::default(),
            personal: Default::default(),
            attempts: Default::default(),
            resets_asked: Default::default(),
            hosts: http::context::Hosts::of(&config),
            request_names: http::context::RequestNames::new(&rng),
            apps: declared::live::Apps::of(&config),
            media: media::live::Media::open(&db, &config, media_keys, folders).await?,
            courier: mail::Courier::of(&config)?,
            refusals: Default::default(),
            metrics: ops::Metrics::default(),
            history: Default::default(),
            passkeys: login::passkeys::RelyingParty::of(&config),
            keys,
            macs,
            db,
            clock,
            rng,
            events: Default::default(),
            vault,
            config,
        });
        let made = login::passkeys::by_party(&app.db).await?;
        if let Some(warning) = login::passkeys::stranded(&made, app.passkeys.as_ref()) {
            tracing::warn!("{warning}");
        }
        // The database outlives nothing that the app holds: a weak reference lets both go.
        let (follower, listener) = (Arc::downgrade(&app), Arc::downgrade(&app));
        let runtime = Handle::current();
        let elsewhere = runtime.clone();
        app.db.when_interrupted(move |interruption| {
            if let Some(app) = listener.upgrade() {
                app.interrupted(interruption, &elsewhere);
            }
        });
        app.db.follow(move |changes| {
            if let Some(app) = follower.upgrade() {
                changes.iter().for_each(|change| app.apply(change, &runtime));
            }
        });
        // Once changes are heard of: none can fall between this reading and the first of them.
        declared::live::follow(&app).await?;
        Ok(app)
    }

    /// What a node does about the contact to a database that it shares with others.
    fn interrupted(self: &Arc<App>, interruption: Interruption, runtime: &Handle) {
        match interruption {
            Interruption::Missed => {
                self.sessions.forget_all();
                self.accounts.forget_all();
                self.personal.forget_all();
                self.read_keys_again(runtime);
                self.read_declared_again(runtime);
                // Whose grants were ended is not known any more; who may still send asks again.
                self.media.transfers.stop_all();
            }
            Interruption::Cut => {
                let stopped = self.media.transfers.stop_all();
                tracing::error!(target: "usher", stopped, "the database is out of reach; nobody is admitted until it is back");
            }
            Interruption::Restored => tracing::info!(target: "usher", "the database is back; serving again"),
        }
        if interruption != Interruption::Cut {
            self.check_key_again(runtime);
        }
    }

    /// While this node heard nothing, another one may have replaced the master key.
    fn check_key_again(self: &Arc<App>, runtime: &Handle) {
        let app = self.clone();
        runtime.spawn(async move {
            if let Err(wrong @ InstallationError::WrongKey(_)) =
                installation::check_master_key(&app.db, &app.vault).await
            {
                app.db.give_up(&wrong.to_string());
            }
        });
    }

    /// Takes the signing keys from their rows, in the background: until then the published next key is known already.
    fn read_keys_again(self: &Arc<App>, runtime: &Handle) {
        let app = Arc::downgrade(self);
        runtime.spawn(async move {
            while let Some(app) = app.upgrade() {
                match app.keys.reload(&app.db, &app.vault, app.clock.now()).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(target: "usher", %error, "the signing keys could not be read; tried again");
                    }
                }
                drop(app);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// Takes the declared apps and buckets from their rows, in the background.
    fn read_declared_again(self: &Arc<App>, runtime: &Handle) {
        let app = Arc::downgrade(self);
        runtime.spawn(async move {
            while let Some(app) = app.upgrade() {
                match declared::live::follow(&app).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(target: "usher", %error, "what is declared could not be read; tried again");
                    }
                }
                drop(app);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// Takes a committed change into memory, before anybody hears that it was committed.
    fn apply(self: &Arc<App>, change: &Change, runtime: &Handle) {
        let over = match change.topic.as_str() {
            accounts::hot::TOPIC => {
                self.accounts.apply(change);
                None
            }
            sessions::hot::ENDED => {
                self.metrics.sessions_ended.inc();
                self.sessions.apply(change)
            }
            sessions::hot::RENEWED => self.sessions.apply(change),
            tokens::personal::REVOKED => self.personal.apply(change),
            // Where it was done here, whoever did it has the new keys in hand.
            tokens::live::ROTATED if self.db.is_shared() => {
                self.read_keys_again(runtime);
                None
            }
            declared::live::TOPIC if self.db.is_shared() => {
                self.read_declared_again(runtime);
                None
            }
            _ => None,
        };
        if let Some(grant) = over {
            self.media.transfers.stop(grant);
        }
    }
}

fn hasher(config: &Config, rng: Arc<Rng>) -> Result<Hasher, BuildError> {
    let cost = &config.accounts.hash;
    let mut peppers = Peppers::none();
    if let Some(path) = &config.accounts.pepper_file {
        let wrong = |what: String| BuildError::Accounts(format!("accounts.pepper_file: {}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        // One key a line, `id:key`; the last line's key is the current one.
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (id, key) = line.split_once(':').ok_or_else(|| wrong("a line is not `id:key`".to_owned()))?;
            peppers.add(id, key.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        }
    }
    let standard = Settings::default();
    let settings = Settings {
        permits: cost.threads.unwrap_or(standard.permits),
        queue: cost.queue,
        params: Params::new(cost.memory_kib, cost.passes, 1)
            .map_err(|error| BuildError::Accounts(format!("accounts.hash: {error}")))?,
        peppers,
        ..standard
    };
    Hasher::start(settings, rng)
        .map_err(|error| BuildError::Accounts(format!("no threads for password hashes: {error}")))
}

fn policy(config: &Config) -> Result<Policy, BuildError> {
    let policy = Policy::new(login::shortest_password(&config.accounts));
    match &config.accounts.breach_file {
        None => Ok(policy),
        Some(path) => policy
            .with_breached(path)
            .map_err(|error| BuildError::Accounts(format!("accounts.breach_file: {}: {error}", path.display()))),
    }
}

/// Who issues tokens: the public address, or this machine's own while it has none.
fn identity(config: &Config) -> Identity {
    let issuer = match &config.server.public_url {
        Some(url) => url.to_string(),
        None => format!("http://localhost:{}", config.server.listen.port()),
    };
    Identity { audience: config.tokens.audience.clone().unwrap_or_else(|| issuer.clone()), issuer }
}

fn algorithm(chosen: config::Algorithm) -> usher_verify::Algorithm {
    match chosen {
        config::Algorithm::ES256 => usher_verify::Algorithm::Es256,
        config::Algorithm::Ed25519 => usher_verify::Algorithm::Ed25519,
        config::Algorithm::RS256 => usher_verify::Algorithm::Rs256,
    }
}
