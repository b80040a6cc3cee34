//! The broker: many clients on one browser. Each has a browser-level session of its own, which it
//! takes for its connection's root; below it live the sessions that it opened. Ids and sessions are
//! kept apart in `routes`, messages are taken apart and written anew in `envelope`, and `client` is
//! a client's end. `calls` takes what clients say, `replies` and `events` what the browser says.
//! `policy` says what a client may not do, `grounds` which files it may name; `dialogs` and
//! `downloads` settle what several clients want of one page.
//!
//! The rules that all this follows are in `docs/broker.md`; tests cite them by their numbers.
//!
//! One task reads from the browser and calls [`Broker::take_frame`], so everything a client gets is
//! in the browser's own order. Calls go from the client's task straight into the pipe. The tables
//! are under one lock, which is never held while a message is built, nor across an await.
//!
//! It must not know: how a browser is started or ended, and what carries a client's messages.

mod calls;
pub(crate) mod client;
pub(crate) mod commands;
mod dialogs;
mod downloads;
mod events;
pub(crate) mod file_access;
pub(crate) mod limits;
pub(crate) mod navigation_hint;
pub(crate) mod pending;
mod policy;
mod replies;
mod routes;
mod tab_list;
#[cfg(test)]
mod tests;
mod unresponsive_tabs;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};

use self::client::{Client, ClientId, Outbox, TooSlow};
use self::dialogs::{Consequences, Departure, Dialogs, PutOff};
use self::downloads::{Downloads, Restored};
use self::file_access::Grounds;
use self::limits::{Bounds, Oversized};
use self::pending::{Newcomer, Pending, Root, Unanswered};
use self::policy::Watch;
use self::routes::{Leftovers, Routes};
use crate::broker::navigation_hint::Explain;
use crate::broker::tab_list::Tabs;
use crate::cdp::envelope::{self, BrowserMessage, NO_SESSION};
use crate::cdp::pipe::{NotTaken, PipeWriter};

/// A client that comes, or why it does not.
pub(crate) type AttachReply = oneshot::Receiver<Result<Client, Box<RawValue>>>;

/// What clients are told about a session that is not there, in Chromium's words.
const NO_SESSION_MESSAGE: &str = "Session with given id not found.";

