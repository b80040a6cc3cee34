//! The client's end of the broker. Calls go straight to the browser; messages for the client wait
//! in its queue.

use std::sync::Arc;

use thiserror::Error;

use super::Broker;
use super::send_queue::{ClientId, Outgoing, SendQueue};

/// The largest message that a client may send, in bytes. Chromium stops reading for good at 100 MB;
/// Playwright sends files of up to 50 MiB as base64 (70 MB).
pub const MAX_REQUEST_BYTES: usize = 80 * 1024 * 1024;

/// The error of a client that is no longer connected to the browser. Its queue contains the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the client is no longer connected to the browser")]
pub struct Closed;

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
    pub async fn writable(&self) {
        self.registration.broker.writer().writable().await;
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
    pub fn send_passively(&self, text: impl AsRef<str>) -> Result<(), Closed> {
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
        self.registration.queue.next().await
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
