//! Leases on profiles: which session saves to a profile, and which version it saved last.
//!
//! Each lease has a *fence*, a number that grows with every lease of its profile, even if the clock
//! of the database is set back or an old backup is restored. A commit counts only with the fence of
//! the current lease, and only if it continues the last version. A node that was declared dead
//! therefore saves nothing, whatever it still does.
//!
//! A statement that takes a lease never judges in the same step whether its owner is alive: it
//! would compare the newest lease with an older snapshot of the nodes. Stale leases are read first,
//! and then each is released by its fence.

use std::collections::HashSet;

use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::store::error::StoreError;
use crate::store::rows::ProfileRecord;

/// The session that a lease belongs to, and the node that runs the session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseOwner<'a> {
    pub session_id: Uuid,
    pub node: &'a str,
    pub epoch: i64,
}

/// The right of one session to save to a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FencedLease {
    pub profile_id: String,
    pub session_id: Uuid,
    pub fence: i64,
    /// The last saved version, or empty if there is none. A commit continues it.
    pub version: String,
}

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
    /// True if there is a record of the profile.
    pub is_recorded: bool,
    /// True if a session saves to the profile.
    pub is_leased: bool,
}

/// Takes a lease that nobody has. A profile without a row of its own continues the version of its
/// record, because a restored store may have lost the row.
const ACQUIRE: &str = "
    INSERT INTO profile_leases (profile_id, fence, session_id, node, epoch, version)
    VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $2, $3, $4,
            COALESCE((SELECT version FROM profiles WHERE id = $1), ''))
    ON CONFLICT (profile_id) DO UPDATE
    SET fence = GREATEST(profile_leases.fence + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint),
        session_id = excluded.session_id, node = excluded.node, epoch = excluded.epoch
    WHERE profile_leases.session_id IS NULL
    RETURNING fence, version";

/// Takes a lease again that the store has forgotten, unless another session has saved since.
const REACQUIRE: &str = "
    INSERT INTO profile_leases (profile_id, fence, session_id, node, epoch, version)
    VALUES ($1, GREATEST($2::bigint + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint), $3, $4, $5, $6)
    ON CONFLICT (profile_id) DO UPDATE
    SET fence = GREATEST(profile_leases.fence + 1, excluded.fence),
        session_id = excluded.session_id, node = excluded.node, epoch = excluded.epoch
    WHERE (profile_leases.session_id IS NULL OR profile_leases.session_id = excluded.session_id)
      AND profile_leases.version = excluded.version
    RETURNING fence";

const RELEASE: &str = "
    UPDATE profile_leases SET session_id = NULL, node = NULL, epoch = NULL
    WHERE profile_id = $1 AND session_id = $2";

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
           p.id IS NOT NULL AS is_recorded, p.object AS object,
           COALESCE(p.size_bytes, 0) AS size_bytes
    FROM (SELECT $1::text AS id) wanted
    LEFT JOIN profile_leases l ON l.profile_id = wanted.id
    LEFT JOIN profiles p ON p.id = wanted.id";

const LEASED_OF_TEAM: &str = "
    SELECT p.id FROM profiles p JOIN profile_leases l ON l.profile_id = p.id
    WHERE p.team = $1 AND l.session_id IS NOT NULL";

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

/// Records a version that was found in the object store, if the store does not know the profile.
const REBUILD_RECORD: &str = "
    INSERT INTO profiles (id, team, name_json, size_bytes, saved_at_ms, version, object)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO NOTHING";

/// Sets the version of a profile that was never saved under this store.
const REBUILD_LEASE: &str = "
    INSERT INTO profile_leases (profile_id, fence, version)
    VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $2)
    ON CONFLICT (profile_id) DO UPDATE SET version = excluded.version
    WHERE profile_leases.session_id IS NULL AND profile_leases.version = ''
    RETURNING 1";

