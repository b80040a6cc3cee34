//! The sessions of a cluster: reservation, activation, and the comparison of what the store and the
//! owner of a session know.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Acquire, PgConnection, Row};
use tokio::time::timeout;
use uuid::Uuid;

use super::connections::on_connection;
use super::nodes::{self, Life, NodeState};
use super::profile_leases::{self, FencedLease, LeaseOwner};
use crate::store::error::StoreError;
use crate::store::measured::ClusterDatabase;
use crate::store::rows::SessionRecord;
use crate::team::Team;

/// The time limit for one transaction.
const BOUND: Duration = Duration::from_secs(6);

/// A session that is about to be created.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub id: Uuid,
    pub team: Team,
    pub owner: Life,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// The maximum number of sessions of the team on all nodes.
    pub max_of_team: Option<usize>,
    /// The id of the profile that the session saves to.
    pub profile: Option<String>,
}

/// The result of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// The session has its place, and its lease if it saves to a profile.
    Granted(Option<FencedLease>),
    /// The team has the maximum number of sessions.
    TeamIsFull,
    /// Another session saves to the profile.
    ProfileIsLeased,
    /// The lease of the node is lost.
    OwnerIsLost,
}

/// A session with the facts that only a cluster records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterSession {
    pub record: SessionRecord,
    pub owner: Life,
    /// Names the secret from which its tokens are derived.
    pub token_key: Option<i64>,
}

/// Locks the row of a team until the transaction ends, so that counting its sessions and adding one
/// is a single step.
const LOCK_TEAM: &str = "
    INSERT INTO teams (team, touched_at_ms) VALUES ($1, $2)
    ON CONFLICT (team) DO UPDATE SET touched_at_ms = excluded.touched_at_ms";

const OWNER_IS_ALIVE: &str = "
    SELECT 1 FROM nodes WHERE name = $1 AND epoch = $2 AND state IN ('up', 'draining')";

/// Adds a session that is not active yet, if its owner is alive and its team has less than $8
/// sessions.
const RESERVE: &str = "
    INSERT INTO sessions
        (id, team, created_at_ms, expires_at_ms, last_activity_ms, node, epoch, profile_id)
    SELECT $1, $2, $3, $4, $3, $5, $6, $7
    WHERE EXISTS (SELECT 1 FROM nodes WHERE name = $5 AND epoch = $6 AND state IN ('up', 'draining'))
      AND (SELECT COUNT(*) FROM sessions s WHERE s.team = $2 AND s.destroyed_reason IS NULL) < $8
    RETURNING 1";

/// Shows a reserved session to its team, unless it has ended meanwhile. A repetition changes
/// nothing and succeeds.
const ACTIVATE: &str = "
    UPDATE sessions
    SET created_at_ms = $2, active_at_ms = $2, expires_at_ms = $3, last_activity_ms = $4,
        watch_digest = $5, steer_digest = $6, token_key = $7
    WHERE id = $1 AND destroyed_reason IS NULL
    RETURNING 1";

/// Deletes sessions that no client knows. An activation without a reply may have succeeded.
const WITHDRAW: &str = "
    DELETE FROM sessions
    WHERE id = ANY($1::text[]) AND node = $2 AND epoch = $3 AND destroyed_reason IS NULL
    RETURNING id, profile_id";

