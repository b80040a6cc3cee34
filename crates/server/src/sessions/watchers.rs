//! The background tasks that watch all sessions.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::limits::disk::watch_disk;
use super::limits::memory::watch_memory;
use super::orphans::watch_orphans;
use super::registry::Registry;

/// Starts the watchers. They run until `stop`.
pub(crate) fn spawn_watchers(registry: &Arc<Registry>, stop: &CancellationToken) {
    let tracker = registry.tracker();
    tracker.spawn(watch_memory(Arc::clone(registry), stop.clone()));
    tracker.spawn(watch_disk(Arc::clone(registry), stop.clone()));
    tracker.spawn(watch_orphans(
        Arc::clone(&registry.services.orphans),
        registry.spec.isolation.clone(),
        registry.uid_pool.clone(),
        stop.clone(),
    ));
}
