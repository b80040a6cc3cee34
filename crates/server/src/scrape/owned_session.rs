//! The session of a scrape, which ends with it unless it is kept.

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
    is_released: bool,
}

impl OwnedSession {
    pub fn new(session: Arc<Session>, tracker: TaskTracker) -> OwnedSession {
        OwnedSession {
            session,
            tracker,
            is_released: false,
        }
    }

    /// Returns the session, which does not end any more.
    pub fn release(mut self) -> Arc<Session> {
        self.is_released = true;
        Arc::clone(&self.session)
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
        if self.is_released {
            return;
        }
        let session = Arc::clone(&self.session);
        self.tracker.spawn(async move {
            session.end(DestroyedReason::Deleted).await;
        });
    }
}
