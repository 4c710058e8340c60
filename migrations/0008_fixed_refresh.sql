-- Sessions whose refresh token does not rotate: of clients that drop every later one. Since when.
ALTER TABLE sessions ADD COLUMN refresh_fixed_at BIGINT;
