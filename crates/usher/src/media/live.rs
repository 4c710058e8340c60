//! Media in use: keys, buckets, leases, and transfers in flight.

use super::buckets::{Buckets, BucketsError, Folders};
use super::dead::Dead;
use super::lease::Leases;
use super::token::MediaKeys;
use super::transfers::Transfers;
use crate::config::Config;
use crate::time::Time;
use usher_db::Db;

/// What media needs in memory.
pub struct Media {
    /// The keys of media URLs.
    pub keys: MediaKeys,
    /// The buckets, configured and declared.
    pub buckets: Buckets,
    /// Uses that keep URLs alive past their end.
    pub leases: Leases,
    /// URLs that are over and still asked for.
    pub dead: Dead,
    /// Transfers in flight, by media grant.
    pub transfers: Transfers,
}

/// Why media cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// A bucket cannot be used.
    #[error(transparent)]
    Buckets(#[from] BucketsError),
    /// There is no key to make media URLs with.
    #[error("there is no usable key for media URLs")]
    NoKey,
}

/// Media URLs tracked for their leases; about 3 MiB when full.
const LEASED: usize = 65_536;

impl Media {
    /// Opens the buckets. The first key makes new URLs, the others verify.
    pub async fn open(
        db: &Db,
        config: &Config,
        keys: Vec<(u8, [u8; 32])>,
        folders: Folders,
    ) -> Result<Media, MediaError> {
        let mut keys = keys.into_iter();
        let (kid, secret) = keys.next().ok_or(MediaError::NoKey)?;
        let mut ring = MediaKeys::new(kid, &secret).ok_or(MediaError::NoKey)?;
        for (kid, secret) in keys {
            if !ring.add_verifying(kid, &secret, Time(i64::MAX)) {
                tracing::warn!(kid, "a media key has a number that cannot be used; its URLs are refused");
            }
        }
        Ok(Media {
            keys: ring,
            buckets: Buckets::open(db, config, folders).await?,
            leases: Leases::new(config.media.lease, config.media.lease_max, LEASED),
            dead: Dead::default(),
            transfers: Transfers::new(),
        })
    }
}
