//! Processes that outlived their session despite its cleanup. They should never exist.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::sandbox::isolation::Isolation;
use crate::sandbox::uid_pool::UidPool;

/// The interval between scans of the process table.
const SCAN_INTERVAL: Duration = Duration::from_secs(5);

/// The orphans of this server.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// The trackers of ended sessions whose supervisor processes still run.
    trackers: Mutex<Vec<TaskTracker>>,
    /// The number of processes under user ids without a lease, at the last scan.
    unleased: AtomicUsize,
}

impl Orphans {
    /// Adds the tracker of a session whose processes did not end in time.
    pub fn add(&self, tasks: TaskTracker) {
        self.trackers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(tasks);
    }

    /// Returns the current number of orphans: supervisor processes, each with its whole process
    /// tree, and processes under user ids without a lease.
    pub fn count(&self) -> usize {
        let mut trackers = self.trackers.lock().unwrap_or_else(PoisonError::into_inner);
        trackers.retain(|tasks| !tasks.is_empty());
        let supervisors: usize = trackers.iter().map(TaskTracker::len).sum();
        supervisors + self.unleased.load(Ordering::Relaxed)
    }
}

/// Scans for processes under user ids without a lease, until `stop`. Does nothing if sessions share
/// the server's user id.
pub(super) async fn watch_orphans(
    orphans: Arc<Orphans>,
    isolation: Isolation,
    uid_pool: UidPool,
    stop: CancellationToken,
) {
    if isolation.user_ids().is_none() {
        return;
    }
    let mut ticks = interval(SCAN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut previous, mut reported) = (Vec::new(), Vec::new());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // After a failed scan, the number of the last one remains.
        let Ok(found) = scan(&isolation, &uid_pool).await else {
            continue;
        };
        // Reading the process table takes a while, and other programs can use the same ids.
        // Therefore a process is an orphan only if two scans find it.
        let confirmed: Vec<u32> = found
            .iter()
            .copied()
            .filter(|pid| previous.contains(pid))
            .collect();
        if confirmed.iter().any(|pid| !reported.contains(pid)) {
            tracing::error!(pids = ?confirmed, "orphan processes found");
        }
        orphans.unleased.store(confirmed.len(), Ordering::Relaxed);
        previous = found;
        reported = confirmed;
    }
}

/// Returns the processes that run under user ids without a lease.
async fn scan(isolation: &Isolation, uid_pool: &UidPool) -> io::Result<Vec<u32>> {
    let Some(ids) = isolation.user_ids() else {
        return Ok(Vec::new());
    };
    let leased_before = uid_pool.leased();
    let uid_pool = uid_pool.clone();
    // The parent of a server that switches user ids is the process that starts shims.
    let top = std::os::unix::process::parent_id();
    let is_leased = move |index| leased_before.contains(&index) || uid_pool.is_leased(index);
    spawn_blocking(move || hearth_sandbox::find_orphans(ids, top, is_leased))
        .await
        .map_err(io::Error::other)?
}
