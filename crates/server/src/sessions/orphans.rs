//! What did not go away with its session, although everything was done for it. There should never
//! be any.

use std::sync::{Mutex, PoisonError};

use tokio_util::task::TaskTracker;

/// The trackers of sessions that have ended and whose processes have not.
#[derive(Debug, Default)]
pub(super) struct Orphans(Mutex<Vec<TaskTracker>>);

impl Orphans {
    pub fn add(&self, tasks: TaskTracker) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(tasks);
    }

    /// How many there are now. Each is a supervisor with all that is below it.
    pub fn count(&self) -> usize {
        let mut orphans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        orphans.retain(|tasks| !tasks.is_empty());
        orphans.iter().map(TaskTracker::len).sum()
    }
}
