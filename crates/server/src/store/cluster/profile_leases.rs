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

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::store::error::StoreError;

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

/// Takes a lease that no other session has: the reply to an earlier attempt may have been lost. A
/// profile without a lease continues the version of its record, because a restored store may have
/// lost the lease.
const ACQUIRE: &str = "
    INSERT INTO profile_leases (profile_id, fence, session_id, node, epoch, version)
    VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $2, $3, $4,
            COALESCE((SELECT version FROM profiles WHERE id = $1), ''))
    ON CONFLICT (profile_id) DO UPDATE
    SET fence = GREATEST(profile_leases.fence + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint),
        session_id = excluded.session_id, node = excluded.node, epoch = excluded.epoch
    WHERE profile_leases.session_id IS NULL OR profile_leases.session_id = excluded.session_id
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
