//! The work of a node of a cluster: it reports its load, ends its sessions when it has lost its
//! lease, records activity, and drains.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hearth_contract::DestroyedReason;
use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::reconcile::{reconcile, release_leases};
use crate::cluster::{Cluster, NodeLoad};
use crate::sessions::registry::Registry;

/// The time between two reports of the load. The membership beats only with a recent one.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// The time between two checks of memory, disk space and browser.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// The time limit for such a check. A disk may not respond.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two records of the last activity of sessions.
const TOUCH_EVERY: Duration = Duration::from_secs(10);

/// The time between two checks whether a draining node has sessions.
const DRAIN_CHECK_EVERY: Duration = Duration::from_millis(500);

/// Starts the tasks of a node, which run until `stop`.
pub(crate) fn spawn_member_tasks(
    registry: &Arc<Registry>,
    cluster: &Arc<Cluster>,
    stop: &CancellationToken,
) {
    let is_ready = Arc::new(AtomicBool::new(true));
    let tracker = registry.tracker();
    let until_stop = |task| stop.clone().run_until_cancelled_owned(task);
    let (all, node) = (|| Arc::clone(registry), || Arc::clone(cluster));
    tracker.spawn(until_stop(boxed(report(
        all(),
        node(),
        Arc::clone(&is_ready),
    ))));
    tracker.spawn(until_stop(boxed(measure(all(), is_ready))));
    tracker.spawn(until_stop(boxed(end_fenced_sessions(all(), node()))));
    tracker.spawn(until_stop(boxed(touch(all(), node()))));
    tracker.spawn(until_stop(boxed(reconcile(all(), node()))));
    tracker.spawn(until_stop(boxed(release_leases(node()))));
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn boxed(task: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(task)
}

/// Reports the load of this node.
async fn report(registry: Arc<Registry>, cluster: Arc<Cluster>, is_ready: Arc<AtomicBool>) {
    let mut ticks = interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        cluster.report(NodeLoad {
            sessions: registry.team_quota.total(),
            max_sessions: registry.max_sessions(),
            ready: is_ready.load(Ordering::Relaxed),
        });
    }
}

/// Checks whether a session could be created, except for the number of sessions. A disk that does
/// not respond must not delay the reports.
async fn measure(registry: Arc<Registry>, is_ready: Arc<AtomicBool>) {
    let mut ticks = interval(MEASURE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let measured = Arc::clone(&registry);
        let measuring = spawn_blocking(move || measured.not_ready().is_empty());
        let ready = timeout(MEASURE_TIMEOUT, measuring).await;
        is_ready.store(matches!(ready, Ok(Ok(true))), Ordering::Relaxed);
    }
}

/// Ends all sessions whenever the lease is lost, because they have ended for everybody else.
async fn end_fenced_sessions(registry: Arc<Registry>, cluster: Arc<Cluster>) {
    loop {
        cluster.fenced().await;
        registry.end_all(DestroyedReason::NodeLost).await;
        cluster.cleared();
        cluster.not_fenced().await;
    }
}

/// Records the last activity of sessions, which lists show.
async fn touch(registry: Arc<Registry>, cluster: Arc<Cluster>) {
    let mut ticks = interval(TOUCH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut recorded: HashMap<Uuid, Timestamp> = HashMap::new();
    loop {
        ticks.tick().await;
        let active = registry.active().into_iter();
        let current: HashMap<Uuid, Timestamp> = active
            .filter(|session| session.is_listed())
            .map(|session| (session.id(), session.stored_record().last_activity))
            .collect();
        let moved: Vec<(Uuid, Timestamp)> = current
            .iter()
            .filter(|(id, at)| recorded.get(id) != Some(at))
            .map(|(id, at)| (*id, *at))
            .collect();
        if !moved.is_empty() && cluster.sessions().touch(&moved).await.is_err() {
            // The next round records them.
            continue;
        }
        recorded = current;
    }
}

impl Registry {
    /// Counts a session that was created. A node that retires drains after its last one.
    pub(in crate::sessions) fn count_created(&self) {
        let Some(cluster) = self.cluster() else {
            return;
        };
        let created = self.created.fetch_add(1, Ordering::Relaxed) + 1;
        let settings = self.spec.config.cluster.as_ref();
        let max = settings.and_then(|settings| settings.retire_after_sessions);
        if max.is_some_and(|max| created >= max) && !cluster.is_draining() {
            tracing::info!(created, "node retired");
            cluster.drain();
        }
    }

    /// Waits until this node has no sessions, at most until `until`. Call it when the node is
    /// draining. Cancel safe.
    pub async fn drained(&self, until: Option<Instant>) {
        self.stop_warm_pool().await;
        let emptying = async {
            while self.team_quota.total() > 0 || self.is_cleaning_up() || self.is_saving_profiles()
            {
                let cleaned = self.services.cleaned.notified();
                let _ = timeout(DRAIN_CHECK_EVERY, cleaned).await;
            }
        };
        match until {
            Some(until) => {
                let _ = timeout_at(until, emptying).await;
            }
            None => emptying.await,
        }
    }
}
