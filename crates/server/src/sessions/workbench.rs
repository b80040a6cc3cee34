//! The parts of a session that only the workbench reads.

use std::time::Duration;

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::error::SessionError;
use super::session::Session;
use crate::workbench::PageLogReader;

impl Session {
    /// Returns the time since the first of the running executions started, or `None` if no code
    /// runs.
    pub fn running_for(&self) -> Option<Duration> {
        let since = self.activity.watch().borrow().running_since();
        since.map(|since| since.elapsed())
    }

    /// Returns the kept executions after the one with this number as JSON, oldest first. Returns
    /// `None` if the session keeps none.
    pub fn executions_after(&self, number: u64) -> Result<Option<Vec<Bytes>>, SessionError> {
        let resources = self.resources()?;
        let is_kept = resources.limits.keeps_history && !self.has_zero_data_retention();
        Ok(is_kept.then(|| resources.history.after(number)))
    }

    /// Starts to read the console and network lines of the current tab. The reader's task belongs
    /// to `tracker`.
    pub fn read_page_log(&self, tracker: &TaskTracker) -> Result<PageLogReader, SessionError> {
        let reading = self.resources()?.page_log.read(tracker);
        reading.map_err(SessionError::Overloaded)
    }
}
