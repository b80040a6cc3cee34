//! One client's end of the broker: what it sends goes straight on, what is for it waits in its own
//! queue.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::Notify;

use super::Broker;

/// The largest message that a client may send, in bytes. Chromium stops reading for good at 100 MB;
/// Playwright sends files of up to 50 MiB as base64 (70 MB).
pub const MAX_REQUEST_BYTES: usize = 80 * 1024 * 1024;

/// What may wait for a client that reads slowly, judged before a message is added: a single large
/// result is not slowness.
const MAX_WAITING_BYTES: usize = 48 * 1024 * 1024;

/// What a queued message costs beside its text, so that millions of tiny ones are bounded too.
const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// RFC 6455 leaves this much for a close frame's reason.
const MAX_REASON_BYTES: usize = 123;

/// A client, for as long as the browser lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientId(pub(crate) u64);

/// The client is not connected to the browser any more; its queue says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the client is no longer connected to the browser")]
pub struct Closed;

/// What is to be told to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// One text message.
    Message(String),
    /// The end, as a WebSocket close code and a reason of 123 bytes at the most. Nothing comes
    /// after it.
    Close {
        /// 1000, 1001, 1009, 1011 or 1013.
        code: u16,
        /// For the client's log.
        reason: String,
    },
}

/// A client that is attached to the browser with a browser-level session of its own.
/// Dropping it, or either half, means that the client has left.
#[derive(Debug)]
pub struct Client {
    sender: ClientSender,
    receiver: ClientReceiver,
}

/// What a client says goes in here.
#[derive(Debug)]
pub struct ClientSender {
    registration: Arc<Registration>,
}

/// What is for a client comes out here.
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

    /// Both halves, for two tasks or for the two arms of one.
    pub fn split(self) -> (ClientSender, ClientReceiver) {
        (self.sender, self.receiver)
    }
}

impl ClientSender {
    /// Waits until the browser has taken most of what waits for it. To be awaited before
    /// [`send`](ClientSender::send): several large messages at once are no reason to end anybody.
    /// Cancel safe.
    pub async fn room(&self) {
        self.registration.broker.writer().room().await;
    }

    /// Takes one message of the client and never waits. Whatever is wrong with it is answered
    /// through the other half, as Chromium would; one larger than [`MAX_REQUEST_BYTES`] ends the
    /// client there (1009). Once that half has a close to tell, nothing more is taken.
    pub fn send(&self, text: impl AsRef<str>) -> Result<(), Closed> {
        self.registration.broker.record_use();
        self.send_passively(text)
    }

    /// The same, and it does not count as a use of the browser.
    pub(crate) fn send_passively(&self, text: impl AsRef<str>) -> Result<(), Closed> {
        let text = text.as_ref();
        let Registration { broker, id, queue } = &*self.registration;
        if queue.is_closed() {
            return Err(Closed);
        }
        if text.len() > MAX_REQUEST_BYTES {
            broker.end_client(*id, 1009, "a message may have 80 MiB");
        } else {
            broker.handle_call(*id, queue, text);
        }
        Ok(())
    }
}

impl ClientReceiver {
    /// Waits for the next thing to tell the client. Cancel safe. After a close it gives the same
    /// close again.
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

/// That a client belongs to a broker. PressedInputs by both halves.
struct Registration {
    broker: Arc<Broker>,
    id: ClientId,
    /// The broker's tables hold it too, as long as the client is there.
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

/// The queue of what is for one client. Written by the broker, read by the client's receiving half.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    waiting: Mutex<Waiting>,
    /// Rung at every change.
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<String>,
    /// Of `messages`, with their overhead.
    bytes: usize,
    /// Told when `messages` is empty; then nothing is added any more.
    close: Option<(u16, String)>,
}

/// The client reads so slowly that its queue is full. It has been told so, and its queue is empty
/// now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSlow;

impl SendQueue {
    /// Adds a message. One for a closed client is dropped.
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

    /// Ends the queue after what is in it. The first reason stays.
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
    fn a_close_comes_after_the_messages_before_it_and_stays() {
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
    fn one_large_message_is_not_slowness() {
        let queue = SendQueue::default();
        queue
            .push("x".repeat(MAX_WAITING_BYTES + 1))
            .expect("an empty queue takes anything");
        assert_eq!(queue.push("y".to_owned()), Err(TooSlow));
    }

    /// Rules Q1, C5.
    #[test]
    fn a_client_that_is_too_slow_loses_its_queue_and_is_told() {
        let queue = SendQueue::default();
        queue
            .push("x".repeat(MAX_WAITING_BYTES + 1))
            .expect("an empty queue takes anything");
        queue.push("y".to_owned()).expect_err("full");
        assert_eq!(queue.take(), Some(close(1013, "client reads too slowly")));
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let queue = SendQueue::default();
        queue.close(1011, &"ü".repeat(100));
        assert_eq!(queue.take(), Some(close(1011, &"ü".repeat(61))));
    }
}
