//! `usher serve`: from arguments to a server that listens, and from a signal to one that is gone.
//!
//! The order of a start: configuration, data directory, listener, master key, database, application, control socket;
//! only then is anything said on standard output. The order of an end: nothing new is accepted, answers under way
//! finish (8 s of the 10 that are promised), the last uses are written, the database is closed.

use super::place::{Files, Place};
use super::stop::{Code, Stop};
use super::{Common, control, lan, print_line};
use crate::config::{Config, Overrides, Strings};
use crate::cx::Cx;
use crate::http::accept::{self, Limits, Listener};
use crate::http::router;
use crate::http::tls::Certificates;
use crate::login::links;
use crate::{App, accounts, jobs, log, ops};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use clap::Args;
use fast_qr::qr::QRBuilder;
use serde_json::json;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How long answers under way may take once the end has begun.
const DRAIN: Duration = Duration::from_secs(8);
/// How often the certificate's files are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// Folders to serve, each a bucket named after the folder or as NAME=DIR
    #[arg(value_name = "DIR|NAME=DIR")]
    folders: Vec<String>,
    #[command(flatten)]
    pub listening: Listening,
    /// Where people reach this server, when that is not where it listens
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Allow localhost origins for apps under development
    #[arg(long)]
    dev: bool,
    /// The certificate chain, PEM; read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// Where to listen.
#[derive(Debug, Clone, Default, Args)]
pub struct Listening {
    /// Where to listen [default: 127.0.0.1:8080]; port 0 takes any that is free
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Where health and metrics are served [default: 127.0.0.1:9080]; `off` for nowhere
    #[arg(long, value_name = "ADDR:PORT|off")]
    pub ops_listen: Option<String>,
    /// Plain HTTP for this house: private addresses only
    #[arg(long)]
    pub lan: bool,
}

pub async fn run(common: &Common, arguments: Arguments, env: &Strings) -> Result<(), Stop> {
    let flags = Overrides {
        listen: arguments.listening.listen,
        ops_listen: arguments.listening.ops_listen,
        lan: arguments.listening.lan,
        public_url: arguments.public_url,
        dev: arguments.dev,
        tls_cert: arguments.tls_cert,
        tls_key: arguments.tls_key,
        log_format: arguments.log_format,
        log_level: arguments.log_level,
        buckets: arguments.folders,
        ..Overrides::default()
    };
    let place = Place::find(common, flags, env)?;
    log::init(&place.config.log);
    if let Some(remark) = place.config.accounts.hash.remark() {
        tracing::warn!(target: "usher::serve", "{remark}");
    }
    let files = place.files()?;
    let server = Server::start(files, place.config).await?;
    server.announce(common, &[]).await?;
    server.run().await
}

/// A server whose listeners are bound and whose application is built.
pub struct Server {
    /// What runs.
    pub app: Arc<App>,
    files: Files,
    address: SocketAddr,
    public: Listener,
    ops: Option<(SocketAddr, TcpListener)>,
    control: Listener,
    certificates: Option<Arc<Certificates>>,
    /// SIGTERM and SIGINT, heard from before the word that we are ready: who waited for it may send one at once.
    signals: (Signal, Signal),
}

