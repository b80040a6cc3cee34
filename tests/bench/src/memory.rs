//! Memory of the server and of what it starts, as the kernel counts it.

use std::collections::BTreeSet;

use hearth_test_support::Session;
use hearth_test_support::process::{self, Process};

use crate::figures::Figures;
use crate::stage::Stage;

/// What the rows call "8 sessions".
const MANY: usize = 8;

/// Measures the group [`crate::rows::Group::Memory`] while the server is fresh.
pub async fn measure(stage: &Stage<'_>, figures: &mut Figures) {
    figures.add_value("server-none", server_mib(stage));
    let mut sessions = Vec::new();
    fill(stage, &mut sessions, 1).await;
    figures.add_value("server-one", server_mib(stage));
    add_trees(stage, ["shim-one", "browser-one", "kernel-one"], figures);
    fill(stage, &mut sessions, MANY).await;
    figures.add_value("server-eight", server_mib(stage));
    add_trees(
        stage,
        ["shim-eight", "browser-eight", "kernel-eight"],
        figures,
    );
    empty(sessions).await;
}

/// The same server with as many sessions once more, when it has done everything else.
pub async fn measure_at_the_end(stage: &Stage<'_>, figures: &mut Figures) {
    let mut sessions = Vec::new();
    fill(stage, &mut sessions, MANY).await;
    figures.add_value("server-end", server_mib(stage));
    empty(sessions).await;
}

async fn fill(stage: &Stage<'_>, sessions: &mut Vec<Session>, count: usize) {
    while sessions.len() < count {
        let session = stage.session().await;
        stage.execute(&session, "node", "1").await;
        sessions.push(session);
    }
}

async fn empty(sessions: Vec<Session>) {
    for session in sessions {
        session.delete().await;
    }
}

fn server_mib(stage: &Stage<'_>) -> f64 {
    // Both halves of it, where there are two.
    let halves = BTreeSet::from([stage.server.pid(), stage.server.serving_pid()]);
    halves
        .into_iter()
        .map(|pid| proportional_mib(&Process::find(pid).expect("the server runs")))
        .sum()
}

/// Adds a sample for each shim, each browser and each kernel; the latter with all the processes
/// below their shim.
fn add_trees(
    stage: &Stage<'_>,
    [shims, browsers, kernels]: [&'static str; 3],
    figures: &mut Figures,
) {
    for shim in stage
        .server
        .processes()
        .iter()
        .filter(|process| process.is_shim())
    {
        figures.add_value(shims, proportional_mib(shim));
        let below = process::tree(shim.pid);
        let whole = below.iter().map(proportional_mib).sum();
        if below.iter().any(Process::is_browser) {
            figures.add_value(browsers, whole);
        } else if below
            .iter()
            .any(|process| process.command.contains("kernel.mjs"))
        {
            figures.add_value(kernels, whole);
        }
    }
}

/// The proportional set size in MiB; nothing for a process that has just ended.
fn proportional_mib(process: &Process) -> f64 {
    let kib = process.memory().map_or(0, |memory| memory.proportional_kib);
    f64::from(u32::try_from(kib).expect("no process has 4 TiB")) / 1024.0
}
