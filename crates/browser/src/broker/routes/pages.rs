//! Who drives a page, and who hears its events.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Routes, Session};
use crate::broker::client::ClientId;

impl Routes {
    /// A client does something to the page of a session.
    pub(crate) fn record_drive(&mut self, session: &str) {
        if let Some(session) = self.sessions.get_mut(session) {
            self.drives += 1;
            session.last_drive = self.drives;
        }
    }

    /// A client turns the events of a session's page on or off.
    pub(crate) fn record_page_events(&mut self, session: &str, hears: bool) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.has_page_events = hears;
        }
    }

    /// Of the clients that hear the events of a page, the one that last last_drive it. For a page that
    /// nobody has driven yet (a popup): the one that last last_drive any.
    pub(crate) fn driver_of(&self, page: &str) -> Option<ClientId> {
        let on_page = |session: &&Session| session.page.as_deref() == Some(page);
        let hears = |client| {
            self.sessions
                .values()
                .filter(on_page)
                .any(|session| session.client == client && session.has_page_events)
        };
        let latest = |sessions: &mut dyn Iterator<Item = &Session>| {
            let drivers =
                sessions.filter(|session| session.last_drive > 0 && hears(session.client));
            drivers
                .max_by_key(|session| session.last_drive)
                .map(|session| session.client)
        };
        latest(&mut self.sessions.values().filter(on_page))
            .or_else(|| latest(&mut self.sessions.values()))
    }

    /// The pages whose events some sessions get, named by their clients and ids.
    pub(crate) fn pages_with_events(
        &self,
        on: impl Fn(ClientId, &str) -> bool,
    ) -> HashSet<Arc<str>> {
        let hearing = self
            .sessions
            .iter()
            .filter(|(id, session)| session.has_page_events && on(session.client, id));
        hearing
            .filter_map(|(_, session)| session.page.clone())
            .collect()
    }
}
