//! The health of browser launches, which readiness depends on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time for which a failed launch makes the server not ready. After that, clients should try
/// again.
const FAILURE_LIFETIME: Duration = Duration::from_mins(1);

/// The time of the last failed browser launch, unless a later one succeeded.
#[derive(Debug, Default)]
pub(super) struct LaunchHealth(Mutex<Option<Instant>>);

impl LaunchHealth {
    pub fn record_success(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn record_failure(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns the time since the last failure, if it is recent.
    pub fn recent_failure(&self) -> Option<Duration> {
        let failed_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at
            .map(|at| at.elapsed())
            .filter(|ago| *ago < FAILURE_LIFETIME)
    }
}
