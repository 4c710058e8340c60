//! Where a command works: configuration, data directory, database, master key.
//!
//! The configuration file is the one named by `--config`, else by `USHER_CONFIG`, else `usher.toml` in
//! `$CONFIGURATION_DIRECTORY` (systemd sets it), else `usher.toml` in the data directory. A file in the working
//! directory is never read by itself: whoever owns that directory is not who runs the command.

use super::Common;
use super::stop::{Code, Stop};
use crate::config::{Config, File, Overrides, Strings};
use crate::datadir::{DataDir, KeySource, Modes, Places, Refusal};
use crate::media::buckets::{Folders, holds};
use crate::seal::{MasterKey, Vault};
use crate::secret::Rng;
use crate::time::Clock;
use crate::{App, Surroundings, installation, schema};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use usher_db::{DatabaseUrl, Db, Options};

/// A place that was found. Nothing in it was opened or made yet.
pub struct Place {
    /// The effective configuration.
    pub config: Config,
    /// The file it was read from.
    pub file: Option<PathBuf>,
    /// The data directory's path.
    pub data: PathBuf,
    credentials: Option<PathBuf>,
}

/// The files of an installation, checked.
pub struct Files {
    /// The data directory.
    pub data: DataDir,
    /// The database.
    pub database: DatabaseUrl,
    /// Where the master key is.
    pub key: KeySource,
}

