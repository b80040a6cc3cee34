//! Enforces the limits on disk space and files, and keeps space free on the disk. A session that
//! exceeds a limit ends.
//!
//! The usage of the whole disk is cheap to read, so it is read often. Sessions are measured file by
//! file only when that usage has grown.

use std::sync::Arc;
use std::time::Duration;

use hearth_contract::Limit;
use hearth_sandbox::{DiskUsage, Snapshot};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::descriptor_reserve::DescriptorReserve;
use super::{Unread, Watched, WatcherResources};
use crate::config::Limits;
use crate::sessions::disk::Disk;
use crate::sessions::readings::Reading;
use crate::sessions::registry::Registry;
use crate::sessions::session::Session;

/// The interval between reads of the disk.
const READ_INTERVAL: Duration = Duration::from_millis(500);

/// The maximum time between measurements of sessions. Some disks report usage inaccurately, and
/// other programs can free as much space as a session takes.
const MAX_MEASURE_INTERVAL: Duration = Duration::from_secs(30);

/// Growth of the whole disk that triggers a measurement at once.
const GROWTH_BYTES: u64 = 8 << 20;
const GROWTH_FILES: u64 = 1000;

/// The pause after a measurement, as a multiple of the time that the measurement took.
const REST_FACTOR: u32 = 10;

/// The minimum usage of a session that is ended because of a full disk. Ending a smaller session
/// would not help.
const MIN_FREED_BYTES: u64 = 64 << 20;

/// The time to wait after a session was ended because of a full disk, before another one is ended.
/// The space of the first session is freed in this time.
const RECOVERY_TIME: Duration = Duration::from_secs(3);

/// The last measurement of sessions.
#[derive(Clone, Copy, Debug)]
struct Measurement {
    at: Instant,
    /// The disk at that time.
    disk: Disk,
    /// The earliest time of the next measurement.
    rest_until: Instant,
}

impl Measurement {
    /// Lowers the baseline to the current usage, so that freed space does not hide later growth.
    fn lower_baseline(&mut self, now: &Disk) {
        self.disk.used_bytes = self.disk.used_bytes.min(now.used_bytes);
        self.disk.used_files = self.disk.used_files.min(now.used_files);
    }

    fn is_next_due(&self, now: Instant, disk: &Disk, limits: &Limits) -> bool {
        let has_grown = disk.used_bytes >= self.disk.used_bytes + GROWTH_BYTES
            || disk.used_files >= self.disk.used_files + GROWTH_FILES;
        now >= self.rest_until
            && (has_grown || disk.is_full(limits) || now - self.at >= MAX_MEASURE_INTERVAL)
    }
}

/// Watches the disk until `stop`. Blocks the thread during readings.
pub(in crate::sessions) async fn watch_disk(
    registry: Arc<Registry>,
    own: WatcherResources,
    stop: CancellationToken,
) {
    let WatcherResources {
        mut proc,
        mut reserve,
    } = own;
    let mut ticks = interval(READ_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<Measurement> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let sessions = registry.active_with_resources();
        // After failures it reads without sessions, too. Otherwise none could be created again.
        if sessions.is_empty() && !registry.readings.is_failing(Reading::Disk) {
            last = None;
            continue;
        }
        let at = Instant::now();
        let limits = registry.limits();
        let disk = match Disk::of(registry.sessions_dir()) {
            Ok(disk) => disk,
            Err(error) => {
                Unread::all(sessions, error).record(&registry, Reading::Disk);
                continue;
            }
        };
        if let Some(last) = last
            .as_mut()
            .filter(|last| !last.is_next_due(at, &disk, &limits))
        {
            last.lower_baseline(&disk);
            continue;
        }
        // One snapshot serves all sessions. It maps open files to processes.
        let snapshot = match reserve.read(async || proc.snapshot()).await {
            Ok(snapshot) => Arc::new(snapshot),
            Err(error) => {
                Unread::all(sessions, error).record(&registry, Reading::Disk);
                continue;
            }
        };
        let mut unread = Unread::default();
        let awaits_space = enforce(
            sessions,
            &snapshot,
            &limits,
            &disk,
            &mut reserve,
            &mut unread,
        )
        .await;
        let is_complete = unread.is_empty();
        unread.record(&registry, Reading::Disk);
        if !is_complete {
            continue;
        }
        let rest = if awaits_space {
            RECOVERY_TIME
        } else {
            at.elapsed() * REST_FACTOR
        };
        last = Some(Measurement {
            at,
            disk,
            rest_until: Instant::now() + rest,
        });
    }
}

