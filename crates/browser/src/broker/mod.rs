//! The broker: many clients on one browser. Each has a browser-level session of its own, which it takes for
//! its connection's root; below it live the sessions that it opened. Ids and sessions are kept apart in
//! `routes`, messages are taken apart and written anew in `envelope`, `policy` says what a client may not do,
//! and `client` is a client's end.
//!
//! One task reads from the browser and calls [`Broker::take_frame`], so everything a client gets is in the
//! browser's own order. Calls go from the client's task straight into the pipe. The tables are under one lock,
//! which is never held while a message is built, nor across an await.
//!
//! It must not know: how a browser is started or ended, and what carries a client's messages.

pub(crate) mod client;
mod envelope;
mod events;
mod policy;
mod replies;
pub(crate) mod routes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};

use self::client::{Client, Outbox, TooSlow};
use self::envelope::{Answer, BrowserMessage, ClientCall, NO_SESSION, REFUSED};
use self::policy::{Rule, Watch, string_in};
use self::routes::{ClientCallInFlight, ClientId, NoRoute, Pending, Root, Routes, Unanswered};
use crate::pipe::{NotTaken, PipeWriter};
use crate::tabs::Tabs;

/// A client that comes, or why it does not.
pub(crate) type AttachReply = oneshot::Receiver<Result<Client, Box<RawValue>>>;

/// What clients are told about a session that is not there, in Chromium's words.
const NO_SESSION_MESSAGE: &str = "Session with given id not found.";

/// The multiplexer of one browser. Held by the browser's handle, its tasks and every client.
pub(crate) struct Broker {
    /// Our end of Chromium's descriptor 3.
    writer: PipeWriter,
    state: Mutex<State>,
    /// The current tab, for those who wait for a change of it. Written under `state`'s lock.
    current_tab: watch::Sender<Option<String>>,
    /// Rung when a tab shows another address.
    tab_shows: watch::Sender<()>,
    /// Everything that is measured starts here.
    started: Instant,
    /// Milliseconds from `started` to the last call of any client.
    last_command_ms: AtomicU64,
}

#[derive(Default)]
struct State {
    routes: Routes,
    tabs: Tabs,
    /// The browser is gone: nothing is sent any more.
    ended: bool,
}

impl Broker {
    pub(crate) fn new(writer: PipeWriter) -> Broker {
        Broker {
            writer,
            state: Mutex::default(),
            current_tab: watch::Sender::default(),
            tab_shows: watch::Sender::default(),
            started: Instant::now(),
            last_command_ms: AtomicU64::new(0),
        }
    }

    /// The way to the browser, for the task that drains it.
    pub(crate) fn writer(&self) -> &PipeWriter {
        &self.writer
    }

    /// The current tab's target id, and its changes.
    pub(crate) fn current_tab(&self) -> watch::Receiver<Option<String>> {
        self.current_tab.subscribe()
    }

    /// The tabs of all contexts that have not crashed.
    pub(crate) fn open_tabs(&self) -> Vec<String> {
        let state = self.lock();
        state.tabs.all().filter(|target| !state.routes.has_crashed(target)).map(str::to_owned).collect()
    }

    /// Our own session on a tab.
    pub(crate) fn own_session_on(&self, target: &str) -> Option<String> {
        self.lock().tabs.session_of(target).map(str::to_owned)
    }

    /// Whether a tab has no document yet.
    pub(crate) fn is_blank(&self, target: &str) -> bool {
        self.lock().tabs.is_blank(target)
    }

