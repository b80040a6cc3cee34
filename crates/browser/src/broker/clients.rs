//! Attaches and ends clients, and fills their queues.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::Broker;
use super::client::Client;
use super::dialog_actions::DISMISS;
use super::dialogs::{Deferred, Detach};
use super::downloads::Restore;
use super::pending::{OnAttached, OrphanedCall, Pending, PendingAttach, Root};
use super::routes::ClientResources;
use super::send_queue::{ClientId, SendQueue, TooSlow};
use crate::cdp::envelope::{self, NO_SESSION};
use crate::cdp::pipe::PushError;

/// The channel that delivers a new client, or the browser's error.
pub(crate) type AttachReply = oneshot::Receiver<Result<Client, Box<RawValue>>>;

impl Broker {
    /// Requests a root session for a new client. The client, or the browser's error, arrives
    /// through the returned channel.
    pub(crate) fn request_client(
        self: &Arc<Self>,
        attach: PendingAttach,
    ) -> Result<AttachReply, PushError> {
        let (sender, receiver) = oneshot::channel();
        let (method, params) = match &attach.root {
            Root::Browser => ("Target.attachToBrowserTarget", "{}".to_owned()),
            Root::Target(target) => (
                "Target.attachToTarget",
                serde_json::json!({ "targetId": target, "flatten": true }).to_string(),
            ),
        };
        let broker = Arc::clone(self);
        let on_attached: OnAttached = Box::new(move |registered| {
            let client = registered.map(|(id, queue)| Client::new(broker, id, queue));
            // If the receiver was dropped, the client is returned and dropped, which ends it.
            let _ = sender.send(client);
        });
        self.send_command(method, &params, None, Pending::Attach(attach, on_attached))?;
        Ok(receiver)
    }

    /// Closes all clients and drops all pending calls, because the browser is gone.
    pub(crate) fn shut_down(&self, code: u16, reason: &str) {
        let queues = {
            let mut state = self.lock();
            state.ended = true;
            state.routes.clear()
        };
        for queue in queues {
            queue.close(code, reason);
        }
        self.writer.close();
    }

    /// Ends a client: closes its queue, drops its sessions and calls, and disposes of its contexts.
    /// Does nothing if the client has already gone.
    pub(crate) fn end_client(&self, client: ClientId, code: u16, reason: &str) {
        let (queue, contexts, detach, effects) = {
            let mut state = self.lock();
            // Chromium 156 aborts when a session leaves a page that shows a dialog and waits for
            // another document.
            for session in state.dialogs.dismiss_of(client) {
                let id = state.routes.add_pending(Pending::Nobody);
                // If the browser takes no more frames, it is about to end.
                let _ = self.writer.push(envelope::frame(
                    id,
                    DISMISS.0,
                    Some(DISMISS.1),
                    Some(&session),
                ));
            }
            let listened_to = state
                .routes
                .pages_with_events(|listener, _| listener == client);
            let settings = state.routes.ended_settings(|of, _| of == client);
            let Some((queue, ClientResources { root, contexts })) =
                state.routes.remove_client(client)
            else {
                return;
            };
            for context in &contexts {
                state.tabs.context_disposed(context);
                state.downloads.remove_context(context);
                state.grants.reset(Some(context));
            }
            self.publish_tab(&state);
            let detach = Detach {
                client,
                root,
                settings,
            };
            let detaches_later = state
                .dialogs
                .defer_detach(&detach, |page| listened_to.contains(page));
            (
                queue,
                contexts,
                (!detaches_later).then_some(detach),
                state.dialogs_left_by(client),
            )
        };
        queue.close(code, reason);
        for context in &contexts {
            self.dispose_context(context);
        }
        self.apply_dialog_effects(detach.map(Deferred::Detach), effects);
    }

    /// Detaches the root session of a client that has gone, and restores what the browser resets.
    pub(super) fn detach(&self, detach: &Detach) {
        let params = serde_json::json!({ "sessionId": &*detach.root }).to_string();
        self.send_without_reply("Target.detachFromTarget", &params, None);
        let mut state = self.lock();
        let settings = state.restore_after(&detach.settings, |grant| grant.client == detach.client);
        let restored = state.downloads.left_by(detach.client);
        drop(state);
        self.send_restored(settings);
        // The detach made the browser drop the client's download behavior and return to its own
        // default.
        for restored in restored {
            match restored {
                Restore::Client(behavior) => {
                    self.send_without_reply(&behavior.method, &behavior.params, Some(&behavior.on));
                }
                Restore::Default => self.save_downloads(),
            }
        }
    }

    /// Ends a client that disconnected.
    pub(crate) fn client_left(&self, client: ClientId) {
        self.end_client(client, 1000, "the client has left");
    }

    pub(super) fn dispose_context(&self, context: &str) {
        let params = serde_json::json!({ "browserContextId": context }).to_string();
        self.send_without_reply("Target.disposeBrowserContext", &params, None);
    }

    /// Answers calls that the browser will not answer.
    pub(super) fn fail(&self, orphaned: Vec<OrphanedCall>, why: &str) {
        for OrphanedCall {
            id,
            session,
            queue,
            client,
        } in orphaned
        {
            self.send(
                client,
                &queue,
                envelope::failure(Some(id), NO_SESSION, why, session.as_deref()),
            );
        }
    }

    /// Adds a message to a client's queue. Ends the client if it reads too slowly.
    pub(super) fn send(&self, client: ClientId, queue: &SendQueue, message: String) {
        self.send_all(client, queue, [message]);
    }

    /// Adds messages that belong together to a client's queue, as [`send`](Broker::send) does.
    pub(super) fn send_all(
        &self,
        client: ClientId,
        queue: &SendQueue,
        messages: impl IntoIterator<Item = String>,
    ) {
        if let Err(TooSlow) = queue.push(messages) {
            self.end_client(client, 1013, "client reads too slowly");
        }
    }
}
