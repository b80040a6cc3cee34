//! Executions per second in several sessions.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::harness::{Extent, Harness};
use crate::samples::{Samples, per_second};

/// Measures the group [`crate::rows::Group::Rate`].
pub async fn measure(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    let window = Duration::from_millis(extent.pick(10_000, 300));
    let mut sessions = Vec::new();
    for (count, rate, time) in [
        (1, "rate-1", "rate-1-time"),
        (extent.pick(4, 2), "rate-4", "rate-4-time"),
        (extent.pick(16, 2), "rate-16", "rate-16-time"),
    ] {
        harness.fill(&mut sessions, count).await;
        let start = Instant::now();
        let clients = sessions.iter().map(async |session| {
            let mut times = Vec::new();
            while start.elapsed() < window {
                times.push(harness.execute(session, "node", "1").await.1);
            }
            times
        });
        let times = join_all(clients).await.concat();
        samples.add_value(rate, per_second(times.len(), start.elapsed()));
        for took in times {
            samples.add(time, took);
        }
    }
    for session in sessions {
        harness.delete(&session).await;
    }
    harness.settle().await;
}