    /// Waits until a tab has a document, or is gone.
    pub(crate) async fn has_document(&self, target: &str) {
        let mut changes = self.tab_shows.subscribe();
        while self.is_blank(target) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Attaches a session of our own to a tab while it still answers: one that comes later does not reach a page
    /// whose script never ends. Nothing is enabled on it, so it costs nothing.
    fn keep_session_on(&self, target: &str) {
        let params = serde_json::json!({ "targetId": target, "flatten": true }).to_string();
        let _ = self.send_own("Target.attachToTarget", &params, None, Pending::Tab(target.to_owned()));
    }

    pub(crate) fn default_context_has_a_tab(&self) -> bool {
        let state = self.lock();
        state.tabs.default_context_has_one(|target| state.routes.has_crashed(target))
    }

    /// When a client last sent a call.
    pub(crate) fn last_command(&self) -> Instant {
        self.started + Duration::from_millis(self.last_command_ms.load(Ordering::Relaxed))
    }

    /// Sends a command of our own, on the pipe's root session unless `session` is given.
    pub(crate) fn send_own(
        &self,
        method: &str,
        params: &str,
        session: Option<&str>,
        pending: Pending,
    ) -> Result<i32, NotTaken> {
        let id = {
            let mut state = self.lock();
            if state.ended {
                return Err(NotTaken::Closed);
            }
            state.routes.add_pending(pending)
        };
        self.writer.push(envelope::frame(id, method, Some(params), session)).inspect_err(|_| self.give_up(id))?;
        Ok(id)
    }

    /// Nobody waits for this reply any more.
    pub(crate) fn give_up(&self, id: i32) {
        self.lock().routes.take_pending(id);
    }

    /// Asks for a root session for a new client; it comes through the channel, or the browser's error.
    pub(crate) fn request_client(&self, root: Root) -> Result<AttachReply, NotTaken> {
        let (sender, receiver) = oneshot::channel();
        let (method, params) = match &root {
            Root::Browser => ("Target.attachToBrowserTarget", "{}".to_owned()),
            Root::Target(target) => {
                ("Target.attachToTarget", serde_json::json!({ "targetId": target, "flatten": true }).to_string())
            }
        };
        self.send_own(method, &params, None, Pending::Attach(root, sender))?;
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

    /// Ends a client: its queue gets a close, its sessions and calls are dropped, and what it made in the
    /// browser goes. Does nothing for one that is gone already.
    pub(crate) fn end_client(&self, client: ClientId, code: u16, reason: &str) {
        let (outbox, leftovers) = {
            let mut state = self.lock();
            let Some(removed) = state.routes.remove_client(client) else { return };
            for context in &removed.1.contexts {
                state.tabs.context_disposed(context);
            }
            self.publish_tab(&state);
            removed
        };
        outbox.close(code, reason);
        for context in &leftovers.contexts {
            self.dispose_context(context);
        }
        let params = serde_json::json!({ "sessionId": &*leftovers.root }).to_string();
        // A browser that takes nothing more has no session either.
        let _ = self.send_own("Target.detachFromTarget", &params, None, Pending::Nobody);
    }

    /// A client has left by itself.
    pub(crate) fn forget_client(&self, client: ClientId) {
        self.end_client(client, 1000, "the client has left");
    }

    fn dispose_context(&self, context: &str) {
        let params = serde_json::json!({ "browserContextId": context }).to_string();
        let _ = self.send_own("Target.disposeBrowserContext", &params, None, Pending::Nobody);
    }

    /// Takes one message of a client: to the browser, or answered here.
    pub(crate) fn take_call(&self, client: ClientId, outbox: &Outbox, text: &str) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_command_ms.store(elapsed, Ordering::Relaxed);
        let call = match ClientCall::parse(text) {
            Ok(call) => call,
            Err(bad) => return self.tell(client, outbox, envelope::failure(bad.id, bad.code, bad.message, None)),
        };
        let session = call.session.as_deref();
        let refuse = |code, reason: &str, session| {
            self.tell(client, outbox, envelope::failure(Some(call.id), code, reason, session));
        };
        let params = call.params.map(|params| Cow::Borrowed(params.get()));
        let (params, watch) = match policy::rule_for(&call.method) {
            Rule::Pass => (params, Watch::Nothing),
            Rule::Watch(watch) => (params, watch),
            Rule::Refuse(reason) => {
                return refuse(REFUSED, &format!("{} is not available: {reason}", call.method), session);
            }
            Rule::Judge(what, watch) => match policy::judge(what, call.params) {
                Ok(params) => (Some(Cow::Owned(params)), watch),
                Err(reason) => return refuse(REFUSED, reason, session),
            },
            Rule::CloseClient => {
                self.tell(client, outbox, envelope::reply(call.id, Answer::Result(None), session));
                return self.end_client(client, 1000, "closed by the client");
            }
        };
        let (id, on) = match self.admit_call(client, &call, watch) {
            Ok(admitted) => admitted,
            Err(NotAdmitted::ClientGone) => return,
            Err(NotAdmitted::NoSession) => return refuse(NO_SESSION, NO_SESSION_MESSAGE, None),
            Err(NotAdmitted::Crashed) => return refuse(NO_SESSION, "Target crashed", session),
            Err(NotAdmitted::TooMany) => return refuse(REFUSED, "too many calls wait for their replies", session),
            Err(NotAdmitted::NotYours) => {
                return refuse(REFUSED, "another client's connection is not a target", session);
            }
        };
        match self.writer.push(envelope::frame(id, &call.method, params.as_deref(), Some(&on))) {
            // When the pipe is closed the client is about to be told.
            Ok(()) | Err(NotTaken::Closed) => {}
            Err(NotTaken::Full) => self.end_client(client, 1013, "browser reads too slowly"),
        }
    }

    /// Everything about a call that needs the tables, under one lock: where it runs, what it says about tabs,
    /// and that its reply is awaited.
    fn admit_call(
        &self,
        client: ClientId,
        call: &ClientCall<'_>,
        watch: Watch,
    ) -> Result<(i32, Arc<str>), NotAdmitted> {
        let subject = match watch {
            Watch::ActivateTarget | Watch::Attach | Watch::CloseTarget => string_in(call.params, "targetId"),
            Watch::DisposeContext => string_in(call.params, "browserContextId"),
            _ => None,
        };
        let outlives_crash = policy::works_on_a_crashed_target(&call.method);
        let mut state = self.lock();
        let (on, target) = state.routes.route_call(client, call.session.as_deref(), outlives_crash)?;
        let mut revives = false;
        match (watch, &subject) {
            (Watch::Attach, Some(browser)) if state.routes.is_others_browser(client, browser) => {
                return Err(NotAdmitted::NotYours);
            }
            (Watch::ActivateTarget, Some(tab)) => self.touch_tab(&mut state, tab),
            (Watch::BringToFront, _) => self.touch_tab(&mut state, &target),
            (Watch::Navigate, _) => {
                revives = state.routes.unmark_crashed(&target);
                self.touch_tab(&mut state, &target);
            }
            _ => {}
        }
        let named = call.session.is_some();
        let in_flight = ClientCallInFlight {
            client,
            id: call.id,
            on: Arc::clone(&on),
            named,
            watch,
            subject,
            outlives_crash,
            revives,
        };
        Ok((state.routes.add_call(in_flight), on))
    }

    /// Takes one message of the browser. Called by one task only.
    pub(crate) fn take_frame(self: &Arc<Self>, frame: &str) {
        let message = match BrowserMessage::parse(frame) {
            Ok(message) => message,
            Err(error) => return tracing::warn!(%error, bytes = frame.len(), "chromium sent no CDP message"),
        };
        match (message.id, message.method.as_deref()) {
            (Some(id), _) => self.take_reply(id, &message),
            (None, Some(method)) => self.take_event(method, &message, frame),
            // An error without an id belongs to a call that nobody could match.
            (None, None) => {}
        }
    }

    /// Answers calls that the browser will not.
    fn fail(&self, unanswered: Vec<Unanswered>, why: &str) {
        for Unanswered { id, session, outbox, client } in unanswered {
            self.tell(client, &outbox, envelope::failure(Some(id), NO_SESSION, why, session.as_deref()));
        }
    }

    /// Puts a message into a client's queue; one that is too slow for it is ended.
    fn tell(&self, client: ClientId, outbox: &Outbox, message: String) {
        if let Err(TooSlow) = outbox.push(message) {
            self.end_client(client, 1013, "client reads too slowly");
        }
    }

    fn touch_tab(&self, state: &mut State, target: &str) {
        state.tabs.touched(target);
        self.publish_tab(state);
    }

    fn publish_tab(&self, state: &State) {
        let now = state.tabs.current(|target| state.routes.has_crashed(target));
        self.current_tab.send_if_modified(|current| {
            let changed = current.as_deref() != now;
            if changed {
                *current = now.map(str::to_owned);
            }
            changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call is answered here instead of in the browser.
enum NotAdmitted {
    ClientGone,
    NoSession,
    Crashed,
    TooMany,
    NotYours,
}

impl From<NoRoute> for NotAdmitted {
    fn from(no: NoRoute) -> NotAdmitted {
        match no {
            NoRoute::ClientGone => NotAdmitted::ClientGone,
            NoRoute::NoSession => NotAdmitted::NoSession,
            NoRoute::Crashed => NotAdmitted::Crashed,
            NoRoute::TooMany => NotAdmitted::TooMany,
        }
    }
}
