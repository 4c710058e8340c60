-- Keys that sign and MAC, sealed under the master key, and the tokens people make for their scripts.

CREATE TABLE signing_keys (
    kid        TEXT PRIMARY KEY,
    algorithm  TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    state      TEXT NOT NULL,
    made_at    BIGINT NOT NULL,
    state_at   BIGINT NOT NULL,
    until      BIGINT
);

CREATE TABLE mac_keys (
    purpose TEXT NOT NULL,
    kid     BIGINT NOT NULL,
    sealed  TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    until   BIGINT,
    PRIMARY KEY (purpose, kid)
);

CREATE TABLE personal_tokens (
    id           TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    digest       TEXT NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    grant_id     BIGINT NOT NULL UNIQUE,
    made_at      BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE INDEX personal_tokens_by_account ON personal_tokens (account_id);
