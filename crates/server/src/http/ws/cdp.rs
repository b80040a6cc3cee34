//! The bridge between a WebSocket and a client of the CDP broker.
//!
//! A client that is gone without a word (a laptop that sleeps, a cable that is pulled) may have
//! paused pages, so it is asked for a sign of life and dropped when it gives none. One that does
//! not read is dropped by the kernel: see `TcpUserTimeout` in `lifecycle`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::unfold;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hearth_browser::{Client, ClientSender, MAX_REQUEST_BYTES, Outgoing};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::task::TaskTracker;

/// A little more than the broker takes of one message, so that it is the broker who refuses, with a
/// reason that the client can read.
const MAX_MESSAGE_BYTES: usize = MAX_REQUEST_BYTES + (1 << 20);

/// How often a client is pinged. Every WebSocket library answers by itself; one that has sent
/// nothing at all between two pings is gone.
const PING_EVERY: Duration = Duration::from_secs(15);

/// Answers the upgrade and carries messages until either side leaves. The task is one of `tracker`.
pub(crate) fn accept(upgrade: WebSocketUpgrade, client: Client, tracker: TaskTracker) -> Response {
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES);
    upgrade.on_upgrade(async move |socket| {
        tracker.track_future(carry(socket, client)).await;
    })
}

async fn carry(socket: WebSocket, client: Client) {
    let (sink, stream) = socket.split();
    let (sender, receiver) = client.split();
    let outgoing = unfold(receiver, async |mut receiver| {
        Some((receiver.next().await, receiver))
    });
    let heard = AtomicBool::new(false);
    tokio::select! {
        () = to_browser(stream, sender, &heard) => {}
        () = to_client(sink, outgoing, &heard) => {}
    }
}

/// Returns when the client has left.
async fn to_browser<E>(
    mut stream: impl Stream<Item = Result<Message, E>> + Unpin,
    sender: ClientSender,
    heard: &AtomicBool,
) {
    while let Some(Ok(message)) = stream.next().await {
        heard.store(true, Ordering::Relaxed);
        // Until then the socket is not read, and the client's own network holds it back.
        sender.room().await;
        let sent = match &message {
            Message::Text(text) => sender.send(text.as_str()),
            // Some clients send JSON as binary; Chromium takes it too.
            Message::Binary(bytes) => sender.send(String::from_utf8_lossy(bytes)),
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        if sent.is_err() {
            // The other half says why, and ends the bridge.
            return std::future::pending().await;
        }
    }
}

/// Returns when the broker has said goodbye, or the client gives no sign of life.
async fn to_client(
    mut sink: impl Sink<Message> + Unpin,
    outgoing: impl Stream<Item = Outgoing>,
    heard: &AtomicBool,
) {
    let mut outgoing = std::pin::pin!(outgoing.fuse());
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    // Counted from when a ping has left, and not from when it should have.
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pinged = false;
    loop {
        let message = tokio::select! {
            outgoing = outgoing.next() => match outgoing {
                None => return,
                Some(Outgoing::Message(text)) => Message::Text(Utf8Bytes::from(text)),
                Some(Outgoing::Close { code, reason }) => {
                    let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
                    let _ = sink.send(Message::Close(Some(frame))).await;
                    return;
                }
            },
            _ = pings.tick() => {
                if !heard.swap(false, Ordering::Relaxed) && pinged {
                    tracing::debug!("a CDP client gave no sign of life and is dropped");
                    return;
                }
                pinged = true;
                Message::Ping(Vec::new().into())
            }
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long it takes until a client is given up that is heard of whenever `is_heard` says so.
    async fn give_up_after(bound: Duration, is_heard: impl Fn(u32) -> bool) -> Option<Duration> {
        let began = Instant::now();
        let heard = AtomicBool::new(false);
        let mut pings = 0;
        let sink = futures_util::sink::unfold((), |(), message: Message| {
            assert!(matches!(message, Message::Ping(_)), "{message:?}");
            pings += 1;
            heard.store(is_heard(pings), Ordering::Relaxed);
            std::future::ready(Ok::<_, ()>(()))
        });
        let sink = std::pin::pin!(sink);
        let given_up = tokio::time::timeout(
            bound,
            to_client(sink, futures_util::stream::pending(), &heard),
        )
        .await;
        given_up.ok().map(|()| began.elapsed())
    }

    /// Rule S11.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_answers_no_ping_is_dropped() {
        assert_eq!(
            give_up_after(Duration::from_hours(1), |_| false).await,
            Some(PING_EVERY * 2)
        );
        assert_eq!(
            give_up_after(Duration::from_hours(1), |pings| pings < 10).await,
            Some(PING_EVERY * 11)
        );
    }

    /// Rule S11.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_answers_pings_stays_however_silent_it_is() {
        assert_eq!(give_up_after(Duration::from_hours(1), |_| true).await, None);
    }
}
