//! The session of a scrape, which ends with it.

use std::ops::Deref;
use std::sync::Arc;

use hearth_contract::DestroyedReason;
use tokio_util::task::TaskTracker;

use crate::sessions::Session;

/// A session that ends when this is dropped, for example because the client has disconnected.
#[derive(Debug)]
pub(super) struct OwnedSession {
    session: Arc<Session>,
    tracker: TaskTracker,
}

impl OwnedSession {
    pub fn new(session: Arc<Session>, tracker: TaskTracker) -> OwnedSession {
        OwnedSession { session, tracker }
    }
}

impl Deref for OwnedSession {
    type Target = Arc<Session>;

    fn deref(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for OwnedSession {
    fn drop(&mut self) {
        let session = Arc::clone(&self.session);
        self.tracker.spawn(async move {
            session.end(DestroyedReason::Deleted).await;
        });
    }
}
