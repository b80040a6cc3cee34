//! Holds sessions against their limits of memory and processes, and ends what takes too much: a
//! kernel or a shell alone, or a session whose browser it is.
//!
//! One task for all sessions, since one look at the process table serves them all. It feels the
//! machine's pulse four times a second and takes that look when memory or threads have grown, and
//! from time to time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hearth_contract::Limit;
use hearth_sandbox::{Snapshot, SystemSample, TreeHandle, Usage};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::super::registry::Registry;
use super::super::resources::Live;
use super::super::session::Session;
use crate::config::Limits;

/// How often the machine's pulse is felt.
const PULSE_EVERY: Duration = Duration::from_millis(250);

/// The longest time without a look while code runs, and while none does. What grows slower than the
/// two bounds below cannot grow far in it.
const LOOK_BUSY: Duration = Duration::from_secs(1);
const LOOK_IDLE: Duration = Duration::from_secs(5);

/// Growth of the whole machine that makes a look due at once.
const GROWTH_BYTES: u64 = 32 << 20;
const GROWTH_THREADS: u64 = 32;

/// How long counting shared memory once may take. A machine that is busy with a bomb is given
/// another look's time; but a process can also hold the lock that it needs, so at the second time
/// it counts as often as it is shared.
const COUNT_BOUND: Duration = Duration::from_secs(1);

/// Watches until `stop`.
pub(crate) async fn watch(registry: Arc<Registry>, stop: CancellationToken) {
    let mut ticks = interval(PULSE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    // Programs whose memory could not be counted in time.
    let mut doubts = HashSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let sessions = registry.living();
        if sessions.is_empty() {
            last = None;
            doubts.clear();
            continue;
        }
        let sample = SystemSample::take();
        let is_busy = sessions
            .iter()
            .any(|(session, _)| session.activity.is_busy());
        let since = Look {
            at: Instant::now(),
            sample,
        };
        if let Some(last) = last
            .as_mut()
            .filter(|last| !is_look_due(last, &since, is_busy))
        {
            last.note_shrinking(&sample);
            continue;
        }
        last = Some(since);
        // It reads a file for every process of the machine, and a fork bomb makes thousands.
        let Ok(snapshot) = spawn_blocking(Snapshot::take).await else {
            continue;
        };
        let limits = registry.limits();
        // Files in memory that nobody has mapped are looked for only where they could matter.
        let looks_at_files = sample.shared_bytes >= (limits.memory_mb << 20) / 4;
        for (session, live) in sessions {
            judge(
                &session,
                &live,
                &snapshot,
                limits,
                looks_at_files,
                &mut doubts,
            )
            .await;
        }
    }
}

/// When the process table was last read, and how the machine was then.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    sample: SystemSample,
}

impl Look {
    /// What was given back is not to hide what is taken next.
    fn note_shrinking(&mut self, now: &SystemSample) {
        self.sample.available_bytes = self.sample.available_bytes.max(now.available_bytes);
        self.sample.threads = self.sample.threads.min(now.threads);
    }
}

fn is_look_due(last: &Look, now: &Look, is_busy: bool) -> bool {
    let longest = if is_busy { LOOK_BUSY } else { LOOK_IDLE };
    now.at - last.at >= longest
        || now.sample.available_bytes + GROWTH_BYTES <= last.sample.available_bytes
        || now.sample.threads >= last.sample.threads + GROWTH_THREADS
}

/// What one tree of a session weighs.
#[derive(Clone, Copy, Debug)]
struct Weight {
    usage: Usage,
    /// Its files in memory, as far as they are not mapped.
    unmapped_bytes: u64,
    is_browser: bool,
}

async fn judge(
    session: &Session,
    live: &Live,
    snapshot: &Snapshot,
    limits: &Limits,
    looks_at_files: bool,
    doubts: &mut HashSet<u32>,
) {
    let browser = live.browser.program_pid();
    let mut trees = live.enclosure.code.trees();
    // What is condemned will be gone at the next look.
    trees.retain(|tree| !tree.is_being_killed());
    let weigh = |tree: &TreeHandle| Weight {
        usage: tree.usage(snapshot),
        unmapped_bytes: 0,
        is_browser: tree.program_pid() == browser,
    };
    let mut weights: Vec<Weight> = trees.iter().map(weigh).collect();
    if looks_at_files {
        for (tree, weight) in trees
            .iter()
            .zip(&mut weights)
            .filter(|(_, weight)| !weight.is_browser)
        {
            count_files_in_memory(live, tree, weight, snapshot).await;
        }
    }
    session.note_memory(weights.iter().map(|weight| weight.usage.memory_bytes).sum());
    let mut verdict = plan_end(&weights, limits);
    if let Some((_, Limit::MemoryMb(_))) = verdict {
        for (tree, weight) in trees.iter().zip(&mut weights) {
            let is_counted = count_shared_once(live, tree, weight, snapshot).await;
            if !is_counted && doubts.insert(tree.program_pid()) {
                return;
            }
        }
        verdict = plan_end(&weights, limits);
    }
    let Some((which, limit)) = verdict else {
        return;
    };
    let (
        tree,
        Weight {
            usage, is_browser, ..
        },
    ) = (&trees[which], weights[which]);
    let (memory_mb, processes, threads) =
        (usage.memory_bytes >> 20, usage.processes, usage.threads);
    tracing::warn!(session = %session.id(), %limit, is_browser, memory_mb, processes, threads, "a limit is passed");
    if is_browser {
        session.begin_end_at(limit);
    } else {
        tree.kill_with_reason(limit.execution_error());
    }
}

