-- A session is the root of every credential. Ending one is one update of its row.

CREATE TABLE sessions (
    id            TEXT PRIMARY KEY,
    account_id    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind          TEXT NOT NULL,
    amr           TEXT NOT NULL,
    secret_digest TEXT NOT NULL,
    ver           BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    auth_at       BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL,
    idle_for      BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    label         TEXT NOT NULL,
    address       TEXT NOT NULL,
    agent         TEXT NOT NULL,
    grant_id      BIGINT NOT NULL UNIQUE,
    -- The refresh token of this generation is the only one that rotates. Its predecessors are known by
    -- their MAC, so they need no rows; `rotations` remembers when the last few were used up.
    refresh_generation BIGINT NOT NULL,
    refresh_digest     TEXT,
    refresh_nonce      TEXT,
    rotations          TEXT NOT NULL,
    ended_at      BIGINT,
    end_reason    TEXT
);
CREATE INDEX sessions_by_account ON sessions (account_id, ended_at, last_used_at);
CREATE INDEX sessions_by_end ON sessions (ended_at, expires_at);

-- What an application keeps with a session. Owned by the account, so that it goes when the account goes.
CREATE TABLE session_data (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    account_id TEXT NOT NULL,
    value      TEXT NOT NULL,
    size       BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (session_id, key)
);
CREATE INDEX session_data_by_account ON session_data (account_id);
