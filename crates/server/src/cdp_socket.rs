//! The bridge between a WebSocket and a client of the CDP broker.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hearth_browser::{Client, ClientReceiver, ClientSender, MAX_REQUEST_BYTES, Outgoing};
use tokio_util::task::TaskTracker;

/// A little more than the broker takes of one message, so that it is the broker who refuses, with a reason that
/// the client can read.
const MAX_MESSAGE_BYTES: usize = MAX_REQUEST_BYTES + (1 << 20);

/// Answers the upgrade and carries messages until either side leaves. The task is one of `tracker`.
pub(crate) fn accept(upgrade: WebSocketUpgrade, client: Client, tracker: TaskTracker) -> Response {
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    upgrade.on_upgrade(async move |socket| {
        tracker.track_future(carry(socket, client)).await;
    })
}

async fn carry(socket: WebSocket, client: Client) {
    let (sink, stream) = socket.split();
    let (sender, receiver) = client.split();
    tokio::select! {
        () = to_browser(stream, sender) => {}
        () = to_client(sink, receiver) => {}
    }
}

/// Returns when the client has left.
async fn to_browser(mut stream: SplitStream<WebSocket>, sender: ClientSender) {
    while let Some(Ok(message)) = stream.next().await {
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

/// Returns when the broker has said goodbye.
async fn to_client(mut sink: SplitSink<WebSocket, Message>, mut receiver: ClientReceiver) {
    loop {
        match receiver.next().await {
            Outgoing::Message(text) => {
                if sink.send(Message::Text(Utf8Bytes::from(text))).await.is_err() {
                    return;
                }
            }
            Outgoing::Close { code, reason } => {
                let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
                let _ = sink.send(Message::Close(Some(frame))).await;
                return;
            }
        }
    }
}
