//! Detects peers that disappeared without closing their connection, such as a suspended laptop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// The interval between pings of a peer. WebSocket libraries and browsers answer pings
/// automatically, so a peer that sends nothing between two pings is gone.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(15);

/// Tracks whether a peer sent anything since the last ping.
#[derive(Debug, Default)]
pub(super) struct PeerActivity(AtomicBool);

impl PeerActivity {
    /// Records that the peer sent a message.
    pub fn record(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// The pings for one peer.
#[derive(Debug)]
pub(super) struct Pings<'a> {
    activity: &'a PeerActivity,
    interval: Interval,
    has_pinged: bool,
}

impl Pings<'_> {
    pub fn new(activity: &PeerActivity) -> Pings<'_> {
        let mut interval = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        // A late ping gives the peer the whole interval to answer.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Pings {
            activity,
            interval,
            has_pinged: false,
        }
    }

    /// Waits until the next ping is due, and returns its payload. Returns `None` if the peer did
    /// not answer the last one. Cancel safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.interval.tick().await;
        if !self.activity.take() && self.has_pinged {
            return None;
        }
        self.has_pinged = true;
        Some(Bytes::new())
    }
}
