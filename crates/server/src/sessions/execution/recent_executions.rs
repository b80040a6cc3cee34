//! The latest executions of a session, for operators.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::store::ExecutionRecord;

/// The number of executions that are kept.
const KEPT: usize = 5;

/// The latest executions of a session, and the number of all its executions.
#[derive(Debug, Default)]
pub(in crate::sessions) struct RecentExecutions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    latest: VecDeque<ExecutionRecord>,
    count: u64,
}

impl RecentExecutions {
    pub fn add(&self, record: ExecutionRecord) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.latest.push_front(record);
        state.latest.truncate(KEPT);
        state.count += 1;
    }

    /// Counts an execution that is not kept.
    pub fn count_only(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count += 1;
    }

    /// Returns the latest executions, newest first.
    pub fn latest(&self) -> Vec<ExecutionRecord> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .latest
            .iter()
            .cloned()
            .collect()
    }

    /// Returns the number of all executions of the session.
    pub fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}
