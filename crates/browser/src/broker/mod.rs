//! Shares one browser between many clients.
//!
//! Every client has its own browser-level session, which is the root of its connection. Sessions
//! that the client opens are below that root. `routes` keeps ids and sessions of different clients
//! apart, `cdp::envelope` parses and rewrites messages, and `client` is the client's end. `calls`
//! handles calls of clients; `replies` and `events` handle messages of the browser. `policy`
//! decides which calls are denied, and `file_access` which files a client may name. `dialogs` and
//! `downloads` resolve conflicts between clients that use the same page. `page_settings` and
//! `grants` do so for what clients emulate, and `mobile` emulates a device for all of them.
//! `failed_loads` reports pages that did not load, and `certificates` decides about their
//! certificate errors.
//!
//! `docs/broker.md` contains the rules. Tests cite them by number.
//!
//! One task reads from the browser and calls [`Broker::handle_frame`], so clients receive
//! everything in the browser's order. Calls go from the client's task straight into the pipe. The
//! tables are under one lock, which is never held across an await.
//!
//! The broker is independent of the start and the end of a browser, and of the transport of
//! clients' messages.

mod calls;
mod certificate_actions;
pub(crate) mod certificates;
pub(crate) mod client;
mod clients;
pub(crate) mod commands;
mod dialog_actions;
pub(crate) mod dialogs;
mod download_actions;
mod downloads;
mod events;
mod failed_loads;
pub(crate) mod file_access;
pub(crate) mod finished_downloads;
mod grants;
pub(crate) mod limits;
mod main_load;
mod members;
pub(crate) mod mobile;
mod mobile_actions;
pub(crate) mod navigation_hint;
mod page_settings;
pub(crate) mod pending;
mod policy;
mod replies;
mod restores;
mod routes;
pub(crate) mod send_queue;
mod tab_list;
mod tabs;
#[cfg(test)]
mod tests;
mod unresponsive_tabs;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hearth_budget::Budget;
use tokio::sync::{Notify, watch};

use self::certificates::{IgnoredCertificates, RejectedCertificates};
use self::dialogs::Dialogs;
use self::downloads::Downloads;
use self::file_access::FileAccess;
use self::finished_downloads::FinishedDownloads;
use self::grants::Grants;
use self::limits::{BrowserLimits, Oversized};
use self::mobile::MobileDevice;
use self::pending::Pending;
use self::policy::TrackedEffect;
use self::routes::Routes;
use crate::broker::navigation_hint::NavigationErrorHint;
use crate::broker::tab_list::TabList;
use crate::cdp::envelope::{self, BrowserMessage};
use crate::cdp::pipe::{PipeWriter, PushError};
use crate::locale::Locale;

/// The error for an unknown session, in Chromium's words.
const NO_SESSION_MESSAGE: &str = "Session with given id not found.";

/// The multiplexer of one browser. The browser's handle, its tasks and every client hold it.
pub(crate) struct Broker {
    /// The server's end of Chromium's descriptor 3.
    writer: PipeWriter,
    /// Counts the messages that wait for the browser and for clients.
    budget: Budget,
    file_access: FileAccess,
    /// Explains why a page did not load.
    navigation_hint: Option<NavigationErrorHint>,
    /// The sites whose certificates are not checked.
    ignored_certificates: IgnoredCertificates,
    /// The language of formatted numbers and dates, unless it is English.
    format_language: Option<String>,
    limits: BrowserLimits,
    state: Mutex<State>,
    /// Notifies of changes of the current tab. Written under the lock of `state`.
    current_tab: watch::Sender<Option<String>>,
    /// Notified when a tab shows another address.
    tab_shows: watch::Sender<()>,
    /// Notified when a client's screenshot is done.
    screenshots: watch::Sender<()>,
    /// Notified when a message about a failed load is delayed.
    delayed: Notify,
    /// True if the browser has sent a message since the last check.
    has_sent: AtomicBool,
    /// The origin of `last_command_ms`.
    started: Instant,
    /// The time of the last call of a client that does more than observe, in milliseconds since
    /// `started`.
    last_command_ms: AtomicU64,
}

#[derive(Default)]
struct State {
    routes: Routes,
    tabs: TabList,
    dialogs: Dialogs,
    downloads: Downloads,
    finished_downloads: FinishedDownloads,
    grants: Grants,
    oversized: Oversized,
    rejected_certificates: RejectedCertificates,
    /// The device that the tabs of the default context emulate.
    mobile: Option<Arc<MobileDevice>>,
    /// Tabs beyond the limit that are about to be closed. They are not counted anywhere else.
    excess: HashSet<String>,
    /// True once the browser is gone. Nothing is sent after that.
    ended: bool,
}

