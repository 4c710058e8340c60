-- Who can log in, what they may do, and how they prove who they are.

-- One row per rule that spans several rows. A transaction that must see such a rule whole
-- takes the row first (UPDATE guards SET v = v + 1 WHERE name = ..), so that two of them cannot interleave.
CREATE TABLE guards (
    name TEXT PRIMARY KEY,
    v    BIGINT NOT NULL
);
INSERT INTO guards (name, v) VALUES ('admins', 0);

-- Facts about this installation: the master key's check value, the key epoch.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE accounts (
    id              TEXT PRIMARY KEY,
    username        TEXT NOT NULL,
    username_key    TEXT NOT NULL UNIQUE,
    skeleton_key    TEXT NOT NULL UNIQUE,
    email           TEXT,
    email_key       TEXT UNIQUE,
    display_name    TEXT,
    role            TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    verified_at     BIGINT,
    disabled_at     BIGINT,
    must_change_at  BIGINT,
    every_bucket_at BIGINT,
    last_login_at   BIGINT,
    ver             BIGINT NOT NULL
);
-- The rule that an admin stays counts admins at every change of a role.
CREATE INDEX accounts_by_role ON accounts (role, disabled_at);

-- The version rises with every change, so that a login that hashed against an older row cannot commit.
CREATE TABLE passwords (
    account_id TEXT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    encoded    TEXT NOT NULL,
    version    BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE groups (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    name_key        TEXT NOT NULL UNIQUE,
    created_at      BIGINT NOT NULL,
    every_bucket_at BIGINT
);

CREATE TABLE memberships (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    group_id   TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    PRIMARY KEY (account_id, group_id)
);
CREATE INDEX memberships_by_group ON memberships (group_id);

-- The holder is an account or a group. No row means no bucket.
CREATE TABLE bucket_rights (
    holder_id TEXT NOT NULL,
    bucket    TEXT NOT NULL,
    PRIMARY KEY (holder_id, bucket)
);

-- Setup, invite and reset links. Only the digest of what the link carries is here.
CREATE TABLE links (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    digest     TEXT NOT NULL UNIQUE,
    account_id TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    made_by    TEXT,
    note       TEXT,
    made_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    revoked_at BIGINT
);
CREATE INDEX links_by_kind ON links (kind, expires_at);

-- Failed logins by what they share: an account's name (hashed), an address, a network.
CREATE TABLE login_failures (
    subject       TEXT PRIMARY KEY,
    failures      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);
CREATE INDEX login_failures_by_age ON login_failures (last_at);
