-- Letters that wait for the mail server. What a letter says is sealed, because some carry the secret of a link; its
-- words are made when it is sent. A row is gone once the letter was handed over, refused for good, or too old.
CREATE TABLE outbox (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    recipient  TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    made_at    BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    tries      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX outbox_by_due ON outbox (due_at);
CREATE INDEX outbox_by_account ON outbox (account_id);

-- How many links an account was sent lately, and which of them to withdraw.
CREATE INDEX links_by_account ON links (account_id, kind);
