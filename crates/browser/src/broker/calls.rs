//! What clients say: judged, and on to the browser, or answered here.

use std::borrow::Cow;
use std::sync::Arc;

use super::client::{ClientId, Outbox};
use super::downloads::Wish;
use super::pending::{ClientCallInFlight, Pending};
use super::policy::{self, Rule, Watch, text_in};
use super::routes::{CallRoute, NoRoute};
use super::{Broker, NO_SESSION_MESSAGE, State};
use crate::cdp::envelope::{self, Answer, ClientCall, NO_SESSION, REFUSED};
use crate::cdp::pipe::NotTaken;

/// A call that may go on.
struct Admitted {
    /// Its id in the browser.
    id: i32,
    /// The session that it runs on.
    on: Arc<str>,
    /// The page that it is about.
    page: Option<Arc<str>>,
    /// What the browser has to be told before it.
    first: Option<(i32, Wish)>,
}

/// Why a call is answered here instead of in the browser.
enum NotAdmitted {
    ClientGone,
    NoSession,
    Crashed,
    TooMany,
    TooManyTabs,
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

impl Broker {
    /// Takes one message of a client: to the browser, or answered here.
    pub(crate) fn take_call(&self, client: ClientId, outbox: &Outbox, text: &str) {
        let call = match ClientCall::parse(text) {
            Ok(call) => call,
            Err(bad) => {
                return self.tell(
                    client,
                    outbox,
                    envelope::failure(bad.id, bad.code, bad.message, None),
                );
            }
        };
        let session = call.session.as_deref();
        let refuse = |code, reason: &str, session| {
            self.tell(
                client,
                outbox,
                envelope::failure(Some(call.id), code, reason, session),
            );
        };
        let params = call.params.map(|params| Cow::Borrowed(params.get()));
        let (params, watch) = match policy::rule_for(&call.method) {
            Rule::Pass => (params, Watch::Nothing),
            Rule::Watch(watch) => (params, watch),
            Rule::Refuse(reason) => {
                return refuse(
                    REFUSED,
                    &format!("{} is not available: {reason}", call.method),
                    session,
                );
            }
            Rule::Judge(what, watch) => {
                let side = self.lock().routes.side_of(client);
                match policy::judge(what, call.params, &self.grounds, side) {
                    Ok(params) => (Some(Cow::Owned(params)), watch),
                    Err(reason) => return refuse(REFUSED, reason, session),
                }
            }
            Rule::CloseClient => {
                if let Err(NoRoute::NoSession) =
                    self.lock().routes.route_call(client, session, true)
                {
                    return refuse(NO_SESSION, NO_SESSION_MESSAGE, None);
                }
                self.tell(
                    client,
                    outbox,
                    envelope::reply(call.id, Answer::Result(None), session),
                );
                return self.end_client(client, 1000, "closed by the client");
            }
        };
        let Admitted {
            id,
            on,
            page,
            first,
        } = match self.admit_call(client, &call, params.as_deref(), watch) {
            Ok(admitted) => admitted,
            Err(NotAdmitted::ClientGone) => return,
            Err(NotAdmitted::NoSession) => return refuse(NO_SESSION, NO_SESSION_MESSAGE, None),
            Err(NotAdmitted::Crashed) => return refuse(NO_SESSION, "Target crashed", session),
            Err(NotAdmitted::TooMany) => {
                return refuse(REFUSED, "too many calls wait for their replies", session);
            }
            Err(NotAdmitted::TooManyTabs) => {
                return refuse(REFUSED, &self.too_many_tabs(), session);
            }
            Err(NotAdmitted::NotYours) => {
                return refuse(
                    REFUSED,
                    "another client's connection is not a target",
                    session,
                );
            }
        };
        if let (Watch::Navigate, Some(page)) = (watch, &page) {
            // A page that shows a dialog does not go anywhere before it is answered.
            self.dismiss_dialog(page);
        }
        if let Some((id, wish)) = first {
            // Whatever becomes of it becomes of the call itself.
            let _ = self.writer.push(envelope::frame(
                id,
                &wish.method,
                Some(&wish.params),
                Some(&wish.on),
            ));
        }
        let frame = envelope::frame(id, &call.method, params.as_deref(), Some(&on));
        let frame = match watch {
            Watch::HearPage(false) => {
                let mut state = self.lock();
                let frame = state.put_off(client, &on, frame);
                state.routes.note_hearing(&on, false);
                frame
            }
            Watch::EndSession => {
                let ended = text_in(params.as_deref(), "sessionId").unwrap_or_default();
                self.lock().put_off(client, &ended, frame)
            }
            _ => Some(frame),
        };
        let Some(frame) = frame else { return };
        match self.writer.push(frame) {
            // When the pipe is closed the client is about to be told.
            Ok(()) | Err(NotTaken::Closed) => {}
            Err(NotTaken::Full) => self.end_client(client, 1013, "browser reads too slowly"),
        }
    }

