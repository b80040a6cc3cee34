//! The lines that wait for one reader.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::sync::Notify;

/// The maximum size of the lines that wait, in bytes.
pub(super) const MAX_QUEUE_BYTES: usize = 256 * 1024;

/// The maximum number of lines that wait.
const MAX_LINES: usize = 500;

/// The lines of one reader. The oldest make room for new ones.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Notified when a line is added, and at the end.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    bytes: usize,
    /// The lines that were dropped since the reader took one.
    dropped: u64,
    is_closed: bool,
}

impl Queue {
    /// Adds a line.
    pub fn push(&self, line: String) {
        let mut state = self.lock();
        if line.len() > MAX_QUEUE_BYTES {
            state.dropped += 1;
        } else {
            state.bytes += line.len();
            state.lines.push_back(line);
        }
        while state.lines.len() > MAX_LINES || state.bytes > MAX_QUEUE_BYTES {
            let Some(oldest) = state.lines.pop_front() else {
                break;
            };
            state.bytes -= oldest.len();
            state.dropped += 1;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Ends the lines.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next line. If lines were dropped, the next one says how many. Returns `None`
    /// after the last one. Cancel safe.
    pub async fn next(&self) -> Option<String> {
        loop {
            {
                let mut state = self.lock();
                if state.dropped > 0 {
                    let count = std::mem::take(&mut state.dropped);
                    return Some(json!({"kind": "dropped", "count": count}).to_string());
                }
                if let Some(line) = state.lines.pop_front() {
                    state.bytes -= line.len();
                    return Some(line);
                }
                if state.is_closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number in the next line, which says how many lines were dropped.
    async fn dropped(queue: &Queue) -> usize {
        let line = queue.next().await.expect("a notice");
        let line: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        assert_eq!(line["kind"], "dropped");
        let count = line["count"].as_u64().expect("a number");
        usize::try_from(count).expect("a small number")
    }

    #[tokio::test]
    async fn a_slow_reader_loses_the_oldest_lines_and_learns_how_many() {
        let queue = Queue::default();
        for number in 0..MAX_LINES + 3 {
            queue.push(number.to_string());
        }
        assert_eq!(dropped(&queue).await, 3);
        assert_eq!(queue.next().await.expect("a line"), "3");
        queue.push("x".repeat(MAX_QUEUE_BYTES));
        queue.push("last".to_owned());
        assert_eq!(dropped(&queue).await, MAX_LINES);
        assert_eq!(queue.next().await.expect("a line"), "last");
    }

    #[tokio::test]
    async fn a_line_that_never_fits_is_counted() {
        let queue = Queue::default();
        queue.push("x".repeat(MAX_QUEUE_BYTES + 1));
        assert_eq!(dropped(&queue).await, 1);
        queue.close();
        assert_eq!(queue.next().await, None);
    }

    #[tokio::test]
    async fn a_waiting_reader_gets_a_line_and_the_end() {
        let queue = Queue::default();
        let (line, ()) = tokio::join!(queue.next(), async { queue.push("one".to_owned()) });
        assert_eq!(line.as_deref(), Some("one"));
        queue.push("two".to_owned());
        let (end, ()) = tokio::join!(async { [queue.next().await, queue.next().await] }, async {
            queue.close();
        });
        assert_eq!(end, [Some("two".to_owned()), None]);
    }
}
