//! The sessions of recent scrapes, which wait for a first interaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::owned_session::OwnedSession;
use crate::sessions::{Registry, Session, SessionError};

/// The kept sessions of scrapes, by the id of the scrape.
#[derive(Debug)]
pub(super) struct Kept {
    registry: Arc<Registry>,
    /// The time for which a session is kept. Zero keeps none.
    keep: Duration,
    sessions: Mutex<HashMap<Uuid, Arc<Session>>>,
}

impl Kept {
    pub(super) fn new(registry: Arc<Registry>, keep: Duration) -> Arc<Kept> {
        Arc::new(Kept {
            registry,
            keep,
            sessions: Mutex::default(),
        })
    }

    /// Takes over the unlisted session of a scrape that has succeeded. Keeps it for a while, or
    /// ends it. A session with a profile is not kept, because it could not save its changes.
    pub fn offer(self: &Arc<Self>, job_id: Uuid, session: OwnedSession) {
        if self.keep.is_zero() || session.profile().is_some() {
            return;
        }
        let session = session.release();
        self.lock().insert(job_id, Arc::clone(&session));
        self.registry.keep(&session);
        let kept = Arc::clone(self);
        self.registry.tracker().spawn(async move {
            let _ = timeout(kept.keep, session.ended()).await;
            kept.registry.end_kept(&session);
            kept.lock().remove(&job_id);
        });
    }

    /// Returns true if the session of a scrape is still there.
    pub(super) fn has(&self, job_id: Uuid) -> bool {
        let kept = self.get(job_id);
        kept.is_some_and(|session| session.ending().is_none())
    }

    /// Gives the session of a scrape to its team, unless it has ended or `is_fit` is false. Ends
    /// one that is not fit. On failure it is kept, unless the failure has ended it.
    pub(super) async fn adopt(
        &self,
        job_id: Uuid,
        is_fit: impl Fn(&Session) -> bool,
    ) -> Result<Option<Arc<Session>>, SessionError> {
        let Some(session) = self.get(job_id) else {
            return Ok(None);
        };
        if !is_fit(&session) {
            self.registry.end_kept(&session);
            return Ok(None);
        }
        match self.registry.adopt(&session).await {
            Ok(()) => Ok(Some(session)),
            Err(SessionError::Ended) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends the session of a scrape that uses another one.
    pub(super) fn end(&self, job_id: Uuid) {
        if let Some(session) = self.get(job_id) {
            self.registry.end_kept(&session);
        }
    }

    fn get(&self, job_id: Uuid) -> Option<Arc<Session>> {
        self.lock().get(&job_id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
