//! The one place that polls.
//!
//! A test waits on events: an answer, a closed socket, word from running code. Only the process
//! table, open sockets and folders change without telling anybody who is not the parent, and only
//! for those is [`eventually`] meant.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(10);

/// Looks every 10 ms until `condition` holds, and panics with its last objection after `deadline`.
///
/// The condition is looked at once more after the deadline, so a busy machine does not fail a test
/// that is right.
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
            Err(objection) if is_last => panic!("not within {deadline:?}: {what}\n{objection}"),
            Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}
