//! Targets: which have crashed, and which are other clients' connections.

use std::collections::HashSet;
use std::sync::Arc;

use super::Routes;
use crate::broker::client::ClientId;
use crate::broker::pending::OrphanedCall;

impl Routes {
    pub(crate) fn target_of(&self, session: &str) -> Option<Arc<str>> {
        self.sessions
            .get(session)
            .map(|session| Arc::clone(&session.target))
    }

    /// A target has been announced to a client. Tells whether it is to hear of it: each client's
    /// connection is a target too, which others would take for the browser.
    pub(crate) fn is_target_visible(&mut self, client: ClientId, target: &str, kind: &str) -> bool {
        if kind == "browser" && !self.browser_targets.contains(target) {
            self.browser_targets.insert(target.to_owned());
        }
        if !self.browser_targets.contains(target) {
            return true;
        }
        let mut sessions = self.sessions.values();
        sessions.any(|session| {
            session.is_browser && session.client == client && &*session.target == target
        })
    }

    /// A target is gone.
    pub(crate) fn remove_target(&mut self, target: &str) {
        self.browser_targets.remove(target);
    }

    /// Whether a target is the browser-level one of another client.
    pub(crate) fn is_others_browser(&self, client: ClientId, target: &str) -> bool {
        self.sessions.values().any(|session| {
            session.is_browser && session.client != client && &*session.target == target
        })
    }

    /// A target's renderer has crashed. Those of its calls in flight that only it could answer are
    /// given back.
    pub(crate) fn mark_crashed(&mut self, target: &str) -> Vec<OrphanedCall> {
        self.crashed.insert(target.to_owned());
        let on: HashSet<Arc<str>> = self
            .sessions
            .iter()
            .filter(|(_, session)| &*session.target == target)
            .map(|(id, _)| Arc::clone(id))
            .collect();
        self.take_calls(|call| !call.outlives_crash && on.contains(&call.on))
    }

    pub(crate) fn has_crashed(&self, target: &str) -> bool {
        self.crashed.contains(target)
    }

    /// A target has a renderer again, or is gone. Tells whether it had crashed.
    pub(crate) fn unmark_crashed(&mut self, target: &str) -> bool {
        !self.crashed.is_empty() && self.crashed.remove(target)
    }
}
