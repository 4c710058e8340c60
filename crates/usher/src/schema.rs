//! The migrations and the registry of every statement, so that a test prepares each one.

use usher_db::{Migration, Statement};

/// The tables, in the order they came to be. Text that was released is never changed.
pub static MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "accounts", sql: include_str!("../../../migrations/0001_accounts.sql") },
    Migration { number: 2, name: "sessions", sql: include_str!("../../../migrations/0002_sessions.sql") },
    Migration { number: 3, name: "tokens", sql: include_str!("../../../migrations/0003_tokens.sql") },
    Migration { number: 4, name: "audit", sql: include_str!("../../../migrations/0004_audit.sql") },
    Migration { number: 5, name: "media", sql: include_str!("../../../migrations/0005_media.sql") },
    Migration { number: 6, name: "devices", sql: include_str!("../../../migrations/0006_devices.sql") },
    Migration { number: 7, name: "header_secrets", sql: include_str!("../../../migrations/0007_header_secrets.sql") },
    Migration { number: 8, name: "fixed_refresh", sql: include_str!("../../../migrations/0008_fixed_refresh.sql") },
    Migration { number: 9, name: "tv_pins", sql: include_str!("../../../migrations/0009_tv_pins.sql") },
    Migration { number: 10, name: "invited", sql: include_str!("../../../migrations/0010_invited.sql") },
    Migration { number: 11, name: "known devices", sql: include_str!("../../../migrations/0011_known_devices.sql") },
    Migration {
        number: 12,
        name: "sessions_by_account",
        sql: include_str!("../../../migrations/0012_sessions_by_account.sql"),
    },
    Migration { number: 13, name: "factors", sql: include_str!("../../../migrations/0013_factors.sql") },
    Migration { number: 14, name: "passkeys", sql: include_str!("../../../migrations/0014_passkeys.sql") },
    Migration { number: 15, name: "mail", sql: include_str!("../../../migrations/0015_mail.sql") },
    Migration {
        number: 16,
        name: "audit_by_request",
        sql: include_str!("../../../migrations/0016_audit_by_request.sql"),
    },
    Migration { number: 17, name: "declared", sql: include_str!("../../../migrations/0017_declared.sql") },
];

/// Every statement of the house.
pub fn statements() -> Vec<&'static Statement> {
    [
        crate::accounts::STATEMENTS,
        crate::accounts::GROUP_STATEMENTS,
        crate::audit::STATEMENTS,
        crate::declared::STATEMENTS,
        crate::devices::STATEMENTS,
        crate::installation::STATEMENTS,
        crate::login::STATEMENTS,
        crate::login::SIGNED_STATEMENTS,
        crate::login::FACTOR_STATEMENTS,
        crate::login::PASSKEY_STATEMENTS,
        crate::mail::STATEMENTS,
        crate::media::STATEMENTS,
        crate::sessions::STATEMENTS,
        crate::sessions::DATA_STATEMENTS,
        crate::sessions::KNOWN_STATEMENTS,
        crate::tokens::STATEMENTS,
    ]
    .concat()
}
