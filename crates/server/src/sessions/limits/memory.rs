//! Enforces the limits on memory and processes. If a session exceeds a limit, its largest process
//! tree is killed. If that tree is the browser, the session ends.
//!
//! One task serves all sessions, because one read of the process table covers all of them. It
//! samples the machine's memory four times a second. It reads the process table when memory or
//! threads have grown, and otherwise after a maximum interval.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hearth_contract::Limit;
use hearth_sandbox::{Snapshot, SystemSample, TreeHandle, Usage};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Limits;
use crate::sessions::readings::Reading;
use crate::sessions::registry::Registry;
use crate::sessions::resources::SessionResources;
use crate::sessions::session::Session;

/// The interval between samples of the machine.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// The maximum time between reads of the process table, with and without running code. Growth below
/// the two thresholds that follow stays small within this time.
const MAX_READ_INTERVAL_BUSY: Duration = Duration::from_secs(1);
const MAX_READ_INTERVAL_IDLE: Duration = Duration::from_secs(5);

/// Growth of the whole machine that triggers a read at once.
const GROWTH_BYTES: u64 = 32 << 20;
const GROWTH_THREADS: u64 = 32;

/// The time limit for counting shared memory only once. After a first timeout the program gets
/// another round, because a fork bomb can slow the machine down. But a process can also hold the
/// lock that counting needs. After a second timeout, each process therefore counts the memory that
/// it shares.
const COUNT_TIMEOUT: Duration = Duration::from_secs(1);

/// Watches memory and processes until `stop`.
pub(in crate::sessions) async fn watch_memory(registry: Arc<Registry>, stop: CancellationToken) {
    let mut ticks = interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    // Programs whose memory could not be counted in time.
    let mut timed_out = HashSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let sessions = registry.active_with_resources();
        if sessions.is_empty() {
            last = None;
            timed_out.clear();
            continue;
        }
        let sample = match SystemSample::take() {
            Ok(sample) => sample,
            Err(error) => {
                record_failure(&registry, &error);
                continue;
            }
        };
        let is_busy = sessions
            .iter()
            .any(|(session, _)| session.activity.is_busy());
        let now = MachineSample {
            at: Instant::now(),
            sample,
        };
        if let Some(last) = last
            .as_mut()
            .filter(|last| !is_read_due(last, &now, is_busy))
        {
            last.lower_baseline(&sample);
            continue;
        }
        last = Some(now);
        // The snapshot reads a file of every process on the machine, and a fork bomb creates
        // thousands.
        let taken = spawn_blocking(Snapshot::take).await;
        let snapshot = match taken.map_err(io::Error::other).flatten() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                record_failure(&registry, &error);
                // Reads again at the next sample.
                last = None;
                continue;
            }
        };
        registry.readings.record_success(Reading::Memory);
        let limits = registry.limits();
        // Unmapped files in memory are counted only when they are large enough to matter.
        let counts_files = sample.shared_bytes >= (limits.memory_mb << 20) / 4;
        for (session, resources) in sessions {
            enforce(
                &session,
                &resources,
                &snapshot,
                limits,
                counts_files,
                &mut timed_out,
            )
            .await;
        }
    }
}

/// Records a failed reading. After two in a row, ends the session that used the most memory at the
/// last reading.
fn record_failure(registry: &Registry, error: &io::Error) {
    if registry.readings.record_failure(Reading::Memory, error) {
        registry.end_largest(Limit::MemoryMb(registry.limits().memory_mb));
    }
}

/// The machine at the last read of the process table.
#[derive(Clone, Copy, Debug)]
struct MachineSample {
    at: Instant,
    sample: SystemSample,
}

impl MachineSample {
    /// Lowers the baseline to the current usage, so that freed memory does not hide later growth.
    fn lower_baseline(&mut self, now: &SystemSample) {
        self.sample.available_bytes = self.sample.available_bytes.max(now.available_bytes);
        self.sample.threads = self.sample.threads.min(now.threads);
    }
}

fn is_read_due(last: &MachineSample, now: &MachineSample, is_busy: bool) -> bool {
    let max_interval = if is_busy {
        MAX_READ_INTERVAL_BUSY
    } else {
        MAX_READ_INTERVAL_IDLE
    };
    now.at - last.at >= max_interval
        || now.sample.available_bytes + GROWTH_BYTES <= last.sample.available_bytes
        || now.sample.threads >= last.sample.threads + GROWTH_THREADS
}

