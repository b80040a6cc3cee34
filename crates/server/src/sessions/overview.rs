//! Summaries of all sessions, for operators, probes and metrics.

use hearth_contract::NotReady;

use super::disk::Disk;
use super::entry::SessionEntry;
use super::registry::{Registry, current};
use crate::capacity;
use crate::metrics::Gauges;
use crate::store::SessionRecord;

impl Registry {
    /// Returns the reasons why creating a session would fail now, as far as they are known in
    /// advance.
    pub fn not_ready(&self) -> Vec<NotReady> {
        let mut reasons = Vec::new();
        if self.is_stopping() {
            reasons.push(NotReady::Stopping);
        }
        if let Some(disk) = self.full_disk() {
            reasons.push(NotReady::DiskFull {
                free_mb: disk.free_mb(),
                min_mb: self.limits().min_free_disk_mb,
            });
        }
        if let Some(available_mb) = self.low_memory_mb() {
            reasons.push(NotReady::MemoryLow {
                available_mb,
                min_mb: self.limits().min_free_memory_mb,
            });
        }
        for (what, reason) in self.readings.failing() {
            reasons.push(NotReady::Unmeasured { what, reason });
        }
        if let Some((ago, reason)) = self.launch_health.recent_failures() {
            reasons.push(NotReady::NoBrowser {
                seconds: ago.as_secs(),
                reason,
            });
        }
        reasons
    }

    /// Returns the last `count` listed sessions that have ended and match `filter`, newest end
    /// first.
    pub fn ended(
        &self,
        count: usize,
        filter: impl Fn(&SessionEntry) -> bool,
    ) -> Vec<SessionRecord> {
        let sessions = self.read();
        let listed = sessions.values().filter(|entry| entry.is_listed());
        let matching = listed.filter(|entry| filter(entry));
        let mut ended: Vec<_> = matching
            .filter_map(|entry| Some((entry.ending()?.at, entry)))
            .collect();
        ended.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        ended.truncate(count);
        ended.into_iter().map(|(_, entry)| entry.record()).collect()
    }

    /// Returns the current values of the gauges.
    pub fn read_gauges(&self) -> Gauges {
        let disk = Disk::of(self.sessions_dir()).ok();
        let (warm_ready, warm_preparing) = self.warm_pool.counts();
        let mut gauges = Gauges {
            ready: self.not_ready().is_empty(),
            max_sessions: self.max_sessions(),
            warm_ready,
            warm_preparing,
            server_memory_bytes: capacity::own_bytes(),
            available_memory_bytes: capacity::available_bytes(),
            free_disk_bytes: disk.map(|disk| disk.free_bytes),
            total_disk_bytes: disk.map(|disk| disk.total_bytes),
            min_available_memory_bytes: self.limits().min_free_memory_mb << 20,
            min_free_disk_bytes: self.limits().min_free_disk_mb << 20,
            buffer_bytes: self.buffers().used(),
            max_buffer_bytes: self.buffers().limit(),
            buffers_denied: self.buffers().denied(),
            session_buffers_denied: self.buffers().denied_in_children(),
            traffic: self.spec.egress.traffic(),
            egress_denials: self.spec.egress.denials(),
            delayed_ends: self.services.store.waiting_ends(),
            leaked_processes: self.services.orphans.count(),
            team_sessions: self.team_quota.counts(),
            ..Gauges::default()
        };
        let sessions = self.read();
        for session in current(&sessions) {
            let activity = *session.activity.watch().borrow();
            match (session.ending(), session.is_cleaned()) {
                (None, _) => gauges.active += 1,
                (Some(_), false) => gauges.ending += 1,
                (Some(_), true) => continue,
            }
            gauges.running += activity.running();
            gauges.waiting += activity.executions - activity.running();
            gauges.sessions_memory_bytes += session.memory_bytes();
        }
        gauges.kept = self.kept.count();
        gauges.active = gauges.active.saturating_sub(gauges.kept);
        gauges.creating = self.team_quota.total().saturating_sub(gauges.active);
        gauges
    }
}
