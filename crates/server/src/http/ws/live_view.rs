//! The WebSocket of one live view viewer.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hearth_budget::Budget;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::heartbeat::{PeerActivity, Pings};
use crate::http::client_connection::ClientConnection;
use crate::live_view::{
    self, LiveView, SessionEnded, Text, Update, Updates, ViewerAccess, ViewerGuard, ViewerInput,
};

/// The maximum size of a viewer's message, which can be pasted text.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The time limit for a viewer to receive the last message.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The close reason when there are too many viewers.
const TOO_MANY_VIEWERS: &str = "this session already has 32 viewers; try again when one has left";

/// The reason to disconnect a viewer, or `None` while the viewer may stay.
type Rejection = Option<&'static str>;

/// Accepts the upgrade, and serves the live view until the viewer disconnects or `ended` is ready.
/// The viewer's task belongs to `tracker`.
pub(crate) fn accept(
    upgrade: WebSocketUpgrade,
    live_view: Arc<LiveView>,
    access: ViewerAccess,
    ended: impl Future<Output = SessionEnded> + Send + 'static,
    connection: &ClientConnection,
    budget: &Budget,
    tracker: TaskTracker,
) -> Response {
    connection.upgrade(budget);
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES);
    let span = Span::current();
    upgrade.on_upgrade(move |mut socket| {
        let serving = async move {
            match live_view.join(access, &tracker) {
                Some(viewer) => tracker.track_future(serve(socket, viewer, ended)).await,
                None => close(&mut socket, close_code::POLICY, TOO_MANY_VIEWERS).await,
            }
        };
        serving.instrument(span)
    })
}

async fn serve(socket: WebSocket, viewer: ViewerGuard, ended: impl Future<Output = SessionEnded>) {
    let (sink, stream) = socket.split();
    let activity = PeerActivity::default();
    // The read loop passes a rejection to the write loop, which can close the socket with a reason.
    let rejection = watch::Sender::new(None);
    let (end_seen, end) = watch::channel(false);
    let ended = async {
        let ended = ended.await;
        end_seen.send_replace(true);
        ended
    };
    tokio::select! {
        () = read_loop(stream, viewer.input(), &activity, &rejection) => {}
        () = write_loop(sink, &viewer, &activity, rejection.subscribe(), ended) => {}
        () = close_deadline(end) => {}
    }
}

/// Handles the viewer's messages. Returns when the viewer has disconnected.
async fn read_loop<E>(
    mut stream: impl Stream<Item = Result<Message, E>> + Unpin,
    mut input: ViewerInput<'_>,
    activity: &PeerActivity,
    rejection: &watch::Sender<Rejection>,
) {
    while let Some(Ok(message)) = stream.next().await {
        activity.record();
        let text = match &message {
            Message::Text(text) => text.as_str(),
            Message::Binary(_) => "",
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        if let Err(reason) = input.handle(text).await {
            rejection.send_replace(Some(reason));
            return pending().await;
        }
    }
}

/// Sends messages to the viewer. Returns after closing the socket, or when the viewer is gone.
async fn write_loop(
    mut sink: impl Sink<Message> + Unpin,
    viewer: &ViewerGuard,
    activity: &PeerActivity,
    mut rejection: watch::Receiver<Rejection>,
    ended: impl Future<Output = SessionEnded>,
) {
    let mut updates = viewer.updates();
    let mut pings = Pings::new(activity);
    let mut ended = pin!(ended);
    let mut next = Next::Send(text(live_view::hello(viewer.access())));
    loop {
        match next {
            Next::Send(message) => {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
            Next::End(ended) => {
                let last = text(live_view::session_ended(&ended));
                if sink.send(last).await.is_ok() {
                    close(&mut sink, close_code::NORMAL, "the session has ended").await;
                }
                return;
            }
            Next::Reject(reason) => return close(&mut sink, close_code::POLICY, reason).await,
            Next::TimedOut => return tracing::debug!("viewer timed out"),
        }
        next = next_message(ended.as_mut(), &mut rejection, &mut pings, &mut updates).await;
    }
}

/// The next step of the write loop.
enum Next {
    Send(Message),
    End(SessionEnded),
    Reject(&'static str),
    TimedOut,
}

async fn next_message(
    ended: Pin<&mut impl Future<Output = SessionEnded>>,
    rejection: &mut watch::Receiver<Rejection>,
    pings: &mut Pings<'_>,
    updates: &mut Updates<'_>,
) -> Next {
    tokio::select! {
        biased;
        ended = ended => Next::End(ended),
        reason = rejected(rejection) => Next::Reject(reason),
        ping = pings.next() => match ping {
            Some(payload) => Next::Send(Message::Ping(payload)),
            None => Next::TimedOut,
        },
        update = updates.next() => Next::Send(match update {
            Update::Text(message) => text(message),
            Update::Frame(message) => Message::Binary(message),
        }),
    }
}

/// Waits until the session has ended, and then for [`CLOSE_TIMEOUT`].
async fn close_deadline(mut end: watch::Receiver<bool>) {
    if end.wait_for(|ended| *ended).await.is_err() {
        pending::<()>().await;
    }
    sleep_until(Instant::now() + CLOSE_TIMEOUT).await;
}

async fn rejected(rejection: &mut watch::Receiver<Rejection>) -> &'static str {
    match rejection
        .wait_for(Option::is_some)
        .await
        .map(|reason| *reason)
    {
        Ok(Some(reason)) => reason,
        _ => pending().await,
    }
}

fn text(message: Text) -> Message {
    // The conversion does not copy, and cannot fail because the text was a string.
    Message::Text(Utf8Bytes::try_from(message.into_bytes()).unwrap_or_default())
}

async fn close(sink: &mut (impl Sink<Message> + Unpin), code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    };
    // Sending fails when the peer has already left.
    let _ = sink.send(Message::Close(Some(frame))).await;
}