/// What dismisses a dialog: a method and its params.
const DISMISS: (&str, &str) = ("Page.handleJavaScriptDialog", r#"{"accept":false}"#);

/// The multiplexer of one browser. Held by the browser's handle, its tasks and every client.
pub(crate) struct Broker {
    /// Our end of Chromium's descriptor 3.
    writer: PipeWriter,
    grounds: Grounds,
    /// What knows why a page did not load.
    explain: Option<Explain>,
    bounds: Bounds,
    state: Mutex<State>,
    /// The current tab, for those who wait for a change of it. Written under `state`'s lock.
    current_tab: watch::Sender<Option<String>>,
    /// Rung when a tab shows another address.
    tab_shows: watch::Sender<()>,
    /// Rung when a client's screenshot is done.
    screenshots: watch::Sender<()>,
    /// The browser has said something since it was last asked about.
    spoke: AtomicBool,
    /// Everything that is measured starts here.
    started: Instant,
    /// Milliseconds from `started` to the last call of any client that does not only look on.
    last_command_ms: AtomicU64,
}

#[derive(Default)]
struct State {
    routes: Routes,
    tabs: Tabs,
    dialogs: Dialogs,
    downloads: Downloads,
    oversized: Oversized,
    /// Tabs that are too many and are about to be closed. They count for nothing else.
    excess: HashSet<String>,
    /// The browser is gone: nothing is sent any more.
    ended: bool,
}

impl State {
    /// Whether a tab that works is left in the context that every client finds.
    fn has_default_tab(&self) -> bool {
        self.tabs
            .default_context_has_one(|target| self.routes.has_crashed(target))
    }

    /// A client has left, or some of its sessions have.
    fn judge_dialogs_left_by(&mut self, client: ClientId) -> Consequences {
        let State {
            routes, dialogs, ..
        } = self;
        dialogs.left_by(client, |session| routes.has_left(session))
    }
}

impl Broker {
    pub(crate) fn new(
        writer: PipeWriter,
        grounds: Grounds,
        bounds: Bounds,
        explain: Option<Explain>,
    ) -> Broker {
        Broker {
            writer,
            grounds,
            bounds,
            explain,
            state: Mutex::default(),
            current_tab: watch::Sender::default(),
            tab_shows: watch::Sender::default(),
            screenshots: watch::Sender::default(),
            spoke: AtomicBool::new(false),
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
        state
            .tabs
            .all()
            .filter(|target| !state.routes.has_crashed(target))
            .map(str::to_owned)
            .collect()
    }

    /// Changes of what some tab shows.
    pub(crate) fn tab_shows(&self) -> watch::Receiver<()> {
        self.tab_shows.subscribe()
    }

    /// Ends of clients' screenshots, of whatever tab.
    pub(crate) fn screenshots(&self) -> watch::Receiver<()> {
        self.screenshots.subscribe()
    }

    /// Whether a client waits for a screenshot of a tab.
    pub(crate) fn takes_screenshot(&self, tab: &str) -> bool {
        self.lock().routes.awaits(Watch::Screenshot, tab)
    }

    /// Whether a tab's renderer has crashed and was not replaced yet.
    pub(crate) fn has_crashed(&self, target: &str) -> bool {
        self.lock().routes.has_crashed(target)
    }

    /// The target ids of all tabs, in the order in which they were opened.
    pub(crate) fn tabs_in_order(&self) -> Vec<String> {
        self.lock().tabs.in_order()
    }

    /// A tab is the current one from now on.
    pub(crate) fn make_current(&self, target: &str) {
        self.touch_tab(&mut self.lock(), target);
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

    /// Attaches a session of our own to a tab while it still answers: one that comes later does not
    /// reach a page whose script never ends. Nothing is enabled on it, so it costs nothing.
    fn keep_session_on(&self, target: &str) {
        let params = serde_json::json!({ "targetId": target, "flatten": true }).to_string();
        // A browser that takes nothing more is about to end.
        let _ = self.send_own(
            "Target.attachToTarget",
            &params,
            None,
            Pending::Tab(target.to_owned()),
        );
    }

    pub(crate) fn default_context_has_a_tab(&self) -> bool {
        self.lock().has_default_tab()
    }

    /// Whether no other tab may be opened.
    pub(crate) fn has_all_tabs(&self) -> bool {
        self.lock().tabs.all().count() >= self.bounds.max_tabs
    }

    /// Somebody uses the browser.
    pub(crate) fn note_use(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_command_ms.store(elapsed, Ordering::Relaxed);
    }

    /// When somebody last did.
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
        self.writer
            .push(envelope::frame(id, method, Some(params), session))
            .inspect_err(|_| self.give_up(id))?;
        Ok(id)
    }

    /// Whether somebody waits for the browser, which has said nothing since the last time this was
    /// asked.
    pub(crate) fn owes_an_answer(&self) -> bool {
        let spoke = self.spoke.swap(false, Ordering::Relaxed);
        !spoke && self.lock().routes.is_waited_for()
    }

    /// Nobody waits for this reply any more.
    pub(crate) fn give_up(&self, id: i32) {
        self.lock().routes.take_pending(id);
    }

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
    fn depart(&self, departure: &Departure) {
        let params = serde_json::json!({ "sessionId": &*departure.root }).to_string();
        self.tell_browser("Target.detachFromTarget", &params, None);
        let restored = self.lock().downloads.left_by(departure.client);
        // The browser has just forgotten what the client wished, and now uses its own default.
        for restored in restored {
            match restored {
                Restored::Wish(wish) => {
                    self.tell_browser(&wish.method, &wish.params, Some(&wish.on));
                }
                Restored::Own => self.save_downloads(),
            }
        }
    }

    /// Says something to the browser whose answer nobody needs. One that takes nothing more is
    /// about to end.
    fn tell_browser(&self, method: &str, params: &str, session: Option<&str>) {
        let _ = self.send_own(method, params, session, Pending::Nobody);
    }

    /// Has the default context's downloads saved into the session's folder, under their own names,
    /// and all contexts' reported.
    pub(crate) fn save_downloads(&self) {
        let params = serde_json::json!({ "behavior": "allow", "downloadPath": &self.grounds.downloads, "eventsEnabled": true });
        self.tell_browser("Browser.setDownloadBehavior", &params.to_string(), None);
    }

    /// Closes tabs that are too many: the one that shows something now, or all. One that shows
    /// nothing yet may be paused by a client, and Chromium 156 never lets its opener go on when it
    /// is closed then.
    fn close_excess(&self, state: &mut State, shown: Option<(&str, &str)>) {
        let due: Vec<String> = match shown {
            Some((_, "")) => return,
            Some((target, _)) => state.excess.take(target).into_iter().collect(),
            None => state.excess.drain().collect(),
        };
        for target in due {
            tracing::debug!("a tab beyond the limit is closed");
            let id = state.routes.add_pending(Pending::Nobody);
            let params = serde_json::json!({ "targetId": target }).to_string();
            // A browser that takes nothing more is about to end.
            let _ = self.writer.push(envelope::frame(
                id,
                "Target.closeTarget",
                Some(&params),
                None,
            ));
        }
    }

    /// Closes tabs that are too many and have shown nothing for so long as nobody asked.
    pub(crate) fn close_silent_excess(&self) {
        self.close_excess(&mut self.lock(), None);
    }

    /// Cancels a download. Chromium wants to know its context, and tells only its frame.
    fn cancel_download(&self, guid: &str, contexts: &[String]) {
        let named = contexts
            .iter()
            .map(|context| serde_json::json!({ "guid": guid, "browserContextId": context }));
        for params in named.chain([serde_json::json!({ "guid": guid })]) {
            self.tell_browser("Browser.cancelDownload", &params.to_string(), None);
        }
    }

    /// Dismisses the dialog of a page, if one is open.
    pub(crate) fn dismiss_dialog(&self, page: &str) {
        let session = self.lock().dialogs.answerable_on(page);
        if let Some(session) = session {
            self.tell_browser(DISMISS.0, DISMISS.1, Some(&session));
        }
    }

    /// Dismisses dialogs that nobody is left to answer, and does what had to wait for the end of
    /// one.
    fn settle_dialogs(&self, first: Option<PutOff>, consequences: Consequences) {
        for session in &consequences.dismiss_on {
            self.tell_browser(DISMISS.0, DISMISS.1, Some(session));
        }
        for due in first.into_iter().chain(consequences.due) {
            match due {
                PutOff::Departure(departure) => self.depart(&departure),
                // Whoever sent it is told when the pipe is closed.
                PutOff::Frame(frame) => drop(self.writer.push(frame)),
            }
        }
    }

    /// A client has left by itself.
    pub(crate) fn forget_client(&self, client: ClientId) {
        self.end_client(client, 1000, "the client has left");
    }

    fn dispose_context(&self, context: &str) {
        let params = serde_json::json!({ "browserContextId": context }).to_string();
        self.tell_browser("Target.disposeBrowserContext", &params, None);
    }

    /// Takes one message of the browser. Called by one task only.
    pub(crate) fn take_frame(self: &Arc<Self>, frame: &str) {
        self.spoke.store(true, Ordering::Relaxed);
        let message = match BrowserMessage::parse(frame) {
            Ok(message) => message,
            Err(error) => {
                return tracing::warn!(%error, bytes = frame.len(), "chromium sent no CDP message");
            }
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
        let now = state
            .tabs
            .current(|target| state.routes.has_crashed(target));
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
