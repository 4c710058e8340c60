//! The buckets that are configured: names, numbers and open roots.

use super::root::{Hidden, OpenError, Root, RootOptions, Symlinks};
use super::store;
use crate::accounts::Buckets as Granted;
use crate::config::{self as configured, Config};
use std::path::PathBuf;
use std::sync::Arc;
use usher_db::{Db, Error};

/// A bucket that can be read.
#[derive(Clone)]
pub struct Bucket {
    /// Its name in configuration, pages and addresses.
    pub name: String,
    /// Its number in media URLs.
    pub number: u32,
    /// The folder.
    pub root: Arc<Root>,
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

/// All configured buckets, in the order of the configuration.
pub struct Buckets(Vec<Bucket>);

impl Buckets {
    /// Opens every configured folder, and gives a number to each name that is new.
    pub async fn open(db: &Db, config: &Config) -> Result<Buckets, BucketsError> {
        let known = store::numbers(db).await?;
        let fresh: Vec<String> = config
            .buckets
            .iter()
            .filter(|bucket| !known.iter().any(|(name, _)| *name == bucket.name))
            .map(|bucket| bucket.name.clone())
            .collect();
        if !fresh.is_empty() {
            db.write("media.give_numbers", async move |tx| {
                store::hold_numbers(tx).await?;
                for name in &fresh {
                    store::give_number(tx, name).await?;
                }
                Ok(())
            })
            .await?;
        }
        let numbers = store::numbers(db).await?;
        let mut buckets = Vec::new();
        for bucket in &config.buckets {
            let number = numbers.iter().find(|(name, _)| *name == bucket.name).map_or(0, |(_, number)| *number);
            let root = Root::open(&bucket.path, options(bucket)).map_err(|source| BucketsError::Folder {
                name: bucket.name.clone(),
                path: bucket.path.clone(),
                source,
            })?;
            buckets.push(Bucket { name: bucket.name.clone(), number, root: Arc::new(root) });
        }
        Ok(Buckets(buckets))
    }

    /// The bucket of this name, if `granted` opens it. What is not granted and what does not exist look the same.
    pub fn find(&self, name: &str, granted: &Granted) -> Option<&Bucket> {
        self.0.iter().find(|bucket| bucket.name == name && granted.contains(name))
    }

    /// The bucket of this number, whoever asks.
    pub fn numbered(&self, number: u32) -> Option<&Bucket> {
        self.0.iter().find(|bucket| bucket.number == number)
    }

    /// The buckets that `granted` opens.
    pub fn granted(&self, granted: &Granted) -> impl Iterator<Item = &Bucket> {
        self.0.iter().filter(move |bucket| granted.contains(&bucket.name))
    }

    /// The names of all buckets, for the forms that grant them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|bucket| bucket.name.as_str())
    }
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
