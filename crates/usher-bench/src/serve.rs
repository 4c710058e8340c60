//! A server from the library: the same application, router and accept loop that `usher serve` runs.

use crate::{Told, place};
use clap::Args;
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use usher::http::accept::{self, Limits, Listener};
use usher::http::router;

/// `usher-bench serve`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Serves until SIGTERM.
pub async fn run(arguments: Arguments) -> Told<()> {
    let config = place::load(Some(&arguments.config))?;
    usher::log::init(&config.log);
    let listen = config.server.listen;
    let app = place::open(&arguments.data, config).await?;
    let listener = TcpListener::bind(listen).await?;
    let mut term = signal(SignalKind::terminate())?;
    let asked = async move {
        term.recv().await;
    };
    accept::serve(vec![Listener::Plain(listener)], router::build(&app), Limits::default(), asked).await;
    app.db.clone().close().await;
    Ok(())
}
