//! Clients that drive pages and listen to their events.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Routes, Session};
use crate::broker::send_queue::ClientId;

impl Routes {
    /// Records that a client drives the page of a session.
    pub(crate) fn record_drive(&mut self, session: &str) {
        if let Some(session) = self.sessions.get_mut(session) {
            self.drives += 1;
            session.last_drive = self.drives;
        }
    }

    /// Records that a client turns the events of a session's page on or off.
    pub(crate) fn record_page_events(&mut self, session: &str, has_page_events: bool) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.has_page_events = has_page_events;
        }
    }

    /// Returns the client that last drove a page, of those that listen to its events. For a page
    /// that was never driven (a popup), returns the one that last drove any page.
    pub(crate) fn driver_of(&self, page: &str) -> Option<ClientId> {
        let on_page = |session: &&Session| session.page.as_deref() == Some(page);
        let has_page_events = |client| {
            self.sessions
                .values()
                .filter(on_page)
                .any(|session| session.client == client && session.has_page_events)
        };
        let latest = |sessions: &mut dyn Iterator<Item = &Session>| {
            let drivers = sessions
                .filter(|session| session.last_drive > 0 && has_page_events(session.client));
            drivers
                .max_by_key(|session| session.last_drive)
                .map(|session| session.client)
        };
        latest(&mut self.sessions.values().filter(on_page))
            .or_else(|| latest(&mut self.sessions.values()))
    }

    /// Returns the pages whose events the selected sessions receive.
    pub(crate) fn pages_with_events(
        &self,
        on: impl Fn(ClientId, &str) -> bool,
    ) -> HashSet<Arc<str>> {
        let listening = self
            .sessions
            .iter()
            .filter(|(id, session)| session.has_page_events && on(session.client, id));
        listening
            .filter_map(|(_, session)| session.page.clone())
            .collect()
    }
}
