//! The live view: people who watch a session's current tab, and some who steer it.
//!
//! One task a session casts (`cast`), as long as anybody watches, and every viewer has a task
//! (`viewer`) that carries its socket. Between them stands [`LiveView`]: the newest picture, the
//! tabs, the dialog and what viewers ask for. Pictures are not queued: a viewer that is ready takes
//! the newest one. `audience` knows who has drawn what, and so when Chromium may send the next one.
//! `message` is what both sides say, and `page` what the browser of a viewer runs.
//!
//! It must not know: routes, keys, and whether a link is good.

pub(crate) mod message;
pub(crate) mod page;
mod screencast;
mod viewers;

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use hearth_browser::Browser;
use hearth_contract::DestroyedReason;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio_util::task::TaskTracker;

use self::message::Command;
use self::viewers::{Audience, ViewerId};

/// What may wait for the browser of what viewers ask for; they wait when it is full.
const MAX_COMMANDS: usize = 64;

/// What may wait for a viewer of passing remarks; the oldest are lost.
const MAX_NOTICES: usize = 16;

/// What a link allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// To look on.
    Watch,
    /// To do what a hand can do.
    Steer,
}

/// How and when a session ended, as viewers are told.
pub(crate) struct Farewell {
    pub reason: DestroyedReason,
    /// The same, for people.
    pub sentence: String,
    /// ISO 8601.
    pub at: String,
}

/// A picture as it goes to viewers: its number, its size, and the JPEG.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub number: u32,
    pub message: Bytes,
}

/// The live view of one session. Held by the session, the task that casts, and every viewer.
#[derive(Debug)]
pub(crate) struct LiveView {
    pub browser: Browser,
    /// Who looks on.
    pub audience: Mutex<Audience>,
    /// Rung for the task that casts: the audience has changed, or has drawn something.
    pub stirred: Notify,
    /// How many pictures there were.
    pub pictures: AtomicU32,
    /// The newest picture, as long as somebody looks on.
    pub picture: watch::Sender<Option<Picture>>,
    /// The message about tabs that is true now; empty as long as nothing is known.
    pub tabs: watch::Sender<Utf8Bytes>,
    /// The message about the dialog that is true now; empty as long as there was none.
    pub dialog: watch::Sender<Utf8Bytes>,
    /// Messages in passing.
    pub notices: broadcast::Sender<Utf8Bytes>,
    pub commands: mpsc::Sender<Command>,
    /// Held by the task that casts, of which there is one at the most.
    pub asked: tokio::sync::Mutex<mpsc::Receiver<Command>>,
}

impl LiveView {
    pub fn new(browser: Browser) -> LiveView {
        let (commands, asked) = mpsc::channel(MAX_COMMANDS);
        LiveView {
            browser,
            audience: Mutex::default(),
            stirred: Notify::new(),
            pictures: AtomicU32::new(0),
            picture: watch::Sender::default(),
            tabs: watch::Sender::default(),
            dialog: watch::Sender::default(),
            notices: broadcast::Sender::new(MAX_NOTICES),
            commands,
            asked: tokio::sync::Mutex::new(asked),
        }
    }

    /// Lets a viewer in, if there is room. The first one starts the cast, as a task of `tracker`.
    pub fn enter(self: &Arc<Self>, right: Right, tracker: &TaskTracker) -> Option<Seat> {
        let (id, is_first) = self.audience().enter(right)?;
        if is_first {
            tracker.spawn(screencast::run(Arc::clone(self)));
        }
        // A dialog is answered by somebody, or by nobody.
        self.stirred.notify_one();
        Some(Seat {
            live_view: Arc::clone(self),
            id,
        })
    }

    /// Nothing of what was seen is true for whoever comes next.
    fn forget(&self) {
        self.picture.send_replace(None);
        self.tabs.send_replace(Utf8Bytes::default());
        self.dialog.send_replace(Utf8Bytes::default());
    }

    pub fn audience(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A viewer's place. Dropping it is leaving.
pub(crate) struct Seat {
    pub live_view: Arc<LiveView>,
    pub id: ViewerId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.live_view.audience().leave(self.id);
        self.live_view.stirred.notify_one();
    }
}
