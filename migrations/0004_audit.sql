-- What happened, append-only: who did what, on what, from where, when, with what result.

CREATE TABLE audit_events (
    id         TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    event      TEXT NOT NULL,
    result     TEXT NOT NULL,
    account_id TEXT,
    actor_id   TEXT,
    session_id TEXT,
    target     TEXT NOT NULL,
    address    TEXT NOT NULL,
    request_id TEXT NOT NULL,
    detail     TEXT NOT NULL
);
CREATE INDEX audit_by_account ON audit_events (account_id, id);
CREATE INDEX audit_by_event ON audit_events (event, id);