/// The usage of one process tree of a session.
#[derive(Clone, Copy, Debug)]
struct TreeUsage {
    usage: Usage,
    /// The unmapped part of its files in memory.
    unmapped_bytes: u64,
    is_browser: bool,
}

/// Measures the process trees of a session, and ends the largest one if the session exceeds a
/// limit.
async fn enforce(
    session: &Session,
    resources: &SessionResources,
    snapshot: &Snapshot,
    limits: &Limits,
    counts_files: bool,
    timed_out: &mut HashSet<u32>,
) {
    let browser = resources.browser.program_pid();
    let mut trees = resources.sandbox.code.trees();
    // Trees that are being killed will be gone at the next read.
    trees.retain(|tree| !tree.is_being_killed());
    let measure = |tree: &TreeHandle| TreeUsage {
        usage: tree.usage(snapshot),
        unmapped_bytes: 0,
        is_browser: tree.program_pid() == browser,
    };
    let mut usages: Vec<TreeUsage> = trees.iter().map(measure).collect();
    if counts_files {
        let code_trees = trees
            .iter()
            .zip(&mut usages)
            .filter(|(_, usage)| !usage.is_browser);
        for (tree, usage) in code_trees {
            count_files_in_memory(resources, tree, usage, snapshot).await;
        }
    }
    let buffers = resources.budget.used();
    let trees_bytes: u64 = usages.iter().map(|tree| tree.usage.memory_bytes).sum();
    session.record_memory(trees_bytes + buffers);
    let mut exceeded = exceeded_limit(&usages, buffers, limits);
    if let Some((_, Limit::MemoryMb(_))) = exceeded {
        for (tree, usage) in trees.iter().zip(&mut usages) {
            let is_counted = count_shared_once(resources, tree, usage, snapshot).await;
            if !is_counted && timed_out.insert(tree.program_pid()) {
                return;
            }
        }
        exceeded = exceeded_limit(&usages, buffers, limits);
    }
    let Some((largest, limit)) = exceeded else {
        return;
    };
    report(session, limit, &usages[largest]);
    if usages[largest].is_browser {
        session.mark_ended_by(limit);
    } else {
        trees[largest].kill_with_reason(limit.execution_error());
    }
}

fn report(session: &Session, limit: Limit, tree: &TreeUsage) {
    let _span = session.span.enter();
    tracing::warn!(
        %limit,
        is_browser = tree.is_browser,
        memory_mb = tree.usage.memory_bytes >> 20,
        processes = tree.usage.processes,
        threads = tree.usage.threads,
        "limit exceeded"
    );
}

/// Returns the limit that a session exceeds, and the index of the tree that uses the most of it.
/// `buffers` is the memory that the server uses for the session.
fn exceeded_limit(usages: &[TreeUsage], buffers: u64, limits: &Limits) -> Option<(usize, Limit)> {
    let check = |max: u64, limit: Limit, rest: u64, used: fn(&TreeUsage) -> u64| {
        let sum: u64 = usages.iter().map(used).sum::<u64>() + rest;
        let largest = (0..usages.len()).max_by_key(|&index| used(&usages[index]))?;
        (sum > max).then_some((largest, limit))
    };
    // Processes are checked first, because a fork bomb also uses much memory.
    let processes = Limit::Processes(limits.processes);
    check(limits.processes, processes, 0, counted_processes).or_else(|| {
        let memory = Limit::MemoryMb(limits.memory_mb);
        check(limits.memory_mb << 20, memory, buffers, |tree| {
            tree.usage.memory_bytes
        })
    })
}

/// Returns the number of processes that count against the limit. The threads of code count, because
/// code can build a bomb from threads. The threads of a browser do not count, because it has about
/// a hundred, and the memory limit also limits pages.
fn counted_processes(tree: &TreeUsage) -> u64 {
    if tree.is_browser {
        tree.usage.processes
    } else {
        tree.usage.threads
    }
}

/// Adds the memory of files in memory that code has written but not mapped.
async fn count_files_in_memory(
    resources: &SessionResources,
    tree: &TreeHandle,
    usage: &mut TreeUsage,
    snapshot: &Snapshot,
) {
    let pids = tree.pids(snapshot);
    let code = &resources.sandbox.code;
    if let Ok(Ok(bytes)) = timeout(COUNT_TIMEOUT, code.files().memory_file_bytes(pids)).await {
        // The mapped part is already counted.
        usage.unmapped_bytes = bytes.saturating_sub(usage.usage.shared_bytes);
        usage.usage.memory_bytes += usage.unmapped_bytes;
    }
}

