//! Handles the calls of clients: checks them and forwards them to the browser, or answers them
//! here.

use std::borrow::Cow;
use std::sync::Arc;

use super::downloads::DownloadBehavior;
use super::grants::Grant;
use super::main_load::origin_of;
use super::page_settings::{SettingCall, SettingDecision};
use super::pending::{ClientCallInFlight, Pending};
use super::policy::{self, Rule, TrackedEffect, text_in};
use super::routes::{CallRoute, NoRoute};
use super::send_queue::{ClientId, SendQueue};
use super::{Broker, NO_SESSION_MESSAGE, State};
use crate::cdp::envelope::{self, ClientCall, DENIED, NO_SESSION, ReplyBody};
use crate::cdp::pipe::PushError;

/// A call that passed all checks.
struct Admitted {
    /// The id of the call in the browser.
    id: i32,
    /// The session that the call runs on.
    on: Arc<str>,
    /// The page that the call is about.
    page: Option<Arc<str>>,
    /// A download behavior to restore before the call.
    first: Option<(i32, DownloadBehavior)>,
    /// The decision about a setting.
    setting: SettingDecision,
}

/// A call whose effect the broker tracks.
struct TrackedCall<'a> {
    client: ClientId,
    method: &'a str,
    params: Option<&'a str>,
    effect: TrackedEffect,
    /// The target, browser context or origin that the call is about.
    subject: Option<&'a str>,
    route: &'a CallRoute,
}

/// The reason why the broker answers a call itself.
enum NotAdmitted {
    ClientGone,
    NoSession,
    Crashed,
    TooMany,
    TooManyTabs,
    NotYours,
    /// The call has no effect. The client gets an empty result.
    Ignored,
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

/// The maximum size of an id or an origin. Chromium's ids have 32 bytes, and a host at most 253.
const MAX_SUBJECT_BYTES: usize = 300;

/// The maximum size of a frame that waits until a dialog is closed, because no budget counts it.
/// The calls that wait have a few hundred bytes.
const MAX_DEFERRED_BYTES: usize = 4 * 1024;

impl Broker {
    /// Handles one message of a client: forwards it to the browser or answers it.
    pub(crate) fn handle_call(&self, client: ClientId, queue: &SendQueue, text: &str) {
        let call = match ClientCall::parse(text) {
            Ok(call) => call,
            Err(bad) => {
                let failure = envelope::failure(bad.id, bad.code, bad.message, None);
                return self.send(client, queue, failure);
            }
        };
        let deny = |reason: &str| {
            let session = call.session.as_deref();
            let failure = envelope::failure(Some(call.id), DENIED, reason, session);
            self.send(client, queue, failure);
        };
        let params = call.params.map(|params| Cow::Borrowed(params.get()));
        let (params, effect) = match policy::rule_for(&call.method) {
            Rule::Pass => (params, TrackedEffect::Nothing),
            Rule::Track(effect) => (params, effect),
            Rule::Deny(reason) => {
                return deny(&format!("{} is not available: {reason}", call.method));
            }
            Rule::Check(what, effect) => {
                let origin = self.lock().routes.origin_of(client);
                match policy::check_params(what, call.params, &self.file_access, origin) {
                    Ok(params) => (Some(params), effect),
                    Err(reason) => return deny(reason),
                }
            }
            Rule::CloseClient => return self.close_client(client, queue, &call),
        };
        match self.admit_call(client, &call, params.as_deref(), effect) {
            Ok(admitted) => self.forward(client, &call, params, effect, admitted),
            Err(not) => self.reject(client, queue, &call, not),
        }
    }

    /// Answers a client's `Browser.close` and ends the client.
    fn close_client(&self, client: ClientId, queue: &SendQueue, call: &ClientCall<'_>) {
        let session = call.session.as_deref();
        let route = self.lock().routes.route_call(client, session, true);
        if let Err(NoRoute::NoSession) = route {
            return self.reject(client, queue, call, NotAdmitted::NoSession);
        }
        let reply = envelope::reply(call.id, ReplyBody::Result(None), session);
        self.send(client, queue, reply);
        self.end_client(client, 1000, "closed by the client");
    }

