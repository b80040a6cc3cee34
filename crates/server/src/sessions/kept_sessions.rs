//! The kept sessions, which are unlisted ones whose work is done. `unlisted` explains them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::session::Session;

/// The kept sessions of a server, the first one to end first.
#[derive(Debug, Default)]
pub(super) struct KeptSessions(Mutex<VecDeque<Arc<Session>>>);

impl KeptSessions {
    pub fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of kept sessions that are active.
    pub fn count(&self) -> usize {
        let mut kept = self.lock();
        kept.retain(|session| session.ending().is_none());
        kept.len()
    }

    /// Takes a session. Returns false if it is not kept any more.
    pub fn take(&self, id: Uuid) -> bool {
        let mut kept = self.lock();
        let position = kept.iter().position(|session| session.id() == id);
        position.and_then(|at| kept.remove(at)).is_some()
    }

    pub fn take_first(&self) -> Option<Arc<Session>> {
        self.lock().pop_front()
    }
}
