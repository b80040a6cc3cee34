-- What is known of profiles. The profiles themselves are files, and where the two differ the files are right.

CREATE TABLE profiles (
    -- SHA-256 of team and name, in hex: the name of its file.
    id TEXT PRIMARY KEY,
    team TEXT NOT NULL,
    -- As JSON, since a name may hold characters that a database does not take.
    name_json TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    saved_at_ms BIGINT NOT NULL
);

CREATE INDEX profiles_by_team ON profiles (team);
