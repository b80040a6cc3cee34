//! Removal of old records from the store.

use std::time::Duration;

use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Retention;
use crate::store::Store;

/// The interval between removals of old records.
const RETENTION_INTERVAL: Duration = Duration::from_hours(1);

/// Removes old records every hour until `stop`.
pub(super) async fn run_retention(store: Store, retention: Retention, stop: CancellationToken) {
    let mut hours = interval(RETENTION_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = hours.tick() => {}
        }
        let now = clock::now();
        let pruned = store.prune(now - retention.sessions, now - retention.executions);
        if let Err(error) = pruned.await {
            tracing::warn!(%error, "retention prune failed");
        }
    }
}
