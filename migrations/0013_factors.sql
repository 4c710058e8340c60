-- What proves an account besides its password: an authenticator app's passcodes and recovery codes; who must have
-- such a factor; and what its owner is told of changes.

-- At most one of each state for an account: the one that is asked for, and one that waits for its first good code.
-- The secret is sealed under the master key, bound to this row. A step that was accepted, and every step before it,
-- is accepted no more.
CREATE TABLE totp (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    state      TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    algorithm  TEXT NOT NULL,
    digits     BIGINT NOT NULL,
    made_at    BIGINT NOT NULL,
    last_step  BIGINT NOT NULL,
    UNIQUE (account_id, state)
);
CREATE INDEX totp_by_state ON totp (state, made_at);

-- Only the digest of a code is here; a code has 120 random bits.
CREATE TABLE recovery_codes (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    digest     TEXT NOT NULL,
    made_at    BIGINT NOT NULL,
    used_at    BIGINT,
    PRIMARY KEY (account_id, digest)
);

-- The holder is an account or a group whose accounts must have a second factor.
CREATE TABLE factor_policy (
    holder_id   TEXT PRIMARY KEY,
    required_at BIGINT NOT NULL
);

-- Changes of an account's factors that its owner is shown at the next login.
CREATE TABLE notices (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    at         BIGINT NOT NULL,
    what       TEXT NOT NULL,
    detail     TEXT NOT NULL,
    own        BIGINT NOT NULL,
    address    TEXT NOT NULL,
    seen_at    BIGINT
);
CREATE INDEX notices_by_account ON notices (account_id, seen_at, id);

-- Steps of a login that were used up: each is good once. Kept until the step would have expired anyway.
CREATE TABLE spent_steps (
    digest TEXT PRIMARY KEY,
    until  BIGINT NOT NULL
);
CREATE INDEX spent_steps_by_age ON spent_steps (until);