/// Records a session that the store has forgotten, or that it knows with an earlier epoch. A
/// recorded end stands.
const ADOPT: &str = "
    INSERT INTO sessions
        (id, team, created_at_ms, expires_at_ms, last_activity_ms, active_at_ms, node, epoch,
         watch_digest, steer_digest, token_key, profile_id)
    VALUES ($1, $2, $3, $4, $5, $3, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (id) DO UPDATE SET node = excluded.node, epoch = excluded.epoch
    WHERE sessions.destroyed_reason IS NULL
    RETURNING 1";

/// Ends the sessions of a life, older than a minute, that its process does not have.
const END_UNKNOWN: &str = "
    UPDATE sessions
    SET destroyed_reason = 'server_lost', destroyed_at_ms = $3,
        duration_ms = CAST($3 AS BIGINT) - created_at_ms
    WHERE node = $1 AND epoch = $2 AND destroyed_reason IS NULL
      AND created_at_ms < CAST($3 AS BIGINT) - 60000 AND NOT (id = ANY($4::text[]))
    RETURNING id";

/// Returns the ids of a life that the store has as active or reserved.
const OPEN_OF_OWNER: &str = "
    SELECT id FROM sessions WHERE node = $1 AND epoch = $2 AND destroyed_reason IS NULL";

/// Records the last activity of sessions.
const TOUCH: &str = "
    UPDATE sessions SET last_activity_ms = moved.at
    FROM (SELECT unnest($1::text[]) AS id, unnest($2::bigint[]) AS at) moved
    WHERE sessions.id = moved.id AND destroyed_reason IS NULL AND last_activity_ms < moved.at";

const FIND: &str = "
    SELECT id, team, created_at_ms, expires_at_ms, last_activity_ms, watch_digest, steer_digest,
           destroyed_reason, destroyed_at_ms, duration_ms, limit_name, limit_value,
           node, epoch, token_key
    FROM sessions WHERE id = $1 AND active_at_ms IS NOT NULL";

/// Selects the newest sessions of a team. Ids begin with the time.
const NEWEST_OF_TEAM: &str = "
    SELECT id, team, created_at_ms, expires_at_ms, last_activity_ms, watch_digest, steer_digest,
           destroyed_reason, destroyed_at_ms, duration_ms, limit_name, limit_value,
           node, epoch, token_key
    FROM sessions WHERE team = $1 AND active_at_ms IS NOT NULL
    ORDER BY id DESC LIMIT $2";

/// Selects the sessions of one team, or of all teams if $2 is NULL, that have ended last.
const ENDED_LAST: &str = "
    SELECT id, team, created_at_ms, expires_at_ms, last_activity_ms, watch_digest, steer_digest,
           destroyed_reason, destroyed_at_ms, duration_ms, limit_name, limit_value
    FROM sessions
    WHERE destroyed_at_ms > $1 AND active_at_ms IS NOT NULL AND ($2::text IS NULL OR team = $2)
    ORDER BY destroyed_at_ms DESC LIMIT $3";

const COUNT_OF_TEAM: &str = "
    SELECT COUNT(*) FROM sessions WHERE team = $1 AND destroyed_reason IS NULL";

/// The sessions of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterSessions {
    database: ClusterDatabase,
}

impl ClusterSessions {
    pub fn new(database: ClusterDatabase) -> ClusterSessions {
        ClusterSessions { database }
    }

    /// Returns the database of the sessions.
    pub fn database(&self) -> &ClusterDatabase {
        &self.database
    }

    /// Gives a session a place in the limit of its team, and the lease on its profile, in one step.
    /// After an error it may or may not have them: [`withdraw`](Self::withdraw) it.
    pub async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, StoreError> {
        on_connection!(self.database, Reserve, connection => reserve(&mut connection, reservation))
    }

    /// Shows a reserved session to its team. Returns false if it has ended meanwhile. After an
    /// error it may or may not be visible.
    pub async fn activate(
        &self,
        record: &SessionRecord,
        token_key: i64,
    ) -> Result<bool, StoreError> {
        let activating = sqlx::query(ACTIVATE)
            .bind(record.id.to_string())
            .bind(record.created_at.as_millisecond())
            .bind(record.expires_at.as_millisecond())
            .bind(record.last_activity.as_millisecond())
            .bind(link(record, 0))
            .bind(link(record, 1))
            .bind(token_key);
        on_connection!(self.database, Activate, connection => async {
            Ok(activating.fetch_optional(&mut *connection).await?.is_some())
        })
    }

