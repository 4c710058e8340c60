//! An installation, made as the server makes it, and the server's configuration for the bench.

use crate::Told;
use crate::tls::Pair;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use usher::config::{Config, Overrides, Strings};
use usher::datadir::{DataDir, KeySource, Modes};
use usher::media::buckets::Folders;
use usher::seal::Vault;
use usher::secret::Rng;
use usher::time::Clock;
use usher::{App, Surroundings, installation, schema};
use usher_db::{DatabaseUrl, Db};

/// The issuer of every token, whatever port a run is given.
const PUBLIC_URL: &str = "http://localhost:8080";
/// The same under TLS.
const SECURE_URL: &str = "https://localhost:8080";

/// The configuration of every server that is measured: what a new installation has, with one folder.
pub fn configuration(listen: SocketAddr, ops: Option<SocketAddr>, folder: &Path, tls: Option<&Pair>) -> String {
    let (url, pair) = match tls {
        None => (PUBLIC_URL, String::new()),
        Some(Pair { cert, key, .. }) => (SECURE_URL, format!("[tls]\ncert = {cert:?}\nkey = {key:?}\n\n")),
    };
    let (folder, ops) = (folder.display(), ops.map_or_else(|| "off".to_owned(), |ops| ops.to_string()));
    format!(
        "[server]\nlisten = \"{listen}\"\nops_listen = \"{ops}\"\npublic_url = \"{url}\"\n\n\
         {pair}[[bucket]]\nname = \"media\"\npath = \"{folder}\"\n"
    )
}

/// What a new installation is configured with, and our issuer.
pub fn standard() -> Told<Config> {
    let flags = Overrides { public_url: Some(PUBLIC_URL.to_owned()), ..Overrides::default() };
    Ok(Config::load(None, &Strings::new(), &flags)?)
}

/// Makes the installation in `data`. The server opens it afterwards with its own checks.
pub async fn open(data: &Path, config: Config) -> Told<Arc<App>> {
    open_at(data, config, Clock::System).await
}

/// The same at another time.
pub async fn open_at(data: &Path, config: Config, clock: Clock) -> Told<Arc<App>> {
    let data = DataDir::open(data, Modes::Checked)?;
    let rng = Arc::new(Rng::os());
    let new = std::fs::metadata(data.database()).map_or(true, |found| found.len() == 0);
    let key = data.master_key(&KeySource::DataDirectory, new, &rng)?;
    let db = Db::open(&DatabaseUrl::Sqlite(data.database()), schema::MIGRATIONS).await?;
    let folders = Folders { open: true, private: vec![data.path().to_owned()] };
    let around = Surroundings { db, vault: Vault::new(&key), clock, rng, folders };
    let app = App::build(config, around).await?;
    installation::keep_master_key_name(&app.db, &app.vault).await?;
    Ok(app)
}
