//! When a session was last used.

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock;

/// What keeps a session from being idle: executions that run or wait, and the end of the last one.
#[derive(Debug)]
pub(super) struct Activity(watch::Sender<Use>);

#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// Executions that run or wait to run.
    pub executions: usize,
    /// When the last one ended, or the session began.
    pub idle_since: Instant,
    /// When the last one started, for people.
    pub last_activity: Timestamp,
}

impl Activity {
    pub fn new(created_at: Timestamp) -> Activity {
        let (sender, _) = watch::channel(Use { executions: 0, idle_since: Instant::now(), last_activity: created_at });
        Activity(sender)
    }

    /// Stops the idle clock until the guard is dropped.
    pub fn begin(&self) -> ActivityGuard<'_> {
        self.0.send_modify(|state| state.executions += 1);
        ActivityGuard(self)
    }

    pub fn last_activity(&self) -> Timestamp {
        self.0.borrow().last_activity
    }

    /// Whether code runs, or waits to.
    pub fn is_busy(&self) -> bool {
        self.0.borrow().executions > 0
    }

    /// To be told of changes.
    pub fn watch(&self) -> watch::Receiver<Use> {
        self.0.subscribe()
    }
}

/// Held by an execution from its arrival to its end.
pub(super) struct ActivityGuard<'a>(&'a Activity);

impl ActivityGuard<'_> {
    /// The code starts now.
    pub fn started(&self) {
        self.0.0.send_modify(|state| state.last_activity = clock::now());
    }
}

impl Drop for ActivityGuard<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| {
            state.executions -= 1;
            state.idle_since = Instant::now();
        });
    }
}
