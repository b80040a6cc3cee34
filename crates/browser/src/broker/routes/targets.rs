//! Crashed targets, and the targets of clients' connections.

use std::collections::HashSet;
use std::sync::Arc;

use super::Routes;
use crate::broker::pending::OrphanedCall;
use crate::broker::send_queue::ClientId;

impl Routes {
    pub(crate) fn target_of(&self, session: &str) -> Option<Arc<str>> {
        self.sessions
            .get(session)
            .map(|session| Arc::clone(&session.target))
    }

    /// Returns true if a client may see a target. The connection of each client is a target too,
    /// and other clients would mistake it for the browser.
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

    /// Returns true if another client has created a context. Its targets are hidden from this one,
    /// because clients assign the pages of unknown contexts to the default one.
    pub(crate) fn is_others_context(&self, client: ClientId, context: &str) -> bool {
        self.clients
            .iter()
            .any(|(owner, entry)| *owner != client && entry.contexts.contains(context))
    }

    /// Returns true if a client does not see a session that the browser has opened for it: one on a
    /// target of another client's context that the client has not named.
    pub(crate) fn is_session_hidden(&self, parent: &str, target: &str, context: &str) -> bool {
        let above = self.sessions.get(parent).filter(|above| above.is_browser);
        above.is_some_and(|above| {
            self.is_others_context(above.client, context)
                && !self.is_attaching(above.client, target)
        })
    }

    /// Removes a target that is gone.
    pub(crate) fn remove_target(&mut self, target: &str) {
        self.browser_targets.remove(target);
    }

    /// Returns true if a target is the browser-level target of another client.
    pub(crate) fn is_others_browser(&self, client: ClientId, target: &str) -> bool {
        self.sessions.values().any(|session| {
            session.is_browser && session.client != client && &*session.target == target
        })
    }

    /// Marks a target whose renderer has crashed. Returns the pending calls that only the renderer
    /// could answer.
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

    /// Records that a target has a renderer again or is gone. Returns true if it had crashed.
    pub(crate) fn unmark_crashed(&mut self, target: &str) -> bool {
        !self.crashed.is_empty() && self.crashed.remove(target)
    }
}
