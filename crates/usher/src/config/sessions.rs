//! How long sessions live, what they may carry, and the tokens made from them.

use super::value::Choice;
use super::visit::{Keys, Visit};
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The `[sessions]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// Quiet time after which a browser's session ends.
    pub browser_idle: Duration,
    /// Quiet time after which a device's session ends.
    pub device_idle: Duration,
    /// Quiet time after which a program's session ends.
    pub api_idle: Duration,
    /// The longest life of any session, however busy.
    pub absolute: Duration,
    /// Live sessions of one account; beyond it the one idle for longest ends.
    pub max_per_account: u32,
    /// How long a used refresh token is answered with the same successor.
    pub refresh_grace: Duration,
    /// Bytes of data that one account's sessions may carry together.
    pub data_limit: u64,
    /// How long attached data is kept, by key prefix (`[[sessions.data]]`); the longest matching prefix decides.
    pub data: Vec<Retention>,
    /// Other limits for a role (`[sessions.roles.admin]`).
    pub roles: BTreeMap<String, RoleLimits>,
}

/// How long data under a key prefix is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// Keys that begin with this; the empty prefix is every key.
    pub prefix: String,
    /// For how long.
    pub retain: Retain,
}

/// How long attached data outlives its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retain {
    /// Not at all.
    #[default]
    Session,
    /// For this many days after the session ended.
    Days(u32),
    /// As long as the account.
    Forever,
}

/// What a role overrides; what is absent stays as for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoleLimits {
    /// Quiet time after which any session of the role ends.
    pub idle: Option<Duration>,
    /// The longest life of any session of the role.
    pub absolute: Option<Duration>,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions {
            browser_idle: 30 * DAY,
            device_idle: 180 * DAY,
            api_idle: 30 * DAY,
            absolute: 365 * DAY,
            max_per_account: 50,
            refresh_grace: Duration::from_secs(30),
            data_limit: 256 * 1024,
            data: Vec::new(),
            roles: BTreeMap::new(),
        }
    }
}

impl Keys for Sessions {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("browser_idle", &mut self.browser_idle);
        to.setting("device_idle", &mut self.device_idle);
        to.setting("api_idle", &mut self.api_idle);
        to.setting("absolute", &mut self.absolute);
        to.setting("max_per_account", &mut self.max_per_account);
        to.setting("refresh_grace", &mut self.refresh_grace);
        to.setting("data_limit", &mut self.data_limit);
        for role in ["user", "admin"] {
            let mut limits = self.roles.get(role).copied().unwrap_or_default();
            to.section(&format!("roles.{role}"), &mut limits);
            if limits == RoleLimits::default() {
                self.roles.remove(role);
            } else {
                self.roles.insert(role.to_owned(), limits);
            }
        }
        super::visit::tables(to, "data", &mut self.data);
    }
}

impl Keys for Retention {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("prefix", &mut self.prefix);
        to.setting("retain", &mut self.retain);
    }
}

impl Keys for RoleLimits {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("idle", &mut self.idle);
        to.setting("absolute", &mut self.absolute);
    }
}

/// The `[tokens]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// What access tokens are signed with.
    pub algorithm: Algorithm,
    /// The life of an access token.
    pub access_life: Duration,
    /// The `aud` of access tokens that no app asked for; else the issuer.
    pub audience: Option<String>,
    /// The age at which the signing key is replaced.
    pub rotate_every: Duration,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
}

/// Signature algorithms, named as in RFC 7518 and RFC 9864.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256.
    ES256,
    /// EdDSA with Curve25519.
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
}

impl Choice for Algorithm {
    const ALL: &'static [(&'static str, Self)] =
        &[("ES256", Algorithm::ES256), ("Ed25519", Algorithm::Ed25519), ("RS256", Algorithm::RS256)];
}

impl Default for Tokens {
    fn default() -> Self {
        Tokens {
            algorithm: Algorithm::ES256,
            access_life: Duration::from_secs(10 * 60),
            audience: None,
            rotate_every: 90 * DAY,
            publish_ahead: DAY,
        }
    }
}

impl Keys for Tokens {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("algorithm", &mut self.algorithm);
        to.setting("access_life", &mut self.access_life);
        to.setting("audience", &mut self.audience);
        to.setting("rotate_every", &mut self.rotate_every);
        to.setting("publish_ahead", &mut self.publish_ahead);
    }
}
