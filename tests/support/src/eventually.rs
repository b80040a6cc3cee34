//! Polling, which only this module does.
//!
//! Tests wait for events: a response, a closed socket, a signal from running code. [`eventually`]
//! is only for state that sends no events to other processes: the process table, open sockets and
//! dirs.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(10);

/// Checks `condition` every 10 ms until it holds, and panics with the last error after `deadline`.
///
/// The condition is checked once more after the deadline, so a busy machine does not fail a correct
/// test.
pub async fn eventually<C, F>(deadline: Duration, what: &str, mut condition: C)
where
    C: FnMut() -> F,
    F: Future<Output = Result<(), String>>,
{
    let start = Instant::now();
    loop {
        let is_last = start.elapsed() >= deadline;
        match condition().await {
            Ok(()) => return,
            Err(problem) if is_last => panic!("not true within {deadline:?}: {what}\n{problem}"),
            Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}
