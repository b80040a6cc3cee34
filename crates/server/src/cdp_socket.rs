//! The bridge between a WebSocket and a client of the CDP broker.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hearth_browser::{Client, ClientReceiver, ClientSender, Outgoing};
use tokio_util::task::TaskTracker;

/// Chromium stops reading its pipe for good after a message of 100 MB; Playwright sends files of up to 50 MiB
/// as base64.
const MAX_MESSAGE_BYTES: usize = 80 << 20;

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
        let text = match message {
            Message::Text(text) => text.as_str().to_owned(),
            // Some clients send JSON as binary; Chromium takes it too.
            Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        if sender.send(text).is_err() {
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