/// Leases the profile to a session, in the transaction that reserves the session. Returns `None`
/// if another session saves to it.
pub(crate) async fn acquire(
    connection: &mut PgConnection,
    profile_id: &str,
    owner: LeaseOwner<'_>,
) -> Result<Option<FencedLease>, StoreError> {
    let row = sqlx::query(ACQUIRE)
        .bind(profile_id)
        .bind(owner.session_id.to_string())
        .bind(owner.node)
        .bind(owner.epoch)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(FencedLease {
        profile_id: profile_id.to_owned(),
        session_id: owner.session_id,
        fence: row.try_get("fence")?,
        version: row.try_get("version")?,
    }))
}

/// Leases the profile of `lease` again to a session that still runs, after the store has forgotten
/// it or its node has registered again. Returns `None` if another session saves to the profile, or
/// has saved to it.
pub(crate) async fn reacquire(
    connection: &mut PgConnection,
    lease: &FencedLease,
    owner: LeaseOwner<'_>,
) -> Result<Option<FencedLease>, StoreError> {
    let fence: Option<i64> = sqlx::query_scalar(REACQUIRE)
        .bind(&lease.profile_id)
        .bind(lease.fence)
        .bind(owner.session_id.to_string())
        .bind(owner.node)
        .bind(owner.epoch)
        .bind(&lease.version)
        .fetch_optional(connection)
        .await?;
    Ok(fence.map(|fence| FencedLease {
        fence,
        session_id: owner.session_id,
        ..lease.clone()
    }))
}

