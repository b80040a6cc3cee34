//! Idle connections.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::link::Link;
use crate::remote::Remote;

/// Idle connections to all nodes, the oldest first.
pub(crate) struct Pool {
    max: usize,
    idle_time: Duration,
    idle: Mutex<VecDeque<Idle>>,
    /// Notifies one request that waits because there are too many connections.
    freed: Notify,
}

struct Idle {
    link: Link,
    since: Instant,
}

impl Pool {
    pub fn new(max: usize, idle_time: Duration) -> Arc<Pool> {
        Arc::new(Pool {
            max,
            idle_time,
            idle: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// Returns the connection to a node that was used last, if it is still open.
    pub fn take(&self, remote: Remote) -> Option<Link> {
        loop {
            let mut link = self.take_any(remote)?;
            // Without the lock, because this reads from the connection.
            if link.is_reusable() {
                return Some(link);
            }
        }
    }

    fn take_any(&self, remote: Remote) -> Option<Link> {
        let mut idle = self.lock();
        let index = idle.iter().rposition(|idle| idle.link.remote == remote)?;
        let Idle { link, since } = idle.remove(index)?;
        (since.elapsed() < self.idle_time).then_some(link)
    }

    /// Keeps a connection for a request that waits, or for a later one. If there are too many, the
    /// oldest one is closed.
    pub fn put(&self, link: Link) {
        let lane = Arc::clone(&link.lane);
        lane.hear();
        {
            let mut idle = self.lock();
            idle.push_back(Idle {
                link,
                since: Instant::now(),
            });
            if idle.len() > self.max {
                idle.pop_front();
            }
        }
        lane.free();
        self.freed.notify_one();
    }

    /// Returns a future that ends when a connection to any node has become idle.
    pub fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Closes the oldest connection.
    pub fn remove_oldest(&self) {
        self.lock().pop_front();
    }

    /// Closes the connections that have been idle for too long.
    pub fn remove_expired(&self) {
        let mut idle = self.lock();
        let expired = idle.partition_point(|idle| idle.since.elapsed() >= self.idle_time);
        idle.drain(..expired);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
