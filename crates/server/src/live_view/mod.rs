//! The live view, in which people watch or control a session's current tab.
//!
//! A session has one `screencast` task while it has viewers. Each viewer has a task that owns its
//! WebSocket, in `http::ws::live_view`, and a [`ViewerGuard`]. They communicate through `shared`,
//! which holds the latest frame, the tabs, the open dialog and the viewers' commands. Frames are
//! not queued: a viewer that is ready takes the latest one. `viewers` tracks the frames that each
//! viewer has drawn, which determines when Chromium can send the next one. `message` defines the
//! messages, and `page` contains the files for the viewer's browser.
//!
//! This module does not depend on routes, API keys or tokens.

mod access;
mod message;
pub(crate) mod page;
mod screencast;
mod shared;
mod viewer;
mod viewers;

use std::sync::Arc;

use hearth_browser::Browser;
use tokio_util::task::TaskTracker;

pub(crate) use self::access::ViewerAccess;
pub(crate) use self::message::{SessionEnded, Text, hello, session_ended};
use tracing::Instrument;

use self::shared::Shared;
pub(crate) use self::viewer::{Update, Updates, ViewerGuard, ViewerInput};

/// The live view of one session.
#[derive(Debug)]
pub(crate) struct LiveView {
    shared: Arc<Shared>,
}

impl LiveView {
    pub fn new(browser: Browser) -> LiveView {
        LiveView {
            shared: Arc::new(Shared::new(browser)),
        }
    }

    /// Adds a viewer, unless the maximum number is reached. The first viewer starts the screencast
    /// as a task of `tracker`.
    pub fn join(&self, access: ViewerAccess, tracker: &TaskTracker) -> Option<ViewerGuard> {
        let (id, starts_screencast) = self.shared.viewers().join(access)?;
        if starts_screencast {
            tracker.spawn(screencast::run(Arc::clone(&self.shared)).in_current_span());
        }
        let guard = ViewerGuard::new(Arc::clone(&self.shared), id, access);
        // An open dialog is dismissed when no viewer can answer it.
        self.shared.wakeup.notify_one();
        Some(guard)
    }
}