/// Counts memory that processes share only once. Returns false after a timeout.
async fn count_shared_once(
    resources: &SessionResources,
    tree: &TreeHandle,
    usage: &mut TreeUsage,
    snapshot: &Snapshot,
) -> bool {
    let pids = tree.pids(snapshot);
    let launcher = if usage.is_browser {
        &resources.sandbox.browser
    } else {
        &resources.sandbox.code
    };
    let counted = timeout(
        COUNT_TIMEOUT,
        launcher.files().proportional_memory_bytes(pids),
    )
    .await;
    if let Ok(Ok(bytes)) = counted {
        usage.usage.memory_bytes = bytes + usage.unmapped_bytes;
    }
    counted.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ZERO_LIMITS;

    const LIMIT: Limits = Limits {
        memory_mb: 100,
        processes: 50,
        ..ZERO_LIMITS
    };

    fn tree(memory_mb: u64, processes: u64, threads: u64, is_browser: bool) -> TreeUsage {
        TreeUsage {
            usage: Usage {
                memory_bytes: memory_mb << 20,
                shared_bytes: 0,
                processes,
                threads,
            },
            unmapped_bytes: 0,
            is_browser,
        }
    }

    #[test]
    fn a_session_within_its_limits_exceeds_none() {
        assert_eq!(exceeded_limit(&[], 0, &LIMIT), None);
        assert_eq!(
            exceeded_limit(
                &[tree(60, 10, 500, true), tree(40, 1, 40, false)],
                0,
                &LIMIT
            ),
            None
        );
    }

    #[test]
    fn the_tree_with_the_most_memory_ends() {
        let code_is_larger = [
            tree(30, 10, 100, true),
            tree(20, 1, 5, false),
            tree(51, 1, 5, false),
        ];
        assert_eq!(
            exceeded_limit(&code_is_larger, 0, &LIMIT),
            Some((2, Limit::MemoryMb(100)))
        );
        let browser_is_larger = [tree(30, 1, 5, false), tree(71, 10, 100, true)];
        assert_eq!(
            exceeded_limit(&browser_is_larger, 0, &LIMIT),
            Some((1, Limit::MemoryMb(100)))
        );
    }

    #[test]
    fn the_buffers_of_the_server_count_as_memory() {
        let usages = [tree(60, 10, 500, true), tree(30, 1, 40, false)];
        assert_eq!(exceeded_limit(&usages, 10 << 20, &LIMIT), None);
        assert_eq!(
            exceeded_limit(&usages, (10 << 20) + 1, &LIMIT),
            Some((0, Limit::MemoryMb(100)))
        );
    }

    #[test]
    fn the_threads_of_code_count_and_those_of_the_browser_do_not() {
        let threads = [tree(1, 10, 500, true), tree(1, 1, 41, false)];
        assert_eq!(
            exceeded_limit(&threads, 0, &LIMIT),
            Some((1, Limit::Processes(50)))
        );
        let processes = [tree(1, 49, 500, true), tree(1, 2, 2, false)];
        assert_eq!(
            exceeded_limit(&processes, 0, &LIMIT),
            Some((0, Limit::Processes(50)))
        );
    }

    #[test]
    fn growth_or_time_makes_a_read_due() {
        let at = Instant::now();
        let sample = |after_ms, available_bytes, threads| MachineSample {
            at: at + Duration::from_millis(after_ms),
            sample: SystemSample {
                available_bytes,
                shared_bytes: 0,
                threads,
            },
        };
        let last = sample(0, 1 << 30, 100);
        assert!(!is_read_due(&last, &sample(900, 1 << 30, 110), true));
        assert!(is_read_due(&last, &sample(1000, 1 << 30, 100), true));
        assert!(!is_read_due(&last, &sample(4900, 1 << 30, 100), false));
        assert!(is_read_due(&last, &sample(5000, 1 << 30, 100), false));
        assert!(is_read_due(
            &last,
            &sample(250, (1 << 30) - GROWTH_BYTES, 100),
            false
        ));
        assert!(is_read_due(&last, &sample(250, 1 << 30, 132), false));
    }

    #[test]
    fn freed_memory_hides_no_growth() {
        let usage = |available_bytes, threads| SystemSample {
            available_bytes,
            shared_bytes: 0,
            threads,
        };
        let mut last = MachineSample {
            at: Instant::now(),
            sample: usage(100, 10),
        };
        last.lower_baseline(&usage(300, 5));
        last.lower_baseline(&usage(200, 8));
        assert_eq!(last.sample, usage(300, 5));
    }
}
