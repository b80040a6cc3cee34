//! Who asked what, and whose session is whose. Tables only: nothing here sends anything, and
//! everything here is under the broker's one lock, so that a session that goes away takes its calls
//! in flight along.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::broker::client::{ClientId, Outbox};
use crate::broker::file_access::Side;
use crate::broker::pending::{ClientCallInFlight, Newcomer, Pending, Root, Unanswered};
use crate::broker::policy::Watch;

/// How many calls of one client may wait for their replies. Real clients have a few hundred at the
/// most.
const MAX_IN_FLIGHT: usize = 20_000;

/// A session in the browser that belongs to a client.
#[derive(Debug)]
struct Session {
    client: ClientId,
    /// None for a client's root.
    parent: Option<Arc<str>>,
    target: Arc<str>,
    /// The page that the target is, or is a part of. None above pages.
    page: Option<Arc<str>>,
    /// A browser-level session: its target is not to be had by others.
    is_browser: bool,
    /// Its client has enabled the page's events here, dialogs among them.
    hears_page: bool,
    /// When its client last did something to the page here: later is larger, and 0 is never.
    drove: u64,
}

/// What the browser says of a session that it opens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opened<'a> {
    pub(crate) target: &'a str,
    /// CDP's type of target.
    pub(crate) kind: &'a str,
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub(crate) struct CallRoute {
    pub(crate) on: Arc<str>,
    pub(crate) target: Arc<str>,
    /// The page that the target is, or is a part of.
    pub(crate) page: Option<Arc<str>>,
}

#[derive(Debug)]
struct ClientEntry {
    root: Arc<str>,
    /// The client's receiving half holds it too.
    outbox: Arc<Outbox>,
    side: Side,
    /// Contexts that it made and that go with it.
    contexts: HashSet<String>,
    in_flight: usize,
}

/// Why a call cannot go to the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// The client has left, or is being ended.
    ClientGone,
    /// The session is not there, or another client's.
    NoSession,
    /// The session's target has crashed and would not answer.
    Crashed,
    /// The client waits for too many replies already.
    TooMany,
}

/// What is left to do in the browser when a client has gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leftovers {
    pub(crate) root: Arc<str>,
    pub(crate) contexts: Vec<String>,
}

/// Where an event goes.
#[derive(Debug)]
pub(crate) struct EventRoute {
    pub(crate) client: ClientId,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) is_root: bool,
    /// The session, and the page that it is on.
    pub(crate) session: Arc<str>,
    pub(crate) page: Option<Arc<str>>,
}

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Chromium takes ids in 0..2^31.
    last_id: i32,
    last_client: u64,
    /// Counts what is done to pages, to tell what came later.
    drives: u64,
    pendings: HashMap<i32, Pending>,
    sessions: HashMap<Arc<str>, Session>,
    clients: HashMap<ClientId, ClientEntry>,
    /// Browser-level sessions that the browser has announced and whose reply is still to come, with
    /// their targets.
    announced: HashMap<String, Arc<str>>,
    /// The targets of browser-level sessions, whoever has them.
    browser_targets: HashSet<String>,
    /// Targets whose renderer has crashed and was not replaced yet.
    crashed: HashSet<String>,
}

