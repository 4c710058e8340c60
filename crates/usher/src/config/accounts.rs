//! Who may have an account, what a password must be, and how guessing is slowed.

use super::value::Choice;
use super::visit::{Keys, Visit};
use std::path::PathBuf;
use std::time::Duration;

/// The `[accounts]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// Who may make an account for themselves.
    pub signup: Signup,
    /// The shortest password, in characters; `strict` raises it to at least 15.
    pub password_min_length: usize,
    /// The stricter rules for passwords.
    pub strict: bool,
    /// A file of SHA-1 digests of breached passwords, sorted, one per line.
    pub breach_file: Option<PathBuf>,
    /// A file with the secret mixed into every password hash.
    pub pepper_file: Option<PathBuf>,
    /// Which accounts must have a second factor; groups and accounts can be made to have one besides.
    pub require_factor: RequireFactor,
    /// Whether a passkey must verify its person.
    pub passkey_verification: PasskeyVerification,
    /// The name under which authenticator apps list this server; else the service's name.
    pub totp_issuer: Option<String>,
    /// What one password hash costs.
    pub hash: HashCost,
}

/// Which accounts must have a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequireFactor {
    /// None, unless one of their groups or they themselves are made to.
    Nobody,
    /// Those that manage others.
    Admins,
    /// All.
    Everybody,
}

impl Choice for RequireFactor {
    const ALL: &'static [(&'static str, Self)] = &[
        ("nobody", RequireFactor::Nobody),
        ("admins", RequireFactor::Admins),
        ("everybody", RequireFactor::Everybody),
    ];
}

/// Whether a passkey must verify its person, by a PIN, a finger or a face (WebAuthn Level 3 section 5.8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyVerification {
    /// Always: a passkey is several factors by itself.
    Required,
    /// Where it can. One that cannot is the second step after the password, and never logs in alone.
    Preferred,
}

impl Choice for PasskeyVerification {
    const ALL: &'static [(&'static str, Self)] =
        &[("required", PasskeyVerification::Required), ("preferred", PasskeyVerification::Preferred)];
}

/// Who may make an account for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signup {
    /// Nobody.
    Off,
    /// Whoever holds an admin's invite link.
    Invite,
    /// Everybody.
    Open,
}

impl Choice for Signup {
    const ALL: &'static [(&'static str, Self)] =
        &[("off", Signup::Off), ("invite", Signup::Invite), ("open", Signup::Open)];
}

/// The `[accounts.hash]` section: argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory for one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Hashes worked on at once; else one per processor.
    pub threads: Option<usize>,
    /// Hashes waiting for a thread before logins are told to come back later.
    pub queue: usize,
}

impl Default for Accounts {
    fn default() -> Self {
        Accounts {
            signup: Signup::Off,
            password_min_length: 12,
            strict: false,
            breach_file: None,
            pepper_file: None,
            require_factor: RequireFactor::Nobody,
            passkey_verification: PasskeyVerification::Required,
            totp_issuer: None,
            hash: HashCost::default(),
        }
    }
}

impl Default for HashCost {
    fn default() -> Self {
        HashCost { memory_kib: 65_536, passes: 3, threads: None, queue: 64 }
    }
}

impl HashCost {
    /// What to say about a cost that is allowed, but below the standard one: whoever steals the digests tries more
    /// passwords in the same time.
    pub fn remark(&self) -> Option<String> {
        let (standard, work) =
            (HashCost::default(), |cost: &HashCost| u64::from(cost.memory_kib) * u64::from(cost.passes));
        (work(self) < work(&standard)).then(|| {
            format!(
                "accounts.hash costs {} KiB x {}, less than the standard {} x {}: a stolen digest is guessed that much \
                 faster. Raise it unless this machine cannot bear it",
                self.memory_kib, self.passes, standard.memory_kib, standard.passes
            )
        })
    }
}

impl Keys for Accounts {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("signup", &mut self.signup);
        to.setting("password_min_length", &mut self.password_min_length);
        to.setting("strict", &mut self.strict);
        to.setting("breach_file", &mut self.breach_file);
        to.setting("pepper_file", &mut self.pepper_file);
        to.setting("require_factor", &mut self.require_factor);
        to.setting("passkey_verification", &mut self.passkey_verification);
        to.setting("totp_issuer", &mut self.totp_issuer);
        to.section("hash", &mut self.hash);
    }
}

impl Keys for HashCost {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("memory_kib", &mut self.memory_kib);
        to.setting("passes", &mut self.passes);
        to.setting("threads", &mut self.threads);
        to.setting("queue", &mut self.queue);
    }
}

/// The `[throttle]` section. A network is a /24 (IPv4) or a /56 (IPv6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Wrong passwords for one account before an answer is delayed.
    pub free_attempts: u32,
    /// The delay after the first attempt that is not free; it doubles with each further one.
    pub first_delay: Duration,
    /// Where the doubling stops.
    pub longest_delay: Duration,
    /// Wrong passwords in a row after which an account's password is refused until it is reset.
    pub max_failures: u32,
    /// Quiet time after which an account's delay is forgotten; `max_failures` goes on counting.
    pub forget_after: Duration,
    /// The window over which addresses and networks are counted.
    pub window: Duration,
    /// Wrong passwords from one address within the window.
    pub per_address: u32,
    /// Wrong passwords from one network within the window.
    pub per_network: u32,
    /// Sign-ups from one address within the window.
    pub signups_per_address: u32,
}

impl Default for Throttle {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        Throttle {
            free_attempts: 5,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(15 * MINUTE),
            max_failures: 100,
            forget_after: Duration::from_secs(24 * 60 * MINUTE),
            window: Duration::from_secs(15 * MINUTE),
            per_address: 100,
            per_network: 400,
            signups_per_address: 10,
        }
    }
}

impl Keys for Throttle {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("free_attempts", &mut self.free_attempts);
        to.setting("first_delay", &mut self.first_delay);
        to.setting("longest_delay", &mut self.longest_delay);
        to.setting("max_failures", &mut self.max_failures);
        to.setting("forget_after", &mut self.forget_after);
        to.setting("window", &mut self.window);
        to.setting("per_address", &mut self.per_address);
        to.setting("per_network", &mut self.per_network);
        to.setting("signups_per_address", &mut self.signups_per_address);
    }
}
