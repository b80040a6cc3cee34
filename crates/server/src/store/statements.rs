//! The SQL that both engines run, in the common subset of SQLite and PostgreSQL: numbered
//! parameters, no functions specific to one of them, times as parameters.

/// Copies the whole store to a file. Only SQLite has it, because PostgreSQL has `pg_dump`.
pub(super) const COPY: &str = "VACUUM INTO $1";

pub(super) const BEGIN_SESSION: &str = "
    INSERT INTO sessions
        (id, team, created_at_ms, expires_at_ms, last_activity_ms, watch_digest, steer_digest, node, active_at_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $3)";

/// Records the end of a session, unless an end is already recorded.
pub(super) const END_SESSION: &str = "
    UPDATE sessions
    SET last_activity_ms = $2, destroyed_reason = $3, destroyed_at_ms = $4, duration_ms = $5,
        limit_name = $6, limit_value = $7
    WHERE id = $1 AND destroyed_reason IS NULL";

/// Records the end of sessions of node $3 that a crash left active. The time of the crash is
/// unknown. The duration ends at the TTL at the latest, because a session cannot outlive it.
pub(super) const END_LOST_SESSIONS: &str = "
    UPDATE sessions
    SET destroyed_reason = $1, destroyed_at_ms = $2,
        last_activity_ms = COALESCE(
            (SELECT MAX(ended_at_ms - duration_ms) FROM executions WHERE session_id = sessions.id), last_activity_ms),
        duration_ms = CASE WHEN expires_at_ms < $2 THEN expires_at_ms - created_at_ms ELSE $2 - created_at_ms END
    WHERE destroyed_reason IS NULL AND node = $3";

/// Selects ended sessions, ordered by id, newest first.
pub(super) const ENDED_SESSIONS: &str = "
    SELECT id, team, created_at_ms, expires_at_ms, last_activity_ms, watch_digest, steer_digest,
           destroyed_reason, destroyed_at_ms, duration_ms, limit_name, limit_value
    FROM sessions
    WHERE destroyed_reason IS NOT NULL AND destroyed_at_ms > $1
    ORDER BY id DESC
    LIMIT $2";

pub(super) const PRUNE_SESSIONS: &str = "DELETE FROM sessions WHERE destroyed_at_ms <= $1";

pub(super) const RECORD_EXECUTION: &str = "
    INSERT INTO executions (id, session_id, language, ended_at_ms, duration_ms, exit_code, killed)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

pub(super) const PRUNE_EXECUTIONS: &str = "DELETE FROM executions WHERE ended_at_ms <= $1";

/// Records a scrape, or replaces the record that the team has of it.
pub(super) const RECORD_SCRAPE: &str = "
    INSERT INTO scrapes (id, team, used_at_ms, context_json, session_id)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE
    SET used_at_ms = excluded.used_at_ms, context_json = excluded.context_json, session_id = excluded.session_id
    WHERE scrapes.team = excluded.team";

pub(super) const SCRAPE: &str = "
    SELECT id, team, used_at_ms, context_json, session_id FROM scrapes WHERE id = $1";

pub(super) const PRUNE_SCRAPES: &str = "DELETE FROM scrapes WHERE used_at_ms <= $1";

/// Deletes the oldest records of a team beyond the newest $2.
pub(super) const PRUNE_SCRAPES_OF_TEAM: &str = "
    DELETE FROM scrapes
    WHERE team = $1 AND used_at_ms <= (
        SELECT used_at_ms FROM scrapes WHERE team = $1 ORDER BY used_at_ms DESC LIMIT 1 OFFSET $2)";

pub(super) const RECORD_PROFILE: &str = "
    INSERT INTO profiles (id, team, name_json, size_bytes, saved_at_ms)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET size_bytes = excluded.size_bytes, saved_at_ms = excluded.saved_at_ms";

pub(super) const DELETE_PROFILE: &str = "DELETE FROM profiles WHERE id = $1";

pub(super) const ALL_PROFILES: &str = "SELECT id FROM profiles";

pub(super) const PROFILES_OF_TEAM: &str = "
    SELECT id, team, name_json, size_bytes, saved_at_ms FROM profiles WHERE team = $1";

/// Selects the last migration from the table in which sqlx records migrations.
pub(super) const LAST_MIGRATION: &str = "SELECT MAX(version) FROM _sqlx_migrations";

/// Selects the oldest last migration of the servers that may use a newer schema of PostgreSQL.
pub(super) const OLDEST_COMPATIBLE_MIGRATION: &str = "SELECT oldest_migration FROM compatibility";
