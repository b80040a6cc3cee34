//! The pace of the membership.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Waits for `duration`, or until `wake` is notified.
pub(super) async fn pause(duration: Duration, wake: &Notify) {
    let _ = timeout(duration, wake.notified()).await;
}

/// Returns a duration within ten percent of `duration`, so that nodes do not act in step.
pub(super) fn jittered(duration: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(0) % 201;
    duration * (900 + random) / 1000
}
