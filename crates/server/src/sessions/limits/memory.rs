//! Enforces the limits on memory and processes. If a session exceeds a limit, its largest process
//! tree is killed. If that tree is the browser, the session ends.
//!
//! One thread serves all sessions, because one read of the process table covers all of them. It
//! samples the machine's memory four times a second. It reads the process table when memory or
//! threads have grown, and otherwise after a maximum interval.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hearth_contract::Limit;
use hearth_sandbox::{Snapshot, SystemSample, TreeHandle, Usage};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::descriptor_reserve::DescriptorReserve;
use super::{Unread, WatcherResources};
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

/// Watches memory and processes until `stop`. Blocks the thread during readings.
pub(in crate::sessions) async fn watch_memory(
    registry: Arc<Registry>,
    own: WatcherResources,
    stop: CancellationToken,
) {
    let WatcherResources {
        mut proc,
        mut reserve,
    } = own;
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
        registry.end_kept_if_memory_is_low();
        let sessions = registry.active_with_resources();
        // After failures it reads without sessions, too. Otherwise none could be created again.
        if sessions.is_empty() && !registry.readings.is_failing(Reading::Memory) {
            last = None;
            timed_out.clear();
            continue;
        }
        let sample = match proc.sample() {
            Ok(sample) => sample,
            Err(error) => {
                Unread::all(sessions, error).record(&registry, Reading::Memory);
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
        let snapshot = match reserve.read(async || proc.snapshot()).await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                Unread::all(sessions, error).record(&registry, Reading::Memory);
                // Reads again at the next sample.
                last = None;
                continue;
            }
        };
        let limits = registry.limits();
        // Unmapped files in memory are counted only when they are large enough to matter.
        let counts_files = sample.shared_bytes >= (limits.memory_mb << 20) / 4;
        let mut reading = MemoryReading {
            snapshot,
            limits: &limits,
            counts_files,
            reserve: &mut reserve,
            timed_out: &mut timed_out,
        };
        let mut unread = Unread::default();
        for (session, resources) in sessions {
            if let Err(error) = reading.enforce(&session, &resources).await {
                unread.add(&session, error);
                last = None;
            }
        }
        unread.record(&registry, Reading::Memory);
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

/// One reading of the process table.
struct MemoryReading<'a> {
    snapshot: Snapshot,
    limits: &'a Limits,
    /// True if unmapped files in memory are counted.
    counts_files: bool,
    reserve: &'a mut DescriptorReserve,
    timed_out: &'a mut HashSet<u32>,
}

impl MemoryReading<'_> {
    /// Measures the process trees of a session, and ends the largest one if the session exceeds a
    /// limit.
    async fn enforce(&mut self, session: &Session, resources: &SessionResources) -> io::Result<()> {
        let (snapshot, limits) = (&self.snapshot, self.limits);
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
        let buffers = resources.budget.used();
        let sum = |usages: &[TreeUsage]| {
            let trees = usages.iter().map(|tree| tree.usage.memory_bytes);
            trees.sum::<u64>() + buffers
        };
        session.record_memory(sum(&usages));
        if self.counts_files {
            let code_trees = trees
                .iter()
                .zip(&mut usages)
                .filter(|(_, usage)| !usage.is_browser);
            for (tree, usage) in code_trees {
                let pids = tree.pids(snapshot);
                count_files_in_memory(resources, &pids, usage, self.reserve).await?;
            }
            session.record_memory(sum(&usages));
        }
        let mut exceeded = exceeded_limit(&usages, buffers, limits);
        if let Some((_, Limit::MemoryMb(_))) = exceeded {
            for (tree, usage) in trees.iter().zip(&mut usages) {
                let pids = tree.pids(snapshot);
                let is_counted = count_shared_once(resources, &pids, usage, self.reserve).await;
                if !is_counted && self.timed_out.insert(tree.program_pid()) {
                    return Ok(());
                }
            }
            exceeded = exceeded_limit(&usages, buffers, limits);
        }
        let Some((largest, limit)) = exceeded else {
            return Ok(());
        };
        report(session, limit, &usages[largest]);
        if usages[largest].is_browser {
            session.mark_ended_by(limit);
        } else {
            trees[largest].kill_with_reason(limit.execution_error());
        }
        Ok(())
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

/// Adds the memory of files in memory that code has written but not mapped. After a timeout, adds
/// nothing.
async fn count_files_in_memory(
    resources: &SessionResources,
    pids: &[i32],
    usage: &mut TreeUsage,
    reserve: &mut DescriptorReserve,
) -> io::Result<()> {
    let files = resources.sandbox.code.files();
    let counting = reserve.read(async || files.memory_file_bytes(pids.to_vec()).await);
    if let Ok(bytes) = timeout(COUNT_TIMEOUT, counting).await {
        // The mapped part is already counted.
        usage.unmapped_bytes = bytes?.saturating_sub(usage.usage.shared_bytes);
        usage.usage.memory_bytes += usage.unmapped_bytes;
    }
    Ok(())
}

/// Counts memory that processes share only once. Returns false after a timeout. If the memory
/// cannot be counted, each process keeps counting what it shares.
async fn count_shared_once(
    resources: &SessionResources,
    pids: &[i32],
    usage: &mut TreeUsage,
    reserve: &mut DescriptorReserve,
) -> bool {
    let launcher = if usage.is_browser {
        &resources.sandbox.browser
    } else {
        &resources.sandbox.code
    };
    let files = launcher.files();
    let counting = reserve.read(async || files.proportional_memory_bytes(pids.to_vec()).await);
    let counted = timeout(COUNT_TIMEOUT, counting).await;
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
