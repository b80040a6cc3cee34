//! The number of requests for files that one session answers at a time.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::FileError;
use super::space::Uploads;

/// The maximum number of requests for files of one session at a time.
const MAX_REQUESTS: usize = 16;

/// The turns of requests for files of one session, and the bytes of its uploads.
#[derive(Debug)]
pub(in crate::sessions) struct FileTurns {
    turns: Arc<Semaphore>,
    pub(super) uploads: Arc<Mutex<Uploads>>,
}

impl Default for FileTurns {
    fn default() -> FileTurns {
        FileTurns {
            turns: Arc::new(Semaphore::new(MAX_REQUESTS)),
            uploads: Arc::default(),
        }
    }
}

impl FileTurns {
    /// Takes a turn. A client does not wait for one, because transfers can take long.
    pub(super) fn take(&self) -> Result<OwnedSemaphorePermit, FileError> {
        let turns = Arc::clone(&self.turns);
        turns
            .try_acquire_owned()
            .map_err(|_| FileError::Busy(MAX_REQUESTS))
    }
}