/// Which tree has to end, if any, and why: the one that takes the most of what there is too much
/// of.
fn plan_end(weights: &[Weight], limits: &Limits) -> Option<(usize, Limit)> {
    let judge = |most: u64, limit: Limit, taken: fn(&Weight) -> u64| {
        let sum: u64 = weights.iter().map(taken).sum();
        let largest = (0..weights.len()).max_by_key(|&which| taken(&weights[which]))?;
        (sum > most).then_some((largest, limit))
    };
    // A bomb of processes has memory, too, but that is not what it is.
    judge(
        limits.processes,
        Limit::Processes(limits.processes),
        counted,
    )
    .or_else(|| {
        judge(
            limits.memory_mb << 20,
            Limit::MemoryMb(limits.memory_mb),
            |weight| weight.usage.memory_bytes,
        )
    })
}

/// Threads are what a bomb of code is made of. Those of a browser are its own affair: it has a
/// hundred, and pages are held by memory.
fn counted(weight: &Weight) -> u64 {
    if weight.is_browser {
        weight.usage.processes
    } else {
        weight.usage.threads
    }
}

/// Code can write into a file in memory and map none of it.
async fn count_files_in_memory(
    live: &Live,
    tree: &TreeHandle,
    weight: &mut Weight,
    snapshot: &Snapshot,
) {
    let pids = tree.pids(snapshot);
    if let Ok(Ok(bytes)) = timeout(
        COUNT_BOUND,
        live.enclosure.code.files().memory_file_bytes(pids),
    )
    .await
    {
        // What is mapped of it is counted already.
        weight.unmapped_bytes = bytes.saturating_sub(weight.usage.shared_bytes);
        weight.usage.memory_bytes += weight.unmapped_bytes;
    }
}

/// Tells whether there was time for it.
async fn count_shared_once(
    live: &Live,
    tree: &TreeHandle,
    weight: &mut Weight,
    snapshot: &Snapshot,
) -> bool {
    let pids = tree.pids(snapshot);
    let launcher = if weight.is_browser {
        &live.enclosure.browser
    } else {
        &live.enclosure.code
    };
    let counted = timeout(
        COUNT_BOUND,
        launcher.files().proportional_memory_bytes(pids),
    )
    .await;
    if let Ok(Ok(bytes)) = counted {
        weight.usage.memory_bytes = bytes + weight.unmapped_bytes;
    }
    counted.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NO_LIMITS as LIMITS;

    const LIMIT: Limits = Limits {
        memory_mb: 100,
        processes: 50,
        ..LIMITS
    };

    fn weight(memory_mb: u64, processes: u64, threads: u64, is_browser: bool) -> Weight {
        Weight {
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
    fn a_session_within_its_limits_is_left_alone() {
        assert_eq!(plan_end(&[], &LIMIT), None);
        assert_eq!(
            plan_end(
                &[weight(60, 10, 500, true), weight(40, 1, 40, false)],
                &LIMIT
            ),
            None
        );
    }

    #[test]
    fn what_takes_the_most_memory_ends_whoever_passed_the_limit() {
        let code_is_larger = [
            weight(30, 10, 100, true),
            weight(20, 1, 5, false),
            weight(51, 1, 5, false),
        ];
        assert_eq!(
            plan_end(&code_is_larger, &LIMIT),
            Some((2, Limit::MemoryMb(100)))
        );
        let browser_is_larger = [weight(30, 1, 5, false), weight(71, 10, 100, true)];
        assert_eq!(
            plan_end(&browser_is_larger, &LIMIT),
            Some((1, Limit::MemoryMb(100)))
        );
    }

    #[test]
    fn the_threads_of_code_count_and_those_of_the_browser_do_not() {
        let threads = [weight(1, 10, 500, true), weight(1, 1, 41, false)];
        assert_eq!(plan_end(&threads, &LIMIT), Some((1, Limit::Processes(50))));
        let processes = [weight(1, 49, 500, true), weight(1, 2, 2, false)];
        assert_eq!(
            plan_end(&processes, &LIMIT),
            Some((0, Limit::Processes(50)))
        );
    }

    #[test]
    fn growth_makes_a_look_due_and_otherwise_time_does() {
        let at = Instant::now();
        let look = |after_ms, available_bytes, threads| Look {
            at: at + Duration::from_millis(after_ms),
            sample: SystemSample {
                available_bytes,
                shared_bytes: 0,
                threads,
            },
        };
        let last = look(0, 1 << 30, 100);
        assert!(!is_look_due(&last, &look(900, 1 << 30, 110), true));
        assert!(is_look_due(&last, &look(1000, 1 << 30, 100), true));
        assert!(!is_look_due(&last, &look(4900, 1 << 30, 100), false));
        assert!(is_look_due(&last, &look(5000, 1 << 30, 100), false));
        assert!(is_look_due(
            &last,
            &look(250, (1 << 30) - GROWTH_BYTES, 100),
            false
        ));
        assert!(is_look_due(&last, &look(250, 1 << 30, 132), false));
    }

    #[test]
    fn what_was_given_back_hides_no_growth() {
        let sample = |available_bytes, threads| SystemSample {
            available_bytes,
            shared_bytes: 0,
            threads,
        };
        let mut last = Look {
            at: Instant::now(),
            sample: sample(100, 10),
        };
        last.note_shrinking(&sample(300, 5));
        last.note_shrinking(&sample(200, 8));
        assert_eq!(last.sample, sample(300, 5));
    }
}