impl Routes {
    /// Remembers a call and gives it the id that it has in the browser.
    pub(crate) fn add_pending(&mut self, pending: Pending) -> i32 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.pendings.contains_key(&self.last_id) {
                self.pendings.insert(self.last_id, pending);
                return self.last_id;
            }
        }
    }

    /// Takes the call that a reply belongs to. None when nobody waits any more.
    pub(crate) fn take_pending(&mut self, id: i32) -> Option<Pending> {
        let pending = self.pendings.remove(&id)?;
        if let Pending::Client(call) = &pending
            && let Some(client) = self.clients.get_mut(&call.client)
        {
            client.in_flight -= 1;
        }
        Some(pending)
    }

    /// Whether a reply is still to come.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.pendings.is_empty()
    }

    /// Whether the reply to such a call on a page is still to come.
    pub(crate) fn awaits(&self, watch: Watch, page: &str) -> bool {
        let on_page = |session: &str| {
            self.sessions
                .get(session)
                .is_some_and(|session| session.page.as_deref() == Some(page))
        };
        self.pendings
            .values()
            .any(|pending| matches!(pending, Pending::Client(call) if call.watch == watch && on_page(&call.on)))
    }

    /// Where a client's call runs: the session it names, or its root.
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

    /// Remembers a client's call.
    pub(crate) fn add_call(&mut self, call: ClientCallInFlight) -> i32 {
        if let Some(client) = self.clients.get_mut(&call.client) {
            client.in_flight += 1;
        }
        self.add_pending(Pending::Client(call))
    }

    /// A new client with its root session.
    pub(crate) fn add_client(
        &mut self,
        root: &str,
        newcomer: Newcomer,
        outbox: Arc<Outbox>,
    ) -> ClientId {
        self.last_client += 1;
        let client = ClientId(self.last_client);
        let root: Arc<str> = root.into();
        let (target, page, is_browser) = match newcomer.root {
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
            hears_page: false,
            drove: 0,
        };
        self.sessions.insert(Arc::clone(&root), session);
        let side = newcomer.side;
        self.clients.insert(
            client,
            ClientEntry {
                root,
                outbox,
                side,
                contexts: HashSet::new(),
                in_flight: 0,
            },
        );
        client
    }

    /// A browser-level session is there whose reply comes next.
    pub(crate) fn announce_root(&mut self, root: &str, target: &str) {
        self.announced.insert(root.to_owned(), target.into());
    }

    /// A session that the browser opened below `parent`. Unknown parents have left already.
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
        // Frames of other sites and workers are parts of the page that they are attached from.
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
            hears_page: false,
            drove: 0,
        };
        self.sessions.insert(session.into(), opened);
    }

    /// How many calls of a kind wait for their replies.
    pub(crate) fn awaited(&self, watch: Watch) -> usize {
        let is_it =
            |pending: &&Pending| matches!(pending, Pending::Client(call) if call.watch == watch);
        self.pendings.values().filter(is_it).count()
    }

    /// What a client's paths mean.
    pub(crate) fn side_of(&self, client: ClientId) -> Side {
        self.clients
            .get(&client)
            .map_or(Side::Outside, |client| client.side)
    }

    /// A client does something to the page of a session.
    pub(crate) fn note_drive(&mut self, session: &str) {
        if let Some(session) = self.sessions.get_mut(session) {
            self.drives += 1;
            session.drove = self.drives;
        }
    }

    /// A client turns the events of a session's page on or off.
    pub(crate) fn note_hearing(&mut self, session: &str, hears: bool) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.hears_page = hears;
        }
    }

    /// Of the clients that hear the events of a page, the one that last drove it. For a page that
    /// nobody has driven yet (a popup): the one that last drove any.
    pub(crate) fn driver_of(&self, page: &str) -> Option<ClientId> {
        let on_page = |session: &&Session| session.page.as_deref() == Some(page);
        let hears = |client| {
            self.sessions
                .values()
                .filter(on_page)
                .any(|session| session.client == client && session.hears_page)
        };
        let latest = |sessions: &mut dyn Iterator<Item = &Session>| {
            let drivers = sessions.filter(|session| session.drove > 0 && hears(session.client));
            drivers
                .max_by_key(|session| session.drove)
                .map(|session| session.client)
        };
        latest(&mut self.sessions.values().filter(on_page))
            .or_else(|| latest(&mut self.sessions.values()))
    }

    /// The pages whose events some sessions get, named by their clients and ids.
    pub(crate) fn pages_heard(&self, on: impl Fn(ClientId, &str) -> bool) -> HashSet<Arc<str>> {
        let hearing = self
            .sessions
            .iter()
            .filter(|(id, session)| session.hears_page && on(session.client, id));
        hearing
            .filter_map(|(_, session)| session.page.clone())
            .collect()
    }

    /// Whether a session is not there, or not any more.
    pub(crate) fn has_left(&self, session: &str) -> bool {
        !self.sessions.contains_key(session)
    }

    pub(crate) fn route_event(&self, session: &str) -> Option<EventRoute> {
        let (id, session) = self.sessions.get_key_value(session)?;
        let client = self.clients.get(&session.client)?;
        Some(EventRoute {
            client: session.client,
            outbox: Arc::clone(&client.outbox),
            is_root: session.parent.is_none(),
            session: Arc::clone(id),
            page: session.page.clone(),
        })
    }

    /// A session below one of the same client has ended: it and everything below it is dropped, and
    /// the calls that ran there are given back, for they will get no reply.
    pub(crate) fn drop_session(&mut self, told_on: &str, session: &str) -> Vec<Unanswered> {
        let owner = |session: &str| self.sessions.get(session).map(|session| session.client);
        let is_child = self
            .sessions
            .get(session)
            .is_some_and(|session| session.parent.is_some());
        if !is_child || owner(told_on) != owner(session) {
            return Vec::new();
        }
        let dropped = self.subtree(session);
        self.sessions.retain(|id, _| !dropped.contains(id));
        self.take_calls(|call| dropped.contains(&call.on))
    }

    /// The client whose root session this is, and whether the root is the browser as a whole.
    pub(crate) fn client_of_root(&self, session: &str) -> Option<(ClientId, bool)> {
        let session = self
            .sessions
            .get(session)
            .filter(|session| session.parent.is_none())?;
        Some((session.client, session.is_browser))
    }

    /// Removes a client with all its sessions and calls. None when it is gone already.
    pub(crate) fn remove_client(&mut self, client: ClientId) -> Option<(Arc<Outbox>, Leftovers)> {
        let entry = self.clients.remove(&client)?;
        self.sessions.retain(|_, session| session.client != client);
        self.pendings.retain(|_, pending| match pending {
            Pending::Client(call) if call.client == client => {
                if call.watch == Watch::CreateContext {
                    *pending = Pending::UnwantedContext;
                    return true;
                }
                false
            }
            _ => true,
        });
        Some((
            entry.outbox,
            Leftovers {
                root: entry.root,
                contexts: entry.contexts.into_iter().collect(),
            },
        ))
    }

    /// Everything ends: the clients' queues are given back, and whoever waits for an own reply
    /// hears it by the end of its channel.
    pub(crate) fn clear(&mut self) -> Vec<Arc<Outbox>> {
        self.sessions.clear();
        self.pendings.clear();
        self.clients
            .drain()
            .map(|(_, client)| client.outbox)
            .collect()
    }

    pub(crate) fn outbox(&self, client: ClientId) -> Option<Arc<Outbox>> {
        self.clients
            .get(&client)
            .map(|client| Arc::clone(&client.outbox))
    }

    pub(crate) fn target_of(&self, session: &str) -> Option<Arc<str>> {
        self.sessions
            .get(session)
            .map(|session| Arc::clone(&session.target))
    }

    /// The client of a context goes on to own it. False when the client has left.
    pub(crate) fn keep_context(&mut self, client: ClientId, context: String) -> bool {
        self.clients.get_mut(&client).is_some_and(|client| {
            client.contexts.insert(context);
            true
        })
    }

    /// A context is gone, whoever disposed of it.
    pub(crate) fn forget_context(&mut self, context: &str) {
        for client in self.clients.values_mut() {
            client.contexts.remove(context);
        }
    }

    /// A target has been announced to a client. Tells whether it is to hear of it: each client's
    /// connection is a target too, which others would take for the browser.
    pub(crate) fn is_shown(&mut self, client: ClientId, target: &str, kind: &str) -> bool {
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
    pub(crate) fn forget_target(&mut self, target: &str) {
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
    pub(crate) fn mark_crashed(&mut self, target: &str) -> Vec<Unanswered> {
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

    /// A session and everything below it.
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

    fn take_calls(&mut self, which: impl Fn(&ClientCallInFlight) -> bool) -> Vec<Unanswered> {
        let mut ids: Vec<i32> = self
            .pendings
            .iter()
            .filter(|(_, pending)| matches!(pending, Pending::Client(call) if which(call)))
            .map(|(&id, _)| id)
            .collect();
        // In the order in which they were made.
        ids.sort_unstable();
        let mut unanswered = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(Pending::Client(call)) = self.take_pending(id) else {
                continue;
            };
            if call.watch == Watch::CreateContext {
                self.pendings.insert(id, Pending::UnwantedContext);
            }
            if let Some(outbox) = self.outbox(call.client) {
                let session = call.named.then_some(call.on);
                unanswered.push(Unanswered {
                    id: call.id,
                    session,
                    outbox,
                    client: call.client,
                });
            }
        }
        unanswered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule I1.
    #[test]
    fn ids_begin_anew_after_the_last_one_and_pass_over_those_in_flight() {
        let mut routes = Routes::default();
        assert_eq!(routes.add_pending(Pending::Nobody), 1);
        routes.last_id = i32::MAX - 1;
        let ids: Vec<i32> = std::iter::repeat_with(|| routes.add_pending(Pending::Nobody))
            .take(3)
            .collect();
        assert_eq!(ids, [i32::MAX, 2, 3]);
    }
}
