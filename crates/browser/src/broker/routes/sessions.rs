//! Sessions and their owners.

use std::collections::HashSet;
use std::sync::Arc;

use super::{EventRoute, Opened, Routes, Session};
use crate::broker::main_load::MainLoad;
use crate::broker::page_settings::PageSettings;
use crate::broker::pending::OrphanedCall;

impl Routes {
    /// Records a browser-level session whose reply comes next.
    pub(crate) fn announce_root(&mut self, root: &str, target: &str) {
        self.announced.insert(root.to_owned(), target.into());
    }

    /// Adds a session that the browser opened below `parent`. Ignores unknown parents, because they
    /// are already gone.
    pub(crate) fn add_session(&mut self, parent: &str, session: &str, opened: Opened<'_>) {
        let Some((parent, above)) = self.sessions.get_key_value(parent) else {
            return;
        };
        if self.sessions.contains_key(session) {
            return;
        }
        let (client, parent, target) = (
            above.client,
            Some(Arc::clone(parent)),
            Arc::<str>::from(opened.target),
        );
        // Workers and frames of other sites belong to the page that they are attached from.
        let page = if opened.kind == "page" {
            Some(Arc::clone(&target))
        } else {
            above.page.clone()
        };
        let is_browser = opened.kind == "browser";
        let opened = Session {
            client,
            parent,
            target,
            page,
            is_browser,
            has_page_events: false,
            last_drive: 0,
            load: MainLoad::default(),
            settings: PageSettings::default(),
        };
        self.sessions.insert(session.into(), opened);
    }

    /// Returns true if a session does not exist or no longer exists.
    pub(crate) fn has_left(&self, session: &str) -> bool {
        !self.sessions.contains_key(session)
    }

    pub(crate) fn route_event(&self, session: &str) -> Option<EventRoute> {
        let (id, session) = self.sessions.get_key_value(session)?;
        let client = self.clients.get(&session.client)?;
        Some(EventRoute {
            client: session.client,
            queue: Arc::clone(&client.queue),
            is_root: session.parent.is_none(),
            session: Arc::clone(id),
            page: session.page.clone(),
        })
    }

    /// Drops a session and everything below it, if `reported_on` belongs to the same client.
    /// Returns the pending calls of these sessions, because they will get no reply.
    pub(crate) fn drop_session(&mut self, reported_on: &str, session: &str) -> Vec<OrphanedCall> {
        let owner = |session: &str| self.sessions.get(session).map(|session| session.client);
        let is_child = self
            .sessions
            .get(session)
            .is_some_and(|session| session.parent.is_some());
        if !is_child || owner(reported_on) != owner(session) {
            return Vec::new();
        }
        let dropped = self.subtree(session);
        self.sessions.retain(|id, _| !dropped.contains(id));
        self.take_calls(|call| dropped.contains(&call.on))
    }

    /// Returns a session and everything below it.
    pub(crate) fn subtree(&self, session: &str) -> HashSet<Arc<str>> {
        let mut found: HashSet<Arc<str>> = HashSet::from([session.into()]);
        loop {
            let before = found.len();
            for (id, session) in &self.sessions {
                if session
                    .parent
                    .as_ref()
                    .is_some_and(|parent| found.contains(parent))
                {
                    found.insert(Arc::clone(id));
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}
