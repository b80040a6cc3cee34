//! The console and network lines of a session's current tab.
//!
//! Every reader has its own client of the broker, which listens to the events of the current tab
//! while the reader is connected (`watcher`). Nothing is read at other times. `console` and
//! `network` turn events into lines, `redact` removes secrets from them, and `queue` holds the
//! lines of a reader: a slow reader loses the oldest ones.
//!
//! Reading does not count as use of the session.

mod console;
mod network;
mod queue;
mod redact;
mod watcher;

use std::sync::Arc;

use hearth_browser::Browser;
use hearth_budget::{Budget, Exhausted, Reservation};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use self::queue::{MAX_QUEUE_BYTES, Queue};

/// The maximum number of readers of a session.
const MAX_READERS: u64 = 8;

/// The log of one session's page.
#[derive(Debug)]
pub(crate) struct PageLog {
    browser: Browser,
    /// Has room for the queues of all readers.
    budget: Budget,
}

/// A reader of the log. Dropping it ends its client of the browser.
#[derive(Debug)]
pub(crate) struct PageLogReader {
    queue: Arc<Queue>,
    _watching: AbortOnDropHandle<()>,
    _reserved: Reservation,
}

impl PageLog {
    pub fn new(browser: Browser, budget: &Budget) -> PageLog {
        PageLog {
            browser,
            budget: budget.child("this page log", MAX_READERS * MAX_QUEUE_BYTES as u64),
        }
    }

    /// Adds a reader, whose task belongs to `tracker`. Fails if the session has too many.
    pub fn read(&self, tracker: &TaskTracker) -> Result<PageLogReader, Exhausted> {
        let reserved = self.budget.reserve(MAX_QUEUE_BYTES)?;
        let queue = Arc::new(Queue::default());
        let watching = watcher::watch(self.browser.clone(), Arc::clone(&queue));
        Ok(PageLogReader {
            queue,
            _watching: AbortOnDropHandle::new(tracker.spawn(watching.in_current_span())),
            _reserved: reserved,
        })
    }
}

impl PageLogReader {
    /// Waits for the next line, which is JSON without line breaks. Returns `None` when the browser
    /// is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<String> {
        self.queue.next().await
    }
}
