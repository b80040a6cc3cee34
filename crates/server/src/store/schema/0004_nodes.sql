-- The nodes that own sessions, and the profiles that sessions save to.

-- SQLite has one node, with an empty name and epoch 0.
ALTER TABLE sessions ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
-- NULL while the session is created: it holds its place and its profile, and is in no list.
ALTER TABLE sessions ADD COLUMN active_at_ms BIGINT;
UPDATE sessions SET active_at_ms = created_at_ms;
-- The first bytes of the digest of the cluster secret that its tokens are derived from; NULL for
-- random tokens.
ALTER TABLE sessions ADD COLUMN token_key BIGINT;
-- The id of the profile that it saves to.
ALTER TABLE sessions ADD COLUMN profile_id TEXT;

CREATE INDEX sessions_active_by_node ON sessions (node, epoch) WHERE destroyed_reason IS NULL;
CREATE INDEX sessions_active_by_team ON sessions (team) WHERE destroyed_reason IS NULL;
CREATE INDEX sessions_by_team ON sessions (team, id);

-- One row per team. Its lock makes counting the team's sessions and adding one a single step.
CREATE TABLE teams (
    team TEXT PRIMARY KEY,
    touched_at_ms BIGINT NOT NULL
);

-- The version of a profile, and its object in the profile store; NULL for files of this machine.
ALTER TABLE profiles ADD COLUMN version TEXT;
ALTER TABLE profiles ADD COLUMN object TEXT;
