//! Holds sessions against their limits of disk space and files, and the disk against its own: a
//! session that takes too much ends.
//!
//! What is asked often is the disk as a whole, which costs nothing. Only when more of it is used
//! than before are the sessions measured, file by file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearth_confine::{DiskUsage, Snapshot};
use hearth_contract::Limit;
use nix::sys::statvfs::statvfs;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::super::registry::Registry;
use super::super::resources::SessionResources;
use super::super::session::Session;
use crate::config::Limits;

/// How often the disk is asked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The longest time without measuring: on some disks the figures say little, and others may give
/// back what a session takes.
const MEASURE_AFTER: Duration = Duration::from_secs(30);

/// Growth of the whole disk that makes measuring due at once.
const GROWTH_BYTES: u64 = 8 << 20;
const GROWTH_FILES: u64 = 1000;

/// Measuring may take this part of the time: it is put off for so many times as long as it took.
const REST: u32 = 10;

/// A session that takes less is not ended for a full disk: that would help nobody.
const WORTH_BYTES: u64 = 64 << 20;

/// How long the space of a session that was ended for a full disk may take to come back, before
/// another one has to go.
const SPACE_BACK: Duration = Duration::from_secs(3);

/// A disk as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    used_bytes: u64,
    used_files: u64,
    free_bytes: u64,
    total_bytes: u64,
}

impl Disk {
    /// The one that a folder is on; None when it does not say.
    pub fn of(folder: &Path) -> Option<Disk> {
        let disk = statvfs(folder).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
        Some(Disk {
            used_bytes: bytes(disk.blocks().saturating_sub(disk.blocks_free())),
            used_files: disk.files().saturating_sub(disk.files_free()),
            free_bytes: bytes(disk.blocks_available()),
            total_bytes: bytes(disk.blocks()),
        })
    }

    /// Whether less is left than has to be.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.free_bytes < limits.min_free_disk_mb << 20
    }

    pub fn free_bytes(self) -> u64 {
        self.free_bytes
    }

    pub fn total_bytes(self) -> u64 {
        self.total_bytes
    }

    pub fn free_mb(&self) -> u64 {
        self.free_bytes >> 20
    }
}

/// When sessions were last measured, and how the disk was then.
#[derive(Clone, Copy, Debug)]
struct Measured {
    at: Instant,
    disk: Disk,
    /// Not before then again.
    rest_until: Instant,
}

impl Measured {
    /// What was given back is not to hide what is taken next.
    fn note_shrinking(&mut self, now: &Disk) {
        self.disk.used_bytes = self.disk.used_bytes.min(now.used_bytes);
        self.disk.used_files = self.disk.used_files.min(now.used_files);
    }

    fn is_due(&self, now: Instant, disk: &Disk, limits: &Limits) -> bool {
        let has_grown = disk.used_bytes >= self.disk.used_bytes + GROWTH_BYTES
            || disk.used_files >= self.disk.used_files + GROWTH_FILES;
        now >= self.rest_until
            && (has_grown || disk.is_full(limits) || now - self.at >= MEASURE_AFTER)
    }
}

/// Watches until `stop`.
pub(crate) async fn watch_disk(registry: Arc<Registry>, stop: CancellationToken) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let limits = registry.limits();
    let mut last: Option<Measured> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        let sessions = registry.living();
        if sessions.is_empty() {
            last = None;
            continue;
        }
        let at = Instant::now();
        let disk = Disk::of(registry.folder()).unwrap_or_default();
        if let Some(last) = last.as_mut().filter(|last| !last.is_due(at, &disk, limits)) {
            last.note_shrinking(&disk);
            continue;
        }
        // Read once for all: it says whose open files are whose.
        let Ok(snapshot) = spawn_blocking(Snapshot::take).await else {
            continue;
        };
        let ended_one = judge_all(sessions, &Arc::new(snapshot), limits, &disk).await;
        let rest = if ended_one {
            SPACE_BACK
        } else {
            at.elapsed() * REST
        };
        last = Some(Measured {
            at,
            disk,
            rest_until: Instant::now() + rest,
        });
    }
}

