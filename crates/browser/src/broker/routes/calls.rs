//! Pending calls and their ids in the browser.

use std::sync::Arc;

use super::{CallRoute, NoRoute, Routes};
use crate::broker::pending::{ClientCallInFlight, OrphanedCall, Pending};
use crate::broker::policy::TrackedEffect;
use crate::broker::send_queue::ClientId;

/// The maximum number of pending calls per client. Real clients have at most a few hundred.
const MAX_IN_FLIGHT: usize = 20_000;

impl Routes {
    /// Adds a pending call and returns its id in the browser.
    pub(crate) fn add_pending(&mut self, pending: Pending) -> i32 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.pendings.contains_key(&self.last_id) {
                self.pendings.insert(self.last_id, pending);
                return self.last_id;
            }
        }
    }

    /// Removes and returns the pending call of a reply. Returns `None` if it was dropped.
    pub(crate) fn take_pending(&mut self, id: i32) -> Option<Pending> {
        let pending = self.pendings.remove(&id)?;
        if let Pending::Client(call) = &pending
            && let Some(client) = self.clients.get_mut(&call.client)
        {
            client.in_flight -= 1;
        }
        Some(pending)
    }

    /// Returns true if any reply is pending.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pendings.is_empty()
    }

    /// Returns true if a call with this effect on a page is pending.
    pub(crate) fn awaits(&self, effect: TrackedEffect, page: &str) -> bool {
        let on_page = |session: &str| {
            self.sessions
                .get(session)
                .is_some_and(|session| session.page.as_deref() == Some(page))
        };
        self.pendings
            .values()
            .any(|pending| matches!(pending, Pending::Client(call) if call.effect == effect && on_page(&call.on)))
    }

    /// Returns true if a call of the client that attaches to a target is pending.
    pub(crate) fn is_attaching(&self, client: ClientId, target: &str) -> bool {
        self.pendings.values().any(|pending| {
            matches!(pending, Pending::Client(call)
                if call.client == client
                    && call.effect == TrackedEffect::Attach
                    && call.subject.as_deref() == Some(target))
        })
    }

    /// Returns the number of pending calls with this effect.
    pub(crate) fn awaited(&self, effect: TrackedEffect) -> usize {
        let is_it =
            |pending: &&Pending| matches!(pending, Pending::Client(call) if call.effect == effect);
        self.pendings.values().filter(is_it).count()
    }

    /// Finds the session of a client's call: the one that it names, or the client's root.
    pub(crate) fn route_call(
        &self,
        client: ClientId,
        session: Option<&str>,
        works_when_crashed: bool,
    ) -> Result<CallRoute, NoRoute> {
        let entry = self.clients.get(&client).ok_or(NoRoute::ClientGone)?;
        if entry.in_flight >= MAX_IN_FLIGHT {
            return Err(NoRoute::TooMany);
        }
        let named = session.unwrap_or(&entry.root);
        let (id, session) = self
            .sessions
            .get_key_value(named)
            .ok_or(NoRoute::NoSession)?;
        if session.client != client {
            return Err(NoRoute::NoSession);
        }
        if !works_when_crashed && self.crashed.contains(&*session.target) {
            return Err(NoRoute::Crashed);
        }
        Ok(CallRoute {
            on: Arc::clone(id),
            target: Arc::clone(&session.target),
            page: session.page.clone(),
        })
    }

    /// Adds a client's call and returns its id in the browser.
    pub(crate) fn add_call(&mut self, call: ClientCallInFlight) -> i32 {
        if let Some(client) = self.clients.get_mut(&call.client) {
            client.in_flight += 1;
        }
        self.add_pending(Pending::Client(call))
    }

    pub(super) fn take_calls(
        &mut self,
        which: impl Fn(&ClientCallInFlight) -> bool,
    ) -> Vec<OrphanedCall> {
        let mut ids: Vec<i32> = self
            .pendings
            .iter()
            .filter(|(_, pending)| matches!(pending, Pending::Client(call) if which(call)))
            .map(|(&id, _)| id)
            .collect();
        // In the order of the calls.
        ids.sort_unstable();
        let mut orphaned = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(Pending::Client(call)) = self.take_pending(id) else {
                continue;
            };
            if call.effect == TrackedEffect::CreateContext {
                self.pendings.insert(id, Pending::UnwantedContext);
            }
            if let Some(queue) = self.queue(call.client) {
                let session = call.named.then_some(call.on);
                orphaned.push(OrphanedCall {
                    id: call.id,
                    session,
                    queue,
                    client: call.client,
                });
            }
        }
        orphaned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule I1.
    #[test]
    fn ids_wrap_around_and_skip_pending_ones() {
        let mut routes = Routes::default();
        assert_eq!(routes.add_pending(Pending::Nobody), 1);
        routes.last_id = i32::MAX - 1;
        let ids: Vec<i32> = std::iter::repeat_with(|| routes.add_pending(Pending::Nobody))
            .take(3)
            .collect();
        assert_eq!(ids, [i32::MAX, 2, 3]);
    }
}
