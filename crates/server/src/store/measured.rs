//! Measured statements, and the connections to the database of a cluster.

use sqlx::PgPool;
use tokio::time::Instant;

use super::error::StoreError;
use crate::metrics::{StoreMetrics, StoreStatement};

/// The connections to the PostgreSQL database of a cluster, whose statements are measured. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub(crate) struct ClusterDatabase {
    pool: PgPool,
    metrics: StoreMetrics,
}

impl ClusterDatabase {
    pub(super) fn new(pool: PgPool, metrics: StoreMetrics) -> ClusterDatabase {
        ClusterDatabase { pool, metrics }
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(super) fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }
}

/// Does `work` with the store, and records its duration and whether the store has answered. Records
/// nothing if it is cancelled.
pub(super) async fn measured<T>(
    metrics: &StoreMetrics,
    statement: StoreStatement,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let began = Instant::now();
    let result = work.await;
    let is_answered = !result.as_ref().is_err_and(StoreError::is_outage);
    metrics.finished(statement, began.elapsed(), is_answered);
    result
}
