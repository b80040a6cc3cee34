//! The profiles of a cluster: their records, their last versions and their leases.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{Acquire, Row};
use tokio::time::timeout;
use uuid::Uuid;

use super::connections::on_connection;
use super::jobs::claim;
use super::profile_leases::{FencedLease, LeaseOwner, acquire, reacquire, release};
use crate::store::error::StoreError;
use crate::store::measured::ClusterDatabase;
use crate::store::rows::ProfileRecord;
use crate::team::Team;

/// The time limit for one transaction.
const BOUND: Duration = Duration::from_secs(6);

/// A new version of a profile, whose object exists.
#[derive(Clone, Debug)]
pub(crate) struct SavedVersion {
    pub record: ProfileRecord,
    pub version: String,
    pub object: String,
}

/// The last saved version of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SavedProfile {
    /// Empty if no version was saved.
    pub version: String,
    /// `None` if the profile was never saved, or was deleted. Its checkpoint may exist.
    pub object: Option<String>,
    pub size_bytes: u64,
    /// True if a session saves to the profile.
    pub is_leased: bool,
}

const IS_CURRENT: &str = "
    SELECT 1 FROM profile_leases
    WHERE profile_id = $1 AND session_id = $2 AND fence = $3 AND version = $4";

/// Makes $4 the last version if it continues $5. A repetition changes nothing and succeeds.
const COMMIT: &str = "
    UPDATE profile_leases SET version = $4
    WHERE profile_id = $1 AND session_id = $2 AND fence = $3 AND version IN ($4, $5)
    RETURNING 1";

const RECORD: &str = "
    INSERT INTO profiles (id, team, name_json, size_bytes, saved_at_ms, version, object)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO UPDATE
    SET size_bytes = excluded.size_bytes, saved_at_ms = excluded.saved_at_ms,
        version = excluded.version, object = excluded.object";

/// Records a profile of which only a checkpoint exists, if its lease is current.
const RECORD_CHECKPOINT: &str = "
    INSERT INTO profiles (id, team, name_json, size_bytes, saved_at_ms, version)
    SELECT $1, $2, $3, $4, $5, $6
    WHERE EXISTS (SELECT 1 FROM profile_leases
                  WHERE profile_id = $1 AND session_id = $7 AND fence = $8 AND version = $6)
    ON CONFLICT (id) DO UPDATE
    SET size_bytes = excluded.size_bytes, saved_at_ms = excluded.saved_at_ms
    WHERE profiles.object IS NULL";

const SAVED: &str = "
    SELECT COALESCE(l.version, p.version, '') AS version, l.session_id IS NOT NULL AS is_leased,
           p.object AS object, COALESCE(p.size_bytes, 0) AS size_bytes
    FROM (SELECT $1::text AS id) wanted
    LEFT JOIN profile_leases l ON l.profile_id = wanted.id
    LEFT JOIN profiles p ON p.id = wanted.id";

const OF_TEAM: &str = "
    SELECT p.id, p.team, p.name_json, p.size_bytes, p.saved_at_ms,
           l.session_id IS NOT NULL AS is_leased
    FROM profiles p LEFT JOIN profile_leases l ON l.profile_id = p.id
    WHERE p.team = $1";

/// Locks the lease of a profile that no session has, and gives it a version that no checkpoint
/// continues.
const LOCK_UNLEASED: &str = "
    INSERT INTO profile_leases (profile_id, fence, version)
    VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $2)
    ON CONFLICT (profile_id) DO UPDATE SET version = excluded.version
    WHERE profile_leases.session_id IS NULL
    RETURNING 1";

const DELETE_RECORD: &str = "DELETE FROM profiles WHERE id = $1 RETURNING object";

/// Deletes the record of a profile unless another version was saved in the meantime.
const DELETE_RECORD_OF_OBJECT: &str =
    "DELETE FROM profiles WHERE id = $1 AND object IS NOT DISTINCT FROM $2";

/// Selects the leases whose node does not live any more.
const STALE: &str = "
    SELECT profile_id, fence FROM profile_leases l
    WHERE l.session_id IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM nodes n WHERE n.name = l.node AND n.epoch = l.epoch AND n.state IN ('up', 'draining'))";

