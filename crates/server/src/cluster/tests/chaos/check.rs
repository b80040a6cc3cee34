//! The comparison of the history in the database with what clients were told.

use std::collections::{HashMap, HashSet};

use hearth_test_support::TestPostgres;
use uuid::Uuid;

use super::node::MAX_OF_TEAM;
use super::world::World;

/// Records the history of leases, and the number of a team's sessions at each reservation.
pub(super) const TRIGGERS: &str = "
    CREATE TABLE lease_history (
        position BIGSERIAL PRIMARY KEY, profile_id TEXT, fence BIGINT, session_id TEXT,
        version TEXT, old_session TEXT, old_version TEXT);
    CREATE FUNCTION record_lease() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO lease_history (profile_id, fence, session_id, version, old_session, old_version)
        VALUES (NEW.profile_id, NEW.fence, NEW.session_id, NEW.version,
                CASE WHEN TG_OP = 'UPDATE' THEN OLD.session_id END,
                CASE WHEN TG_OP = 'UPDATE' THEN OLD.version ELSE '' END);
        RETURN NEW;
    END $$;
    CREATE TRIGGER record_lease AFTER INSERT OR UPDATE ON profile_leases
        FOR EACH ROW EXECUTE FUNCTION record_lease();
    CREATE TABLE team_history (team TEXT, sessions BIGINT);
    CREATE FUNCTION record_team() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO team_history
        SELECT NEW.team, COUNT(*) FROM sessions
        WHERE team = NEW.team AND destroyed_reason IS NULL;
        RETURN NEW;
    END $$;
    CREATE TRIGGER record_team AFTER INSERT ON sessions
        FOR EACH ROW EXECUTE FUNCTION record_team();";

const LEASES: &str = "
    SELECT profile_id, fence, COALESCE(session_id, ''), version, COALESCE(old_session, ''), old_version
    FROM lease_history ORDER BY position";

const SESSIONS: &str = "SELECT id, COALESCE(destroyed_reason, '') FROM sessions";

const MAX_SESSIONS: &str = "SELECT COALESCE(MAX(sessions), 0) FROM team_history";

/// A rule that was broken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// A session got a lease that another one had.
    LeasedTwice { profile: String, session: String },
    /// The fence of a new lease is not larger than that of the one before.
    FenceNotLarger { profile: String },
    /// A version continues another one than the last.
    LostUpdate { profile: String, version: String },
    /// A session saved without the lease.
    SavedWithoutLease { profile: String, version: String },
    /// A client was told that a version was saved, and it never was the last one.
    SavedInVain { version: String },
    /// A client was told of a session that the database does not know.
    UnknownSession(Uuid),
    /// A session is still active after all nodes have ended.
    NeverEnded(String),
    /// A team has had more sessions than its maximum.
    TooManySessions(usize),
}

/// The history in the database.
#[derive(Debug)]
pub(super) struct History {
    leases: Vec<Change>,
    /// The reason of the end of each session, or an empty text.
    sessions: HashMap<String, String>,
    max_of_team: usize,
}

/// A change of a profile's lease or version.
#[derive(Debug)]
struct Change {
    profile: String,
    fence: i64,
    session: String,
    version: String,
    old_session: String,
    old_version: String,
}

impl History {
    pub fn read(server: &TestPostgres, database: &str) -> History {
        let read = |sql| server.query(database, sql);
        let leases = read(LEASES);
        let leases = leases.lines().map(|line| {
            let columns: Vec<&str> = line.split('|').collect();
            let [profile, fence, session, version, old_session, old_version] = columns[..] else {
                panic!("six columns: {line}");
            };
            Change {
                profile: profile.to_owned(),
                fence: fence.parse().expect("a number"),
                session: session.to_owned(),
                version: version.to_owned(),
                old_session: old_session.to_owned(),
                old_version: old_version.to_owned(),
            }
        });
        let sessions = read(SESSIONS);
        let sessions = sessions.lines().map(|line| {
            let (id, reason) = line.split_once('|').expect("two columns");
            (id.to_owned(), reason.to_owned())
        });
        History {
            leases: leases.collect(),
            sessions: sessions.collect(),
            max_of_team: read(MAX_SESSIONS).parse().expect("a number"),
        }
    }

    pub fn summary(&self) -> String {
        let ended_as = |reason| {
            let ended = self.sessions.values().filter(|ended| *ended == reason);
            ended.count()
        };
        format!(
            "{} changes of leases, {} sessions ended as deleted, {} as node_lost, at most {} of a team",
            self.leases.len(),
            ended_as("deleted"),
            ended_as("node_lost"),
            self.max_of_team
        )
    }
}

/// Returns everything that must not have happened. Call it when all nodes have ended.
pub(super) fn check(world: &World, history: &History) -> Vec<Violation> {
    let mut found = leases(world, history);
    let versions: HashSet<&str> = history
        .leases
        .iter()
        .map(|change| &*change.version)
        .collect();
    for version in world.all_saved() {
        if !versions.contains(version.as_str()) {
            found.push(Violation::SavedInVain { version });
        }
    }
    for id in world.all_created() {
        if !history.sessions.contains_key(&id.to_string()) {
            found.push(Violation::UnknownSession(id));
        }
    }
    for (id, reason) in &history.sessions {
        if reason.is_empty() {
            found.push(Violation::NeverEnded(id.clone()));
        }
    }
    if history.max_of_team > MAX_OF_TEAM {
        found.push(Violation::TooManySessions(history.max_of_team));
    }
    found
}

/// Returns the violations in the history of leases and versions.
pub(super) fn leases(world: &World, history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut fences: HashMap<&str, i64> = HashMap::new();
    let mut versions: HashMap<&str, &str> = HashMap::new();
    for change in &history.leases {
        let profile = || change.profile.clone();
        let is_new_lease = !change.session.is_empty() && change.session != change.old_session;
        if is_new_lease {
            if !change.old_session.is_empty() {
                let session = change.session.clone();
                found.push(Violation::LeasedTwice {
                    profile: profile(),
                    session,
                });
            }
            let last = fences.insert(&change.profile, change.fence);
            if last.is_some_and(|last| change.fence <= last) {
                found.push(Violation::FenceNotLarger { profile: profile() });
            }
        }
        if change.version == change.old_version {
            continue;
        }
        let object = world
            .object(&change.version)
            .expect("an object for each version");
        let version = || change.version.clone();
        let last = versions.insert(&change.profile, &change.version);
        if object.continues != last.unwrap_or_default() {
            found.push(Violation::LostUpdate {
                profile: profile(),
                version: version(),
            });
        }
        if object.session.to_string() != change.session {
            found.push(Violation::SavedWithoutLease {
                profile: profile(),
                version: version(),
            });
        }
    }
    found
}