    /// Answers a call that was not admitted.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the caller has no further use for it"
    )]
    fn reject(&self, client: ClientId, queue: &SendQueue, call: &ClientCall<'_>, not: NotAdmitted) {
        let session = call.session.as_deref();
        let (code, reason, session) = match not {
            NotAdmitted::ClientGone => return,
            NotAdmitted::Ignored => {
                let reply = envelope::reply(call.id, ReplyBody::Result(None), session);
                return self.send(client, queue, reply);
            }
            NotAdmitted::NoSession => (NO_SESSION, Cow::Borrowed(NO_SESSION_MESSAGE), None),
            NotAdmitted::Crashed => (NO_SESSION, "Target crashed".into(), session),
            NotAdmitted::TooMany => (DENIED, "too many pending calls".into(), session),
            NotAdmitted::TooManyTabs => (DENIED, self.too_many_tabs().into(), session),
            NotAdmitted::NotYours => {
                let reason = "another client's connection is not a target";
                (DENIED, reason.into(), session)
            }
        };
        let failure = envelope::failure(Some(call.id), code, &reason, session);
        self.send(client, queue, failure);
    }

    /// Sends an admitted call to the browser, or defers it until a dialog is closed.
    fn forward(
        &self,
        client: ClientId,
        call: &ClientCall<'_>,
        params: Option<Cow<'_, str>>,
        effect: TrackedEffect,
        admitted: Admitted,
    ) {
        if let (TrackedEffect::Navigate, Some(page)) = (effect, &admitted.page) {
            // Chromium does not navigate a page while it shows a dialog.
            self.dismiss_dialog(page);
        }
        if let Some((id, behavior)) = admitted.first {
            // If this fails, the call below fails for the same reason.
            let _ = self.writer.push(envelope::frame(
                id,
                &behavior.method,
                Some(&behavior.params),
                Some(&behavior.on),
            ));
        }
        let ended = if effect == TrackedEffect::EndSession {
            text_in(params.as_deref(), "sessionId").unwrap_or_default()
        } else {
            String::new()
        };
        let params = admitted.setting.params.map(Cow::Owned).or(params);
        let frame = envelope::frame_around(admitted.id, &call.method, params, Some(&admitted.on));
        let frame = match effect {
            TrackedEffect::PageEvents(false) => {
                let mut state = self.lock();
                let frame = state.defer(client, &admitted.on, frame);
                state.routes.record_page_events(&admitted.on, false);
                frame
            }
            TrackedEffect::EndSession => self.lock().defer(client, &ended, frame),
            _ => Some(frame),
        };
        let Some(frame) = frame else { return };
        match self.writer.push(frame) {
            // If the pipe is closed, the client is about to be closed with a reason.
            Ok(()) | Err(PushError::Closed) => self.send_restored(admitted.setting.restored),
            Err(PushError::Full) => self.end_client(client, 1013, "browser reads too slowly"),
        }
    }

    /// Does everything for a call that needs the tables, under one lock: finds its session, records
    /// its effect on tabs, and registers the pending reply.
    fn admit_call(
        &self,
        client: ClientId,
        call: &ClientCall<'_>,
        params: Option<&str>,
        effect: TrackedEffect,
    ) -> Result<Admitted, NotAdmitted> {
        let subject = subject_of(effect, params);
        let outlives_crash = policy::works_on_a_crashed_target(&call.method);
        let mut state = self.lock();
        let route = state
            .routes
            .route_call(client, call.session.as_deref(), outlives_crash)?;
        self.check_effect(&state, client, effect, subject.as_deref())?;
        let tracked = TrackedCall {
            client,
            method: &call.method,
            params,
            effect,
            subject: subject.as_deref(),
            route: &route,
        };
        let setting = state.apply_setting(&tracked)?;
        state.record_effect(&tracked);
        let revives = self.apply_to_tabs(&mut state, &tracked);
        let first = if policy::drives_page(&call.method) {
            state.record_drive(client, &route)
        } else {
            None
        };
        let first = first.map(|behavior| (state.routes.add_pending(Pending::Nobody), behavior));
        let in_flight = ClientCallInFlight {
            client,
            id: call.id,
            on: Arc::clone(&route.on),
            named: call.session.is_some(),
            effect,
            subject,
            outlives_crash,
            revives,
        };
        Ok(Admitted {
            id: state.routes.add_call(in_flight),
            on: route.on,
            page: route.page,
            first,
            setting,
        })
    }

    /// Checks the rules that depend on the tables.
    fn check_effect(
        &self,
        state: &State,
        client: ClientId,
        effect: TrackedEffect,
        subject: Option<&str>,
    ) -> Result<(), NotAdmitted> {
        match (effect, subject) {
            (TrackedEffect::Attach, Some(browser))
                if state.routes.is_others_browser(client, browser) =>
            {
                Err(NotAdmitted::NotYours)
            }
            (TrackedEffect::CreateTarget, _)
                if state.open_and_coming_tabs() >= self.limits.max_tabs =>
            {
                Err(NotAdmitted::TooManyTabs)
            }
            _ => Ok(()),
        }
    }

    /// Applies the effect of a call on tabs. Returns true if it revives a crashed page.
    fn apply_to_tabs(&self, state: &mut State, call: &TrackedCall<'_>) -> bool {
        let route = call.route;
        match (call.effect, call.subject) {
            (TrackedEffect::ActivateTarget, Some(tab)) => self.touch_tab(state, tab),
            (TrackedEffect::BringToFront, _) => {
                self.touch_tab(state, route.page.as_ref().unwrap_or(&route.target));
            }
            (TrackedEffect::Navigate, _) => {
                let revives = state.routes.unmark_crashed(&route.target);
                self.touch_tab(state, &route.target);
                if let Some(load) = state.routes.load_of(&route.on) {
                    load.navigates();
                }
                return revives;
            }
            _ => {}
        }
        false
    }
}

