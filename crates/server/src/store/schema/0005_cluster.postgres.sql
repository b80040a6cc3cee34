-- Only in PostgreSQL: the nodes of a cluster, and the leases on profiles.

CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    -- One life of a process. Grows with every registration of the name.
    epoch BIGINT NOT NULL,
    -- 1 to 4095. The ids of the node's sessions contain it.
    number BIGINT NOT NULL,
    address TEXT NOT NULL,
    -- SHA-256 of the certificate in hex, and the proof that a holder of the secret wrote it.
    fingerprint TEXT NOT NULL,
    proof TEXT NOT NULL,
    version TEXT NOT NULL,
    protocol BIGINT NOT NULL,
    -- up, draining, left or dead. Within one epoch it only moves to the right.
    state TEXT NOT NULL,
    -- The lease of the node, which it keeps as long as this number grows. Times of two machines are
    -- never compared.
    beat BIGINT NOT NULL,
    sessions BIGINT NOT NULL,
    max_sessions BIGINT NOT NULL,
    ready BOOLEAN NOT NULL,
    began_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    ended_by TEXT
);

CREATE UNIQUE INDEX nodes_by_number ON nodes (number) WHERE state IN ('up', 'draining');

CREATE TABLE profile_leases (
    profile_id TEXT PRIMARY KEY,
    -- Grows with each lease. A commit needs the fence of its lease.
    fence BIGINT NOT NULL,
    -- NULL while no session saves to the profile.
    session_id TEXT,
    node TEXT,
    epoch BIGINT,
    -- The version that was committed last, or an empty text.
    version TEXT NOT NULL DEFAULT ''
);

-- Jobs that one node does for all from time to time.
CREATE TABLE jobs (
    name TEXT PRIMARY KEY,
    due_at_ms BIGINT NOT NULL
);

-- One row: the oldest last migration of the servers that may use this schema.
CREATE TABLE compatibility (
    oldest_migration BIGINT NOT NULL
);

INSERT INTO compatibility (oldest_migration) VALUES (5);
