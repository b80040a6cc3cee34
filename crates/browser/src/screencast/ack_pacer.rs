//! When acknowledgements leave, which is what has Chromium send the next frame: not too often, and
//! not while a client takes a screenshot. A frame and a screenshot are drawn and encoded by the
//! same processor, and the one that somebody waits for comes first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::FrameTicket;
use crate::broker::Broker;

/// How long frames give way. A page that is photographed all the time is still seen twice a second.
const PATIENCE: Duration = Duration::from_millis(500);

/// The least time from one acknowledgement to the next: 30 frames a second look smooth.
const PAUSE: Duration = Duration::from_millis(33);

pub(super) struct AckPacer {
    /// Everybody in the browser holds it.
    broker: Arc<Broker>,
    tab: String,
    /// Oldest first, with when they were due; as many as Chromium sends frames orphaned.
    waiting: VecDeque<(FrameTicket, Instant)>,
    /// When the last one left; at first, when the cast began.
    last: Instant,
    /// Rung when a screenshot is done.
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

    /// They are not needed any more.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When the last one left, if none waits.
    pub(super) fn is_free_since(&self) -> Option<Instant> {
        self.waiting.is_empty().then_some(self.last)
    }

    /// The next one whose time has come. Cancel safe.
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
                // The broker is there as long as this is.
                _ = self.done.changed() => {}
            }
        }
    }
}
