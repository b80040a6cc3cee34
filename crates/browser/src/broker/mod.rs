//! The broker: many clients on one browser. Each has a browser-level session of its own, which it
//! takes for its connection's root; below it live the sessions that it opened. Ids and sessions are
//! kept apart in `routes`, messages are taken apart and written anew in `envelope`, and `client` is
//! a client's end. `calls` takes what clients say, `replies` and `events` what the browser says.
//! `policy` says what a client may not do, `file_access` which files it may name; `dialogs` and
//! `downloads` settle what several clients want of one page.
//!
//! The rules that all this follows are in `docs/broker.md`; tests cite them by their numbers.
//!
//! One task reads from the browser and calls [`Broker::handle_frame`], so everything a client gets is
//! in the browser's own order. Calls go from the client's task straight into the pipe. The tables
//! are under one lock, which is never held while a message is built, nor across an await.
//!
//! It must not know: how a browser is started or ended, and what carries a client's messages.

mod calls;
pub(crate) mod client;
mod clients;
pub(crate) mod commands;
mod dialog_actions;
mod dialogs;
mod download_actions;
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
mod tabs;
#[cfg(test)]
mod tests;
mod unresponsive_tabs;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};

use self::client::{Client, ClientId, SendQueue, TooSlow};
use self::dialogs::{Deferred, Detach, Dialogs, Effects};
use self::downloads::{Downloads, Restore};
use self::file_access::FileAccess;
use self::limits::{BrowserLimits, Oversized};
use self::pending::{OrphanedCall, Pending, PendingAttach, Root};
use self::policy::TrackedEffect;
use self::routes::{ClientResources, Routes};
use crate::broker::navigation_hint::NavigationErrorHint;
use crate::broker::tab_list::TabList;
use crate::cdp::envelope::{self, BrowserMessage, NO_SESSION};
use crate::cdp::pipe::{PipeWriter, PushError};

/// What clients are told about a session that is not there, in Chromium's words.
const NO_SESSION_MESSAGE: &str = "Session with given id not found.";

/// The multiplexer of one browser. PressedInputs by the browser's handle, its tasks and every client.
pub(crate) struct Broker {
    /// Our end of Chromium's descriptor 3.
    writer: PipeWriter,
    file_access: FileAccess,
    /// What knows why a page did not load.
    navigation_hint: Option<NavigationErrorHint>,
    limits: BrowserLimits,
    state: Mutex<State>,
    /// The current tab, for those who wait for a change of it. Written under `state`'s lock.
    current_tab: watch::Sender<Option<String>>,
    /// Rung when a tab shows another address.
    tab_shows: watch::Sender<()>,
    /// Rung when a client's screenshot is done.
    screenshots: watch::Sender<()>,
    /// The browser has said something since it was last asked about.
    has_spoken: AtomicBool,
    /// Everything that is measured starts here.
    started: Instant,
    /// Milliseconds from `started` to the last call of any client that does not only look on.
    last_command_ms: AtomicU64,
}

#[derive(Default)]
struct State {
    routes: Routes,
    tabs: TabList,
    dialogs: Dialogs,
    downloads: Downloads,
    oversized: Oversized,
    /// TabList that are too many and are about to be closed. They count for nothing else.
    excess: HashSet<String>,
    /// The browser is gone: nothing is sent any more.
    ended: bool,
}

impl Broker {
    pub(crate) fn new(
        writer: PipeWriter,
        file_access: FileAccess,
        limits: BrowserLimits,
        navigation_hint: Option<NavigationErrorHint>,
    ) -> Broker {
        Broker {
            writer,
            file_access,
            limits,
            navigation_hint,
            state: Mutex::default(),
            current_tab: watch::Sender::default(),
            tab_shows: watch::Sender::default(),
            screenshots: watch::Sender::default(),
            has_spoken: AtomicBool::new(false),
            started: Instant::now(),
            last_command_ms: AtomicU64::new(0),
        }
    }

    /// The way to the browser, for the task that drains it.
    pub(crate) fn writer(&self) -> &PipeWriter {
        &self.writer
    }

    /// Ends of clients' screenshots, of whatever tab.
    pub(crate) fn screenshots(&self) -> watch::Receiver<()> {
        self.screenshots.subscribe()
    }

    /// Whether a client waits for a screenshot of a tab.
    pub(crate) fn takes_screenshot(&self, tab: &str) -> bool {
        self.lock().routes.awaits(TrackedEffect::Screenshot, tab)
    }

    /// Somebody uses the browser.
    pub(crate) fn record_use(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_command_ms.store(elapsed, Ordering::Relaxed);
    }

    /// When somebody last did.
    pub(crate) fn last_command(&self) -> Instant {
        self.started + Duration::from_millis(self.last_command_ms.load(Ordering::Relaxed))
    }

    /// Sends a command of our own, on the pipe's root session unless `session` is given.
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

    /// Whether somebody waits for the browser, which has said nothing since the last time this was
    /// asked.
    pub(crate) fn owes_reply(&self) -> bool {
        let has_spoken = self.has_spoken.swap(false, Ordering::Relaxed);
        !has_spoken && self.lock().routes.has_pending()
    }

    /// Nobody waits for this reply any more.
    pub(crate) fn give_up(&self, id: i32) {
        self.lock().routes.take_pending(id);
    }

    /// Says something to the browser whose answer nobody needs. One that takes nothing more is
    /// about to end.
    fn send_unanswered(&self, method: &str, params: &str, session: Option<&str>) {
        let _ = self.send_command(method, params, session, Pending::Nobody);
    }

    /// Takes one message of the browser. Called by one task only.
    pub(crate) fn handle_frame(self: &Arc<Self>, frame: &str) {
        self.has_spoken.store(true, Ordering::Relaxed);
        let message = match BrowserMessage::parse(frame) {
            Ok(message) => message,
            Err(error) => {
                return tracing::warn!(%error, bytes = frame.len(), "chromium sent no CDP message");
            }
        };
        match (message.id, message.method.as_deref()) {
            (Some(id), _) => self.handle_reply(id, &message),
            (None, Some(method)) => self.handle_event(method, &message, frame),
            // An error without an id belongs to a call that nobody could match.
            (None, None) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
