//! Apps and buckets in memory: those of the configuration with those that were declared.
//!
//! A change is told in the feed without its content: a node reads the rows again, one reading after the other, so that
//! what a later one saw is never replaced by what an earlier one did. Whoever made the change does so before it answers.
//! What the configuration names is what holds; a declared thing of the same name is hidden, and said to be.

use super::{Declared, store};
use crate::App;
use crate::config;
use crate::media::buckets::{Buckets, Declared as DeclaredBucket};
use arc_swap::ArcSwap;
use std::sync::Arc;
use usher_db::{Db, Error};

/// The feed topic under which a change of declared apps or buckets is told. Neither key nor body says more.
pub const TOPIC: &str = "declared";

/// A first-party app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppInUse {
    /// As it is configured or declared.
    pub app: config::App,
    /// Which file declared it; none when it stands in the configuration.
    pub owner: Option<String>,
}

impl AppInUse {
    /// The `aud` of its access tokens.
    pub fn audience(&self) -> &str {
        self.app.audience()
    }
}

/// The apps that may ask for tokens: those of the configuration in its order, then the declared ones by name.
pub struct Apps {
    /// Held from reading the rows to putting them in use.
    reading: tokio::sync::Mutex<()>,
    all: ArcSwap<Vec<AppInUse>>,
}

impl Apps {
    /// Those of the configuration; the declared ones come with [`read`].
    pub fn of(config: &config::Config) -> Apps {
        let all = config.apps.iter().map(|app| AppInUse { app: app.clone(), owner: None }).collect();
        Apps { reading: tokio::sync::Mutex::default(), all: ArcSwap::from_pointee(all) }
    }

    /// All of them.
    pub fn all(&self) -> Arc<Vec<AppInUse>> {
        self.all.load_full()
    }

    /// The app of this name.
    pub fn named(&self, name: &str) -> Option<AppInUse> {
        self.all.load().iter().find(|known| known.app.name == name).cloned()
    }

    /// The app whose pages come from exactly this origin.
    pub fn at(&self, origin: &str) -> Option<AppInUse> {
        let is_at = |known: &&AppInUse| known.app.origins.iter().any(|known| known.as_str() == origin);
        self.all.load().iter().find(is_at).cloned()
    }

    fn declare(&self, config: &config::Config, declared: Vec<Declared<config::App>>) {
        let mut all: Vec<AppInUse> = self.all.load().iter().filter(|app| app.owner.is_none()).cloned().collect();
        for Declared { what: app, owner } in declared {
            // Judged again: the configuration may be another one than when it was declared, and with the server's own
            // audience a token of the app would open the server.
            let others: Vec<&config::App> = all.iter().map(|known| &known.app).collect();
            if let Some(fault) = config::faults_of_app(&app, config, &others).first() {
                tracing::warn!(target: "usher", app = app.name, owner, why = fault.expected, "a declared app is not used");
                continue;
            }
            all.push(AppInUse { app, owner: Some(owner) });
        }
        self.all.store(Arc::new(all));
    }
}

/// Puts the declared apps and buckets in use as they stand in their rows.
pub async fn read(db: &Db, config: &config::Config, apps: &Apps, buckets: &Buckets) -> Result<(), Error> {
    let _reading = apps.reading.lock().await;
    apps.declare(config, store::apps(db).await?);
    // Last: a folder may take a while to open.
    buckets.declare(db, &store::buckets(db).await?).await
}

/// Follows a change: reads the rows again.
pub async fn follow(app: &App) -> Result<(), Error> {
    read(&app.db, &app.config, &app.apps, &app.media.buckets).await
}

/// Tries the folders again that were missing.
pub async fn retry(app: &App) -> Result<(), Error> {
    if app.media.buckets.any_missing() { follow(app).await } else { Ok(()) }
}

/// The declared buckets and apps that the configuration hides, with the names of their files.
pub async fn hidden(app: &App) -> Result<Vec<(&'static str, String, String)>, Error> {
    let apps = store::apps(&app.db).await?.into_iter().filter(|declared| {
        let hidden = AppInUse { app: declared.what.clone(), owner: Some(declared.owner.clone()) };
        !app.apps.all().contains(&hidden)
    });
    let buckets = store::buckets(&app.db).await?.into_iter().filter(|DeclaredBucket { bucket, .. }| {
        app.config.buckets.iter().any(|configured| configured.name == bucket.name)
    });
    let apps = apps.map(|Declared { what, owner }| ("app", what.name, owner));
    Ok(apps.chain(buckets.map(|DeclaredBucket { bucket, owner }| ("bucket", bucket.name, owner))).collect())
}

/// Why this process could not serve a bucket, if it could not.
pub async fn refusal(app: &App, bucket: &config::Bucket) -> Option<String> {
    app.media.buckets.refusal(bucket).await
}