const RELEASE_STALE: &str = "
    UPDATE profile_leases SET session_id = NULL, node = NULL, epoch = NULL
    WHERE profile_id = $1 AND fence = $2 AND session_id IS NOT NULL";

/// Releases the leases of a node, older than a minute, of sessions that it neither runs nor saves.
const RELEASE_UNKNOWN: &str = "
    UPDATE profile_leases SET session_id = NULL, node = NULL, epoch = NULL
    WHERE node = $1 AND epoch = $2
      AND fence < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 60000
      AND NOT (session_id = ANY($3::text[]))
    RETURNING profile_id";

const OBJECTS: &str = "SELECT object FROM profiles WHERE object = ANY($1::text[])";

const HAS_OBJECTS: &str = "SELECT EXISTS (SELECT 1 FROM profiles WHERE object IS NOT NULL)";

const PROFILES: &str = "SELECT id FROM profiles WHERE id = ANY($1::text[])";

/// Records a version that was found in the object store, if the store does not know the profile.
const REBUILD_RECORD: &str = "
    INSERT INTO profiles (id, team, name_json, size_bytes, saved_at_ms, version, object)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO NOTHING";

/// Sets the version of a profile that was never saved under this store. A profile whose record was
/// lost keeps its last version.
const REBUILD_LEASE: &str = "
    INSERT INTO profile_leases (profile_id, fence, version)
    VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $2)
    ON CONFLICT (profile_id) DO UPDATE SET version = excluded.version
    WHERE profile_leases.session_id IS NULL AND profile_leases.version IN ('', excluded.version)
    RETURNING 1";

/// The leases of all profiles, and the records of profiles in object storage.
#[derive(Clone, Debug)]
pub(crate) struct ProfileLeases {
    database: ClusterDatabase,
}

impl ProfileLeases {
    pub fn new(database: ClusterDatabase) -> ProfileLeases {
        ProfileLeases { database }
    }

    #[cfg(test)]
    pub(super) fn pool(&self) -> &sqlx::PgPool {
        self.database.pool()
    }

    /// Leases the profile, outside of a reservation.
    pub async fn acquire(
        &self,
        profile_id: &str,
        owner: LeaseOwner<'_>,
    ) -> Result<Option<FencedLease>, StoreError> {
        on_connection!(self.database, Profile, connection => acquire(&mut connection, profile_id, owner))
    }

    /// Leases the profile again; see [`reacquire`].
    pub async fn reacquire(
        &self,
        lease: &FencedLease,
        owner: LeaseOwner<'_>,
    ) -> Result<Option<FencedLease>, StoreError> {
        on_connection!(self.database, Profile, connection => reacquire(&mut connection, lease, owner))
    }

    /// Releases a lease, if the session still has it.
    pub async fn release(&self, profile_id: &str, session_id: Uuid) -> Result<(), StoreError> {
        on_connection!(self.database, Profile, connection => release(&mut connection, profile_id, session_id))
    }

    /// Returns true if the lease is current.
    pub async fn is_current(&self, lease: &FencedLease) -> Result<bool, StoreError> {
        let reading = sqlx::query(IS_CURRENT)
            .bind(&lease.profile_id)
            .bind(lease.session_id.to_string())
            .bind(lease.fence)
            .bind(&lease.version);
        on_connection!(self.database, Profile, connection => async {
            Ok(reading.fetch_optional(&mut *connection).await?.is_some())
        })
    }

