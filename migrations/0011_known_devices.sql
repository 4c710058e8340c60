-- Browsers in which the password of an account was proven before. What such a browser holds is no credential: it only
-- says that wrong passwords tried elsewhere do not slow it. One browser may be known to several accounts.

CREATE TABLE known_devices (
    account_id    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    digest        TEXT NOT NULL,
    made_at       BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    PRIMARY KEY (account_id, digest)
);
CREATE INDEX known_devices_by_digest ON known_devices (digest);
CREATE INDEX known_devices_by_age ON known_devices (last_used_at);
