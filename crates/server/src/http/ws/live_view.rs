//! One viewer's socket.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hearth_browser::Held;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::task::TaskTracker;

use crate::live_view::message::{self, Command, Heard};
use crate::live_view::{Farewell, LiveView, Picture, Right, Seat};

/// The largest message of a viewer: what somebody pastes.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// How often a viewer is asked for a sign of life; one that has given none between two times is
/// gone.
const PING_EVERY: Duration = Duration::from_secs(15);

/// How long a viewer may take for the last message.
const FAREWELL: Duration = Duration::from_secs(2);

/// Policy violation, in RFC 6455: what the viewer said is not for it to say.
const NOT_ALLOWED: u16 = 1008;

/// What one viewer too many is told.
const FULL_HOUSE: &str = "32 people look at this session already; try again when one has left";

/// Answers the upgrade, and shows the live view until the viewer leaves or the session has `ended`.
/// The tasks are `tracker`'s.
pub(crate) fn accept(
    upgrade: WebSocketUpgrade,
    live_view: Arc<LiveView>,
    right: Right,
    ended: impl Future<Output = Farewell> + Send + 'static,
    tracker: TaskTracker,
) -> Response {
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES);
    upgrade.on_upgrade(
        async move |mut socket| match live_view.enter(right, &tracker) {
            Some(seat) => tracker.track_future(show(socket, seat, right, ended)).await,
            None => close(&mut socket, NOT_ALLOWED, FULL_HOUSE).await,
        },
    )
}

async fn show(socket: WebSocket, seat: Seat, right: Right, ended: impl Future<Output = Farewell>) {
    let (sink, stream) = socket.split();
    let heard = AtomicBool::new(false);
    // Told to the writing half, which is the one that can close the socket with a reason.
    let refused = watch::Sender::new(None);
    let (end_seen, end) = watch::channel(false);
    let ended = async {
        let farewell = ended.await;
        end_seen.send_replace(true);
        farewell
    };
    let mut held = Held::default();
    tokio::select! {
        () = hear(stream, &seat, right, &heard, &refused, &mut held) => {}
        () = speak(sink, &seat, right, &heard, refused.subscribe(), ended) => {}
        () = overstay(end) => {}
    }
    // Whoever lost the connection cannot let go by himself.
    for input in held.release() {
        // It is full when the browser does not follow, and empty when there is none.
        let _ = seat.live_view.commands.try_send(Command::Input(input));
    }
}

/// Returns when a viewer has not even taken the farewell.
async fn overstay(mut end: watch::Receiver<bool>) {
    if end.wait_for(|ended| *ended).await.is_err() {
        pending::<()>().await;
    }
    sleep_until(Instant::now() + FAREWELL).await;
}

