//! The state that the screencast task and the viewers share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hearth_browser::Browser;
use tokio::sync::{Notify, broadcast, mpsc, watch};

use super::message::{Command, Text};
use super::viewers::Viewers;

/// The maximum number of commands that wait for the browser. Viewers wait while the queue is full.
const MAX_COMMANDS: usize = 64;

/// The maximum number of notices that wait for a viewer. The oldest are dropped.
const MAX_NOTICES: usize = 16;

/// A frame, encoded as a message for viewers.
#[derive(Clone, Debug)]
pub(super) struct EncodedFrame {
    pub number: u32,
    pub message: Bytes,
}

/// The state that the screencast task and the viewers of one session share.
#[derive(Debug)]
pub(super) struct Shared {
    pub browser: Browser,
    viewers: Mutex<Viewers>,
    /// Wakes the screencast task when a viewer joined, left or has drawn a frame.
    pub wakeup: Notify,
    frame_count: AtomicU32,
    /// The latest frame, while there are viewers.
    pub frame: watch::Sender<Option<EncodedFrame>>,
    /// The current tabs message. Empty until the tabs are known.
    pub tabs: watch::Sender<Text>,
    /// The current dialog message. Empty until there was a dialog.
    pub dialog: watch::Sender<Text>,
    /// The notices that all viewers show for a few seconds.
    pub notices: broadcast::Sender<Text>,
    pub commands: mpsc::Sender<Command>,
    /// The receiver of `commands`. The screencast task holds the lock, so that there is at most one
    /// such task.
    pub command_queue: tokio::sync::Mutex<mpsc::Receiver<Command>>,
}

impl Shared {
    pub fn new(browser: Browser) -> Shared {
        let (commands, command_queue) = mpsc::channel(MAX_COMMANDS);
        Shared {
            browser,
            viewers: Mutex::default(),
            wakeup: Notify::new(),
            frame_count: AtomicU32::new(0),
            frame: watch::Sender::default(),
            tabs: watch::Sender::default(),
            dialog: watch::Sender::default(),
            notices: broadcast::Sender::new(MAX_NOTICES),
            commands,
            command_queue: tokio::sync::Mutex::new(command_queue),
        }
    }

    pub fn viewers(&self) -> MutexGuard<'_, Viewers> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the next frame, starting at 1.
    pub fn next_frame_number(&self) -> u32 {
        self.frame_count
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1)
    }

    /// Drops the messages for earlier viewers, because they are out of date for the next viewers.
    pub fn reset(&self) {
        self.frame.send_replace(None);
        self.tabs.send_replace(Text::default());
        self.dialog.send_replace(Text::default());
    }
}
