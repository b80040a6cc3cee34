//! One request for files of a session, and the tasks of the file worker.

use std::io;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::error::FileError;
use crate::sessions::error::SessionError;
use crate::sessions::resources::SessionResources;
use crate::sessions::session::Session;

/// A request for files of a session that is active.
#[derive(Debug)]
pub(super) struct FileRequest {
    pub resources: Arc<SessionResources>,
    /// Held until the request is answered.
    pub turn: OwnedSemaphorePermit,
}

impl FileRequest {
    /// Begins a request, which counts as activity of the session.
    pub fn begin(session: &Session) -> Result<FileRequest, FileError> {
        let resources = session.resources()?;
        let turn = resources.files.take()?;
        session.activity.touch();
        Ok(FileRequest { resources, turn })
    }
}

impl Session {
    /// Returns a token for a task in the session's directory, or none if the session ends. The end
    /// of the session waits for all tokens before it removes the directory.
    pub(super) fn file_task(&self, resources: &SessionResources) -> Option<TaskTrackerToken> {
        // In this order, because the session may end at any time.
        let token = resources.tasks.token();
        self.ending().is_none().then_some(token)
    }

    /// Runs a task of the file worker. It continues if the caller is gone, so that the end of the
    /// session waits for it.
    pub(super) async fn work<T, F>(
        &self,
        resources: &Arc<SessionResources>,
        task: impl FnOnce(Arc<SessionResources>) -> F,
    ) -> Result<T, FileError>
    where
        T: Send + 'static,
        F: Future<Output = io::Result<T>> + Send + 'static,
    {
        let token = self.file_task(resources).ok_or(SessionError::Ended)?;
        let working = resources.tasks.spawn(task(Arc::clone(resources)));
        drop(token);
        let worked = working
            .await
            .map_err(|error| FileError::Unavailable(error.to_string()))?;
        worked.map_err(|error| match self.resources() {
            // The end of the session removes its files.
            Err(ended) => ended.into(),
            Ok(_) => FileError::of(&error),
        })
    }
}
