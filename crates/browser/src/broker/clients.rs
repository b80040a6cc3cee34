//! How clients come and go, and what is put into their queues.

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::Broker;
use super::client::{Client, ClientId, Outbox, TooSlow};
use super::dialog_actions::DISMISS;
use super::dialogs::{Departure, PutOff};
use super::downloads::Restored;
use super::pending::{Newcomer, Pending, Root, Unanswered};
use super::routes::Leftovers;
use crate::cdp::envelope::{self, NO_SESSION};
use crate::cdp::pipe::NotTaken;

/// A client that comes, or why it does not.
pub(crate) type AttachReply = oneshot::Receiver<Result<Client, Box<RawValue>>>;

impl Broker {
    /// Asks for a root session for a new client; it comes through the channel, or the browser's
    /// error.
    pub(crate) fn request_client(&self, newcomer: Newcomer) -> Result<AttachReply, NotTaken> {
        let (sender, receiver) = oneshot::channel();
        let (method, params) = match &newcomer.root {
            Root::Browser => ("Target.attachToBrowserTarget", "{}".to_owned()),
            Root::Target(target) => (
                "Target.attachToTarget",
                serde_json::json!({ "targetId": target, "flatten": true }).to_string(),
            ),
        };
        self.send_own(method, &params, None, Pending::Attach(newcomer, sender))?;
        Ok(receiver)
    }

    /// The browser is gone: everyone is told, nobody waits any longer.
    pub(crate) fn shut_down(&self, code: u16, reason: &str) {
        let outboxes = {
            let mut state = self.lock();
            state.ended = true;
            state.routes.clear()
        };
        for outbox in outboxes {
            outbox.close(code, reason);
        }
        self.writer.close();
    }

    /// Ends a client: its queue gets a close, its sessions and calls are dropped, and what it made
    /// in the browser goes. Does nothing for one that is gone already.
    pub(crate) fn end_client(&self, client: ClientId, code: u16, reason: &str) {
        let (outbox, contexts, departure, consequences) = {
            let mut state = self.lock();
            // Chromium 156 aborts when a session leaves a page that shows a dialog and waits for
            // another document.
            for session in state.dialogs.dismiss_of(client) {
                let id = state.routes.add_pending(Pending::Nobody);
                // One that takes nothing more is about to end.
                let _ = self.writer.push(envelope::frame(
                    id,
                    DISMISS.0,
                    Some(DISMISS.1),
                    Some(&session),
                ));
            }
            let listened_to = state.routes.pages_heard(|listener, _| listener == client);
            let Some((outbox, Leftovers { root, contexts })) = state.routes.remove_client(client)
            else {
                return;
            };
            for context in &contexts {
                state.tabs.context_disposed(context);
                state.downloads.forget_context(context);
            }
            self.publish_tab(&state);
            let departure = Departure { client, root };
            let departs_later = state
                .dialogs
                .put_off_departure(&departure, |page| listened_to.contains(page));
            (
                outbox,
                contexts,
                (!departs_later).then_some(departure),
                state.judge_dialogs_left_by(client),
            )
        };
        outbox.close(code, reason);
        for context in &contexts {
            self.dispose_context(context);
        }
        self.settle_dialogs(departure.map(PutOff::Departure), consequences);
    }

    /// Ends what is left of a client in the browser.
    pub(super) fn depart(&self, departure: &Departure) {
        let params = serde_json::json!({ "sessionId": &*departure.root }).to_string();
        self.tell_browser("Target.detachFromTarget", &params, None);
        let restored = self.lock().downloads.left_by(departure.client);
        // The browser has just forgotten what the client wished, and now uses its own default.
        for restored in restored {
            match restored {
                Restored::Wish(wish) => {
                    self.tell_browser(&wish.method, &wish.params, Some(&wish.on))
                }
                Restored::Own => self.save_downloads(),
            }
        }
    }

    /// A client has left by itself.
    pub(crate) fn forget_client(&self, client: ClientId) {
        self.end_client(client, 1000, "the client has left");
    }

    pub(super) fn dispose_context(&self, context: &str) {
        let params = serde_json::json!({ "browserContextId": context }).to_string();
        self.tell_browser("Target.disposeBrowserContext", &params, None);
    }

    /// Answers calls that the browser will not.
    pub(super) fn fail(&self, unanswered: Vec<Unanswered>, why: &str) {
        for Unanswered {
            id,
            session,
            outbox,
            client,
        } in unanswered
        {
            self.tell(
                client,
                &outbox,
                envelope::failure(Some(id), NO_SESSION, why, session.as_deref()),
            );
        }
    }

    /// Puts a message into a client's queue; one that is too slow for it is ended.
    pub(super) fn tell(&self, client: ClientId, outbox: &Outbox, message: String) {
        if let Err(TooSlow) = outbox.push(message) {
            self.end_client(client, 1013, "client reads too slowly");
        }
    }
}