/// Ends the sessions that exceed their own limits. If the disk is full and no session ended, ends
/// the largest one. Returns true if the disk is full and a session ended. Adds sessions that cannot
/// be measured to `unread`.
async fn enforce(
    sessions: Vec<Watched>,
    snapshot: &Arc<Snapshot>,
    limits: &Limits,
    disk: &Disk,
    reserve: &mut DescriptorReserve,
    unread: &mut Unread,
) -> bool {
    let max = DiskUsage {
        bytes: limits.disk_mb << 20,
        files: limits.files,
    };
    let mut largest: Option<(u64, Arc<Session>)> = None;
    let mut has_ended_any = false;
    for (session, resources) in sessions {
        let measuring = reserve.read(async || resources.sandbox.measure(max, Some(snapshot)).await);
        let usage = match measuring.await {
            Ok(usage) => usage,
            Err(error) => {
                unread.add(&session, error);
                continue;
            }
        };
        if let Some(limit) = exceeded_limit(usage, limits) {
            end(&session, limit, usage);
            has_ended_any = true;
        } else if largest
            .as_ref()
            .is_none_or(|(bytes, _)| *bytes < usage.bytes)
        {
            largest = Some((usage.bytes, session));
        }
    }
    if has_ended_any || !disk.is_full(limits) {
        return has_ended_any && disk.is_full(limits);
    }
    let Some((bytes, session)) = largest.filter(|(bytes, _)| *bytes >= MIN_FREED_BYTES) else {
        return false;
    };
    end(
        &session,
        Limit::FreeDiskMb(limits.min_free_disk_mb),
        DiskUsage { bytes, files: 0 },
    );
    true
}

/// Returns the limit that a session exceeds, if any.
fn exceeded_limit(usage: DiskUsage, limits: &Limits) -> Option<Limit> {
    if usage.bytes > limits.disk_mb << 20 {
        Some(Limit::DiskMb(limits.disk_mb))
    } else if usage.files > limits.files {
        Some(Limit::Files(limits.files))
    } else {
        None
    }
}

fn end(session: &Session, limit: Limit, usage: DiskUsage) {
    let disk_mb = usage.bytes >> 20;
    session
        .span
        .in_scope(|| tracing::warn!(%limit, disk_mb, "limit exceeded"));
    session.mark_ended_by(limit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ZERO_LIMITS;

    const LIMIT: Limits = Limits {
        disk_mb: 10,
        files: 100,
        min_free_disk_mb: 50,
        ..ZERO_LIMITS
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
    fn a_session_exceeds_its_space_or_its_number_of_files() {
        let exceeded = |bytes, files| exceeded_limit(DiskUsage { bytes, files }, &LIMIT);
        assert_eq!(exceeded(10 << 20, 100), None);
        assert_eq!(exceeded((10 << 20) + 1, 1), Some(Limit::DiskMb(10)));
        assert_eq!(exceeded(1, 101), Some(Limit::Files(100)));
    }

    #[test]
    fn sessions_are_measured_after_growth_of_the_disk_or_after_some_time() {
        let at = Instant::now();
        let last = Measurement {
            at,
            disk: disk(1000, 5000, 100),
            rest_until: at,
        };
        let due =
            |after_ms, now| last.is_next_due(at + Duration::from_millis(after_ms), &now, &LIMIT);
        assert!(!due(500, disk(1007, 5999, 100)));
        assert!(due(500, disk(1008, 5000, 100)));
        assert!(due(500, disk(1000, 6000, 100)));
        assert!(due(500, disk(1000, 5000, 49)));
        assert!(due(30_000, disk(900, 5000, 100)));
    }

    #[test]
    fn a_slow_measurement_delays_the_next_one() {
        let at = Instant::now();
        let last = Measurement {
            at,
            disk: disk(0, 0, 100),
            rest_until: at + Duration::from_secs(2),
        };
        assert!(!last.is_next_due(at + Duration::from_secs(1), &disk(100, 0, 0), &LIMIT));
        assert!(last.is_next_due(at + Duration::from_secs(2), &disk(100, 0, 0), &LIMIT));
    }

    #[test]
    fn freed_space_hides_no_growth() {
        let at = Instant::now();
        let mut last = Measurement {
            at,
            disk: disk(1000, 5000, 100),
            rest_until: at,
        };
        last.lower_baseline(&disk(900, 6000, 100));
        assert_eq!(last.disk, disk(900, 5000, 100));
    }
}