    /// Takes back the sessions of a life that no client knows, with their leases on profiles.
    pub async fn withdraw(&self, owner: &Life, ids: &[Uuid]) -> Result<(), StoreError> {
        on_connection!(self.database, Write, connection => async {
            let mut transaction = connection.begin().await?;
            let rows = sqlx::query(WITHDRAW)
                .bind(texts(ids))
                .bind(&owner.name)
                .bind(owner.epoch)
                .fetch_all(&mut *transaction)
                .await?;
            for row in rows {
                let (id, profile): (String, Option<String>) =
                    (row.try_get("id")?, row.try_get("profile_id")?);
                if let (Ok(id), Some(profile)) = (Uuid::parse_str(&id), profile) {
                    profile_leases::release(&mut transaction, &profile, id).await?;
                }
            }
            Ok(transaction.commit().await?)
        })
    }

    /// Records an active session of this life again. Returns false if its end is recorded.
    pub async fn adopt(
        &self,
        record: &SessionRecord,
        owner: &Life,
        token_key: i64,
        profile: Option<&str>,
    ) -> Result<bool, StoreError> {
        let adopting = sqlx::query(ADOPT)
            .bind(record.id.to_string())
            .bind(&*record.team)
            .bind(record.created_at.as_millisecond())
            .bind(record.expires_at.as_millisecond())
            .bind(record.last_activity.as_millisecond())
            .bind(&owner.name)
            .bind(owner.epoch)
            .bind(link(record, 0))
            .bind(link(record, 1))
            .bind(token_key)
            .bind(profile);
        on_connection!(self.database, Write, connection => async {
            Ok(adopting.fetch_optional(&mut *connection).await?.is_some())
        })
    }

    /// Ends the sessions of a life that are older than a minute and not among `known`, which are
    /// those that its process has. Returns their ids.
    pub async fn end_unknown(
        &self,
        owner: &Life,
        now: Timestamp,
        known: &[Uuid],
    ) -> Result<Vec<String>, StoreError> {
        let ending = sqlx::query_scalar(END_UNKNOWN)
            .bind(&owner.name)
            .bind(owner.epoch)
            .bind(now.as_millisecond())
            .bind(texts(known));
        on_connection!(self.database, Write, connection => async {
            Ok(ending.fetch_all(&mut *connection).await?)
        })
    }

    /// Returns the ids of the sessions of a life whose end is not recorded.
    pub async fn open_of(&self, owner: &Life) -> Result<Vec<Uuid>, StoreError> {
        let reading = sqlx::query_scalar(OPEN_OF_OWNER)
            .bind(&owner.name)
            .bind(owner.epoch);
        let ids: Vec<String> = on_connection!(self.database, Read, connection => async {
            Ok(reading.fetch_all(&mut *connection).await?)
        })?;
        Ok(ids
            .iter()
            .filter_map(|id| Uuid::parse_str(id).ok())
            .collect())
    }

    /// Records the last activity of sessions.
    pub async fn touch(&self, moved: &[(Uuid, Timestamp)]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = moved.iter().map(|(id, _)| *id).collect();
        let times: Vec<i64> = moved.iter().map(|(_, at)| at.as_millisecond()).collect();
        let touching = sqlx::query(TOUCH).bind(texts(&ids)).bind(times);
        on_connection!(self.database, Write, connection => async {
            Ok(touching.execute(&mut *connection).await.map(drop)?)
        })
    }

    /// Returns a session that clients know, active or ended. An invalid row counts as missing.
    pub async fn find(&self, id: Uuid) -> Result<Option<ClusterSession>, StoreError> {
        let reading = sqlx::query(FIND).bind(id.to_string());
        let row = on_connection!(self.database, Read, connection => async {
            Ok::<_, StoreError>(reading.fetch_optional(&mut *connection).await?)
        })?;
        Ok(row.as_ref().and_then(read))
    }

