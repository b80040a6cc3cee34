-- Portable to PostgreSQL as it stands. Times are milliseconds since 1970, in UTC.

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    team TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    last_activity_ms BIGINT NOT NULL,
    -- SHA-256 of the tokens in the live view's links, in hex; NULL where there is no live view.
    watch_digest TEXT,
    steer_digest TEXT,
    -- NULL as long as it lives.
    destroyed_reason TEXT,
    destroyed_at_ms BIGINT,
    duration_ms BIGINT,
    -- The limit that it went past, when that is the reason.
    limit_name TEXT,
    limit_value BIGINT
);

CREATE INDEX sessions_by_end ON sessions (destroyed_at_ms);

CREATE TABLE executions (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    language TEXT NOT NULL,
    ended_at_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    exit_code BIGINT NOT NULL,
    killed BOOLEAN NOT NULL
);

CREATE INDEX executions_by_end ON executions (ended_at_ms);
CREATE INDEX executions_by_session ON executions (session_id);