    /// Makes `saved` the last version of the profile. Returns false if the lease is not current, or
    /// the last version is not the one that the lease continues. After an error it may or may not
    /// have happened: repeat it with the same version.
    pub async fn commit(
        &self,
        lease: &FencedLease,
        saved: &SavedVersion,
    ) -> Result<bool, StoreError> {
        let committing = sqlx::query(COMMIT)
            .bind(&lease.profile_id)
            .bind(lease.session_id.to_string())
            .bind(lease.fence)
            .bind(&saved.version)
            .bind(&lease.version);
        on_connection!(self.database, Profile, connection => async {
            let mut transaction = connection.begin().await?;
            if committing.fetch_optional(&mut *transaction).await?.is_none() {
                return Ok(false);
            }
            bind_saved(RECORD, saved).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Records a profile of which only a checkpoint exists. Does nothing if the lease is not
    /// current.
    pub async fn record_checkpoint(
        &self,
        lease: &FencedLease,
        record: &ProfileRecord,
    ) -> Result<(), StoreError> {
        let recording = bind_record(RECORD_CHECKPOINT, record)
            .bind(&lease.version)
            .bind(lease.session_id.to_string())
            .bind(lease.fence);
        on_connection!(self.database, Profile, connection => async {
            recording.execute(&mut *connection).await?;
            Ok(())
        })
    }

    /// Returns the last saved version of a profile.
    pub async fn saved(&self, profile_id: &str) -> Result<SavedProfile, StoreError> {
        let reading = sqlx::query(SAVED).bind(profile_id);
        let row = on_connection!(self.database, Profile, connection => async {
            Ok::<_, StoreError>(reading.fetch_one(&mut *connection).await?)
        })?;
        let size_bytes: i64 = row.try_get("size_bytes")?;
        Ok(SavedProfile {
            version: row.try_get("version")?,
            object: row.try_get("object")?,
            size_bytes: u64::try_from(size_bytes).unwrap_or_default(),
            is_leased: row.try_get("is_leased")?,
        })
    }

    /// Returns the profiles of a team, unsorted, and whether a session saves to them. Skips invalid
    /// rows.
    pub async fn of_team(&self, team: &str) -> Result<Vec<(ProfileRecord, bool)>, StoreError> {
        let reading = sqlx::query(OF_TEAM).bind(team);
        let rows = on_connection!(self.database, Profile, connection => async {
            Ok::<_, StoreError>(reading.fetch_all(&mut *connection).await?)
        })?;
        let mut profiles = Vec::new();
        for row in &rows {
            let is_leased = row.try_get("is_leased")?;
            profiles.extend(read_record(row)?.map(|record| (record, is_leased)));
        }
        Ok(profiles)
    }

    /// Deletes the record of a profile, and makes its checkpoint void. Returns `None` if a session
    /// saves to the profile, and otherwise the object that is not needed any more.
    pub async fn delete(&self, profile_id: &str) -> Result<Option<Option<String>>, StoreError> {
        let locking = sqlx::query(LOCK_UNLEASED)
            .bind(profile_id)
            .bind(Uuid::now_v7().to_string());
        let deleting = sqlx::query_scalar(DELETE_RECORD).bind(profile_id);
        on_connection!(self.database, Profile, connection => async {
            let mut transaction = connection.begin().await?;
            if locking.fetch_optional(&mut *transaction).await?.is_none() {
                return Ok(None);
            }
            let object: Option<Option<String>> =
                deleting.fetch_optional(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(Some(object.flatten()))
        })
    }

    /// Deletes the record of a profile whose object is damaged or missing, unless another version
    /// was saved in the meantime.
    pub async fn forget_object(
        &self,
        profile_id: &str,
        object: Option<&str>,
    ) -> Result<(), StoreError> {
        let deleting = sqlx::query(DELETE_RECORD_OF_OBJECT)
            .bind(profile_id)
            .bind(object);
        on_connection!(self.database, Profile, connection => async {
            deleting.execute(&mut *connection).await?;
            Ok(())
        })
    }

    /// Releases the leases of nodes that do not live any more. Returns their number.
    pub async fn release_stale(&self) -> Result<u64, StoreError> {
        on_connection!(self.database, Profile, connection => async {
            let stale = sqlx::query(STALE).fetch_all(&mut *connection).await?;
            let mut released = 0;
            for row in stale {
                let (profile_id, fence): (String, i64) =
                    (row.try_get("profile_id")?, row.try_get("fence")?);
                let releasing = sqlx::query(RELEASE_STALE).bind(profile_id).bind(fence);
                released += releasing.execute(&mut *connection).await?.rows_affected();
            }
            Ok(released)
        })
    }

    /// Releases the leases of one life of a node on which its process does not work: `known` are
    /// the sessions that it runs, or whose profile it saves. Returns the ids of the profiles.
    pub async fn release_unknown(
        &self,
        node: &str,
        epoch: i64,
        known: &[Uuid],
    ) -> Result<Vec<String>, StoreError> {
        let known: Vec<String> = known.iter().map(Uuid::to_string).collect();
        let releasing = sqlx::query_scalar(RELEASE_UNKNOWN)
            .bind(node)
            .bind(epoch)
            .bind(known);
        on_connection!(self.database, Profile, connection => async {
            Ok(releasing.fetch_all(&mut *connection).await?)
        })
    }

    /// Returns those of `objects` that a record names.
    pub async fn recorded_objects(
        &self,
        objects: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        self.find(OBJECTS, objects).await
    }

    /// Returns true if any profile has an object.
    pub async fn has_objects(&self) -> Result<bool, StoreError> {
        let reading = sqlx::query_scalar(HAS_OBJECTS);
        on_connection!(self.database, Profile, connection => async {
            Ok(reading.fetch_one(&mut *connection).await?)
        })
    }

    /// Returns those of `ids` that have a record.
    pub async fn recorded_profiles(&self, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        self.find(PROFILES, ids).await
    }

    async fn find(
        &self,
        statement: &'static str,
        wanted: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        let reading = sqlx::query_scalar(statement).bind(wanted);
        on_connection!(self.database, Profile, connection => async {
            let found: Vec<String> = reading.fetch_all(&mut *connection).await?;
            Ok(found.into_iter().collect())
        })
    }

    /// Claims a job of the cluster; see [`claim`].
    pub async fn claim_job(&self, name: &str, every: Duration) -> Result<bool, StoreError> {
        claim(&self.database, name, every).await
    }

    /// Records a version that was found in the object store. Returns false if the store already
    /// knows the profile, or a session saves to it.
    pub async fn rebuild(&self, found: &SavedVersion) -> Result<bool, StoreError> {
        let leasing = sqlx::query(REBUILD_LEASE)
            .bind(&found.record.id)
            .bind(&found.version);
        on_connection!(self.database, Profile, connection => async {
            let mut transaction = connection.begin().await?;
            let recording = bind_saved(REBUILD_RECORD, found);
            let recorded = recording.execute(&mut *transaction).await?.rows_affected();
            let leased = leasing.fetch_optional(&mut *transaction).await?;
            if recorded == 0 || leased.is_none() {
                return Ok(false);
            }
            transaction.commit().await?;
            Ok(true)
        })
    }
}

type Statement<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind_record<'q>(statement: &'static str, record: &'q ProfileRecord) -> Statement<'q> {
    sqlx::query(statement)
        .bind(&record.id)
        .bind(&*record.team)
        .bind(serde_json::Value::from(record.name.as_str()).to_string())
        .bind(i64::try_from(record.size_bytes).unwrap_or(i64::MAX))
        .bind(record.saved_at.as_millisecond())
}

fn bind_saved<'q>(statement: &'static str, saved: &'q SavedVersion) -> Statement<'q> {
    bind_record(statement, &saved.record)
        .bind(&saved.version)
        .bind(&saved.object)
}

/// Reads a record. Returns `None` if it is invalid.
fn read_record(row: &PgRow) -> Result<Option<ProfileRecord>, sqlx::Error> {
    let (id, team, name): (String, String, String) = (
        row.try_get("id")?,
        row.try_get("team")?,
        row.try_get("name_json")?,
    );
    let (size_bytes, saved_at_ms): (i64, i64) =
        (row.try_get("size_bytes")?, row.try_get("saved_at_ms")?);
    let assemble = || {
        Some(ProfileRecord {
            id,
            team: Team::from(team),
            name: serde_json::from_str(&name).ok()?,
            size_bytes: u64::try_from(size_bytes).ok()?,
            saved_at: Timestamp::from_millisecond(saved_at_ms).ok()?,
        })
    };
    Ok(assemble())
}
