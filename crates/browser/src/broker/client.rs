//! The client's end of the broker. Calls go straight to the browser; messages for the client wait
//! in its queue.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::Notify;

use super::Broker;

/// The largest message that a client may send, in bytes. Chromium stops reading for good at 100 MB;
/// Playwright sends files of up to 50 MiB as base64 (70 MB).
pub const MAX_REQUEST_BYTES: usize = 80 * 1024 * 1024;

/// The number of bytes that may wait for a slow client. It is checked before a message is added, so
/// that a single large result does not count as slowness.
const MAX_WAITING_BYTES: usize = 48 * 1024 * 1024;

/// The cost of a queued message in addition to its text, so that millions of tiny messages are
/// limited too.
const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// The size that RFC 6455 leaves for the reason in a close frame.
const MAX_REASON_BYTES: usize = 123;

/// The id of a client, unique for the lifetime of the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientId(pub(crate) u64);

/// The error of a client that is no longer connected to the browser. Its queue contains the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the client is no longer connected to the browser")]
pub struct Closed;

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

/// A client with its own browser-level session. Dropping the client, or either half, disconnects
/// it.
#[derive(Debug)]
pub struct Client {
    sender: ClientSender,
    receiver: ClientReceiver,
}

/// The half of a client that sends calls to the browser.
#[derive(Debug)]
pub struct ClientSender {
    registration: Arc<Registration>,
}

/// The half of a client that receives messages from the browser.
#[derive(Debug)]
pub struct ClientReceiver {
    registration: Arc<Registration>,
}

impl Client {
    pub(crate) fn new(broker: Arc<Broker>, id: ClientId, queue: Arc<SendQueue>) -> Client {
        let registration = Arc::new(Registration { broker, id, queue });
        Client {
            sender: ClientSender {
                registration: Arc::clone(&registration),
            },
            receiver: ClientReceiver { registration },
        }
    }

    /// Splits the client into halves, for two tasks or for two arms of a `select!`.
    pub fn split(self) -> (ClientSender, ClientReceiver) {
        (self.sender, self.receiver)
    }
}

impl ClientSender {
    /// Waits until the browser has read most of the queued bytes. Await this before
    /// [`send`](ClientSender::send), because several large messages at once must not end a client.
    /// Cancel safe.
    pub async fn room(&self) {
        self.registration.broker.writer().room().await;
    }

    /// Sends one message to the browser without waiting. Errors are reported through the receiving
    /// half, as Chromium would. A message larger than [`MAX_REQUEST_BYTES`] closes the client
    /// (1009). Returns an error once the receiving half has a close to deliver.
    pub fn send(&self, text: impl AsRef<str>) -> Result<(), Closed> {
        self.registration.broker.record_use();
        self.send_passively(text)
    }

    /// Sends a message as [`send`](ClientSender::send) does, but does not count as use of the
    /// browser.
    pub(crate) fn send_passively(&self, text: impl AsRef<str>) -> Result<(), Closed> {
        let text = text.as_ref();
        let Registration { broker, id, queue } = &*self.registration;
        if queue.is_closed() {
            return Err(Closed);
        }
        if text.len() > MAX_REQUEST_BYTES {
            broker.end_client(*id, 1009, "messages are limited to 80 MiB");
        } else {
            broker.handle_call(*id, queue, text);
        }
        Ok(())
    }
}

impl ClientReceiver {
    /// Waits for the next message to the client. After a close, returns the same close again.
    /// Cancel safe.
    pub async fn next(&mut self) -> Outgoing {
        let queue = &self.registration.queue;
        loop {
            let news = queue.news.notified();
            if let Some(outgoing) = queue.take() {
                return outgoing;
            }
            news.await;
        }
    }
}

impl Drop for ClientSender {
    fn drop(&mut self) {
        self.registration.leave();
    }
}

impl Drop for ClientReceiver {
    fn drop(&mut self) {
        self.registration.leave();
    }
}

/// The registration of a client at a broker. Both halves hold it.
struct Registration {
    broker: Arc<Broker>,
    id: ClientId,
    /// Shared with the broker's tables while the client is connected.
    queue: Arc<SendQueue>,
}

impl Registration {
    fn leave(&self) {
        self.broker.client_left(self.id);
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The queue of messages for one client. The broker writes it, the receiving half reads it.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    waiting: Mutex<Waiting>,
    /// Notified on every change.
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<String>,
    /// The size of `messages`, with their overhead.
    bytes: usize,
    /// Delivered once `messages` is empty. Nothing is added after it.
    close: Option<(u16, String)>,
}

/// The error of a client that reads too slowly: its queue was full and now holds only a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSlow;

impl SendQueue {
    /// Adds a message. Drops it if the client is closed.
    pub(crate) fn push(&self, message: String) -> Result<(), TooSlow> {
        {
            let mut waiting = self.lock();
            if waiting.close.is_some() {
                return Ok(());
            }
            if waiting.bytes > MAX_WAITING_BYTES {
                *waiting = Waiting {
                    close: Some((1013, "client reads too slowly".to_owned())),
                    ..Waiting::default()
                };
                drop(waiting);
                self.news.notify_one();
                return Err(TooSlow);
            }
            waiting.bytes += message.len() + MESSAGE_OVERHEAD_BYTES;
            waiting.messages.push_back(message);
        }
        self.news.notify_one();
        Ok(())
    }

    /// Closes the queue after the messages in it. The first reason wins.
    pub(crate) fn close(&self, code: u16, reason: &str) {
        self.lock()
            .close
            .get_or_insert_with(|| (code, cut(reason).to_owned()));
        self.news.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.lock().close.is_some()
    }

    fn take(&self) -> Option<Outgoing> {
        let mut waiting = self.lock();
        if let Some(message) = waiting.messages.pop_front() {
            waiting.bytes -= message.len() + MESSAGE_OVERHEAD_BYTES;
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

fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(code: u16, reason: &str) -> Outgoing {
        Outgoing::Close {
            code,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn close_follows_earlier_messages_and_repeats() {
        let queue = SendQueue::default();
        queue.push("a".to_owned()).expect("room");
        queue.close(1000, "first");
        queue.close(1011, "second");
        queue.push("b".to_owned()).expect("dropped");
        assert_eq!(queue.take(), Some(Outgoing::Message("a".to_owned())));
        assert_eq!(queue.take(), Some(close(1000, "first")));
        assert_eq!(queue.take(), Some(close(1000, "first")));
    }

    /// Rule Q1.
    #[test]
    fn one_large_message_is_accepted() {
        let queue = SendQueue::default();
        queue
            .push("x".repeat(MAX_WAITING_BYTES + 1))
            .expect("an empty queue accepts any frame");
        assert_eq!(queue.push("y".to_owned()), Err(TooSlow));
    }

    /// Rules Q1, C5.
    #[test]
    fn slow_client_loses_its_queue_and_is_closed() {
        let queue = SendQueue::default();
        queue
            .push("x".repeat(MAX_WAITING_BYTES + 1))
            .expect("an empty queue accepts any frame");
        queue.push("y".to_owned()).expect_err("full");
        assert_eq!(queue.take(), Some(close(1013, "client reads too slowly")));
    }

    #[test]
    fn close_reason_is_cut_between_characters() {
        let queue = SendQueue::default();
        queue.close(1011, &"ü".repeat(100));
        assert_eq!(queue.take(), Some(close(1011, &"ü".repeat(61))));
    }
}
