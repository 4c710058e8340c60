-- Signed-header login: secrets that the server must be able to read again, sealed under the master key.

CREATE TABLE header_secrets (
    account_id TEXT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    sealed     TEXT NOT NULL,
    version    BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- Signatures that logged somebody in, until their time stamp is too old to be taken anyway.
CREATE TABLE header_signatures (
    digest  TEXT PRIMARY KEY,
    used_at BIGINT NOT NULL
);
CREATE INDEX header_signatures_by_age ON header_signatures (used_at);
