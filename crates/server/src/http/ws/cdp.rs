//! The WebSocket of one CDP client.
//!
//! A client that disappears without closing its connection may have paused pages. Therefore the
//! server pings silent clients and drops those that do not answer. Linux drops a client that does
//! not read: see `TCP_USER_TIMEOUT_MS` in `http::serve`.
//!
//! While the broker handles a call, the call exists twice: as a message of the client and as a
//! frame for the browser. The budget counts one of them. Therefore [`LargeCalls`] grants turns.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use hearth_browser::{Client, ClientSender, MAX_REQUEST_BYTES, Outgoing};
use hearth_budget::Budget;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes, protocol::CloseFrame};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::heartbeat::{PeerActivity, Pings};
use super::split_frames::FrameLimits;
use super::upgrade::{Socket, Upgrade, send_text};
use crate::config::ServerLimits;
use crate::http::client_connection::ClientConnection;

/// The size of the buffer for reading. Small, because it is not counted in a budget.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// The maximum message size. It is larger than the broker's, so that the broker rejects a message
/// with a reason that the client can read.
const MAX_MESSAGE_BYTES: usize = MAX_REQUEST_BYTES + (1 << 20);

/// The size above which a call needs a turn.
const LARGE_CALL_BYTES: usize = 1 << 20;

/// The turns of large calls. The broker handles a call without waiting for anything, so a turn is
/// short. While a call waits for its turn, it counts in the budget of its session, so few wait.
#[derive(Clone, Debug)]
pub(crate) struct LargeCalls {
    turns: Arc<Semaphore>,
    frame_limits: FrameLimits,
}

impl LargeCalls {
    pub fn new(limits: ServerLimits) -> LargeCalls {
        LargeCalls {
            turns: Arc::new(Semaphore::new(limits.large_calls)),
            frame_limits: FrameLimits {
                part_bytes: limits.frame_bytes,
                frame_bytes: MAX_MESSAGE_BYTES as u64,
            },
        }
    }

    /// Waits for the turn of a large call. Other calls need none.
    async fn turn(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        if bytes <= LARGE_CALL_BYTES {
            return None;
        }
        // Only a closed semaphore fails, and this one is never closed.
        self.turns.acquire().await.ok()
    }
}

/// Accepts the upgrade, and forwards messages until either side disconnects. The task belongs to
/// `tracker`, and breaks the connection when `broken` is cancelled, in test mode.
pub(crate) fn accept(
    upgrade: Upgrade,
    client: Client,
    connection: Arc<ClientConnection>,
    budget: &Budget,
    calls: LargeCalls,
    tracker: &TaskTracker,
    broken: Option<Arc<CancellationToken>>,
) -> Response {
    connection.upgrade(budget);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let (response, socket) = upgrade.accept(config, calls.frame_limits);
    let serving = async move {
        // The client has left before the upgrade.
        let Ok(socket) = socket.await else { return };
        let serving = serve(socket, client, &connection, &calls);
        let Some(broken) = broken else {
            return serving.await;
        };
        tokio::select! {
            () = serving => {}
            () = broken.cancelled() => {}
        }
    };
    tracker.spawn(serving.instrument(Span::current()));
    response
}

async fn serve(socket: Socket, client: Client, connection: &ClientConnection, calls: &LargeCalls) {
    let (sink, stream) = socket.split();
    let (sender, receiver) = client.split();
    let outgoing = unfold(receiver, async |mut receiver| {
        Some((receiver.next().await, receiver))
    });
    let activity = PeerActivity::default();
    tokio::select! {
        () = read_loop(stream, sender, &activity, connection, calls) => {}
        () = write_loop(sink, outgoing, &activity) => {}
    }
}