impl Broker {
    pub(crate) fn new(
        writer: PipeWriter,
        budget: Budget,
        file_access: FileAccess,
        limits: BrowserLimits,
        navigation_hint: Option<NavigationErrorHint>,
    ) -> Broker {
        Broker {
            writer,
            budget,
            file_access,
            limits,
            navigation_hint,
            ignored_certificates: IgnoredCertificates::default(),
            format_language: None,
            state: Mutex::default(),
            current_tab: watch::Sender::default(),
            tab_shows: watch::Sender::default(),
            screenshots: watch::Sender::default(),
            delayed: Notify::new(),
            has_sent: AtomicBool::new(false),
            started: Instant::now(),
            last_command_ms: AtomicU64::new(0),
        }
    }

    /// Sets the sites whose certificates are not checked.
    pub(crate) fn with_ignored_certificates(self, sites: IgnoredCertificates) -> Broker {
        Broker {
            ignored_certificates: sites,
            ..self
        }
    }

    /// Sets the language in which pages format numbers and dates.
    pub(crate) fn with_locale(self, locale: Option<Locale>) -> Broker {
        Broker {
            format_language: locale.map(|locale| locale.tag),
            ..self
        }
    }

    /// Returns the writing end of the pipe, for the task that drains it.
    pub(crate) fn writer(&self) -> &PipeWriter {
        &self.writer
    }

    /// Returns a channel that is notified at the end of any client's screenshot.
    pub(crate) fn screenshots(&self) -> watch::Receiver<()> {
        self.screenshots.subscribe()
    }

    /// Returns true if a client waits for a screenshot of this tab.
    pub(crate) fn takes_screenshot(&self, tab: &str) -> bool {
        self.lock().routes.awaits(TrackedEffect::Screenshot, tab)
    }

    /// Records that the browser is in use.
    pub(crate) fn record_use(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_command_ms.store(elapsed, Ordering::Relaxed);
    }

    /// Returns the time of the last use.
    pub(crate) fn last_command(&self) -> Instant {
        self.started + Duration::from_millis(self.last_command_ms.load(Ordering::Relaxed))
    }

    /// Sends one of Hearth's own commands, on the pipe's root session unless `session` is given.
    pub(crate) fn send_command(
        &self,
        method: &str,
        params: &str,
        session: Option<&str>,
        pending: Pending,
    ) -> Result<i32, PushError> {
        let id = {
            let mut state = self.lock();
            if state.ended {
                return Err(PushError::Closed);
            }
            state.routes.add_pending(pending)
        };
        self.writer
            .push(envelope::frame(id, method, Some(params), session))
            .inspect_err(|_| self.give_up(id))?;
        Ok(id)
    }

    /// Returns true if a reply is pending and the browser has sent nothing since the last check.
    pub(crate) fn owes_reply(&self) -> bool {
        let has_sent = self.has_sent.swap(false, Ordering::Relaxed);
        !has_sent && self.lock().routes.has_pending()
    }

    /// Drops the pending call with this id.
    pub(crate) fn give_up(&self, id: i32) {
        self.lock().routes.take_pending(id);
    }

    /// Sends a command whose reply is not needed. If the browser takes no more frames, it is about
    /// to end.
    fn send_without_reply(&self, method: &str, params: &str, session: Option<&str>) {
        let _ = self.send_command(method, params, session, Pending::Nobody);
    }

    /// Sends a command that the browser need not answer, for example because its session may be
    /// gone. A reply is dropped.
    fn send_unanswered(&self, method: &str, params: &str, session: &str) {
        if let Ok(id) = self.send_command(method, params, Some(session), Pending::Nobody) {
            self.give_up(id);
        }
    }

    /// Handles one message of the browser. Only one task calls this.
    pub(crate) fn handle_frame(self: &Arc<Self>, frame: &str) {
        self.has_sent.store(true, Ordering::Relaxed);
        let message = match BrowserMessage::parse(frame) {
            Ok(message) => message,
            Err(error) => {
                return tracing::warn!(%error, bytes = frame.len(), "invalid CDP message dropped");
            }
        };
        match (message.id, message.method.as_deref()) {
            (Some(id), _) => self.handle_reply(id, &message),
            (None, Some(method)) => self.handle_event(method, &message, frame),
            // An error without an id belongs to a call that Chromium could not identify.
            (None, None) => {}
        }
    }

    /// Fails the call whose reply did not fit into the session's budget. An event is dropped.
    pub(crate) fn handle_oversized(self: &Arc<Self>, beginning: &[u8]) {
        self.has_sent.store(true, Ordering::Relaxed);
        tracing::warn!("CDP message dropped: the session's buffers are full");
        if let Some(id) = envelope::leading_id(beginning) {
            let frame = envelope::oversized_reply(id);
            // It is valid, because it was built here.
            if let Ok(message) = BrowserMessage::parse(&frame) {
                self.handle_reply(id, &message);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