async fn bind(address: SocketAddr, key: &str, flag: &str) -> Result<(SocketAddr, TcpListener), Stop> {
    let failed = |error: std::io::Error| {
        Stop::refused(format!(
            "cannot listen on {address} ({key}): {error}. If another Usher runs there, use it or stop it; else choose \
             another port with {flag}"
        ))
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    Ok((listener.local_addr().map_err(failed)?, listener))
}

impl Server {
    /// Binds, opens, builds. Nobody is answered yet; who connects waits a moment.
    pub async fn start(files: Files, mut config: Config) -> Result<Server, Stop> {
        let certificates = config.tls.as_ref().map(Certificates::load).transpose();
        let certificates = certificates.map_err(|error| Stop::new(Code::Configuration, "configuration", error))?;
        let (address, public) = bind(config.server.listen, "server.listen", "--listen").await?;
        config.server.listen = address;
        let ops = match config.server.ops_listen {
            Some(wanted) => Some(bind(wanted, "server.ops_listen", "--ops-listen").await?),
            None => None,
        };
        files.keep_out_of(&config)?;
        let app = files.app(config).await?;
        // Where the database is a file, its lock is ours, so a socket that lies there belongs to nobody.
        let socket = files.data.control_socket();
        if files.file().is_none() && tokio::net::UnixStream::connect(&socket).await.is_ok() {
            return Err(Stop::data(format!(
                "another Usher runs with {}: nodes on one machine need a data directory each, with the same master.key",
                files.data.path().display()
            )));
        }
        let control = accept::bind_control(&socket)
            .map_err(|error| Stop::data(format!("cannot make the control socket {}: {error}", socket.display())))?;
        let public = match &certificates {
            Some(certificates) => Listener::Tls(public, certificates.clone()),
            None => Listener::Plain(public),
        };
        let failed = |error: std::io::Error| Stop::refused(format!("signals cannot be heard: {error}"));
        let signals =
            (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
        let control = Listener::Control(control);
        Ok(Server { app, files, address, public, ops, control, certificates, signals })
    }

    /// The origins at which people reach this server, the best first.
    pub fn origins(&self) -> Vec<String> {
        let server = &self.app.config.server;
        if let Some(url) = &server.public_url {
            return vec![url.to_string()];
        }
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        let port = self.address.port();
        let origin = |host: &dyn std::fmt::Display| format!("{scheme}://{host}:{port}");
        let ip = self.address.ip();
        if server.lan && ip.is_unspecified() {
            // A listener for IPv4 is not reached at an address of IPv6; the other way round it usually is.
            let here = lan::addresses().into_iter().filter(|here| ip.is_ipv6() || here.is_ipv4());
            let reached = here.map(|here| origin(&SocketAddr::new(here, port).ip_in_url()));
            return reached.chain([origin(&"localhost")]).collect();
        }
        if ip.is_loopback() || ip.is_unspecified() {
            vec![origin(&"localhost")]
        } else {
            vec![origin(&self.address.ip_in_url())]
        }
    }

    /// The setup link's path, while nobody can administer; a new one replaces the one before.
    async fn setup_path(&self) -> Result<Option<String>, Stop> {
        let cx = Cx::internal(&self.app, "start");
        if cx.write("serve.has_admin", async |tx| accounts::has_admin(tx).await).await? {
            return Ok(None);
        }
        let link = links::make(&cx, links::Kind::Setup, None, "").await?;
        Ok(Some(link.path.to_string()))
    }

    /// Says where everything is. `accounts` were made just now: name, password, and what they may do.
    pub async fn announce(&self, common: &Common, accounts: &[(String, String, String)]) -> Result<(), Stop> {
        let (origins, setup) = (self.origins(), self.setup_path().await?);
        let links: Vec<String> =
            setup.iter().flat_map(|path| origins.iter().map(move |origin| format!("{origin}{path}"))).collect();
        let data = self.files.data.path();
        let health = self.ops.as_ref().map(|(address, _)| format!("http://{address}"));
        if common.json {
            print_line(
                &json!({
                    "event": "serving", "version": env!("CARGO_PKG_VERSION"), "data": data, "address": self.address,
                    "origins": origins, "ops": health, "setup": links,
                    "accounts": accounts.iter().map(|(name, password, _)| json!({ "username": name, "password": password })).collect::<Vec<_>>(),
                })
                .to_string(),
            );
            return Ok(());
        }
        let mut lines = vec![format!("Usher {}", env!("CARGO_PKG_VERSION")), format!("data     {}", data.display())];
        lines.extend(origins.iter().map(|origin| format!("address  {origin}")));
        lines.extend(health.iter().map(|origin| format!("health   {origin}/health/ready")));
        lines.extend(
            self.app
                .config
                .buckets
                .iter()
                .map(|bucket| format!("folder   {} = {}", bucket.name, bucket.path.display())),
        );
        if self.app.config.server.lan {
            lines.push("lan      plain HTTP: whoever is in this network could listen in".to_owned());
        }
        lines.extend(accounts.iter().map(|(name, password, what)| format!("account  {name}  {password}  ({what})")));
        if !links.is_empty() {
            lines.push(String::new());
            lines.push("Nobody can administer this server yet. Open this link to make the first admin:".to_owned());
            lines.extend(links.iter().map(|link| format!("setup    {link}")));
            lines.push("It works once, for one hour; the next start prints a new one.".to_owned());
        }
        if self.app.config.server.lan && std::io::stdout().is_terminal() {
            let first = links.first().or(origins.first());
            lines.extend(first.and_then(|link| QRBuilder::new(link.as_str()).build().ok()).map(|code| code.to_str()));
        }
        lines.push("Ready.".to_owned());
        print_line(&lines.join("\n"));
        Ok(())
    }

    /// Serves until SIGTERM or SIGINT, then drains.
    pub async fn run(self) -> Result<(), Stop> {
        let Server { app, files, public, ops, control, certificates, signals: (mut term, mut int), .. } = self;
        let (ending, heard) = watch::channel(false);
        let ended = |mut heard: watch::Receiver<bool>| async move {
            // Either the word, or nobody is left to give it.
            let _ = heard.wait_for(|ending| *ending).await;
        };
        let limits = Limits { max_connections: app.config.server.max_connections, drain: DRAIN, ..Limits::default() };
        let inside = Limits { max_connections: 64, drain: Duration::from_secs(1), ..Limits::default() };
        let draining = Arc::new(AtomicBool::new(false));
        let serving = tokio::spawn(accept::serve(vec![public], router::build(&app), limits, ended(heard.clone())));
        // The operations side outlives the public one: who asks during the drain hears that we are not ready.
        let (closing, closed) = watch::channel(false);
        let controlled =
            tokio::spawn(accept::serve(vec![control], control::router(&app), inside, ended(closed.clone())));
        let listeners = ops.into_iter().map(|(_, tcp)| Listener::Plain(tcp)).collect::<Vec<_>>();
        let operated = (!listeners.is_empty())
            .then(|| tokio::spawn(accept::serve(listeners, operations(&app, &draining), inside, ended(closed))));
        let working = tokio::spawn(jobs::run(app.clone()));
        let alive = tokio::spawn(watchdog(app.clone()));
        let watching = certificates.map(|certificates| {
            tokio::spawn(async move {
                if let Err(error) = certificates.watch(CERTIFICATES_EVERY).await {
                    tracing::error!(target: "usher::tls", %error, "new certificates are noticed at the next start only");
                }
            })
        });
        tell_systemd(&[sd_notify::NotifyState::Ready]);
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!(target: "usher::serve", "stopping: answers under way finish");
        tell_systemd(&[sd_notify::NotifyState::Stopping]);
        draining.store(true, Ordering::Release);
        ending.send_replace(true);
        let drained = tokio::select! {
            drained = serving => drained.unwrap_or(false),
            // A second word means: now.
            _ = term.recv() => false,
            _ = int.recv() => false,
        };
        closing.send_replace(true);
        let _ = controlled.await;
        if let Some(operated) = operated {
            let _ = operated.await;
        }
        working.abort();
        alive.abort();
        watching.inspect(tokio::task::JoinHandle::abort);
        jobs::finish(&app).await;
        app.db.clone().close().await;
        // Best effort: a socket that stays behind is replaced at the next start.
        let _ = std::fs::remove_file(files.data.control_socket());
        tracing::info!(target: "usher::serve", drained, "stopped");
        Ok(())
    }
}

/// An address as it stands in a URL: IPv6 in brackets.
trait InUrl {
    fn ip_in_url(&self) -> String;
}

impl InUrl for SocketAddr {
    fn ip_in_url(&self) -> String {
        match self {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        }
    }
}

/// Health and metrics; gauges are read when somebody asks for them.
fn operations(app: &Arc<App>, draining: &Arc<AtomicBool>) -> Router {
    let (ready_app, draining) = (app.clone(), draining.clone());
    let ready = move || !draining.load(Ordering::Acquire) && ready_app.db.is_current();
    let measured = app.clone();
    ops::router(&app.metrics, ready).layer(from_fn(move |request: Request, next: Next| {
        let app = measured.clone();
        async move {
            measure(&app);
            next.run(request).await
        }
    }))
}

fn measure(app: &App) {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    app.metrics.sessions_live.set(count(app.sessions.len()));
    // Who asks second must not add what who asks first is adding.
    static MEASURING: Mutex<()> = Mutex::new(());
    let _measuring = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let hashing = app.hasher.stats();
    app.metrics.hash_queue.set(count(hashing.waiting));
    app.metrics.hashes.inc_by(hashing.done.saturating_sub(app.metrics.hashes.get()));
    app.metrics.transfers.set(count(app.media.transfers.count()));
}

/// Tells systemd that we live, twice as often as it asks, unless the storage is broken beyond repair.
async fn watchdog(app: Arc<App>) {
    let Some(every) = sd_notify::watchdog_enabled() else { return };
    let mut ticker = tokio::time::interval(every / 2);
    loop {
        ticker.tick().await;
        if app.db.stats().broken {
            tracing::error!(target: "usher::serve", "memory could not follow the database; waiting to be restarted");
            return;
        }
        tell_systemd(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// Nobody hears it where systemd did not start us.
fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(target: "usher::serve", %error, "systemd could not be told");
    }
}
