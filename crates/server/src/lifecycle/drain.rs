//! The drain of a node: it creates no sessions any more, and those that it has continue.

use std::future::pending;
use std::time::Duration;

use tokio::time::Instant;

use super::signals::Signals;
use crate::sessions::Registry;

/// The time within which signals count as one. A signal that is sent to a process and to its group
/// arrives twice.
pub(super) const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Waits until the server has to stop: after a signal, or when a node that was told to drain has no
/// session left. After a signal, a node drains for `limit` first, unless another one arrives.
pub(super) async fn wait_for_stop(signals: &mut Signals, registry: &Registry, limit: Duration) {
    tokio::select! {
        () = signals.next() => {}
        () = drained_on_request(registry) => return,
    }
    let Some(cluster) = registry.cluster().filter(|_| !limit.is_zero()) else {
        return;
    };
    tracing::info!(max_seconds = limit.as_secs(), "node drain started");
    cluster.drain();
    tokio::select! {
        () = registry.drained(Some(Instant::now() + limit)) => {}
        () = signals.next_after(SAME_SIGNAL) => {}
    }
}

/// Waits until somebody has told this node to drain, and it has no sessions.
async fn drained_on_request(registry: &Registry) {
    let Some(cluster) = registry.cluster() else {
        return pending().await;
    };
    cluster.draining().await;
    tracing::info!("node drain requested");
    registry.drained(None).await;
}