/// Forwards the client's messages to the browser. Returns when the client has disconnected.
async fn read_loop<E>(
    mut stream: impl Stream<Item = Result<Message, E>> + Unpin,
    sender: ClientSender,
    activity: &PeerActivity,
    connection: &ClientConnection,
    calls: &LargeCalls,
) {
    while let Some(Ok(message)) = stream.next().await {
        activity.record();
        // The socket is not read while the broker is busy, so that TCP flow control slows the
        // client down.
        sender.writable().await;
        let turn = calls.turn(message.len()).await;
        // The broker reserves memory for what it keeps of the message.
        drop(connection.take_message());
        let sent = match &message {
            Message::Text(text) => sender.send(text.as_str()),
            // Some clients send JSON as binary, which Chromium also accepts.
            Message::Binary(bytes) => sender.send(String::from_utf8_lossy(bytes)),
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        // The next call gets its turn when the memory of this one is free.
        drop(message);
        drop(turn);
        if sent.is_err() {
            // The write loop closes the socket with the reason.
            return std::future::pending().await;
        }
    }
}

/// The next step of the write loop.
enum Next {
    Outgoing(Option<Outgoing>),
    /// A ping is due, or the client did not answer the last one.
    Ping(Option<Bytes>),
}

/// Forwards the browser's messages to the client. Returns when the broker has closed the
/// connection, or the client does not answer pings.
async fn write_loop(
    mut sink: impl Sink<Message> + Unpin,
    outgoing: impl Stream<Item = Outgoing>,
    activity: &PeerActivity,
) {
    let mut outgoing = std::pin::pin!(outgoing.fuse());
    let mut pings = Pings::new(activity);
    loop {
        let next = if let Some(next) = outgoing.next().now_or_never() {
            Next::Outgoing(next)
        } else {
            // Messages that are ready together are written together.
            if sink.flush().await.is_err() {
                return;
            }
            tokio::select! {
                next = outgoing.next() => Next::Outgoing(next),
                ping = pings.next() => Next::Ping(ping),
            }
        };
        let sent = match next {
            Next::Outgoing(next) => match next {
                None => return,
                Some(Outgoing::Message(text)) => send_text(&mut sink, text).await,
                Some(Outgoing::Close { code, reason }) => {
                    let (code, reason) = (code.into(), Utf8Bytes::from(reason));
                    let frame = CloseFrame { code, reason };
                    let _ = sink.send(Message::Close(Some(frame))).await;
                    return;
                }
            },
            Next::Ping(ping) => match ping {
                Some(payload) => sink.send(Message::Ping(payload)).await,
                None => return tracing::debug!("CDP client timed out"),
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::super::heartbeat::PING_INTERVAL;
    use super::*;

    /// Returns the time after which a client is dropped if it answers only the pings for which
    /// `answers` returns true.
    async fn dropped_after(timeout: Duration, answers: impl Fn(u32) -> bool) -> Option<Duration> {
        let began = Instant::now();
        let activity = PeerActivity::default();
        let mut pings = 0;
        let sink = futures_util::sink::unfold((), |(), message: Message| {
            assert!(matches!(message, Message::Ping(_)), "{message:?}");
            pings += 1;
            if answers(pings) {
                activity.record();
            }
            std::future::ready(Ok::<_, ()>(()))
        });
        let sink = std::pin::pin!(sink);
        let dropped = tokio::time::timeout(
            timeout,
            write_loop(sink, futures_util::stream::pending(), &activity),
        )
        .await;
        dropped.ok().map(|()| began.elapsed())
    }

    /// Rule S11.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_answer_pings_is_dropped() {
        assert_eq!(
            dropped_after(Duration::from_hours(1), |_| false).await,
            Some(PING_INTERVAL * 2)
        );
        assert_eq!(
            dropped_after(Duration::from_hours(1), |pings| pings < 10).await,
            Some(PING_INTERVAL * 11)
        );
    }

    /// Rule S11.
    #[tokio::test(start_paused = true)]
    async fn a_silent_client_that_answers_pings_stays_connected() {
        assert_eq!(dropped_after(Duration::from_hours(1), |_| true).await, None);
    }
}
