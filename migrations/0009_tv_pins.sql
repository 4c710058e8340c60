-- A PIN before one person's session on a television that several use.
CREATE TABLE tv_pins (
    session_id TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    encoded    TEXT NOT NULL,
    attempts   BIGINT NOT NULL,
    set_at     BIGINT NOT NULL
);
