//! What the browser answers: back to whoever asked, and into the tables where it tells about
//! sessions, contexts, tabs and crashes.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::client::{Client, Outbox};
use super::pending::{ClientCallInFlight, OwnReply, Pending, Unanswered};
use super::policy::{Watch, string_in};
use super::routes::Opened;
use super::{Broker, State};
use crate::cdp::envelope::{self, Answer, BrowserMessage};

impl Broker {
    pub(super) fn take_reply(self: &Arc<Self>, id: i32, message: &BrowserMessage<'_>) {
        let mut state = self.lock();
        match state.routes.take_pending(id) {
            None | Some(Pending::Nobody) => {}
            Some(Pending::Own(waiter)) => {
                drop(state);
                // A waiter that has given up is none.
                let _ = waiter.send(own_reply(message));
            }
            Some(Pending::Attach(newcomer, waiter)) => {
                let attached = own_reply(message).map(|result| {
                    let session = string_in(Some(&result), "sessionId").unwrap_or_default();
                    let outbox = Arc::new(Outbox::default());
                    let id = state
                        .routes
                        .add_client(&session, newcomer, Arc::clone(&outbox));
                    Client::new(Arc::clone(self), id, outbox)
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
                let unanswered = self.heed_reply(&mut state, &call, message);
                let outbox = state.routes.outbox(call.client);
                drop(state);
                if let Some(outbox) = outbox {
                    let session = call.named.then_some(&*call.on);
                    let explained = self.explained(&call, message);
                    let answer = explained
                        .as_deref()
                        .map_or(message.answer(), |result| Answer::Result(Some(result)));
                    self.tell(
                        call.client,
                        &outbox,
                        envelope::reply(call.id, answer, session),
                    );
                }
                self.fail(unanswered, "Target crashed");
            }
        }
    }

    /// The reply to a navigation that the proxy has refused, with its reason.
    fn explained(
        &self,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
    ) -> Option<Box<RawValue>> {
        let explain = self
            .explain
            .as_ref()
            .filter(|_| call.watch == Watch::Navigate)?;
        let extended = explain.extend(message.result?.get(), call.subject.as_deref())?;
        RawValue::from_string(extended).ok()
    }

    /// What a client's reply tells the broker itself.
    fn heed_reply(
        &self,
        state: &mut State,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
    ) -> Vec<Unanswered> {
        match call.watch {
            // The event that announces the session has come before; this is for a browser that
            // sends none.
            Watch::Attach => {
                if let Some(session) = string_in(message.result, "sessionId") {
                    state
                        .routes
                        .add_session(&call.on, &session, Opened::default());
                }
            }
            Watch::CreateContext => {
                if let Some(context) = string_in(message.result, "browserContextId") {
                    state.routes.keep_context(call.client, context);
                }
            }
            Watch::DisposeContext => {
                if let (Some(context), None) = (&call.subject, message.error) {
                    state.routes.forget_context(context);
                    state.downloads.forget_context(context);
                    state.tabs.context_disposed(context);
                    self.publish_tab(state);
                }
            }
            // The event comes later. Who hears this reply and asks for a tab must not be given the
            // closed one.
            Watch::CloseTarget => {
                if let (Some(tab), None) = (&call.subject, message.error) {
                    state.tabs.closed(tab);
                    self.publish_tab(state);
                }
            }
            Watch::CreateTarget => {
                if let Some(target) = string_in(message.result, "targetId") {
                    self.touch_tab(state, &target);
                }
            }
            Watch::Navigate => {
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
                    let unanswered = state.routes.mark_crashed(&target);
                    self.publish_tab(state);
                    return unanswered;
                }
            }
            Watch::Downloads => {
                if message.error.is_some() {
                    state.downloads.refused(call.client);
                }
            }
            Watch::Screenshot => {
                self.screenshots.send_replace(());
            }
            Watch::Nothing
            | Watch::ActivateTarget
            | Watch::BringToFront
            | Watch::EndSession
            | Watch::HearPage(_) => {}
        }
        Vec::new()
    }
}

fn own_reply(message: &BrowserMessage<'_>) -> OwnReply {
    match message.answer() {
        Answer::Result(Some(result)) => Ok(result.to_owned()),
        Answer::Result(None) => Ok(RawValue::NULL.to_owned()),
        Answer::Error(error) => Err(error.to_owned()),
    }
}
