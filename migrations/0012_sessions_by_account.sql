-- An account has a few dozen sessions, which are sorted when they are listed. With the last use in the index, every use
-- that was written down and every refresh rewrote a page of it besides the session's own.

DROP INDEX sessions_by_account;
CREATE INDEX sessions_by_account ON sessions (account_id, ended_at);
