-- What an invitation gives to the account that it makes.

CREATE TABLE link_groups (
    link_id  TEXT NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    PRIMARY KEY (link_id, group_id)
);
CREATE INDEX link_groups_by_group ON link_groups (group_id);

-- The name `all` stands for every bucket, as it does where people write it.
CREATE TABLE link_buckets (
    link_id TEXT NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    bucket  TEXT NOT NULL,
    PRIMARY KEY (link_id, bucket)
);
