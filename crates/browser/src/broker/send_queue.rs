//! The queue of messages for one client, between the broker and the client's connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hearth_budget::{Budget, Reservation};
use tokio::sync::Notify;

/// The number of bytes that may wait for a slow client. It is checked before a message is added, so
/// that a single large result does not count as slowness.
const MAX_WAITING_BYTES: usize = 48 * 1024 * 1024;

/// The reasons for closing a client whose queue is full.
const TOO_SLOW: &str = "client reads too slowly";
const BUDGET_EXHAUSTED: &str = "the session's buffers are full (HEARTH_SESSION_BUFFER_MB)";

/// The cost of a queued message in addition to its text, so that millions of tiny messages are
/// limited too.
const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// The size that RFC 6455 leaves for the reason in a close frame.
const MAX_REASON_BYTES: usize = 123;

/// The id of a client, unique for the lifetime of the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientId(pub(crate) u64);

/// A message from the broker to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// One text message.
    Message(String),
    /// The end, as a WebSocket close code and a reason of at most 123 bytes. No message follows.
    Close {
        /// 1000, 1001, 1009, 1011 or 1013.
        code: u16,
        /// The reason, for the client's log.
        reason: String,
    },
}

/// The queue of messages for one client. The broker writes it, the receiving half reads it.
#[derive(Debug)]
pub(crate) struct SendQueue {
    waiting: Mutex<Waiting>,
    /// Notified on every change.
    news: Notify,
}

#[derive(Debug)]
struct Waiting {
    messages: VecDeque<String>,
    /// The size of `messages`, with their overhead.
    bytes: usize,
    /// The size of the message that the receiver took last, and may still be writing.
    taken: usize,
    /// Counts `bytes` and `taken` in the session's budget.
    reserved: Reservation,
    /// Delivered once `messages` is empty. Nothing is added after it.
    close: Option<(u16, String)>,
}

/// The error of a client that reads too slowly: its queue was full and now holds only a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSlow;

impl SendQueue {
    /// Creates a queue whose messages count in `budget`.
    pub(crate) fn new(budget: &Budget) -> SendQueue {
        SendQueue {
            waiting: Mutex::new(Waiting {
                messages: VecDeque::new(),
                bytes: 0,
                taken: 0,
                reserved: budget.empty(),
                close: None,
            }),
            news: Notify::new(),
        }
    }

    /// Adds messages, which the receiver gets at once. Drops them if the client is closed.
    pub(crate) fn push(&self, messages: impl IntoIterator<Item = String>) -> Result<(), TooSlow> {
        let mut waiting = self.lock();
        let pushed = messages
            .into_iter()
            .try_for_each(|message| waiting.push(message));
        drop(waiting);
        self.news.notify_one();
        pushed
    }

    /// Closes the queue after the messages in it. The first reason wins.
    pub(crate) fn close(&self, code: u16, reason: &str) {
        self.lock()
            .close
            .get_or_insert_with(|| (code, cut(reason).to_owned()));
        self.news.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().close.is_some()
    }

    /// Waits for the next message. The previous one counts in the budget until then, because the
    /// receiver may write it slowly. After a close, returns the same close again. Cancel safe.
    pub(super) async fn next(&self) -> Outgoing {
        self.lock().written();
        loop {
            let news = self.news.notified();
            if let Some(outgoing) = self.take() {
                return outgoing;
            }
            news.await;
        }
    }

    fn take(&self) -> Option<Outgoing> {
        let mut waiting = self.lock();
        if let Some(message) = waiting.messages.pop_front() {
            waiting.taken = message.len() + MESSAGE_OVERHEAD_BYTES;
            waiting.bytes -= waiting.taken;
            return Some(Outgoing::Message(message));
        }
        waiting
            .close
            .clone()
            .map(|(code, reason)| Outgoing::Close { code, reason })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, message: String) -> Result<(), TooSlow> {
        if self.close.is_some() {
            return Ok(());
        }
        let cost = message.len() + MESSAGE_OVERHEAD_BYTES;
        let is_full = self.bytes > MAX_WAITING_BYTES;
        if is_full || self.reserved.grow(cost).is_err() {
            self.messages = VecDeque::new();
            self.bytes = 0;
            self.count();
            let reason = if is_full { TOO_SLOW } else { BUDGET_EXHAUSTED };
            self.close = Some((1013, reason.to_owned()));
            return Err(TooSlow);
        }
        self.bytes += cost;
        self.messages.push_back(message);
        Ok(())
    }

    /// Records that the receiver has written the message that it took.
    fn written(&mut self) {
        self.taken = 0;
        self.count();
    }

    /// Reduces the reservation to what is still in memory.
    fn count(&mut self) {
        self.reserved.shrink_to(self.bytes + self.taken);
    }
}

fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Budget {
        Budget::new("this test", 100 << 20)
    }

    fn close(code: u16, reason: &str) -> Outgoing {
        Outgoing::Close {
            code,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn close_follows_earlier_messages_and_repeats() {
        let queue = SendQueue::new(&budget());
        queue.push(["a".to_owned()]).expect("room");
        queue.close(1000, "first");
        queue.close(1011, "second");
        queue.push(["b".to_owned()]).expect("dropped");
        assert_eq!(queue.take(), Some(Outgoing::Message("a".to_owned())));
        assert_eq!(queue.take(), Some(close(1000, "first")));
        assert_eq!(queue.take(), Some(close(1000, "first")));
    }

    /// Rule Q1.
    #[test]
    fn one_large_message_is_accepted() {
        let queue = SendQueue::new(&budget());
        queue
            .push(["x".repeat(MAX_WAITING_BYTES + 1)])
            .expect("an empty queue accepts any frame");
        assert_eq!(queue.push(["y".to_owned()]), Err(TooSlow));
    }

    /// Rules Q1, C5.
    #[test]
    fn slow_client_loses_its_queue_and_is_closed() {
        let queue = SendQueue::new(&budget());
        queue
            .push(["x".repeat(MAX_WAITING_BYTES + 1)])
            .expect("an empty queue accepts any frame");
        queue.push(["y".to_owned()]).expect_err("full");
        assert_eq!(queue.take(), Some(close(1013, "client reads too slowly")));
    }

    #[test]
    fn close_reason_is_cut_between_characters() {
        let queue = SendQueue::new(&budget());
        queue.close(1011, &"ü".repeat(100));
        assert_eq!(queue.take(), Some(close(1011, &"ü".repeat(61))));
    }

    #[tokio::test]
    async fn a_message_counts_until_the_next_one_is_taken() {
        let budget = budget();
        let queue = SendQueue::new(&budget);
        queue.push(["x".repeat(1000)]).expect("room");
        let size = 1000 + MESSAGE_OVERHEAD_BYTES as u64;
        queue.next().await;
        assert_eq!(budget.used(), size, "it may still be written");
        queue.push(["y".repeat(10)]).expect("room");
        queue.next().await;
        assert_eq!(budget.used(), 10 + MESSAGE_OVERHEAD_BYTES as u64);
        queue.close(1000, "end");
        queue.next().await;
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_exhausted_budget_closes_the_client() {
        let budget = Budget::new("this test", 1000);
        let queue = SendQueue::new(&budget);
        queue.push(["x".repeat(500)]).expect("564 of 1000 bytes");
        queue
            .push(["y".repeat(500)])
            .expect_err("1128 of 1000 bytes");
        assert_eq!(budget.used(), 0);
        assert_eq!(queue.take(), Some(close(1013, BUDGET_EXHAUSTED)));
    }
}
