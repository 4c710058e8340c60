-- Passkeys (WebAuthn). What is here is public: the key that verifies, never one that signs.
-- A credential belongs to one account, whoever presents it again.
CREATE TABLE passkeys (
    id            TEXT PRIMARY KEY,
    account_id    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    credential_id TEXT NOT NULL UNIQUE,
    credential    TEXT NOT NULL,
    counter       BIGINT NOT NULL,
    -- The server's name when it was made; under another one it is of no use.
    rp_id         TEXT NOT NULL,
    name          TEXT NOT NULL,
    made_at       BIGINT NOT NULL,
    last_used_at  BIGINT
);
CREATE INDEX passkeys_by_account ON passkeys (account_id, id);
