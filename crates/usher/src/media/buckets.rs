//! The buckets there are: names, numbers and open roots.
//!
//! Some stand in the configuration, and the server does not start without their folders. Others were declared
//! (`usher apply`): they are rows that every node follows, and a node that lacks one's folder serves the others. Where
//! both name the same bucket, the configuration's is meant.

use super::root::{Hidden, OpenError, Root, RootOptions, Symlinks};
use super::store;
use crate::accounts::Buckets as Granted;
use crate::config::{self as configured, Config};
use arc_swap::ArcSwap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use usher_db::{Db, Error, Tx};

/// Folders of declared buckets that are being opened. A disk that hangs keeps its places and no more.
static OPENING: Semaphore = Semaphore::const_new(4);
/// How long a declared bucket's folder may take to open before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(5);

/// A bucket.
pub struct Bucket {
    /// Its name in configuration, pages and addresses.
    pub name: String,
    /// Its number in media URLs.
    pub number: u32,
    /// Its folder.
    pub path: PathBuf,
    /// Which file declared it; none when it stands in the configuration.
    pub owner: Option<String>,
    options: RootOptions,
    /// The folder, or why this machine has none.
    root: Result<Arc<Root>, String>,
}

impl Bucket {
    /// The open folder; [`OpenError::Away`] where this machine has none.
    pub fn root(&self) -> Result<Arc<Root>, OpenError> {
        self.root.clone().map_err(|_| OpenError::Away)
    }

    /// Why this machine cannot serve it, if it cannot.
    pub fn missing(&self) -> Option<&str> {
        self.root.as_ref().err().map(String::as_str)
    }
}

/// Why the buckets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BucketsError {
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] Error),
    /// The folder cannot be opened.
    #[error(
        "bucket `{name}`: {path} cannot be opened as a folder: {source}. Correct its `path`, or let the server read it."
    )]
    Folder {
        /// The bucket.
        name: String,
        /// Its folder.
        path: PathBuf,
        /// What the system says.
        source: OpenError,
    },
}

/// What becomes of the folders of buckets in this process.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// Whether they are opened; else they are somebody else's business, and no bucket is known here.
    pub open: bool,
    /// Places that nobody may fetch anything from: the data directory, and where the database is.
    pub private: Vec<PathBuf>,
}

/// A bucket that a file declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// What it is.
    pub bucket: configured::Bucket,
    /// Which file declared it.
    pub owner: String,
}

/// All buckets: those of the configuration in its order, then the declared ones by name.
pub struct Buckets {
    folders: Folders,
    all: ArcSwap<Vec<Arc<Bucket>>>,
}

impl Buckets {
    /// Opens every configured folder, and gives a number to each name that is new.
    pub async fn open(db: &Db, config: &Config, folders: Folders) -> Result<Buckets, BucketsError> {
        let mut buckets = Vec::new();
        if folders.open {
            let numbers = numbers_for(db, config).await?;
            for bucket in &config.buckets {
                let root = Root::open(&bucket.path, options(bucket)).map_err(|source| BucketsError::Folder {
                    name: bucket.name.clone(),
                    path: bucket.path.clone(),
                    source,
                })?;
                buckets.push(Arc::new(Bucket {
                    name: bucket.name.clone(),
                    number: number_of(&numbers, &bucket.name),
                    path: bucket.path.clone(),
                    owner: None,
                    options: options(bucket),
                    root: Ok(Arc::new(root)),
                }));
            }
        }
        Ok(Buckets { folders, all: ArcSwap::from_pointee(buckets) })
    }

    /// Takes the declared buckets as they stand in their rows. Folders that are open stay open; the others are tried.
    /// One at a time, by whoever reads the rows.
    pub async fn declare(&self, db: &Db, declared: &[Declared]) -> Result<(), Error> {
        if !self.folders.open {
            return Ok(());
        }
        let known = self.all.load_full();
        let mut all: Vec<Arc<Bucket>> = known.iter().filter(|bucket| bucket.owner.is_none()).cloned().collect();
        let numbers = if declared.is_empty() { Vec::new() } else { store::numbers(db).await? };
        for Declared { bucket, owner } in declared {
            if all.iter().any(|configured| configured.name == bucket.name) {
                tracing::warn!(target: "usher", bucket = bucket.name, owner, "a declared bucket is hidden by the configuration's");
                continue;
            }
            let before = known.iter().find(|known| known.name == bucket.name && known.owner.is_some());
            let same = before.filter(|before| before.path == bucket.path && before.options == options(bucket));
            let root = match same.map(|same| &same.root) {
                Some(Ok(root)) => Ok(root.clone()),
                Some(Err(_)) | None => open(bucket, &self.folders.private).await,
            };
            match (&root, same.and_then(|same| same.missing())) {
                (Err(why), before) if before != Some(why) => {
                    tracing::error!(target: "usher", bucket = bucket.name, why, "a bucket's folder is missing here; it is tried again");
                }
                (Ok(_), Some(_)) => {
                    tracing::info!(target: "usher", bucket = bucket.name, "a bucket's folder is here now")
                }
                _ => {}
            }
            all.push(Arc::new(Bucket {
                name: bucket.name.clone(),
                number: number_of(&numbers, &bucket.name),
                path: bucket.path.clone(),
                owner: Some(owner.clone()),
                options: options(bucket),
                root,
            }));
        }
        self.all.store(Arc::new(all));
        Ok(())
    }

