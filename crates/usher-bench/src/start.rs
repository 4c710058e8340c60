//! Servers started and timed: the first boot, and later ones with few and with many sessions.

use crate::cores::{Cores, On};
use crate::gate::{self, By};
use crate::process::{Running, free_address};
use crate::tls::Pair;
use crate::{Told, clock, http, place};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Starts servers on prepared data.
#[derive(Clone)]
pub struct Starter {
    /// The built `usher`.
    pub program: PathBuf,
    /// Where its configuration and logs go.
    pub work: PathBuf,
    /// The folder it serves.
    pub folder: PathBuf,
    /// The certificate it serves it under, if any.
    pub tls: Option<Pair>,
}

impl Starter {
    /// Starts the server on `data` and does not wait for it.
    pub fn start(&self, cores: &Cores, data: &Path, on: On) -> Told<Running> {
        self.start_with(cores, data, on, None, "")
    }

    /// Starts it with an operations listener and further settings.
    pub fn start_with(&self, cores: &Cores, data: &Path, on: On, ops: Option<SocketAddr>, more: &str) -> Told<Running> {
        let addr = free_address()?;
        let config = self.work.join("usher.toml");
        fs::write(&config, place::configuration(addr, ops, &self.folder, self.tls.as_ref()) + more)?;
        let log = File::options().create(true).append(true).open(self.work.join("server.log"))?;
        let mut command = Command::new(&self.program);
        // Nothing in our environment may configure it.
        command.env_clear().arg("serve").arg("--data").arg(data).arg("--config").arg(config);
        let running = Running::start(cores, &mut command, on, addr, log)?;
        Ok(running.under(self.tls.as_ref().map(|pair| pair.connector.clone())))
    }

    /// Starts it and waits until it answers.
    pub async fn ready(&self, cores: &Cores, data: &Path, on: On) -> Told<Running> {
        let mut running = self.start(cores, data, on)?;
        running.ready("/login").await?;
        Ok(running)
    }

    /// How long a first boot in a new directory takes to the first 200, in milliseconds.
    pub async fn first_boot(&self, cores: &Cores, data: &Path) -> Told<f64> {
        if data.exists() {
            fs::remove_dir_all(data)?;
        }
        self.timed(cores, data, &http::get("/login", "")).await
    }

    /// How long a later start takes until somebody who is logged in is let in, in milliseconds.
    pub async fn later_start(&self, cores: &Cores, data: &Path, cookie: &str) -> Told<f64> {
        self.timed(cores, data, &gate::knock(By::Cookie, cookie)).await
    }

    async fn timed(&self, cores: &Cores, data: &Path, request: &[u8]) -> Told<f64> {
        let since = clock::now();
        let mut running = self.start(cores, data, On::All)?;
        let took: Duration = running.first_200(request, since).await?;
        running.end().await?;
        Ok(took.as_secs_f64() * 1e3)
    }
}
