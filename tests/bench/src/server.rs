//! The start of the server.

use std::time::{Duration, Instant};

use hearth_test_support::eventually;
use reqwest::Method;

use crate::harness::{Extent, Harness, second_server};
use crate::samples::Samples;

/// The time in which a server is ready.
const READY: Duration = Duration::from_secs(20);

/// Measures the group [`crate::rows::Group::Server`].
pub async fn measure(harness: &Harness<'_>, extent: Extent, samples: &mut Samples) {
    for _ in 0..extent.rounds {
        let start = Instant::now();
        let server = second_server(0).start().await;
        eventually(READY, "the server is ready", async || {
            let request = server.request_outside(Method::GET, "/readyz");
            let status = request.send().await.expect("the server answers").status();
            status
                .is_success()
                .then_some(())
                .ok_or_else(|| status.to_string())
        })
        .await;
        samples.add("server-ready", start.elapsed());
        server.stop().await;

        let start = Instant::now();
        let server = second_server(1).start().await;
        let warm = harness.beside(&server, 1).await;
        if warm.warm > 0 {
            samples.add("server-warm", start.elapsed());
        }
        server.stop().await;
    }
}
