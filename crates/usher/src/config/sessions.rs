//! How long sessions live, what they may carry, and the tokens made from them.

use super::value::Choice;
use super::visit::{Keys, Visit};
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The `[sessions]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// Upper bounds for all of the below.
    pub profile: Profile,
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

/// Upper bounds for every session's life (NIST SP 800-63B-4 sections 2.1.3, 2.2.3 and 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// None but the settings' own.
    #[default]
    Standard,
    /// 30 days.
    Aal1,
    /// A day, and an hour without use.
    Aal2,
    /// Twelve hours, and 15 minutes without use.
    Aal3,
}

impl Choice for Profile {
    const ALL: &'static [(&'static str, Self)] =
        &[("standard", Profile::Standard), ("aal1", Profile::Aal1), ("aal2", Profile::Aal2), ("aal3", Profile::Aal3)];
}

impl Profile {
    /// The longest pause between two uses, and the longest life at all.
    pub fn most(self) -> (Duration, Duration) {
        const MINUTE: Duration = Duration::from_secs(60);
        match self {
            Profile::Standard => (Duration::MAX, Duration::MAX),
            Profile::Aal1 => (30 * DAY, 30 * DAY),
            Profile::Aal2 => (60 * MINUTE, DAY),
            Profile::Aal3 => (15 * MINUTE, DAY / 2),
        }
    }
}

impl Sessions {
    /// How long a session of a role may idle, when its kind gives `idle`, and how long it may last.
    pub fn limits(&self, idle: Duration, role: &str) -> (Duration, Duration) {
        let own = self.roles.get(role).copied().unwrap_or_default();
        let (most_idle, most) = self.profile.most();
        (own.idle.unwrap_or(idle).min(most_idle), own.absolute.unwrap_or(self.absolute).min(most))
    }

    /// The longest life that a session may have, or may have been given before the profile was chosen.
    pub fn longest(&self) -> Duration {
        self.roles.values().filter_map(|limits| limits.absolute).fold(self.absolute, Duration::max)
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions {
            profile: Profile::Standard,
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
        to.setting("profile", &mut self.profile);
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
