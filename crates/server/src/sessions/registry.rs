//! The registry of all sessions. `create` adds sessions to it, and `overview` summarises it.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread::available_parallelism;
use std::time::Duration;

use hearth_budget::Budget;
use hearth_contract::DestroyedReason;
use hearth_egress::{AllowList, BlockList, Egress};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::disk::Disk;
use super::entry::SessionEntry;
use super::health::LaunchHealth;
use super::kept_sessions::KeptSessions;
use super::readings::Readings;
use super::resources::SessionResources;
use super::services::Services;
use super::session::Session;
use super::spec::RegistrySpec;
use super::team_quota::{QuotaMax, TeamQuota};
use super::warm_pool::WarmPool;
use crate::capacity;
use crate::clock;
use crate::cluster::Cluster;
use crate::config::{ExecutionHistory, Limits, ServerLimits};
use crate::metrics::Metrics;
use crate::profiles::Profiles;
use crate::sandbox::uid_pool::UidPool;
use crate::store::{SessionRecord, StoreError};
use crate::team::Team;
use crate::test_mode::TestMode;

/// The maximum number of ended sessions that are kept. Each takes about 4.5 KB, as measured.
pub(crate) const ENDED_KEPT_COUNT: usize = 10_000;

/// The number of cold sessions that are built at a time, per processor and at least.
const LAUNCHES_PER_PROCESSOR: usize = 2;
const MIN_LAUNCHES: usize = 4;

/// All sessions of this server.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(super) spec: Arc<RegistrySpec>,
    /// The user ids of sessions. It is empty if sessions share the server's user id.
    pub(super) uid_pool: UidPool,
    pub(super) services: Services,
    pub(super) launch_health: LaunchHealth,
    pub(super) readings: Readings,
    pub(super) team_quota: Arc<TeamQuota>,
    pub(super) warm_pool: WarmPool,
    pub(super) kept: KeptSessions,
    /// The turns of cold sessions. Browsers that start together share the processors, and with too
    /// many of them each would exceed its time limits.
    pub(super) launches: Semaphore,
    /// Ordered by id, and so by age, because the ids are UUIDs of version 7.
    sessions: RwLock<BTreeMap<Uuid, SessionEntry>>,
    /// The supervisors of sessions, and the sockets of clients.
    tracker: TaskTracker,
    stopping: AtomicBool,
    /// The number of sessions that this node of a cluster has created.
    pub(super) created: AtomicU64,
}

impl Registry {
    /// Creates a registry with the ended sessions of earlier server processes.
    pub fn new(
        spec: RegistrySpec,
        uid_pool: UidPool,
        tracker: TaskTracker,
        services: Services,
        past: Vec<SessionRecord>,
    ) -> Registry {
        let team_quota = TeamQuota::new(spec.max_sessions);
        let readings = Readings::new(spec.config.server_limits.failed_readings);
        let past = past
            .into_iter()
            .map(|record| (record.id, SessionEntry::Recorded(Arc::new(record))));
        Registry {
            warm_pool: WarmPool::new(spec.config.warm.settings()),
            kept: KeptSessions::default(),
            launches: Semaphore::new(launches_at_once()),
            spec: Arc::new(spec),
            uid_pool,
            services,
            launch_health: LaunchHealth::default(),
            readings,
            team_quota,
            sessions: RwLock::new(past.collect()),
            tracker,
            stopping: AtomicBool::new(false),
            created: AtomicU64::new(0),
        }
    }

    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Returns the state of the test mode, if the server is in it.
    pub fn test_mode(&self) -> Option<&Arc<TestMode>> {
        self.services.test_mode.as_ref()
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.services.metrics
    }

    pub fn profiles(&self) -> &Arc<Profiles> {
        &self.spec.profiles
    }

    /// Returns the number of sessions that can be active at once.
    pub fn max_sessions(&self) -> usize {
        self.team_quota.max().server
    }

    /// Returns the number of active sessions of a team, and the number that it can have at once. In
    /// a cluster, both are about all nodes.
    pub async fn concurrency(&self, team: &Team) -> Result<(usize, usize), StoreError> {
        let max = self.team_quota.max();
        let (active, total) = if let Some(cluster) = self.cluster() {
            let active = cluster.sessions().count(team).await?;
            (active, cluster.view().max_sessions())
        } else {
            let active = self.team_quota.counts().get(team).copied();
            (active.unwrap_or(0), max.server)
        };
        Ok((active, max.team.map_or(total, |max| max.min(total))))
    }

    /// Returns the limits that are in effect.
    pub fn limits(&self) -> Limits {
        self.spec.limits.get()
    }

    /// Replaces limits and the list of allowed destinations, also for active sessions.
    pub fn reconfigure(self: &Arc<Self>, limits: Limits, max_sessions: QuotaMax, allow: AllowList) {
        let is_changed = limits != self.limits();
        self.spec.limits.set(limits);
        self.team_quota.set_max(max_sessions);
        self.spec.egress.set_allow_list(allow);
        if is_changed {
            // Warm sessions were prepared with the earlier limits.
            self.replace_warm_sessions();
        }
    }

    /// Replaces the hosts that sessions can block. Returns true if the list is another one than
    /// before.
    pub fn set_block_list(&self, list: BlockList) -> bool {
        self.spec.egress.set_block_list(list)
    }

    /// Returns the network access of all sessions.
    pub fn egress(&self) -> &Egress {
        &self.spec.egress
    }

    /// Returns the parent of all session directories.
    pub(super) fn sessions_dir(&self) -> &Path {
        &self.spec.sessions_dir
    }

