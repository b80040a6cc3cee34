//! Clients with their roots, queues and browser contexts.

use std::collections::HashSet;
use std::sync::Arc;

use super::{ClientEntry, ClientResources, Routes, Session};
use crate::broker::file_access::ClientOrigin;
use crate::broker::main_load::MainLoad;
use crate::broker::page_settings::PageSettings;
use crate::broker::pending::{Pending, PendingAttach, Root};
use crate::broker::policy::TrackedEffect;
use crate::broker::send_queue::{ClientId, SendQueue};

impl Routes {
    /// Adds a client with its root session.
    pub(crate) fn add_client(
        &mut self,
        root: &str,
        attach: PendingAttach,
        queue: Arc<SendQueue>,
    ) -> ClientId {
        self.last_client += 1;
        let client = ClientId(self.last_client);
        let root: Arc<str> = root.into();
        let (target, page, is_browser) = match attach.root {
            Root::Browser => (
                self.announced.remove(&*root).unwrap_or_else(|| "".into()),
                None,
                true,
            ),
            Root::Target(target) => {
                let target: Arc<str> = target.into();
                (Arc::clone(&target), Some(target), false)
            }
        };
        let session = Session {
            client,
            parent: None,
            target,
            page,
            is_browser,
            has_page_events: false,
            last_drive: 0,
            load: MainLoad::default(),
            settings: PageSettings::default(),
        };
        self.sessions.insert(Arc::clone(&root), session);
        let origin = attach.origin;
        self.clients.insert(
            client,
            ClientEntry {
                root,
                queue,
                origin,
                contexts: HashSet::new(),
                in_flight: 0,
            },
        );
        client
    }

    /// Returns the origin of a client, which determines the meaning of its paths.
    pub(crate) fn origin_of(&self, client: ClientId) -> ClientOrigin {
        self.clients
            .get(&client)
            .map_or(ClientOrigin::External, |client| client.origin)
    }

    /// Returns the client with this root session, and true if the root is the whole browser.
    pub(crate) fn client_of_root(&self, session: &str) -> Option<(ClientId, bool)> {
        let session = self
            .sessions
            .get(session)
            .filter(|session| session.parent.is_none())?;
        Some((session.client, session.is_browser))
    }

    /// Removes a client with all its sessions and calls. Returns `None` if it has already gone.
    pub(crate) fn remove_client(
        &mut self,
        client: ClientId,
    ) -> Option<(Arc<SendQueue>, ClientResources)> {
        let entry = self.clients.remove(&client)?;
        self.sessions.retain(|_, session| session.client != client);
        self.pendings.retain(|_, pending| match pending {
            Pending::Client(call) if call.client == client => {
                if call.effect == TrackedEffect::CreateContext {
                    *pending = Pending::UnwantedContext;
                    return true;
                }
                false
            }
            _ => true,
        });
        Some((
            entry.queue,
            ClientResources {
                root: entry.root,
                contexts: entry.contexts.into_iter().collect(),
            },
        ))
    }

    /// Removes everything and returns the queues of the clients. Dropping the channels ends
    /// Hearth's pending commands.
    pub(crate) fn clear(&mut self) -> Vec<Arc<SendQueue>> {
        self.sessions.clear();
        self.pendings.clear();
        self.clients
            .drain()
            .map(|(_, client)| client.queue)
            .collect()
    }

    pub(crate) fn queue(&self, client: ClientId) -> Option<Arc<SendQueue>> {
        self.clients
            .get(&client)
            .map(|client| Arc::clone(&client.queue))
    }

    /// Adds a context to the client that created it. Returns false if the client has left.
    pub(crate) fn add_context(&mut self, client: ClientId, context: String) -> bool {
        self.clients.get_mut(&client).is_some_and(|client| {
            client.contexts.insert(context);
            true
        })
    }

    /// Removes a context that was disposed of by any client.
    pub(crate) fn remove_context(&mut self, context: &str) {
        for client in self.clients.values_mut() {
            client.contexts.remove(context);
        }
    }
}