/// Ends sessions that are past a limit of their own and, when the disk is full and that frees
/// nothing, the largest. Tells whether it had to be that one.
async fn judge_all(
    sessions: Vec<(Arc<Session>, Arc<SessionResources>)>,
    snapshot: &Arc<Snapshot>,
    limits: &Limits,
    disk: &Disk,
) -> bool {
    let most = DiskUsage {
        bytes: limits.disk_mb << 20,
        files: limits.files,
    };
    let mut largest: Option<(u64, Arc<Session>)> = None;
    let mut is_space_coming = false;
    for (session, resources) in sessions {
        let usage = resources.sandbox.measure(most, snapshot).await;
        if let Some(limit) = plan_end(usage, limits) {
            end(&session, limit, usage);
            is_space_coming = true;
        } else if largest
            .as_ref()
            .is_none_or(|(bytes, _)| *bytes < usage.bytes)
        {
            largest = Some((usage.bytes, session));
        }
    }
    if is_space_coming || !disk.is_full(limits) {
        return is_space_coming && disk.is_full(limits);
    }
    let Some((bytes, session)) = largest.filter(|(bytes, _)| *bytes >= WORTH_BYTES) else {
        return false;
    };
    end(
        &session,
        Limit::FreeDiskMb(limits.min_free_disk_mb),
        DiskUsage { bytes, files: 0 },
    );
    true
}

fn plan_end(usage: DiskUsage, limits: &Limits) -> Option<Limit> {
    if usage.bytes > limits.disk_mb << 20 {
        Some(Limit::DiskMb(limits.disk_mb))
    } else if usage.files > limits.files {
        Some(Limit::Files(limits.files))
    } else {
        None
    }
}

fn end(session: &Session, limit: Limit, usage: DiskUsage) {
    tracing::warn!(session = %session.id(), %limit, disk_mb = usage.bytes >> 20, "a limit is passed");
    session.begin_end_at(limit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NO_LIMITS as LIMITS;

    const LIMIT: Limits = Limits {
        disk_mb: 10,
        files: 100,
        min_free_disk_mb: 50,
        ..LIMITS
    };

    fn disk(used_mb: u64, used_files: u64, free_mb: u64) -> Disk {
        Disk {
            used_bytes: used_mb << 20,
            used_files,
            free_bytes: free_mb << 20,
            total_bytes: 0,
        }
    }

    #[test]
    fn a_session_ends_past_its_space_or_its_number_of_files() {
        let plan = |bytes, files| plan_end(DiskUsage { bytes, files }, &LIMIT);
        assert_eq!(plan(10 << 20, 100), None);
        assert_eq!(plan((10 << 20) + 1, 1), Some(Limit::DiskMb(10)));
        assert_eq!(plan(1, 101), Some(Limit::Files(100)));
    }

    #[test]
    fn sessions_are_measured_when_the_disk_has_filled_or_time_has_passed() {
        let at = Instant::now();
        let last = Measured {
            at,
            disk: disk(1000, 5000, 100),
            rest_until: at,
        };
        let due = |after_ms, now| last.is_due(at + Duration::from_millis(after_ms), &now, &LIMIT);
        assert!(!due(500, disk(1007, 5999, 100)));
        assert!(due(500, disk(1008, 5000, 100)));
        assert!(due(500, disk(1000, 6000, 100)));
        assert!(due(500, disk(1000, 5000, 49)));
        assert!(due(30_000, disk(900, 5000, 100)));
    }

    #[test]
    fn measuring_that_took_long_is_put_off() {
        let at = Instant::now();
        let last = Measured {
            at,
            disk: disk(0, 0, 100),
            rest_until: at + Duration::from_secs(2),
        };
        assert!(!last.is_due(at + Duration::from_secs(1), &disk(100, 0, 0), &LIMIT));
        assert!(last.is_due(at + Duration::from_secs(2), &disk(100, 0, 0), &LIMIT));
    }

    #[test]
    fn what_was_given_back_hides_no_growth() {
        let at = Instant::now();
        let mut last = Measured {
            at,
            disk: disk(1000, 5000, 100),
            rest_until: at,
        };
        last.note_shrinking(&disk(900, 6000, 100));
        assert_eq!(last.disk, disk(900, 5000, 100));
    }
}
