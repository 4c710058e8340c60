-- Link codes: a device shows a short code, its owner approves it elsewhere, and the device becomes a session.

-- The short code is kept as a MAC (too short for a digest alone), the device's own secret as a digest.
CREATE TABLE link_codes (
    id            TEXT PRIMARY KEY,
    client        TEXT NOT NULL,
    user_key      TEXT NOT NULL UNIQUE,
    device_digest TEXT NOT NULL UNIQUE,
    label         TEXT NOT NULL,
    address       TEXT NOT NULL,
    agent         TEXT NOT NULL,
    made_at       BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    poll_every    BIGINT NOT NULL,
    polled_at     BIGINT NOT NULL,
    -- Whoever looked at it first: nobody else decides any more.
    account_id    TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    approved_at   BIGINT,
    -- The account's rights version at that instant. A password change or a lock in between takes the approval back.
    approved_ver  BIGINT,
    refused_at    BIGINT,
    redeemed_at   BIGINT
);
CREATE INDEX link_codes_by_end ON link_codes (expires_at);
