-- A number for every bucket that was ever configured: short enough for a media URL, and never given to another name.

CREATE TABLE buckets (
    name   TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE
);
