//! Memory of the server and its child processes, as the kernel counts it.

use std::collections::BTreeSet;

use hearth_test_support::Session;
use hearth_test_support::process::{self, Process};

use crate::harness::Harness;
use crate::samples::Samples;

/// Number of sessions in the "8 sessions" rows.
const MANY: usize = 8;

/// Measures the group [`crate::rows::Group::Memory`] while the server is fresh.
pub async fn measure(harness: &Harness<'_>, samples: &mut Samples) {
    samples.add_value("server-none", server_mib(harness));
    let mut sessions = Vec::new();
    fill(harness, &mut sessions, 1).await;
    samples.add_value("server-one", server_mib(harness));
    add_trees(harness, ["shim-one", "browser-one", "kernel-one"], samples);
    fill(harness, &mut sessions, MANY).await;
    samples.add_value("server-eight", server_mib(harness));
    add_trees(
        harness,
        ["shim-eight", "browser-eight", "kernel-eight"],
        samples,
    );
    empty(sessions).await;
}

/// Measures the same server with the same number of sessions again, after all other rows.
pub async fn measure_at_the_end(harness: &Harness<'_>, samples: &mut Samples) {
    let mut sessions = Vec::new();
    fill(harness, &mut sessions, MANY).await;
    samples.add_value("server-end", server_mib(harness));
    empty(sessions).await;
}

async fn fill(harness: &Harness<'_>, sessions: &mut Vec<Session>, count: usize) {
    while sessions.len() < count {
        let session = harness.session().await;
        harness.execute(&session, "node", "1").await;
        sessions.push(session);
    }
}

async fn empty(sessions: Vec<Session>) {
    for session in sessions {
        session.delete().await;
    }
}

fn server_mib(harness: &Harness<'_>) -> f64 {
    // The server may have two processes.
    let halves = BTreeSet::from([harness.server.pid(), harness.server.serving_pid()]);
    halves
        .into_iter()
        .map(|pid| proportional_mib(&Process::find(pid).expect("the server runs")))
        .sum()
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
