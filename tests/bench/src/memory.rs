//! Memory of the server and its child processes, as the kernel counts it, and the processor time of
//! a warm session.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use hearth_test_support::Session;
use hearth_test_support::process::{self, Process};

use crate::harness::{Extent, Harness, second_server};
use crate::samples::Samples;

/// Measures the group [`crate::rows::Group::Memory`] while the server is fresh.
pub async fn measure(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    warm_session(harness, extent, samples).await;
    samples.add_value("server-none", server_mib(harness));
    let mut sessions = Vec::new();
    harness.fill(&mut sessions, 1).await;
    samples.add_value("server-one", server_mib(harness));
    add_trees(harness, ["shim-one", "browser-one", "kernel-one"], samples);
    samples.add_value("session-one", session_mib(harness, 1));
    harness.fill(&mut sessions, many(extent)).await;
    samples.add_value("server-eight", server_mib(harness));
    add_trees(
        harness,
        ["shim-eight", "browser-eight", "kernel-eight"],
        samples,
    );
    samples.add_value("session-eight", session_mib(harness, many(extent)));
    let most = extent.pick(30, 1);
    harness.fill(&mut sessions, most).await;
    samples.add_value("session-thirty", session_mib(harness, most));
    empty(harness, sessions).await;
}

/// Measures the same server with the same number of sessions again, after all other rows.
pub async fn measure_at_the_end(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    let mut sessions = Vec::new();
    harness.fill(&mut sessions, many(extent)).await;
    samples.add_value("server-end", server_mib(harness));
    empty(harness, sessions).await;
}

/// Returns the number of sessions in the "8 sessions" rows.
fn many(extent: Extent) -> usize {
    extent.pick(8, 1)
}

async fn empty(harness: &Harness<'_>, sessions: Vec<Session>) {
    for session in sessions {
        harness.delete(&session).await;
    }
    harness.settle().await;
}

/// Measures a warm session while no other session exists.
async fn warm_session(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    harness.settle().await;
    let server = second_server(1).start().await;
    let warm = harness.beside(&server, 1).await;
    if warm.warm > 0 {
        // The session must be idle, which no event reports. The next wait is the measured window.
        tokio::time::sleep(Duration::from_secs(extent.pick(5, 0))).await;
        let (before, start) = (processor_times(&warm.programs()), Instant::now());
        tokio::time::sleep(Duration::from_millis(extent.pick(10_000, 200))).await;
        let (after, window) = (processor_times(&warm.programs()), start.elapsed());
        let used: Duration = after
            .iter()
            .map(|(key, time)| time.saturating_sub(before.get(key).copied().unwrap_or_default()))
            .sum();
        samples.add_value(
            "cpu-warm",
            used.as_secs_f64() / window.as_secs_f64() * 100.0,
        );
        samples.add_value("session-warm", session_mib(&warm, 1));
    }
    server.stop().await;
}

/// Returns the time for which each process has run, the sum over its threads.
fn processor_times(processes: &[Process]) -> BTreeMap<(i32, u64), Duration> {
    let times = processes.iter().map(|process| {
        let threads = fs::read_dir(format!("/proc/{}/task", process.pid));
        let nanoseconds = threads
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|thread| {
                let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
                times.split(' ').next()?.parse::<u64>().ok()
            });
        (process.key(), Duration::from_nanos(nanoseconds.sum()))
    });
    let times: BTreeMap<_, _> = times.collect();
    assert!(
        times.values().any(|time| !time.is_zero()),
        "/proc/PID/task/TID/schedstat has no times"
    );
    times
}

fn server_mib(harness: &Harness<'_>) -> f64 {
    // The server may have two processes.
    let halves = BTreeSet::from([harness.server.pid(), harness.server.serving_pid()]);
    halves
        .into_iter()
        .map(|pid| proportional_mib(&Process::find(pid).expect("the server runs")))
        .sum()
}

/// Returns the memory of all processes of sessions, divided by the number of sessions.
fn session_mib(harness: &Harness<'_>, sessions: usize) -> f64 {
    let whole: f64 = harness.programs().iter().map(proportional_mib).sum();
    whole / f64::from(u32::try_from(sessions).expect("there are few sessions"))
}

/// Adds a sample for each shim, each browser and each kernel; a kernel includes all processes below
/// its shim.
fn add_trees(
    harness: &Harness<'_>,
    [shims, browsers, kernels]: [&'static str; 3],
    samples: &mut Samples,
) {
    for shim in harness
        .server
        .processes()
        .iter()
        .filter(|process| process.is_shim())
    {
        samples.add_value(shims, proportional_mib(shim));
        let below = process::tree(shim.pid);
        let whole = below.iter().map(proportional_mib).sum();
        if below.iter().any(Process::is_browser) {
            samples.add_value(browsers, whole);
        } else if below
            .iter()
            .any(|process| process.command.contains("kernel.mjs"))
        {
            samples.add_value(kernels, whole);
        }
    }
}

/// Returns the proportional set size in MiB; 0 for a process that has just ended.
fn proportional_mib(process: &Process) -> f64 {
    let kib = process.memory().map_or(0, |memory| memory.proportional_kib);
    f64::from(u32::try_from(kib).expect("no process uses 4 TiB")) / 1024.0
}