    /// Returns at most `max` of the newest sessions of a team, newest first. Skips invalid rows.
    pub async fn newest(&self, team: &Team, max: usize) -> Result<Vec<ClusterSession>, StoreError> {
        let reading = sqlx::query(NEWEST_OF_TEAM)
            .bind(&**team)
            .bind(i64::try_from(max).unwrap_or(i64::MAX));
        let rows = on_connection!(self.database, Read, connection => async {
            Ok::<_, StoreError>(reading.fetch_all(&mut *connection).await?)
        })?;
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Returns at most `max` sessions of a team, or of all teams, that have ended after `since`,
    /// with the last end first. Skips invalid rows.
    pub async fn ended(
        &self,
        since: Timestamp,
        team: Option<&Team>,
        max: usize,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let reading = sqlx::query(ENDED_LAST)
            .bind(since.as_millisecond())
            .bind(team.map(|team| &**team))
            .bind(i64::try_from(max).unwrap_or(i64::MAX));
        let rows = on_connection!(self.database, Read, connection => async {
            Ok::<_, StoreError>(reading.fetch_all(&mut *connection).await?)
        })?;
        Ok(rows
            .iter()
            .filter_map(|row| SessionRecord::read(row))
            .collect())
    }

    /// Returns the epoch and the state of the latest life of a node's name.
    pub async fn latest_life(&self, name: &str) -> Result<Option<(i64, NodeState)>, StoreError> {
        on_connection!(self.database, Read, connection => async {
            Ok(nodes::latest_life(&mut connection, name).await?)
        })
    }

    /// Returns the number of sessions of a team on all nodes, with those that are being created.
    pub async fn count(&self, team: &Team) -> Result<usize, StoreError> {
        let counting = sqlx::query_scalar(COUNT_OF_TEAM).bind(&**team);
        let count: i64 = on_connection!(self.database, Read, connection => async {
            Ok::<_, StoreError>(counting.fetch_one(&mut *connection).await?)
        })?;
        Ok(usize::try_from(count).unwrap_or_default())
    }
}

async fn reserve(
    connection: &mut PgConnection,
    reservation: &Reservation,
) -> Result<Reserved, StoreError> {
    let mut transaction = connection.begin().await?;
    // Locks are always taken in this order: team, session, profile.
    if reservation.max_of_team.is_some() {
        sqlx::query(LOCK_TEAM)
            .bind(&*reservation.team)
            .bind(reservation.created_at.as_millisecond())
            .execute(&mut *transaction)
            .await?;
    }
    let max = reservation.max_of_team.map(i64::try_from);
    let added = sqlx::query(RESERVE)
        .bind(reservation.id.to_string())
        .bind(&*reservation.team)
        .bind(reservation.created_at.as_millisecond())
        .bind(reservation.expires_at.as_millisecond())
        .bind(&reservation.owner.name)
        .bind(reservation.owner.epoch)
        .bind(&reservation.profile)
        .bind(max.and_then(Result::ok).unwrap_or(i64::MAX))
        .fetch_optional(&mut *transaction)
        .await?;
    if added.is_none() {
        return if owner_is_alive(&mut transaction, &reservation.owner).await? {
            Ok(Reserved::TeamIsFull)
        } else {
            Ok(Reserved::OwnerIsLost)
        };
    }
    let lease = match &reservation.profile {
        None => None,
        Some(profile) => {
            let owner = LeaseOwner {
                session_id: reservation.id,
                node: &reservation.owner.name,
                epoch: reservation.owner.epoch,
            };
            let acquired = profile_leases::acquire(&mut transaction, profile, owner).await?;
            let Some(lease) = acquired else {
                return Ok(Reserved::ProfileIsLeased);
            };
            Some(lease)
        }
    };
    transaction.commit().await?;
    Ok(Reserved::Granted(lease))
}

async fn owner_is_alive(connection: &mut PgConnection, owner: &Life) -> Result<bool, StoreError> {
    let found = sqlx::query(OWNER_IS_ALIVE)
        .bind(&owner.name)
        .bind(owner.epoch)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

fn read(row: &sqlx::postgres::PgRow) -> Option<ClusterSession> {
    Some(ClusterSession {
        record: SessionRecord::read(row)?,
        owner: Life {
            name: row.try_get("node").ok()?,
            epoch: row.try_get("epoch").ok()?,
        },
        token_key: row.try_get("token_key").ok()?,
    })
}

/// Returns the digest of one of the links of the live view.
fn link(record: &SessionRecord, which: usize) -> Option<&str> {
    record.links.as_ref().map(|links| links[which].as_str())
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(Uuid::to_string).collect()
}