/// Returns what a call is about, where its reply needs it: a target, a browser context or an
/// origin. It is kept until the reply.
fn subject_of(effect: TrackedEffect, params: Option<&str>) -> Option<String> {
    let subject = match effect {
        TrackedEffect::ActivateTarget | TrackedEffect::Attach | TrackedEffect::CloseTarget => {
            text_in(params, "targetId")
        }
        TrackedEffect::DisposeContext
        | TrackedEffect::Downloads
        | TrackedEffect::Grant
        | TrackedEffect::ResetGrants => text_in(params, "browserContextId"),
        TrackedEffect::Navigate => text_in(params, "url")
            .map(|url| origin_of(&url).to_owned())
            .filter(|origin| !origin.is_empty()),
        _ => None,
    };
    subject.filter(|subject| subject.len() <= MAX_SUBJECT_BYTES)
}

impl State {
    /// Applies a call that changes a setting of its page.
    fn apply_setting(&mut self, call: &TrackedCall<'_>) -> Result<SettingDecision, NotAdmitted> {
        let TrackedEffect::Setting(setting) = call.effect else {
            return Ok(SettingDecision::default());
        };
        let is_opened = |page: &str| self.tabs.is_opened_by(page, call.client);
        let change = SettingCall {
            setting,
            method: call.method,
            params: call.params,
            is_own_page: call.route.page.as_deref().is_some_and(is_opened),
        };
        let mut decision = self.routes.change_setting(&call.route.on, change);
        if decision.is_ignored {
            return Err(NotAdmitted::Ignored);
        }
        let restored = self.restore_mobile(&call.route.target, setting);
        decision.restored.extend(restored);
        Ok(decision)
    }

    /// Records the effect of a call on events, permissions and downloads.
    fn record_effect(&mut self, call: &TrackedCall<'_>) {
        let on = &call.route.on;
        let method = || call.method.to_owned();
        let params = || call.params.unwrap_or("{}").to_owned();
        match call.effect {
            TrackedEffect::PageEvents(true) => self.routes.record_page_events(on, true),
            TrackedEffect::Grant => {
                let grant = Grant {
                    client: call.client,
                    method: method(),
                    params: params(),
                    context: self.separate(call.subject),
                    on: Arc::clone(on),
                };
                self.grants.record(grant);
            }
            TrackedEffect::ResetGrants => {
                let context = self.separate(call.subject);
                self.grants.reset(context.as_deref());
            }
            TrackedEffect::Downloads => {
                let behavior = DownloadBehavior {
                    client: call.client,
                    method: method(),
                    params: params(),
                    on: Arc::clone(on),
                };
                self.record_download_behavior(call.subject, call.route, behavior);
            }
            _ => {}
        }
    }

    /// Returns a context that a call names, unless it is the default one.
    fn separate(&self, context: Option<&str>) -> Option<String> {
        let separate = context.filter(|context| !self.tabs.is_default(context));
        separate.map(str::to_owned)
    }

    fn open_and_coming_tabs(&self) -> usize {
        self.tabs.all().count() + self.routes.awaited(TrackedEffect::CreateTarget)
    }

    /// Records the download behavior of a client for the context that the call names, or else for
    /// the context of its page.
    fn record_download_behavior(
        &mut self,
        named: Option<&str>,
        route: &CallRoute,
        behavior: DownloadBehavior,
    ) {
        let of_page = || {
            route
                .page
                .as_ref()
                .and_then(|page| self.tabs.context_of(page))
        };
        let context = named
            .or_else(of_page)
            .filter(|context| !self.tabs.is_default(context));
        self.downloads.record(context.map(str::to_owned), behavior);
    }

    /// Returns a frame that ends a session, unless it has to wait until a dialog is closed.
    fn defer(&mut self, client: ClientId, ended: &str, frame: Vec<u8>) -> Option<Vec<u8>> {
        if self.dialogs.is_empty() || frame.len() > MAX_DEFERRED_BYTES {
            return Some(frame);
        }
        let ended = self.routes.subtree(ended);
        let listened_to = self
            .routes
            .pages_with_events(|_, session| ended.contains(session));
        self.dialogs.defer_frame(
            client,
            |session| ended.contains(session),
            |page| listened_to.contains(page),
            frame,
        )
    }

    /// Records that a client drives a page. Returns the client's download behavior if another one
    /// is in force.
    fn record_drive(&mut self, client: ClientId, route: &CallRoute) -> Option<DownloadBehavior> {
        self.routes.record_drive(&route.on);
        let context = self.tabs.context_of(route.page.as_ref()?);
        self.downloads.driven(
            context.filter(|context| !self.tabs.is_default(context)),
            client,
        )
    }
}
