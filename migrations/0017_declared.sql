-- What files declared (`usher apply`): apps and buckets as rows that every node follows, and a mark on each thing that
-- a file made, so that it takes away what it made and nothing else.

CREATE TABLE declared_apps (
    name     TEXT PRIMARY KEY,
    -- JSON: a list of exact origins.
    origins  TEXT NOT NULL,
    -- None where the name is the audience.
    audience TEXT
);

CREATE TABLE declared_buckets (
    name     TEXT PRIMARY KEY,
    path     TEXT NOT NULL,
    symlinks TEXT NOT NULL,
    -- `hide` or `serve`: names that begin with a dot.
    dotted   TEXT NOT NULL
);

-- The key means a thing in the file that owns the mark; the subject is the row it stands for, or what was there before.
CREATE TABLE declared_marks (
    kind    TEXT NOT NULL,
    key     TEXT NOT NULL,
    owner   TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX declared_marks_by_owner ON declared_marks (owner);