    /// Returns the disk with the session directories if it has too little free space.
    pub(super) fn full_disk(&self) -> Option<Disk> {
        // A disk that cannot be read counts as full.
        let disk = Disk::of(self.sessions_dir()).unwrap_or_default();
        disk.is_full(&self.limits()).then_some(disk)
    }

    /// Returns the available memory if it is too little for another session.
    pub(super) fn low_memory_mb(&self) -> Option<u64> {
        let min_mb = self.limits().min_free_memory_mb;
        // Memory that cannot be read counts as used.
        let available_mb = capacity::available_bytes().unwrap_or_default() >> 20;
        (available_mb < min_mb).then_some(available_mb)
    }

    /// Returns the entry of a session, active or ended.
    pub fn find(&self, id: Uuid) -> Option<SessionEntry> {
        self.read().get(&id).cloned()
    }

    /// Returns the listed sessions of a team, newest first.
    pub fn list(&self, team: &Team) -> Vec<SessionEntry> {
        let sessions = self.read();
        let newest_first = sessions.values().rev();
        let of_team = newest_first.filter(|entry| entry.team() == team && entry.is_listed());
        of_team.cloned().collect()
    }

    /// Returns the active sessions, newest first.
    pub fn active(&self) -> Vec<Arc<Session>> {
        let sessions = self.read();
        let mut active: Vec<_> = current(&sessions)
            .filter(|session| session.ending().is_none())
            .cloned()
            .collect();
        active.reverse();
        active
    }

    /// Returns the ended sessions of which something remains, and the active ones.
    pub(super) fn remaining(&self) -> Vec<Arc<Session>> {
        let sessions = self.read();
        current(&sessions)
            .filter(|session| !session.is_cleaned())
            .cloned()
            .collect()
    }

    /// Returns true if something of an ended session remains.
    pub(super) fn is_cleaning_up(&self) -> bool {
        let sessions = self.read();
        current(&sessions).any(|session| session.ending().is_some() && !session.is_cleaned())
    }

    /// Returns the active sessions with their resources, oldest first.
    pub(super) fn active_with_resources(&self) -> Vec<(Arc<Session>, Arc<SessionResources>)> {
        let sessions = self.read();
        current(&sessions)
            .filter_map(|session| Some((Arc::clone(session), session.resources().ok()?)))
            .collect()
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Uuid, SessionEntry>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session, and removes ended sessions that are too old or too many.
    pub(super) fn insert(&self, session: &Arc<Session>) {
        let mut sessions = self
            .sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        prune(
            &mut sessions,
            clock::now() - self.spec.config.retention.sessions,
        );
        sessions.insert(session.id(), SessionEntry::Current(Arc::clone(session)));
    }

    /// Returns the limits of the server that are not settings.
    pub fn server_limits(&self) -> ServerLimits {
        self.spec.config.server_limits
    }

    /// Returns who sees the executions of sessions.
    pub fn execution_history(&self) -> ExecutionHistory {
        self.spec.config.workbench.execution_history
    }

    /// Returns the budget of the server's buffers.
    pub fn buffers(&self) -> &Budget {
        &self.spec.buffers
    }

    /// Returns true once the server rejects new sessions and executions.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends every session with `reason`, and waits until nothing of them remains.
    pub(super) async fn end_all(&self, reason: DestroyedReason) {
        let sessions = self.remaining();
        let ends = sessions.iter().map(async |session| {
            session.mark_ended(reason, None);
            session.cleaned().await;
        });
        futures_util::future::join_all(ends).await;
    }

    /// Returns the cluster of which this server is a node.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.services.cluster.as_ref()
    }

    /// Returns true if this server is a node that creates no sessions any more.
    pub fn is_draining(&self) -> bool {
        self.cluster().is_some_and(|cluster| cluster.is_draining())
    }

    /// Ends every session, and rejects new sessions and executions. Running code can continue for
    /// `grace`. Returns when nothing of the sessions remains.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::SeqCst);
        let sessions = self.remaining();
        let until = Instant::now() + grace;
        let ends = sessions.iter().map(async |session| {
            // Waits for the code or for the end of the grace period.
            let _ = timeout_at(until, session.executions_finished()).await;
            session.mark_ended(DestroyedReason::ServerStopped, None);
            session.cleaned().await;
        });
        tokio::join!(futures_util::future::join_all(ends), self.stop_warm_pool());
    }
}

/// Returns the number of cold sessions that are built at a time.
fn launches_at_once() -> usize {
    let processors = available_parallelism().map_or(1, NonZero::get);
    (LAUNCHES_PER_PROCESSOR * processors).max(MIN_LAUNCHES)
}

/// Returns the sessions of this server process, active and ended, oldest first.
pub(super) fn current(
    sessions: &BTreeMap<Uuid, SessionEntry>,
) -> impl Iterator<Item = &Arc<Session>> {
    sessions.values().filter_map(|entry| match entry {
        SessionEntry::Current(session) => Some(session),
        SessionEntry::Recorded(_) => None,
    })
}

/// Removes sessions that ended at `oldest` or before, unlisted ones of which nothing remains, and
/// the oldest ones beyond the maximum.
fn prune(sessions: &mut BTreeMap<Uuid, SessionEntry>, oldest: Timestamp) {
    sessions.retain(|_, entry| !entry.ended_by(oldest) && !entry.is_forgotten());
    let ended = sessions
        .iter()
        .filter(|(_, entry)| entry.ending().is_some());
    let ended: Vec<Uuid> = ended.map(|(id, _)| *id).collect();
    let excess = ended.len().saturating_sub(ENDED_KEPT_COUNT);
    for id in &ended[..excess] {
        sessions.remove(id);
    }
}