    /// Everything about a call that needs the tables, under one lock: where it runs, what it says
    /// about tabs, and that its reply is awaited.
    fn admit_call(
        &self,
        client: ClientId,
        call: &ClientCall<'_>,
        params: Option<&str>,
        watch: Watch,
    ) -> Result<Admitted, NotAdmitted> {
        let subject = match watch {
            Watch::ActivateTarget | Watch::Attach | Watch::CloseTarget => {
                text_in(params, "targetId")
            }
            Watch::DisposeContext | Watch::Downloads => text_in(params, "browserContextId"),
            // Only of those pages is more to be told than the browser knows.
            Watch::Navigate => text_in(params, "url").filter(|url| url.starts_with("https://")),
            _ => None,
        };
        let outlives_crash = policy::works_on_a_crashed_target(&call.method);
        let mut state = self.lock();
        let route = state
            .routes
            .route_call(client, call.session.as_deref(), outlives_crash)?;
        let mut revives = false;
        match (watch, &subject) {
            (Watch::Attach, Some(browser)) if state.routes.is_others_browser(client, browser) => {
                return Err(NotAdmitted::NotYours);
            }
            (Watch::CreateTarget, _) if state.open_and_coming_tabs() >= self.bounds.max_tabs => {
                return Err(NotAdmitted::TooManyTabs);
            }
            (Watch::ActivateTarget, Some(tab)) => self.touch_tab(&mut state, tab),
            (Watch::BringToFront, _) => {
                self.touch_tab(&mut state, route.page.as_ref().unwrap_or(&route.target));
            }
            (Watch::Navigate, _) => {
                revives = state.routes.unmark_crashed(&route.target);
                self.touch_tab(&mut state, &route.target);
            }
            (Watch::HearPage(true), _) => state.routes.note_hearing(&route.on, true),
            (Watch::Downloads, context) => {
                let wish = Wish {
                    client,
                    method: call.method.clone().into_owned(),
                    params: params.unwrap_or("{}").to_owned(),
                    on: Arc::clone(&route.on),
                };
                state.note_wish(context.as_deref(), &route, wish);
            }
            _ => {}
        }
        let first = if policy::drives_a_page(&call.method) {
            state.note_drive(client, &route)
        } else {
            None
        };
        let first = first.map(|wish| (state.routes.add_pending(Pending::Nobody), wish));
        let in_flight = ClientCallInFlight {
            client,
            id: call.id,
            on: Arc::clone(&route.on),
            named: call.session.is_some(),
            watch,
            subject,
            outlives_crash,
            revives,
        };
        Ok(Admitted {
            id: state.routes.add_call(in_flight),
            on: route.on,
            page: route.page,
            first,
        })
    }
}

impl State {
    fn open_and_coming_tabs(&self) -> usize {
        self.tabs.all().count() + self.routes.awaited(Watch::CreateTarget)
    }

    /// A client says where downloads go: in the context that it names, or in that of the page it
    /// says it to.
    fn note_wish(&mut self, named: Option<&str>, route: &CallRoute, wish: Wish) {
        let of_page = || {
            route
                .page
                .as_ref()
                .and_then(|page| self.tabs.context_of(page))
        };
        let context = named
            .or_else(of_page)
            .filter(|context| !self.tabs.is_default(context));
        self.downloads.wished(context.map(str::to_owned), wish);
    }

    /// Gives a frame back that ends a session, unless it has to wait for the end of a dialog.
    fn put_off(&mut self, client: ClientId, ended: &str, frame: Vec<u8>) -> Option<Vec<u8>> {
        if self.dialogs.is_empty() {
            return Some(frame);
        }
        let ended = self.routes.subtree(ended);
        let listened_to = self
            .routes
            .pages_heard(|_, session| ended.contains(session));
        self.dialogs.put_off_frame(
            client,
            |session| ended.contains(session),
            |page| listened_to.contains(page),
            frame,
        )
    }

    /// A client does something to a page. Gives back what it wishes about downloads if something
    /// else is in force.
    fn note_drive(&mut self, client: ClientId, route: &CallRoute) -> Option<Wish> {
        self.routes.note_drive(&route.on);
        let context = self.tabs.context_of(route.page.as_ref()?);
        self.downloads.driven(
            context.filter(|context| !self.tabs.is_default(context)),
            client,
        )
    }
}