/// Releases the lease of a session on a profile, if it still has it. Use this in the transaction
/// that ends the session, unless the profile is still being saved.
pub(crate) async fn release(
    connection: &mut PgConnection,
    profile_id: &str,
    session_id: Uuid,
) -> Result<(), StoreError> {
    sqlx::query(RELEASE)
        .bind(profile_id)
        .bind(session_id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// The leases of all profiles, and the records of profiles in object storage.
#[derive(Clone, Debug)]
pub(crate) struct ProfileLeases {
    pool: PgPool,
}

impl ProfileLeases {
    pub fn new(pool: PgPool) -> ProfileLeases {
        ProfileLeases { pool }
    }

    /// Leases the profile, outside of a reservation.
    pub async fn acquire(
        &self,
        profile_id: &str,
        owner: LeaseOwner<'_>,
    ) -> Result<Option<FencedLease>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        acquire(&mut connection, profile_id, owner).await
    }

    /// Leases the profile again; see [`reacquire`].
    pub async fn reacquire(
        &self,
        lease: &FencedLease,
        owner: LeaseOwner<'_>,
    ) -> Result<Option<FencedLease>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        reacquire(&mut connection, lease, owner).await
    }

    /// Releases a lease, if the session still has it.
    pub async fn release(&self, profile_id: &str, session_id: Uuid) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        release(&mut connection, profile_id, session_id).await
    }

    /// Returns true if the lease is current.
    pub async fn is_current(&self, lease: &FencedLease) -> Result<bool, StoreError> {
        let found = sqlx::query(IS_CURRENT)
            .bind(&lease.profile_id)
            .bind(lease.session_id.to_string())
            .bind(lease.fence)
            .bind(&lease.version)
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.is_some())
    }

    /// Makes `saved` the last version of the profile. Returns false if the lease is not current, or
    /// the last version is not the one that the lease continues. After an error it may or may not
    /// have happened: repeat it with the same version.
    pub async fn commit(
        &self,
        lease: &FencedLease,
        saved: &SavedVersion,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let committed = sqlx::query(COMMIT)
            .bind(&lease.profile_id)
            .bind(lease.session_id.to_string())
            .bind(lease.fence)
            .bind(&saved.version)
            .bind(&lease.version)
            .fetch_optional(&mut *transaction)
            .await?;
        if committed.is_none() {
            return Ok(false);
        }
        bind_saved(RECORD, saved).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Records a profile of which only a checkpoint exists. Does nothing if the lease is not
    /// current.
    pub async fn record_checkpoint(
        &self,
        lease: &FencedLease,
        record: &ProfileRecord,
    ) -> Result<(), StoreError> {
        bind_record(RECORD_CHECKPOINT, record)
            .bind(&lease.version)
            .bind(lease.session_id.to_string())
            .bind(lease.fence)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Returns the last saved version of a profile.
    pub async fn saved(&self, profile_id: &str) -> Result<SavedProfile, StoreError> {
        let row = sqlx::query(SAVED)
            .bind(profile_id)
            .fetch_one(&self.pool)
            .await?;
        let size_bytes: i64 = row.try_get("size_bytes")?;
        Ok(SavedProfile {
            version: row.try_get("version")?,
            object: row.try_get("object")?,
            size_bytes: u64::try_from(size_bytes).unwrap_or_default(),
            is_recorded: row.try_get("is_recorded")?,
            is_leased: row.try_get("is_leased")?,
        })
    }

    /// Returns the ids of the profiles of a team that sessions save to.
    pub async fn leased(&self, team: &str) -> Result<HashSet<String>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(LEASED_OF_TEAM)
            .bind(team)
            .fetch_all(&self.pool)
            .await?;
        Ok(ids.into_iter().collect())
    }

    /// Deletes the record of a profile, and makes its checkpoint void. Returns `None` if a session
    /// saves to the profile, and otherwise the object that is not needed any more.
    pub async fn delete(&self, profile_id: &str) -> Result<Option<Option<String>>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let locked = sqlx::query(LOCK_UNLEASED)
            .bind(profile_id)
            .bind(Uuid::now_v7().to_string())
            .fetch_optional(&mut *transaction)
            .await?;
        if locked.is_none() {
            return Ok(None);
        }
        let object: Option<Option<String>> = sqlx::query_scalar(DELETE_RECORD)
            .bind(profile_id)
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(object.flatten()))
    }

    /// Deletes the record of a profile whose object is damaged or missing, unless another version
    /// was saved in the meantime.
    pub async fn forget_object(
        &self,
        profile_id: &str,
        object: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query(DELETE_RECORD_OF_OBJECT)
            .bind(profile_id)
            .bind(object)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Releases the leases of nodes that do not live any more. Returns their number.
    pub async fn release_stale(&self) -> Result<u64, StoreError> {
        let stale = sqlx::query(STALE).fetch_all(&self.pool).await?;
        let mut released = 0;
        for row in stale {
            let (profile_id, fence): (String, i64) =
                (row.try_get("profile_id")?, row.try_get("fence")?);
            let outcome = sqlx::query(RELEASE_STALE)
                .bind(profile_id)
                .bind(fence)
                .execute(&self.pool)
                .await?;
            released += outcome.rows_affected();
        }
        Ok(released)
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
        let released = sqlx::query_scalar(RELEASE_UNKNOWN)
            .bind(node)
            .bind(epoch)
            .bind(known)
            .fetch_all(&self.pool)
            .await?;
        Ok(released)
    }

    /// Returns those of `objects` that a record names.
    pub async fn recorded_objects(
        &self,
        objects: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        let found: Vec<String> = sqlx::query_scalar(OBJECTS)
            .bind(objects)
            .fetch_all(&self.pool)
            .await?;
        Ok(found.into_iter().collect())
    }

    /// Records a version that was found in the object store. Returns false if the store already
    /// knows the profile, or a session saves to it.
    pub async fn rebuild(&self, found: &SavedVersion) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let inserted = bind_saved(REBUILD_RECORD, found)
            .execute(&mut *transaction)
            .await?;
        let leased = sqlx::query(REBUILD_LEASE)
            .bind(&found.record.id)
            .bind(&found.version)
            .fetch_optional(&mut *transaction)
            .await?;
        if inserted.rows_affected() == 0 || leased.is_none() {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
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