/// Takes what the viewer says. Returns when it has left.
async fn hear<E>(
    mut stream: impl Stream<Item = Result<Message, E>> + Unpin,
    seat: &Seat,
    right: Right,
    heard: &AtomicBool,
    refused: &watch::Sender<Option<&'static str>>,
    held: &mut Held,
) {
    let live_view = &seat.live_view;
    while let Some(Ok(message)) = stream.next().await {
        heard.store(true, Ordering::Relaxed);
        let text = match &message {
            Message::Text(text) => text.as_str(),
            Message::Binary(_) => "",
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        let is_allowed = match message::read(text) {
            Some(Heard::Drawn(number)) => {
                let has_drawn = live_view
                    .audience()
                    .has_drawn(seat.id, number, Instant::now());
                live_view.stirred.notify_one();
                if has_drawn {
                    Ok(())
                } else {
                    Err("that picture was not sent, or is drawn already")
                }
            }
            Some(Heard::Command(_)) if right == Right::Watch => {
                Err("this link only lets you watch")
            }
            // When too much waits, the socket is not read, and the viewer's own network holds it
            // back.
            Some(Heard::Command(command)) => {
                if let Command::Input(input) = &command {
                    held.note(input);
                }
                live_view
                    .commands
                    .send(command)
                    .await
                    .map_err(|_| "the browser is gone")
            }
            None => Err("that is no message of a live view"),
        };
        if let Err(why) = is_allowed {
            refused.send_replace(Some(why));
            return pending().await;
        }
    }
}

/// Says what there is to say. Returns when it has said goodbye, or the viewer is gone.
async fn speak(
    mut sink: impl Sink<Message> + Unpin,
    seat: &Seat,
    right: Right,
    heard: &AtomicBool,
    mut refused: watch::Receiver<Option<&'static str>>,
    ended: impl Future<Output = Farewell>,
) {
    let live_view = &seat.live_view;
    let (mut tabs, mut dialog) = (live_view.tabs.subscribe(), live_view.dialog.subscribe());
    let (mut picture, mut notices) = (live_view.picture.subscribe(), live_view.notices.subscribe());
    // What is there already is news to this viewer.
    tabs.mark_changed();
    dialog.mark_changed();
    picture.mark_changed();
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    // Counted from when a ping has left, and not from when it should have.
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pinged = false;
    let mut ended = std::pin::pin!(ended);
    if sink
        .send(Message::Text(message::hello(right)))
        .await
        .is_err()
    {
        return;
    }
    loop {
        let message = tokio::select! {
            biased;
            farewell = &mut ended => {
                let last = message::ended(&farewell);
                if sink.send(Message::Text(last)).await.is_ok() {
                    close(&mut sink, 1000, "the session has ended").await;
                }
                return;
            }
            why = refusal(&mut refused) => return close(&mut sink, NOT_ALLOWED, why).await,
            _ = pings.tick() => {
                if !heard.swap(false, Ordering::Relaxed) && pinged {
                    tracing::debug!("a viewer gave no sign of life and is dropped");
                    return;
                }
                pinged = true;
                Message::Ping(Vec::new().into())
            }
            text = news(&mut tabs) => Message::Text(text),
            text = news(&mut dialog) => Message::Text(text),
            text = remark(&mut notices) => Message::Text(text),
            picture = next_picture(seat, &mut picture) => {
                live_view.audience().sent(seat.id, picture.number, Instant::now());
                Message::Binary(picture.message)
            }
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

async fn close(sink: &mut (impl Sink<Message> + Unpin), code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    };
    // It may have left before.
    let _ = sink.send(Message::Close(Some(frame))).await;
}

async fn refusal(refused: &mut watch::Receiver<Option<&'static str>>) -> &'static str {
    match refused.wait_for(Option::is_some).await.map(|why| *why) {
        Ok(Some(why)) => why,
        _ => pending().await,
    }
}

/// The next state that a channel is in. Cancel safe.
async fn news(channel: &mut watch::Receiver<Utf8Bytes>) -> Utf8Bytes {
    while channel.changed().await.is_ok() {
        let state = channel.borrow_and_update().clone();
        if !state.is_empty() {
            return state;
        }
    }
    pending().await
}

/// The next remark; some may have been missed. Cancel safe.
async fn remark(notices: &mut broadcast::Receiver<Utf8Bytes>) -> Utf8Bytes {
    loop {
        match notices.recv().await {
            Ok(text) => return text,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return pending().await,
        }
    }
}

/// The newest picture, once the viewer is ready for one. Cancel safe.
async fn next_picture(seat: &Seat, pictures: &mut watch::Receiver<Option<Picture>>) -> Picture {
    loop {
        let readiness = seat.live_view.audience().is_ready(seat.id);
        match readiness {
            Ok(()) => {}
            Err(Some(ready)) => {
                ready.notified().await;
                continue;
            }
            Err(None) => return pending().await,
        }
        if pictures.changed().await.is_err() {
            return pending().await;
        }
        if let Some(picture) = pictures.borrow_and_update().clone() {
            return picture;
        }
    }
}
