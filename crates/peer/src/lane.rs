//! The way to one node: how many connections are opened at a time, and who gets one that becomes
//! free.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{AcquireError, Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use crate::remote::Remote;

/// The maximum number of connections to one node that are opened at a time. A handshake takes
/// processor time at both ends, so many at once only make each other late.
const MAX_OPENING: usize = 8;

/// The time without a sign of a node after which a request does not wait for it any longer. Shorter
/// than a lease, so clients learn of a stopped node before the other nodes declare it dead.
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(4);

/// The state that all requests to one node share.
pub(crate) struct Lane {
    opening: Semaphore,
    /// Notifies one request of each connection that becomes idle.
    freed: Notify,
    /// When the node has last finished a handshake or answered.
    heard_at: Mutex<Option<Instant>>,
}

impl Lane {
    fn new() -> Lane {
        Lane {
            opening: Semaphore::new(MAX_OPENING),
            freed: Notify::new(),
            heard_at: Mutex::new(None),
        }
    }

    /// Waits for a turn to open a connection. Turns are granted in the order of the calls.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.opening.acquire().await
    }

    /// Returns a future that ends when a connection has become idle.
    pub fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Tells one request that a connection is idle.
    pub fn free(&self) {
        self.freed.notify_one();
    }

    /// Records a sign of the node.
    pub fn hear(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// Returns true if there was a sign of the node after `since`.
    pub fn was_heard_after(&self, since: Instant) -> bool {
        self.lock().is_some_and(|heard_at| heard_at > since)
    }

    /// Waits until there was no sign of the node for [`MAX_SILENCE`]. Time before `since` does not
    /// count.
    pub async fn silence(&self, since: Instant) {
        loop {
            let end = self.silent_at(since);
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Returns true if [`Lane::silence`] is over.
    pub fn is_silent(&self, since: Instant) -> bool {
        self.silent_at(since) <= Instant::now()
    }

    fn silent_at(&self, since: Instant) -> Instant {
        let heard_at = self.lock().unwrap_or(since);
        heard_at.max(since) + MAX_SILENCE
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.heard_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lanes of nodes that have connections or requests.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<HashMap<Remote, Weak<Lane>>>);

impl Lanes {
    /// Returns the lane to a node. Forgets nodes without connections and requests.
    pub fn to(&self, remote: Remote) -> Arc<Lane> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(&remote).and_then(Weak::upgrade) {
            return lane;
        }
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::new(Lane::new());
        lanes.insert(remote, Arc::downgrade(&lane));
        lane
    }
}
