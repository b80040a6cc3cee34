//! The loads of main frames, and their delayed messages.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Routes, Session};
use crate::broker::main_load::MainLoad;
use crate::broker::send_queue::{ClientId, SendQueue};

/// A delayed message that is due.
pub(crate) struct Due {
    pub(crate) client: ClientId,
    pub(crate) queue: Arc<SendQueue>,
    pub(crate) text: String,
}

impl Routes {
    /// Returns the load of a session's main frame.
    pub(crate) fn load_of(&mut self, session: &str) -> Option<&mut MainLoad> {
        self.sessions
            .get_mut(session)
            .map(|session| &mut session.load)
    }

    /// Returns the load of a session's main frame, if `frame` is that frame. The main frame of a
    /// page has the id of the page's target.
    pub(crate) fn load_of_frame(&mut self, session: &str, frame: &str) -> Option<&mut MainLoad> {
        let session = self.sessions.get_mut(session)?;
        (*session.target == *frame).then_some(&mut session.load)
    }

    /// Returns the load of a session's main frame, if the client learns when the frame shows
    /// another document.
    pub(crate) fn announced_load_of(&mut self, session: &str) -> Option<&mut MainLoad> {
        let session = self.sessions.get_mut(session)?;
        session.has_page_events.then_some(&mut session.load)
    }

    /// Returns when the first delay of any message ends.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.sessions
            .values()
            .filter_map(|session| session.load.due())
            .min()
    }

    /// Returns the messages whose delay has ended.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Due> {
        let is_due = |session: &Session| session.load.due().is_some_and(|due| due <= now);
        let mut due = Vec::new();
        for session in self.sessions.values_mut().filter(|session| is_due(session)) {
            let texts = session.load.take_all();
            if let Some(client) = self.clients.get(&session.client) {
                due.extend(texts.into_iter().map(|text| Due {
                    client: session.client,
                    queue: Arc::clone(&client.queue),
                    text,
                }));
            }
        }
        due
    }

    /// Returns the delayed messages of a client's session and everything below it, which is about
    /// to be dropped.
    pub(crate) fn take_delayed_below(&mut self, client: ClientId, session: &str) -> Vec<String> {
        if self.next_due().is_none() {
            return Vec::new();
        }
        let below = self.subtree(session);
        let sessions = self.sessions.iter_mut();
        sessions
            .filter(|(id, session)| session.client == client && below.contains(*id))
            .flat_map(|(_, session)| session.load.take_all())
            .collect()
    }
}
