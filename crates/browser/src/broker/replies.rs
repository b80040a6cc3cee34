//! Handles replies of the browser: forwards them to the client that called, and updates the tables
//! for sessions, contexts, tabs and crashes.

use std::sync::{Arc, MutexGuard};

use serde_json::Value;
use serde_json::value::RawValue;

use super::pending::{ClientCallInFlight, CommandReply, OrphanedCall, Pending};
use super::policy::{TrackedEffect, string_in};
use super::routes::Opened;
use super::send_queue::SendQueue;
use super::{Broker, State};
use crate::cdp::envelope::{self, BrowserMessage, ReplyBody};

impl Broker {
    pub(super) fn handle_reply(self: &Arc<Self>, id: i32, message: &BrowserMessage<'_>) {
        let mut state = self.lock();
        match state.routes.take_pending(id) {
            None | Some(Pending::Nobody) => {}
            Some(Pending::Command(waiter)) => {
                drop(state);
                // An error means that the receiver was dropped.
                let _ = waiter.send(command_reply(message));
            }
            Some(Pending::Attach(attach, on_attached)) => {
                let attached = command_reply(message).map(|result| {
                    let session = string_in(Some(&result), "sessionId").unwrap_or_default();
                    let queue = Arc::new(SendQueue::new(&self.budget));
                    let id = state
                        .routes
                        .add_client(&session, attach, Arc::clone(&queue));
                    (id, queue)
                });
                drop(state);
                on_attached(attached);
            }
            Some(Pending::Tab(target)) => {
                if let Some(session) = string_in(message.result, "sessionId") {
                    let is_shared = state.tabs.is_shared(&target);
                    state.tabs.attached(&target, session.clone());
                    drop(state);
                    if is_shared {
                        self.set_format_language(&session);
                        self.emulate_mobile_on(&session);
                    }
                }
            }
            Some(Pending::UnwantedContext) => {
                drop(state);
                if let Some(context) = string_in(message.result, "browserContextId") {
                    self.dispose_context(&context);
                }
            }
            Some(Pending::Client(call)) => self.reply_to_client(state, &call, message),
        }
    }

    /// Applies the effects of a client's reply and forwards it.
    fn reply_to_client(
        &self,
        mut state: MutexGuard<'_, State>,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
    ) {
        let orphaned = self.apply_reply(&mut state, call, message);
        let visible = state.visible_targets(call, message);
        let queue = state.routes.queue(call.client);
        drop(state);
        if let Some(queue) = queue {
            let session = call.named.then_some(&*call.on);
            let changed = visible.or_else(|| self.explain_navigation(call, message));
            let body = changed
                .as_deref()
                .map_or(message.body(), |result| ReplyBody::Result(Some(result)));
            let text = envelope::reply(call.id, body, session);
            if let Some(text) = self.delay_failure(call, message, text) {
                self.send(call.client, &queue, text);
            }
        }
        self.fail(orphaned, "Target crashed");
    }

    /// Applies the effects of a client's reply to the tables. Returns calls that will get no reply.
    fn apply_reply(
        &self,
        state: &mut State,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
    ) -> Vec<OrphanedCall> {
        match call.effect {
            // Usually an event has already announced the session. This handles a browser that sends
            // none.
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
                    state.grants.reset(Some(context));
                    state.tabs.context_disposed(context);
                    self.publish_tab(state);
                }
            }
            // The event comes later. A client that receives this reply and requests a tab must not
            // get the closed one.
            TrackedEffect::CloseTarget => {
                if let (Some(tab), None) = (&call.subject, message.error) {
                    state.tabs.closed(tab);
                    self.publish_tab(state);
                }
            }
            TrackedEffect::CreateTarget => {
                if let Some(target) = string_in(message.result, "targetId") {
                    state.tabs.opened_by(&target, call.client);
                    self.touch_tab(state, &target);
                }
            }
            TrackedEffect::Navigate => return self.apply_navigation(state, call, message),
            TrackedEffect::Downloads => {
                if message.error.is_some() {
                    state.downloads.rejected(call.client);
                }
            }
            TrackedEffect::Setting(setting) => {
                if message.error.is_some() {
                    state.routes.remove_setting(&call.on, setting);
                }
            }
            TrackedEffect::Screenshot => {
                self.screenshots.send_replace(());
            }
            TrackedEffect::Nothing
            | TrackedEffect::ActivateTarget
            | TrackedEffect::BringToFront
            | TrackedEffect::EndSession
            | TrackedEffect::Grant
            | TrackedEffect::ResetGrants
            | TrackedEffect::ListTargets
            | TrackedEffect::PageEvents(_) => {}
        }
        Vec::new()
    }

    /// Applies the reply to a navigation: a page that loaded has a live renderer. Returns calls
    /// that will get no reply.
    fn apply_navigation(
        &self,
        state: &mut State,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
    ) -> Vec<OrphanedCall> {
        let Some(target) = state.routes.target_of(&call.on) else {
            return Vec::new();
        };
        let loaded = message.error.is_none() && string_in(message.result, "errorText").is_none();
        if loaded {
            // The crash may have been announced after the call was sent.
            state.routes.unmark_crashed(&target);
            self.publish_tab(state);
        } else if call.revives {
            // The tab stays crashed.
            let orphaned = state.routes.mark_crashed(&target);
            self.publish_tab(state);
            return orphaned;
        }
        Vec::new()
    }
}

impl State {
    /// Returns a list of targets without those in contexts of other clients.
    fn visible_targets(
        &self,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
    ) -> Option<Box<RawValue>> {
        if call.effect != TrackedEffect::ListTargets {
            return None;
        }
        let mut result: Value = serde_json::from_str(message.result?.get()).ok()?;
        let targets = result.get_mut("targetInfos")?.as_array_mut()?;
        let listed = targets.len();
        targets.retain(|target| {
            let context = target.get("browserContextId").and_then(Value::as_str);
            context.is_none_or(|context| !self.routes.is_others_context(call.client, context))
        });
        if targets.len() == listed {
            return None;
        }
        RawValue::from_string(result.to_string()).ok()
    }
}

fn command_reply(message: &BrowserMessage<'_>) -> CommandReply {
    match message.body() {
        ReplyBody::Result(Some(result)) => Ok(result.to_owned()),
        ReplyBody::Result(None) => Ok(RawValue::NULL.to_owned()),
        ReplyBody::Error(error) => Err(error.to_owned()),
    }
}
