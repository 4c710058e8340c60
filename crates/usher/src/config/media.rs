//! Which folders are served, which apps may call, and how long what is written down is kept.

use super::origin::Origin;
use super::value::Choice;
use super::visit::{Keys, Visit};
use std::path::PathBuf;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// One `[[app]]`: a first-party application.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct App {
    /// Its name, unique.
    pub name: String,
    /// The exact origins its pages come from.
    pub origins: Vec<Origin>,
    /// The `aud` of its access tokens; else its name.
    pub audience: Option<String>,
}

impl App {
    /// The `aud` of its access tokens.
    pub fn audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(&self.name)
    }
}

impl Keys for App {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("name", &mut self.name);
        to.setting("origins", &mut self.origins);
        to.setting("audience", &mut self.audience);
    }
}

/// One `[[bucket]]`: a folder of media.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Its name, unique.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// Which symbolic links are followed.
    pub symlinks: Symlinks,
    /// Serve names that begin with a dot.
    pub hidden: bool,
}

/// Which symbolic links are followed beneath a bucket. None ever leads out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// Those that stay beneath the bucket.
    #[default]
    Inside,
    /// None.
    Never,
}

impl Choice for Symlinks {
    const ALL: &'static [(&'static str, Self)] = &[("inside", Symlinks::Inside), ("never", Symlinks::Never)];
}

impl Keys for Bucket {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("name", &mut self.name);
        to.setting("path", &mut self.path);
        to.setting("symlinks", &mut self.symlinks);
        to.setting("hidden", &mut self.hidden);
    }
}

/// The `[media]` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// The shortest life of a media URL when it is made.
    pub url_life_min: Duration,
    /// The longest.
    pub url_life_max: Duration,
    /// How long after its last use an expired media URL still plays on.
    pub lease: Duration,
    /// The most that such use adds to a media URL's life.
    pub lease_max: Duration,
}

impl Default for Media {
    fn default() -> Self {
        Media { url_life_min: 4 * HOUR, url_life_max: 24 * HOUR, lease: HOUR / 4, lease_max: 12 * HOUR }
    }
}

impl Keys for Media {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("url_life_min", &mut self.url_life_min);
        to.setting("url_life_max", &mut self.url_life_max);
        to.setting("lease", &mut self.lease);
        to.setting("lease_max", &mut self.lease_max);
    }
}

/// The `[audit]` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    /// How long audit events are kept.
    pub retain: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Audit { retain: 365 * 24 * HOUR }
    }
}

impl Keys for Audit {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("retain", &mut self.retain);
    }
}

/// The `[log]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: Format,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or such per target (`info,usher::login=debug`).
    pub level: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object per line.
    Json,
}

impl Choice for Format {
    const ALL: &'static [(&'static str, Self)] = &[("text", Format::Text), ("json", Format::Json)];
}

impl Default for Log {
    fn default() -> Self {
        Log { format: Format::Text, level: "info".to_owned() }
    }
}

impl Keys for Log {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("format", &mut self.format);
        to.setting("level", &mut self.level);
    }
}

/// The `[docs]` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Docs {
    /// Show `/docs` to everybody; else to admins.
    pub public: bool,
}

impl Keys for Docs {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("public", &mut self.public);
    }
}
