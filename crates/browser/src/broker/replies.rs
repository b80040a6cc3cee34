//! What the browser answers: back to whoever asked, and into the tables where it tells about
//! sessions, contexts, tabs and crashes.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::client::{Client, SendQueue};
use super::pending::{ClientCallInFlight, CommandReply, OrphanedCall, Pending};
use super::policy::{TrackedEffect, string_in};
use super::routes::Opened;
use super::{Broker, State};
use crate::cdp::envelope::{self, BrowserMessage, ReplyBody};

impl Broker {
    pub(super) fn handle_reply(self: &Arc<Self>, id: i32, message: &BrowserMessage<'_>) {
        let mut state = self.lock();
        match state.routes.take_pending(id) {
            None | Some(Pending::Nobody) => {}
            Some(Pending::Command(waiter)) => {
                drop(state);
                // A waiter that has given up is none.
                let _ = waiter.send(command_reply(message));
            }
            Some(Pending::Attach(attach, waiter)) => {
                let attached = command_reply(message).map(|result| {
                    let session = string_in(Some(&result), "sessionId").unwrap_or_default();
                    let queue = Arc::new(SendQueue::default());
                    let id = state
                        .routes
                        .add_client(&session, attach, Arc::clone(&queue));
                    Client::new(Arc::clone(self), id, queue)
                });
                drop(state);
                // When nobody waits any more the client comes back, is dropped, and has left.
                let _ = waiter.send(attached);
            }
            Some(Pending::Tab(target)) => {
                if let Some(session) = string_in(message.result, "sessionId") {
                    state.tabs.attached(&target, session);
                }
            }
            Some(Pending::UnwantedContext) => {
                drop(state);
                if let Some(context) = string_in(message.result, "browserContextId") {
                    self.dispose_context(&context);
                }
            }
            Some(Pending::Client(call)) => {
                let orphaned = self.apply_reply(&mut state, &call, message);
                let queue = state.routes.queue(call.client);
                drop(state);
                if let Some(queue) = queue {
                    let session = call.named.then_some(&*call.on);
                    let hinted = self.hinted(&call, message);
                    let answer = hinted
                        .as_deref()
                        .map_or(message.body(), |result| ReplyBody::Result(Some(result)));
                    self.send(
                        call.client,
                        &queue,
                        envelope::reply(call.id, answer, session),
                    );
                }
                self.fail(orphaned, "Target crashed");
            }
        }
    }

    /// The reply to a navigation that the proxy has refused, with its reason.
    fn hinted(
        &self,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
    ) -> Option<Box<RawValue>> {
        let navigation_hint = self
            .explain
            .as_ref()
            .filter(|_| call.effect == TrackedEffect::Navigate)?;
        let extended = navigation_hint.extend(message.result?.get(), call.subject.as_deref())?;
        RawValue::from_string(extended).ok()
    }

    /// What a client's reply tells the broker itself.
    fn apply_reply(
        &self,
        state: &mut State,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
    ) -> Vec<OrphanedCall> {
        match call.effect {
            // The event that announces the session has come before; this is for a browser that
            // sends none.
            TrackedEffect::Attach => {
                if let Some(session) = string_in(message.result, "sessionId") {
                    state
                        .routes
                        .add_session(&call.on, &session, Opened::default());
                }
            }
            TrackedEffect::CreateContext => {
                if let Some(context) = string_in(message.result, "browserContextId") {
                    state.routes.add_context(call.client, context);
                }
            }
            TrackedEffect::DisposeContext => {
                if let (Some(context), None) = (&call.subject, message.error) {
                    state.routes.remove_context(context);
                    state.downloads.remove_context(context);
                    state.tabs.context_disposed(context);
                    self.publish_tab(state);
                }
            }
            // The event comes later. Who hears this reply and asks for a tab must not be given the
            // closed one.
            TrackedEffect::CloseTarget => {
                if let (Some(tab), None) = (&call.subject, message.error) {
                    state.tabs.closed(tab);
                    self.publish_tab(state);
                }
            }
            TrackedEffect::CreateTarget => {
                if let Some(target) = string_in(message.result, "targetId") {
                    self.touch_tab(state, &target);
                }
            }
            TrackedEffect::Navigate => {
                let Some(target) = state.routes.target_of(&call.on) else {
                    return Vec::new();
                };
                let loaded =
                    message.error.is_none() && string_in(message.result, "errorText").is_none();
                if loaded {
                    // The crash may have been announced after the call was sent.
                    state.routes.unmark_crashed(&target);
                    self.publish_tab(state);
                } else if call.revives {
                    // The tab is as crashed as before.
                    let orphaned = state.routes.mark_crashed(&target);
                    self.publish_tab(state);
                    return orphaned;
                }
            }
            TrackedEffect::Downloads => {
                if message.error.is_some() {
                    state.downloads.refused(call.client);
                }
            }
            TrackedEffect::Screenshot => {
                self.screenshots.send_replace(());
            }
            TrackedEffect::Nothing
            | TrackedEffect::ActivateTarget
            | TrackedEffect::BringToFront
            | TrackedEffect::EndSession
            | TrackedEffect::PageEvents(_) => {}
        }
        Vec::new()
    }
}

fn command_reply(message: &BrowserMessage<'_>) -> CommandReply {
    match message.body() {
        ReplyBody::Result(Some(result)) => Ok(result.to_owned()),
        ReplyBody::Result(None) => Ok(RawValue::NULL.to_owned()),
        ReplyBody::Error(error) => Err(error.to_owned()),
    }
}