    /// The bucket of this name, if `granted` opens it. What is not granted and what does not exist look the same.
    pub fn find(&self, name: &str, granted: &Granted) -> Option<Arc<Bucket>> {
        self.all.load().iter().find(|bucket| bucket.name == name && granted.contains(name)).cloned()
    }

    /// The bucket of this number, whoever asks.
    pub fn numbered(&self, number: u32) -> Option<Arc<Bucket>> {
        self.all.load().iter().find(|bucket| bucket.number == number).cloned()
    }

    /// The buckets that `granted` opens.
    pub fn granted(&self, granted: &Granted) -> Vec<Arc<Bucket>> {
        self.all.load().iter().filter(|bucket| granted.contains(&bucket.name)).cloned().collect()
    }

    /// All of them, whoever may open them.
    pub fn all(&self) -> Arc<Vec<Arc<Bucket>>> {
        self.all.load_full()
    }

    /// The names of all buckets, for the forms that grant them.
    pub fn names(&self) -> Vec<String> {
        self.all.load().iter().map(|bucket| bucket.name.clone()).collect()
    }

    /// Whether a declared bucket's folder is missing here.
    pub fn any_missing(&self) -> bool {
        self.all.load().iter().any(|bucket| bucket.root.is_err())
    }

    /// Why `bucket` could not be served from this process, if it could not.
    pub async fn refusal(&self, bucket: &configured::Bucket) -> Option<String> {
        open(bucket, &self.folders.private).await.err()
    }
}

async fn open(bucket: &configured::Bucket, private: &[PathBuf]) -> Result<Arc<Root>, String> {
    let (bucket, private) = (bucket.clone(), private.to_vec());
    let opened = move |place: SemaphorePermit<'static>| {
        // Held by the work itself: a folder that hangs does not make room for more of its kind.
        let _place = place;
        if holds(&bucket, &private) {
            return Err("it holds Usher's own data, which must not be served".to_owned());
        }
        Root::open(&bucket.path, options(&bucket)).map(Arc::new).map_err(|error| match error {
            OpenError::NotFound => "there is no such folder, or the server may not read it".to_owned(),
            other => other.to_string(),
        })
    };
    let opening = async {
        // The semaphore is never closed, and the work ends early only when it panicked or the runtime is gone.
        let place = OPENING.acquire().await.ok()?;
        tokio::task::spawn_blocking(move || opened(place)).await.ok()
    };
    match tokio::time::timeout(PATIENCE, opening).await {
        Ok(Some(opened)) => opened,
        Ok(None) | Err(_) => Err("its disk does not answer".to_owned()),
    }
}

/// Whether one of these places could be fetched from the bucket's folder.
pub fn holds(bucket: &configured::Bucket, private: &[PathBuf]) -> bool {
    // What cannot be found is refused with its own reason when the bucket is opened.
    let Ok(root) = std::fs::canonicalize(&bucket.path) else { return false };
    let inside = |path: &PathBuf| {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let below = path.strip_prefix(&root).map(Path::to_owned);
        // A name that begins with a dot is not served, and nothing below it.
        below.is_ok_and(|below| bucket.hidden || !below.iter().any(|name| name.as_encoded_bytes().starts_with(b".")))
    };
    private.iter().any(inside)
}

async fn numbers_for(db: &Db, config: &Config) -> Result<Vec<(String, u32)>, Error> {
    let known = store::numbers(db).await?;
    let fresh: Vec<String> = config
        .buckets
        .iter()
        .filter(|bucket| !known.iter().any(|(name, _)| *name == bucket.name))
        .map(|bucket| bucket.name.clone())
        .collect();
    if fresh.is_empty() {
        return Ok(known);
    }
    db.write("media.give_numbers", async move |tx| {
        for name in &fresh {
            give_number(tx, name).await?;
        }
        Ok(())
    })
    .await?;
    store::numbers(db).await
}

/// Gives a bucket the next number, unless it has one.
pub async fn give_number(tx: &mut Tx, name: &str) -> Result<(), Error> {
    store::hold_numbers(tx).await?;
    store::give_number(tx, name).await
}

/// Whether a bucket of this name was ever there.
pub async fn was_known(tx: &mut Tx, name: &str) -> Result<bool, Error> {
    store::has_number(tx, name).await
}

fn number_of(numbers: &[(String, u32)], name: &str) -> u32 {
    numbers.iter().find(|(known, _)| known == name).map_or(0, |(_, number)| *number)
}

fn options(bucket: &configured::Bucket) -> RootOptions {
    RootOptions {
        symlinks: match bucket.symlinks {
            configured::Symlinks::Inside => Symlinks::Inside,
            configured::Symlinks::Never => Symlinks::Never,
        },
        hidden: if bucket.hidden { Hidden::Serve } else { Hidden::Hide },
        one_file_system: false,
    }
}
