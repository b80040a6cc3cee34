//! Jobs, which one node does for all from time to time.

use std::time::Duration;

use tokio::time::timeout;

use super::connections::on_connection;
use crate::store::error::StoreError;
use crate::store::measured::ClusterDatabase;

/// The time limit for one statement.
const BOUND: Duration = Duration::from_secs(6);

/// Makes a job due again after $2 milliseconds, if it is due.
const CLAIM: &str = "
    INSERT INTO jobs (name, due_at_ms)
    VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2::bigint)
    ON CONFLICT (name) DO UPDATE SET due_at_ms = excluded.due_at_ms
    WHERE jobs.due_at_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    RETURNING 1";

/// Claims the job `name`, which is then due again after `every`. Returns true for at most one of
/// the nodes that ask at the same time.
pub(crate) async fn claim(
    database: &ClusterDatabase,
    name: &str,
    every: Duration,
) -> Result<bool, StoreError> {
    let claiming = sqlx::query(CLAIM)
        .bind(name)
        .bind(i64::try_from(every.as_millis()).unwrap_or(i64::MAX));
    on_connection!(database, Write, connection => async {
        Ok(claiming.fetch_optional(&mut *connection).await?.is_some())
    })
}
