//! One viewer's side of the live view.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use hearth_browser::PressedInputs;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::access::ViewerAccess;
use super::message::{self, ClientMessage, Command, Text};
use super::shared::{EncodedFrame, Shared};
use super::viewers::ViewerId;

/// A viewer's membership. Dropping it removes the viewer.
#[derive(Debug)]
pub(crate) struct ViewerGuard {
    shared: Arc<Shared>,
    id: ViewerId,
    access: ViewerAccess,
}

impl ViewerGuard {
    pub(super) fn new(shared: Arc<Shared>, id: ViewerId, access: ViewerAccess) -> ViewerGuard {
        ViewerGuard { shared, id, access }
    }

    pub fn access(&self) -> ViewerAccess {
        self.access
    }

    /// Returns the handler of the messages that the viewer sends.
    pub fn input(&self) -> ViewerInput<'_> {
        ViewerInput {
            viewer: self,
            pressed: PressedInputs::default(),
        }
    }

    /// Returns the messages for the viewer. The current tabs, dialog and frame come first.
    pub fn updates(&self) -> Updates<'_> {
        let shared = &self.shared;
        let mut updates = Updates {
            viewer: self,
            tabs: shared.tabs.subscribe(),
            dialog: shared.dialog.subscribe(),
            frames: shared.frame.subscribe(),
            notices: shared.notices.subscribe(),
        };
        updates.tabs.mark_changed();
        updates.dialog.mark_changed();
        updates.frames.mark_changed();
        updates
    }
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.shared.viewers().leave(self.id);
        self.shared.wakeup.notify_one();
    }
}

/// Handles the messages of one viewer. Dropping it releases the keys, buttons and fingers that the
/// viewer holds down. A viewer that lost its connection cannot release them.
#[derive(Debug)]
pub(crate) struct ViewerInput<'viewer> {
    viewer: &'viewer ViewerGuard,
    pressed: PressedInputs,
}

impl ViewerInput<'_> {
    /// Handles a message. Returns the reason as an error if the viewer must be disconnected.
    ///
    /// Waits while too many commands are queued. Meanwhile, the WebSocket is not read, so that TCP
    /// flow control slows the viewer down.
    pub async fn handle(&mut self, text: &str) -> Result<(), &'static str> {
        let shared = &self.viewer.shared;
        match message::parse(text) {
            Some(ClientMessage::Drawn(number)) => {
                let was_sent = shared
                    .viewers()
                    .frame_drawn(self.viewer.id, number, Instant::now());
                shared.wakeup.notify_one();
                if was_sent {
                    Ok(())
                } else {
                    Err("this frame was not sent, or was already drawn")
                }
            }
            Some(ClientMessage::Command(_)) if self.viewer.access == ViewerAccess::Watch => {
                Err("this link only allows watching")
            }
            Some(ClientMessage::Command(command)) => {
                if let Command::Input(input) = &command {
                    self.pressed.record(input);
                }
                shared
                    .commands
                    .send(command)
                    .await
                    .map_err(|_| "the browser is gone")
            }
            None => Err("not a live view message"),
        }
    }
}

impl Drop for ViewerInput<'_> {
    fn drop(&mut self) {
        for input in std::mem::take(&mut self.pressed).release() {
            // Sending fails if the browser is slow and the queue is full.
            let _ = self.viewer.shared.commands.try_send(Command::Input(input));
        }
    }
}

/// A message for a viewer.
#[derive(Debug)]
pub(crate) enum Update {
    /// The tabs, the dialog or a notice.
    Text(Text),
    /// A frame.
    Frame(Bytes),
}

/// The messages for one viewer.
#[derive(Debug)]
pub(crate) struct Updates<'viewer> {
    viewer: &'viewer ViewerGuard,
    tabs: watch::Receiver<Text>,
    dialog: watch::Receiver<Text>,
    frames: watch::Receiver<Option<EncodedFrame>>,
    notices: broadcast::Receiver<Text>,
}

impl Updates<'_> {
    /// Waits for the next message. Cancel safe.
    pub async fn next(&mut self) -> Update {
        tokio::select! {
            biased;
            text = next_state(&mut self.tabs) => Update::Text(text),
            text = next_state(&mut self.dialog) => Update::Text(text),
            text = next_notice(&mut self.notices) => Update::Text(text),
            frame = next_frame(self.viewer, &mut self.frames) => {
                let mut viewers = self.viewer.shared.viewers();
                viewers.frame_sent(self.viewer.id, frame.number, Instant::now());
                Update::Frame(frame.message)
            }
        }
    }
}

/// Waits until a channel has a new message. Cancel safe.
async fn next_state(channel: &mut watch::Receiver<Text>) -> Text {
    while channel.changed().await.is_ok() {
        let state = channel.borrow_and_update().clone();
        if !state.is_empty() {
            return state;
        }
    }
    pending().await
}

/// Waits for the next notice. Some may have been dropped. Cancel safe.
async fn next_notice(notices: &mut broadcast::Receiver<Text>) -> Text {
    loop {
        match notices.recv().await {
            Ok(text) => return text,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return pending().await,
        }
    }
}

/// Waits until the viewer is ready for a frame, and then for a frame that it has not received.
/// Cancel safe.
async fn next_frame(
    viewer: &ViewerGuard,
    frames: &mut watch::Receiver<Option<EncodedFrame>>,
) -> EncodedFrame {
    loop {
        let readiness = viewer.shared.viewers().is_ready(viewer.id);
        match readiness {
            Ok(()) => {}
            Err(Some(ready)) => {
                ready.notified().await;
                continue;
            }
            Err(None) => return pending().await,
        }
        if frames.changed().await.is_err() {
            return pending().await;
        }
        if let Some(frame) = frames.borrow_and_update().clone() {
            return frame;
        }
    }
}
