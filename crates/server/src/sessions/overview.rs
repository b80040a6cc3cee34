//! What all sessions together look like, for whoever looks after the server.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hearth_contract::NotReady;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::limits::disk::Disk;
use super::registry::{Registry, SessionEntry, own};
use super::session::Session;
use crate::capacity;
use crate::metrics::Reading;
use crate::store::SessionRecord;

/// For so long a browser that could not be started is a reason not to be ready. After it somebody
/// should try again.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Between two looks at the process table.
const SECOND_LOOK: Duration = Duration::from_millis(250);

impl Registry {
    /// Why no new session would be made, as far as can be told without making one.
    pub fn not_ready(&self) -> Vec<NotReady> {
        let mut reasons = Vec::new();
        if self.is_stopping() {
            reasons.push(NotReady::Stopping);
        }
        let limits = self.limits();
        if let Some(disk) = Disk::of(self.folder()).filter(|disk| disk.is_full(limits)) {
            reasons.push(NotReady::DiskFull {
                free_mb: disk.free_mb(),
                least_mb: limits.min_free_disk_mb,
            });
        }
        if let Some(available_mb) = self.too_little_memory_mb() {
            reasons.push(NotReady::MemoryLow {
                available_mb,
                least_mb: limits.min_free_memory_mb,
            });
        }
        let failed = *self
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(ago) = failed
            .map(|at| at.elapsed())
            .filter(|ago| *ago < REMEMBERED)
        {
            reasons.push(NotReady::NoBrowser {
                seconds: ago.as_secs(),
            });
        }
        reasons
    }

    /// What is available, if that is less than has to be.
    pub(super) fn too_little_memory_mb(&self) -> Option<u64> {
        let least_mb = self.limits().min_free_memory_mb;
        capacity::available_bytes()
            .map(|bytes| bytes >> 20)
            .filter(|available_mb| *available_mb < least_mb)
    }

    /// The sessions that live, newest first.
    pub fn active(&self) -> Vec<Arc<Session>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let mut active: Vec<_> = own(&sessions)
            .filter(|session| session.ending().is_none())
            .cloned()
            .collect();
        active.reverse();
        active
    }

    /// The last `count` that have ended and that `is_wanted` wants, newest end first.
    pub fn ended(
        &self,
        count: usize,
        is_wanted: impl Fn(&SessionEntry) -> bool,
    ) -> Vec<SessionRecord> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = sessions.values().filter(|known| is_wanted(known));
        let mut ended: Vec<_> = wanted
            .filter_map(|known| Some((known.ending()?.at, known)))
            .collect();
        ended.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        ended.truncate(count);
        ended.into_iter().map(|(_, known)| known.record()).collect()
    }

    /// The figures of now.
    pub async fn read(&self) -> Reading {
        let disk = Disk::of(self.folder());
        let mut reading = Reading {
            ready: self.not_ready().is_empty(),
            max_sessions: self.spec.max_sessions,
            server_memory_bytes: capacity::own_bytes(),
            available_memory_bytes: capacity::available_bytes(),
            free_disk_bytes: disk.map(Disk::free_bytes),
            total_disk_bytes: disk.map(Disk::total_bytes),
            traffic: self.spec.egress.traffic(),
            refusals: self.spec.egress.refusals(),
            leaked_processes: self.services.orphans.count() + self.strays().await,
            ..Reading::default()
        };
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        for session in own(&sessions) {
            let used = *session.activity.watch().borrow();
            match (session.ending(), session.is_cleaned()) {
                (None, _) => reading.active += 1,
                (Some(_), false) => reading.ending += 1,
                (Some(_), true) => continue,
            }
            reading.running += used.running();
            reading.waiting += used.executions - used.running();
            reading.sessions_memory_bytes += session.memory_bytes();
        }
        let taken = self
            .spec
            .max_sessions
            .saturating_sub(self.places.available_permits());
        reading.creating = taken.saturating_sub(reading.active);
        reading
    }

    /// Processes under the ids of sessions that are over.
    async fn strays(&self) -> usize {
        let mut strays = self.look_for_strays().await;
        if !strays.is_empty() {
            // The table is not read at one moment, and others who begin and end processes may have
            // the same ids.
            sleep_until(Instant::now() + SECOND_LOOK).await;
            let again = self.look_for_strays().await;
            strays.retain(|pid| again.contains(pid));
        }
        let mut told = self
            .told_strays
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if strays.iter().any(|pid| !told.contains(pid)) {
            tracing::error!(pids = ?strays, "processes of ended sessions run on");
        }
        told.clone_from(&strays);
        strays.len()
    }

    async fn look_for_strays(&self) -> Vec<u32> {
        let Some(ids) = self.spec.isolation.user_ids() else {
            return Vec::new();
        };
        let before = self.uid_pool.taken();
        let uid_pool = self.uid_pool.clone();
        // The parent of a server with ids to give is what starts shims.
        let top = std::os::unix::process::parent_id();
        let is_taken = move |slot| before.contains(&slot) || uid_pool.is_taken(slot);
        spawn_blocking(move || hearth_confine::strays(ids, top, is_taken))
            .await
            .unwrap_or_default()
    }
}
