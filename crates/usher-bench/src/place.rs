//! An installation opened as the server opens it, and its configuration for the bench.

use crate::Told;
use std::path::Path;
use std::sync::Arc;
use usher::config::{Config, File, Overrides, Strings};
use usher::datadir::{DataDir, KeySource, Modes};
use usher::seal::Vault;
use usher::secret::Rng;
use usher::time::Clock;
use usher::{App, Surroundings, schema};
use usher_db::{DatabaseUrl, Db};

/// The issuer of every token, whatever port a run is given.
const PUBLIC_URL: &str = "http://localhost:8080";

/// The configuration of every server that is measured: what a new installation has, with one folder.
pub fn configuration(listen: std::net::SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[server]\nlisten = \"{listen}\"\nops_listen = \"off\"\npublic_url = \"{PUBLIC_URL}\"\n\n\
         [[bucket]]\nname = \"media\"\npath = \"{folder}\"\n"
    )
}

/// The effective configuration: the file alone, or what a new installation has.
pub fn load(file: Option<&Path>) -> Told<Config> {
    let file = file.map(File::read).transpose()?;
    let flags = Overrides { public_url: file.is_none().then(|| PUBLIC_URL.to_owned()), ..Overrides::default() };
    Ok(Config::load(file.as_ref(), &Strings::new(), &flags)?)
}

/// Opens the installation in `data`, or makes it.
pub async fn open(data: &Path, config: Config) -> Told<Arc<App>> {
    let data = DataDir::open(data, Modes::Checked)?;
    let rng = Arc::new(Rng::os());
    let new = std::fs::metadata(data.database()).map_or(true, |found| found.len() == 0);
    let key = data.master_key(&KeySource::DataDirectory, new, &rng)?;
    let db = Db::open(&DatabaseUrl::Sqlite(data.database()), schema::MIGRATIONS).await?;
    let around = Surroundings { db, vault: Vault::new(&key), clock: Clock::System, rng };
    Ok(App::build(config, around).await?)
}