fn path_of(env: &Strings, name: &str) -> Option<PathBuf> {
    env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn places(data: Option<PathBuf>, env: &Strings) -> Places {
    Places {
        data,
        state_directory: path_of(env, "STATE_DIRECTORY"),
        xdg_data_home: path_of(env, "XDG_DATA_HOME"),
        home: path_of(env, "HOME"),
    }
}

impl Place {
    /// Finds the place that arguments and environment name.
    pub fn find(common: &Common, mut flags: Overrides, env: &Strings) -> Result<Place, Stop> {
        flags.data.clone_from(&common.data);
        flags.database.clone_from(&common.database);
        flags.master_key_file.clone_from(&common.master_key_file);
        flags.trust_filesystem_modes = common.trust_filesystem_modes;
        let file = configuration_file(common, env)?.map(|path| File::read(&path)).transpose()?;
        let config = Config::load(file.as_ref(), env, &flags)?;
        let data = places(config.storage.data.clone(), env).data_directory()?;
        Ok(Place { file: file.map(|file| file.path), config, data, credentials: path_of(env, "CREDENTIALS_DIRECTORY") })
    }

    /// The files, with the data directory made when there is none.
    pub fn files(&self) -> Result<Files, Stop> {
        let modes = if self.config.storage.trust_filesystem_modes { Modes::Trusted } else { Modes::Checked };
        // The address first: a mistake in it must leave no new directory behind.
        let url = self.config.storage.database.as_deref().map(str::parse::<DatabaseUrl>).transpose();
        let url = url.map_err(|error| Stop::new(Code::Configuration, "configuration", error))?;
        let data = DataDir::open(&self.data, modes)?;
        let database = match url {
            Some(url) => url,
            None => DatabaseUrl::Sqlite(data.database()),
        };
        let key = KeySource::choose(self.config.storage.master_key_file.as_deref(), self.credentials.as_deref());
        Ok(Files { data, database, key })
    }

    /// Whether there is an installation.
    pub fn begun(&self) -> bool {
        self.config.storage.database.is_some() || self.data.join("usher.db").exists()
    }

    /// The files of an installation that was begun before; a command that only looks makes none.
    pub fn existing_files(&self) -> Result<Files, Stop> {
        if !self.begun() {
            return Err(Stop::data(format!(
                "there is no Usher in {} yet. Start one with `usher serve`, make its first account with \
                 `usher user add NAME --admin`, or name another place with --data DIR",
                self.data.display()
            )));
        }
        self.files()
    }
}

/// The configuration file: a named one must exist, a standing one may.
fn configuration_file(common: &Common, env: &Strings) -> Result<Option<PathBuf>, Stop> {
    if let Some(named) = common.config.clone().or_else(|| path_of(env, "USHER_CONFIG")) {
        return Ok(Some(named));
    }
    let flag = common.data.as_ref().map(PathBuf::from).or_else(|| path_of(env, "USHER_DATA"));
    let system = env.get("CONFIGURATION_DIRECTORY").and_then(|list| list.split(':').next()).map(PathBuf::from);
    // Without a home there is nowhere to look, which is said when the data directory is needed.
    let data = places(flag, env).data_directory().ok();
    let standing = system.into_iter().chain(data).map(|directory| directory.join("usher.toml"));
    Ok(standing.into_iter().find(|path| path.is_file()))
}

/// Whether nothing was ever written to the file.
fn is_empty(database: &Path) -> bool {
    std::fs::metadata(database).map_or(true, |found| found.len() == 0)
}

impl Files {
    /// The folders that nobody may fetch anything from.
    pub fn private(&self) -> Vec<PathBuf> {
        // What is on a server of its own is in no folder of ours.
        let database = self.file().map(|file| file.parent().unwrap_or(Path::new("/")).to_owned());
        std::iter::once(self.data.path().to_owned()).chain(database).collect()
    }

    /// Refuses a bucket from which the data directory or the database could be fetched.
    pub fn keep_out_of(&self, config: &Config) -> Result<(), Stop> {
        let private = self.private();
        for bucket in &config.buckets {
            if holds(bucket, &private) {
                return Err(Stop::new(
                    Code::Configuration,
                    "configuration",
                    format!(
                        "bucket `{}` ({}) holds Usher's own data, which must not be served: serve a folder beside it, or \
                         keep the data elsewhere with --data DIR",
                        bucket.name,
                        bucket.path.display()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The file of the database, when it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.database {
            DatabaseUrl::Sqlite(path) => Some(path),
            _ => None,
        }
    }

    /// The file, for a command that works on nothing else.
    pub fn only_file(&self, instead: &str) -> Result<&Path, Stop> {
        self.file().ok_or_else(|| Stop::refused(format!("this is for SQLite; with PostgreSQL, {instead}")))
    }

    /// Where a new master key waits until the database names it.
    pub fn next_key_file(&self) -> PathBuf {
        self.data.master_key_file().with_extension("key.next")
    }

    /// Puts the waiting key in the place of the old one, which is kept. Returns where.
    pub fn promote_next_key(&self) -> Result<PathBuf, Stop> {
        let (key, next) = (self.data.master_key_file(), self.next_key_file());
        let kept = key.with_extension(format!("key.replaced-{}", Clock::System.now().0));
        let moved = std::fs::hard_link(&key, &kept)
            .and_then(|()| std::fs::rename(&next, &key))
            .and_then(|()| std::fs::File::open(self.data.path())?.sync_all());
        moved.map_err(|error| {
            Stop::data(format!("{} could not be moved to {}: {error}", next.display(), key.display()))
        })?;
        Ok(kept)
    }

    /// Opens the database with its master key. The key is on the disk before the database is made.
    pub async fn open_with_key(&self, options: &Options, rng: &Rng) -> Result<(Db, MasterKey), Stop> {
        let Some(file) = self.file() else { return self.open_shared(options, rng).await };
        let url = &self.database;
        let key = match self.data.master_key(&self.key, is_empty(file), rng) {
            Ok(key) => key,
            Err(missing @ (Refusal::KeyMissing { .. } | Refusal::NamedKeyMissing { .. })) if !is_empty(file) => {
                let db = Db::open(url, schema::MIGRATIONS).await?;
                let name = installation::master_key_name(&db).await?;
                db.close().await;
                let name: String = name.unwrap_or_default().chars().take(16).collect();
                return Err(Stop::data(format!("{missing}. The database asks for master key {name}")));
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let db = Db::open(url, schema::MIGRATIONS).await?;
        self.with_right_key(db, key, rng).await
    }

    /// The same where other nodes may be first. The database names its key before anything is sealed under it: of nodes
    /// that start on an empty database with keys of their own, one names its own, and the others stop.
    async fn open_shared(&self, options: &Options, rng: &Rng) -> Result<(Db, MasterKey), Stop> {
        let db = Db::open_with(&self.database, schema::MIGRATIONS, options).await?;
        let name = installation::master_key_name(&db).await?;
        let key = match (self.data.master_key(&self.key, name.is_none(), rng), name) {
            (Ok(key), _) => key,
            (Err(missing @ (Refusal::KeyMissing { .. } | Refusal::NamedKeyMissing { .. })), Some(name)) => {
                db.close().await;
                let name: String = name.chars().take(16).collect();
                return Err(Stop::data(format!(
                    "{missing}. The database asks for master key {name}, which its first node made: bring that node's \
                     master.key here, into {}, or as the systemd credential usher-master-key",
                    self.data.master_key_file().display()
                )));
            }
            (Err(refusal), _) => return Err(refusal.into()),
        };
        installation::keep_master_key_name(&db, &Vault::new(&key)).await?;
        self.with_right_key(db, key, rng).await
    }

    async fn with_right_key(&self, db: Db, key: MasterKey, rng: &Rng) -> Result<(Db, MasterKey), Stop> {
        let Err(wrong) = installation::check_master_key(&db, &Vault::new(&key)).await else { return Ok((db, key)) };
        // A rotation that was cut off between its commit and the move of its file is finished here.
        let next = self.data.master_key(&KeySource::File(self.next_key_file()), false, rng);
        match next {
            Ok(next) if self.key == KeySource::DataDirectory => {
                installation::check_master_key(&db, &Vault::new(&next)).await.map_err(|_| wrong)?;
                self.promote_next_key()?;
                Ok((db, next))
            }
            _ => Err(wrong.into()),
        }
    }

    /// Opens everything.
    pub async fn app(&self, config: Config) -> Result<Arc<App>, Stop> {
        self.app_with(config, Folders { open: true, private: self.private() }).await
    }

    /// Opens everything but the folders. They are the server's business: a disk that is not mounted keeps nobody from
    /// making an account.
    pub async fn app_without_folders(&self, config: Config) -> Result<Arc<App>, Stop> {
        self.app_with(config, Folders { open: false, private: self.private() }).await
    }

    async fn app_with(&self, config: Config, folders: Folders) -> Result<Arc<App>, Stop> {
        let rng = Arc::new(Rng::os());
        let (db, key) = self.open_with_key(&config.database.options(), &rng).await?;
        let vault = Vault::new(&key);
        let app = App::build(config, Surroundings { db, vault, clock: Clock::System, rng, folders }).await?;
        installation::keep_master_key_name(&app.db, &app.vault).await?;
        Ok(app)
    }
}
