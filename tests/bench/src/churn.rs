//! The rate at which sessions are created, used once and deleted, and their leftovers.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hearth_test_support::eventually;
use hearth_test_support::process::Process;

use crate::harness::{Extent, Harness, second_server};
use crate::samples::{Samples, per_second};

/// The number of clients, two for each processor of a small machine.
const CLIENTS: usize = 4;

/// The time after which something that still exists counts as left.
const LEFT_AFTER: Duration = Duration::from_secs(30);

/// Measures the group [`crate::rows::Group::Churn`].
pub async fn measure(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    let server = second_server(1).start().await;
    let harness = harness.beside(&server, 1).await;
    let window = Duration::from_secs(extent.pick(60, 5));
    let start = Instant::now();
    let clients = (0..CLIENTS).map(async |_| {
        let mut times = Vec::new();
        while start.elapsed() < window {
            let began = Instant::now();
            let (session, _) = harness.create().await;
            harness
                .execute(&session, "node", "await page.title()")
                .await;
            harness.delete(&session).await;
            times.push(began.elapsed());
        }
        times
    });
    let times = join_all(clients).await.concat();
    samples.add_value("churn-rate", per_second(times.len(), start.elapsed()));
    for took in times {
        samples.add("churn-time", took);
    }
    add_leftovers(&harness, samples).await;
    server.stop().await;
}

/// Counts the leftovers of deleted sessions. Uses up the warm session first, so that every process
/// and directory that existed before is a leftover if it still exists afterwards.
async fn add_leftovers(harness: &Harness<'_>, samples: &mut Samples) {
    within(LEFT_AFTER, || harness.is_settled()).await;
    let mut processes = harness.programs();
    let mut dirs = harness.server.session_dirs();
    let session = harness.session().await;
    harness.delete(&session).await;
    within(LEFT_AFTER, async || {
        !dirs.iter().any(|dir| dir.exists()) && !processes.iter().any(Process::is_alive)
    })
    .await;
    dirs.retain(|dir| dir.exists());
    processes.retain(Process::is_alive);
    samples.add_count("left-processes", processes.len());
    samples.add_count("left-directories", dirs.len());
}

/// Waits until a condition holds, but not longer than `limit`.
async fn within<C, F>(limit: Duration, is_true: C)
where
    C: Fn() -> F,
    F: Future<Output = bool>,
{
    let start = Instant::now();
    eventually(limit * 2, "the bench stops waiting", async || {
        if start.elapsed() > limit || is_true().await {
            Ok(())
        } else {
            Err("it waits".to_owned())
        }
    })
    .await;
}
