//! The moments at which clients wait for the server. Work in the background waits for a quiet one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The time without requests after which the server counts as quiet.
const QUIET_TIME: Duration = Duration::from_millis(50);

/// The creations and executions that are starting, the pages that are being opened, and the last
/// moment at which there were any.
#[derive(Debug)]
pub(super) struct RecentLoad(Mutex<Load>);

#[derive(Debug)]
struct Load {
    busy: usize,
    last: Instant,
}

/// A guard for a creation, the start of an execution, or the opening of a page.
#[must_use = "the server is busy until the guard is dropped"]
pub(crate) struct Busy(Arc<RecentLoad>);

impl RecentLoad {
    pub fn new() -> Arc<RecentLoad> {
        Arc::new(RecentLoad(Mutex::new(Load {
            busy: 0,
            last: Instant::now(),
        })))
    }

    /// Marks the server as busy until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.lock().busy += 1;
        Busy(Arc::clone(self))
    }

    /// Waits until no client has waited for a moment, but not longer than `limit`. Cancel safe.
    pub async fn quiet(&self, limit: Duration) {
        let until = Instant::now() + limit;
        loop {
            let now = Instant::now();
            let due = {
                let load = self.lock();
                let last = if load.busy > 0 { now } else { load.last };
                last + QUIET_TIME
            };
            if due <= now || until <= now {
                return;
            }
            sleep_until(due.min(until)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Load> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut load = self.0.lock();
        load.busy -= 1;
        load.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn quiet_begins_after_the_last_request() {
        let load = RecentLoad::new();
        let began = Instant::now();
        let busy = load.begin();
        let waiting = async {
            load.quiet(LIMIT).await;
            began.elapsed()
        };
        let ending = async {
            sleep_until(began + Duration::from_millis(200)).await;
            drop(busy);
        };
        let (waited, ()) = tokio::join!(waiting, ending);
        assert!(
            waited >= Duration::from_millis(250) && waited < LIMIT,
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_busy_is_not_waited_for() {
        let load = RecentLoad::new();
        let began = Instant::now();
        let _busy = load.begin();
        load.quiet(LIMIT).await;
        assert_eq!(began.elapsed(), LIMIT);
    }
}
