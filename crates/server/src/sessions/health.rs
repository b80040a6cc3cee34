//! The health of browser launches, which readiness depends on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::StartFailure;

/// The time for which failed launches make the server not ready. After that, clients should try
/// again.
const FAILURE_LIFETIME: Duration = Duration::from_mins(1);

/// The number of failures, one after the other, that make the server not ready. A single browser
/// may fail because of a race in Chromium or a busy machine.
const MIN_FAILURES: u32 = 2;

/// The failed browser launches since the last one that succeeded.
#[derive(Debug, Default)]
pub(super) struct LaunchHealth(Mutex<Failures>);

#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// The time of the last failure, and its reason.
    last: Option<(Instant, String)>,
}

impl LaunchHealth {
    pub fn record_success(&self) {
        *self.lock() = Failures::default();
    }

    pub fn record_failure(&self, failure: &StartFailure) {
        let mut failures = self.lock();
        failures.count = failures.count.saturating_add(failure.starts);
        failures.last = Some((Instant::now(), failure.cause.clone()));
    }

    /// Returns the time since the last failure and its reason, if it is recent and not the only
    /// one.
    pub fn recent_failures(&self) -> Option<(Duration, String)> {
        let failures = self.lock();
        let (at, reason) = failures.last.as_ref()?;
        let is_repeated = failures.count >= MIN_FAILURES;
        let ago = at.elapsed();
        (is_repeated && ago < FAILURE_LIFETIME).then(|| (ago, reason.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(reason: &str) -> StartFailure {
        StartFailure::new(reason.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn two_failures_in_a_row_are_reported_for_a_minute() {
        let health = LaunchHealth::default();
        health.record_failure(&failure("first"));
        assert_eq!(health.recent_failures(), None);
        health.record_success();
        health.record_failure(&failure("second"));
        assert_eq!(health.recent_failures(), None);
        health.record_failure(&failure("third"));
        let (_, reason) = health.recent_failures().expect("two failures");
        assert_eq!(reason, "third");
        tokio::time::advance(FAILURE_LIFETIME).await;
        assert_eq!(health.recent_failures(), None);
    }
}
