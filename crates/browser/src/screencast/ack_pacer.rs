//! Paces acknowledgements, which make Chromium send the next frame: not too often, and not while a
//! client takes a screenshot. Frames and screenshots are drawn and encoded by the same processor,
//! and screenshots take precedence.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ticket::FrameTicket;
use crate::broker::Broker;

/// The maximum delay of a frame. A page with constant screenshots still shows two frames a second.
const PATIENCE: Duration = Duration::from_millis(500);

/// The minimum time between acknowledgements: 30 frames a second look smooth.
const PAUSE: Duration = Duration::from_millis(33);

pub(super) struct AckPacer {
    /// Shared with all clients of the browser.
    broker: Arc<Broker>,
    tab: String,
    /// The waiting acknowledgements and the times when they were added, oldest first. Chromium
    /// limits their number.
    waiting: VecDeque<(FrameTicket, Instant)>,
    /// The time of the last acknowledgement. Initially, the start of the screencast.
    last: Instant,
    /// Notified when a screenshot is done.
    done: watch::Receiver<()>,
}

impl std::fmt::Debug for AckPacer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AckPacer")
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

impl AckPacer {
    pub(super) fn new(broker: Arc<Broker>, tab: String) -> AckPacer {
        let done = broker.screenshots();
        AckPacer {
            broker,
            tab,
            waiting: VecDeque::new(),
            last: Instant::now(),
            done,
        }
    }

    pub(super) fn add(&mut self, ticket: FrameTicket) {
        self.waiting.push_back((ticket, Instant::now()));
    }

    /// Drops the waiting acknowledgements.
    pub(super) fn reset(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the time of the last acknowledgement, if none is waiting.
    pub(super) fn is_free_since(&self) -> Option<Instant> {
        self.waiting.is_empty().then_some(self.last)
    }

    /// Waits for the next acknowledgement that is due. Cancel safe.
    pub(super) async fn next(&mut self) -> FrameTicket {
        loop {
            let Some(&(ticket, since)) = self.waiting.front() else {
                return std::future::pending().await;
            };
            let now = Instant::now();
            let mut due = self.last + PAUSE;
            self.done.mark_unchanged();
            if self.broker.takes_screenshot(&self.tab) {
                due = due.max(since + PATIENCE);
            }
            if due <= now {
                self.waiting.pop_front();
                self.last = now;
                return ticket;
            }
            tokio::select! {
                () = sleep_until(due) => {}
                // The broker lives at least as long as this.
                _ = self.done.changed() => {}
            }
        }
    }
}
