//! The last executions of a session, for whoever looks after the server.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::store::ExecutionRecord;

/// How many are kept.
const KEPT: usize = 5;

/// The newest ones, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    latest: VecDeque<ExecutionRecord>,
    count: u64,
}

impl Recent {
    pub fn note(&self, record: ExecutionRecord) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.latest.push_front(record);
        state.latest.truncate(KEPT);
        state.count += 1;
    }

    /// Newest first.
    pub fn latest(&self) -> Vec<ExecutionRecord> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .latest
            .iter()
            .cloned()
            .collect()
    }

    pub fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}
