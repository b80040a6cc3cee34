//! Holds sessions against their limits of memory and processes, and ends what takes too much: a
//! kernel or a shell alone, or a session whose browser it is.
//!
//! One task for all sessions, since one look at the process table serves them all. It feels the
//! machine's pulse four times a second and takes that look when memory or threads have grown, and
//! from time to time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hearth_confine::{LivingTree, Pulse, Snapshot, Usage};
use hearth_contract::Limit;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::super::registry::Registry;
use super::super::resources::SessionResources;
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
    // SessionCommands whose memory could not be counted in time.
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
        let pulse = Pulse::take();
        let is_busy = sessions
            .iter()
            .any(|(session, _)| session.activity.is_busy());
        let since = Look {
            at: Instant::now(),
            pulse,
        };
        if let Some(last) = last
            .as_mut()
            .filter(|last| !is_look_due(last, &since, is_busy))
        {
            last.note_shrinking(&pulse);
            continue;
        }
        last = Some(since);
        // It reads a file for every process of the machine, and a fork bomb makes thousands.
        let Ok(snapshot) = spawn_blocking(Snapshot::take).await else {
            continue;
        };
        let limits = registry.limits();
        // Files in memory that nobody has mapped are looked for only where they could matter.
        let looks_at_files = pulse.shared_bytes >= (limits.memory_mb << 20) / 4;
        for (session, resources) in sessions {
            judge(
                &session,
                &resources,
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
    pulse: Pulse,
}

impl Look {
    /// What was given back is not to hide what is taken next.
    fn note_shrinking(&mut self, now: &Pulse) {
        self.pulse.available_bytes = self.pulse.available_bytes.max(now.available_bytes);
        self.pulse.threads = self.pulse.threads.min(now.threads);
    }
}

fn is_look_due(last: &Look, now: &Look, is_busy: bool) -> bool {
    let longest = if is_busy { LOOK_BUSY } else { LOOK_IDLE };
    now.at - last.at >= longest
        || now.pulse.available_bytes + GROWTH_BYTES <= last.pulse.available_bytes
        || now.pulse.threads >= last.pulse.threads + GROWTH_THREADS
}

/// What one tree of a session weighs.
#[derive(Clone, Copy, Debug)]
struct TreeUsage {
    usage: Usage,
    /// Its files in memory, as far as they are not mapped.
    unmapped_bytes: u64,
    is_browser: bool,
}

async fn judge(
    session: &Session,
    resources: &SessionResources,
    snapshot: &Snapshot,
    limits: &Limits,
    looks_at_files: bool,
    doubts: &mut HashSet<u32>,
) {
    let browser = resources.browser.program_pid();
    let mut trees = resources.sandbox.code.trees();
    // What is condemned will be gone at the next look.
    trees.retain(|tree| !tree.is_condemned());
    let weigh = |tree: &LivingTree| TreeUsage {
        usage: tree.usage(snapshot),
        unmapped_bytes: 0,
        is_browser: tree.program_pid() == browser,
    };
    let mut weights: Vec<TreeUsage> = trees.iter().map(weigh).collect();
    if looks_at_files {
        for (tree, weight) in trees
            .iter()
            .zip(&mut weights)
            .filter(|(_, weight)| !weight.is_browser)
        {
            count_files_in_memory(resources, tree, weight, snapshot).await;
        }
    }
    session.note_memory(weights.iter().map(|weight| weight.usage.memory_bytes).sum());
    let mut verdict = plan_end(&weights, limits);
    if let Some((_, Limit::MemoryMb(_))) = verdict {
        for (tree, weight) in trees.iter().zip(&mut weights) {
            let is_counted = count_shared_once(resources, tree, weight, snapshot).await;
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
        TreeUsage {
            usage, is_browser, ..
        },
    ) = (&trees[which], weights[which]);
    let (memory_mb, processes, threads) =
        (usage.memory_bytes >> 20, usage.processes, usage.threads);
    tracing::warn!(session = %session.id(), %limit, is_browser, memory_mb, processes, threads, "a limit is passed");
    if is_browser {
        session.begin_end_at(limit);
    } else {
        tree.kill_because(limit.execution_error());
    }
}

/// Which tree has to end, if any, and why: the one that takes the most of what there is too much
/// of.
fn plan_end(weights: &[TreeUsage], limits: &Limits) -> Option<(usize, Limit)> {
    let judge = |most: u64, limit: Limit, taken: fn(&TreeUsage) -> u64| {
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
fn counted(weight: &TreeUsage) -> u64 {
    if weight.is_browser {
        weight.usage.processes
    } else {
        weight.usage.threads
    }
}

/// Code can write into a file in memory and map none of it.
async fn count_files_in_memory(
    resources: &SessionResources,
    tree: &LivingTree,
    weight: &mut TreeUsage,
    snapshot: &Snapshot,
) {
    let pids = tree.pids(snapshot);
    if let Ok(Ok(bytes)) =
        timeout(COUNT_BOUND, resources.sandbox.code.open_memory_files(pids)).await
    {
        // What is mapped of it is counted already.
        weight.unmapped_bytes = bytes.saturating_sub(weight.usage.shared_bytes);
        weight.usage.memory_bytes += weight.unmapped_bytes;
    }
}

/// Tells whether there was time for it.
async fn count_shared_once(
    resources: &SessionResources,
    tree: &LivingTree,
    weight: &mut TreeUsage,
    snapshot: &Snapshot,
) -> bool {
    let pids = tree.pids(snapshot);
    let launcher = if weight.is_browser {
        &resources.sandbox.browser
    } else {
        &resources.sandbox.code
    };
    let counted = timeout(COUNT_BOUND, launcher.shared_once(pids)).await;
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

    fn weight(memory_mb: u64, processes: u64, threads: u64, is_browser: bool) -> TreeUsage {
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
            pulse: Pulse {
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
        let pulse = |available_bytes, threads| Pulse {
            available_bytes,
            shared_bytes: 0,
            threads,
        };
        let mut last = Look {
            at: Instant::now(),
            pulse: pulse(100, 10),
        };
        last.note_shrinking(&pulse(300, 5));
        last.note_shrinking(&pulse(200, 8));
        assert_eq!(last.pulse, pulse(300, 5));
    }
}
