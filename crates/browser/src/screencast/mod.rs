//! Streams frames of one tab and applies input to it: mouse, keyboard, touch and navigation.
//!
//! A screencast is a client of the broker for one tab, so dialogs, denied addresses and isolation
//! work as for every other client. Chromium sends at most three frames without an acknowledgement,
//! so it stops when the frames are not consumed. The first frame arrives at once, later ones when
//! the page changes.
//!
//! The screencast listens to the page's events only after the first input. While no client listens
//! to a page, Chromium answers its dialogs itself.
//!
//! This module is independent of viewers.

mod ack_pacer;
mod address;
mod input;
mod message;
mod pressed;
mod ticket;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chromiumoxide_cdp::cdp::browser_protocol::page::{
    DialogType, EnableParams, EventJavascriptDialogOpening, GetNavigationHistoryParams,
    GetNavigationHistoryReturns, HandleJavaScriptDialogParams, NavigateParams, NavigateReturns,
    NavigateToHistoryEntryParams, ReloadParams, ScreencastFrameAckParams, StartScreencastFormat,
    StartScreencastParams, StopScreencastParams,
};
use chromiumoxide_types::Command;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use self::ack_pacer::AckPacer;
pub use self::input::{Input, Key, Mouse, Touch, Wheel};
use self::message::{FrameEvent, Incoming, Visibility};
pub use self::pressed::PressedInputs;
pub use self::ticket::FrameTicket;
use crate::broker::client::{ClientReceiver, ClientSender};
use crate::broker::commands::BrowserError;
use crate::broker::file_access::ClientOrigin;
use crate::broker::send_queue::Outgoing;
use crate::chromium::browser::Browser;
use crate::viewport::Viewport;

/// JPEG quality, of 100. At 70, text of 14 pixels is clear, and a page of text takes about 90 kB at
/// 1280x720.
const QUALITY: i64 = 70;

/// Requests every frame. With a larger value, Chromium also skips the last frame before a page
/// comes to rest.
const EVERY_NTH: i64 = 1;

/// The number of frames that Chromium sends without an acknowledgement.
pub const MAX_UNACKNOWLEDGED: usize = 3;

/// The maximum size of a frame in pixels. Larger pages are scaled down.
const MAX_FRAME_SIZE: Viewport = Viewport {
    width: 1920,
    height: 1200,
};

/// The timeout of a thumbnail. The first frame of a screencast arrives at once.
const THUMBNAIL_TIMEOUT: Duration = Duration::from_secs(2);

/// A screencast of a tab. Dropping it stops the screencast.
#[derive(Debug)]
pub struct Screencast {
    sender: ClientSender,
    receiver: ClientReceiver,
    last_id: i64,
    /// Calls whose replies are needed.
    awaited: HashMap<i64, Awaited>,
    /// True if the screencast listens to the page's events.
    listens: bool,
    /// True if Chromium rejected the screencast, as it does for crashed tabs.
    is_blind: bool,
    /// The maximum size of frames.
    max: Viewport,
    /// Paces the acknowledgements.
    acks: AckPacer,
}

/// The purpose of a call whose reply is needed.
#[derive(Debug)]
enum Awaited {
    /// Start the screencast.
    Start,
    /// Go this many entries away from the current one in the tab's history.
    History(i64),
    /// Open an address.
    Opened(String),
}

/// One frame of a tab.
#[derive(Clone, Debug)]
pub struct Frame {
    /// A JPEG of at most the requested size.
    pub jpeg: Bytes,
    /// The width of the page's viewport in CSS pixels. All coordinates of [`Input`] use this space.
    pub width: u16,
    /// The height of the page's viewport in CSS pixels.
    pub height: u16,
    /// The ticket for the acknowledgement.
    pub ticket: FrameTicket,
}

/// A dialog of the page that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// `alert`, `confirm`, `prompt` or `beforeunload`.
    pub kind: &'static str,
    /// The message of the page.
    pub message: String,
    /// The default text of a prompt.
    pub default: String,
}

/// An event of a screencast.
#[derive(Clone, Debug)]
pub enum ScreencastEvent {
    /// A new frame of the tab.
    Frame(Frame),
    /// The page shows a dialog, or has closed it.
    Dialog(Option<Dialog>),
    /// A request failed. The text is a sentence for the viewer.
    InputFailed(String),
    /// The tab is in the background and sends no frames (only Chromium with windows does this).
    Hidden,
    /// The tab or the browser is gone. This is the last event.
    Ended,
}

impl Browser {
    /// Starts a screencast of a tab. A crashed tab sends no frames and can be reloaded. Returns
    /// [`BrowserError::Rejected`] if the tab is gone.
    pub async fn screencast(&self, tab: &str) -> Result<Screencast, BrowserError> {
        self.screencast_within(tab, MAX_FRAME_SIZE).await
    }

    /// Returns one frame of a tab as a JPEG of at most this size. Returns `None` if the tab sends
    /// no frame within two seconds. Does not count as use of the browser. Pages cannot detect it,
    /// unlike a scaled screenshot.
    pub async fn thumbnail(&self, tab: &str, max: Viewport) -> Result<Option<Bytes>, BrowserError> {
        let mut screencast = self.screencast_within(tab, max).await?;
        let first = async {
            loop {
                match screencast.next().await {
                    ScreencastEvent::Frame(frame) => return Some(frame.jpeg),
                    ScreencastEvent::Hidden | ScreencastEvent::Ended => return None,
                    ScreencastEvent::Dialog(_) | ScreencastEvent::InputFailed(_) => {}
                }
            }
        };
        Ok(timeout(THUMBNAIL_TIMEOUT, first).await.ok().flatten())
    }

    async fn screencast_within(
        &self,
        tab: &str,
        max: Viewport,
    ) -> Result<Screencast, BrowserError> {
        let (sender, receiver) = self.attach_to(tab, ClientOrigin::External).await?.split();
        let acks = AckPacer::new(Arc::clone(self.broker()), tab.to_owned());
        let awaited = HashMap::new();
        let mut screencast = Screencast {
            sender,
            receiver,
            last_id: 0,
            awaited,
            listens: false,
            is_blind: false,
            max,
            acks,
        };
        screencast.start();
        Ok(screencast)
    }
}

impl Screencast {
    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> ScreencastEvent {
        loop {
            let text = tokio::select! {
                outgoing = self.receiver.next() => match outgoing {
                    Outgoing::Message(text) => text,
                    Outgoing::Close { .. } => return ScreencastEvent::Ended,
                },
                ticket = self.acks.next() => {
                    self.call_passively(&ScreencastFrameAckParams::new(ticket.0));
                    continue;
                }
            };
            let shown = match Incoming::parse(&text) {
                Some(Incoming::Reply { id, answer }) => self.handle_reply(id, answer),
                Some(Incoming::Event { method, params }) => handle_event(method, params),
                None => None,
            };
            if let Some(shown) = shown {
                return shown;
            }
        }
    }

    fn start(&mut self) {
        let start = StartScreencastParams {
            format: Some(StartScreencastFormat::Jpeg),
            quality: Some(QUALITY),
            max_width: Some(self.max.width.into()),
            max_height: Some(self.max.height.into()),
            every_nth_frame: Some(EVERY_NTH),
        };
        let id = self.call_passively(&start);
        self.awaited.insert(id, Awaited::Start);
    }

    /// Makes Chromium send the current frame. While [`MAX_UNACKNOWLEDGED`] frames wait, Chromium
    /// drops every new one, including the last one before a page comes to rest (measured on
    /// Chromium 156). Earlier frames need no acknowledgement after this.
    pub fn refresh(&mut self) {
        self.acks.reset();
        self.call_passively(&StopScreencastParams {});
        self.start();
    }

    /// Returns true if Chromium sends no frames until [`refresh`](Screencast::refresh), because the
    /// tab had crashed at the start.
    pub fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// Lets Chromium send one more frame, at a pace of 30 frames a second. While a client takes a
    /// screenshot of the tab, this waits for its end, but at most half a second, so that viewers do
    /// not slow down clients.
    pub fn acknowledge(&mut self, ticket: FrameTicket) {
        self.acks.add(ticket);
    }

    /// Returns the number of acknowledgements that wait.
    pub fn waiting_acknowledgements(&self) -> usize {
        self.acks.waiting()
    }

    /// Returns the time since which acknowledgements have allowed Chromium to send another frame.
    /// Returns `None` while acknowledgements wait.
    pub fn has_been_free_since(&self) -> Option<Instant> {
        self.acks.is_free_since()
    }

    /// Waits until the browser has read most of the queued bytes. Await this before
    /// [`input`](Screencast::input). Cancel safe.
    pub async fn writable(&self) {
        self.sender.writable().await;
    }

    /// Applies an input and counts as use of the browser. [`ScreencastEvent::InputFailed`] reports
    /// failures.
    pub fn input(&mut self, input: Input) -> Result<(), String> {
        if !self.listens {
            self.listens = true;
            self.call(&EnableParams::default());
        }
        match input {
            Input::Mouse(mouse) => self.call(&mouse.into_params()),
            Input::Wheel(wheel) => self.call(&wheel.into_params()),
            Input::Key(key) => self.call(&key.into_params()),
            Input::Touch(touch) => self.call(&touch.into_params()),
            Input::Compose(text) => self.call(&input::composition(text)),
            Input::Text(text) => self.call(&input::insertion(text)),
            Input::Reload => self.call(&ReloadParams::default()),
            Input::Back => self.ask_history(-1),
            Input::Forward => self.ask_history(1),
            Input::Open(typed) => {
                let url = address::complete(&typed)?;
                let id = self.call(&NavigateParams::new(url.clone()));
                self.awaited.insert(id, Awaited::Opened(url));
                id
            }
            Input::AnswerDialog { accept, text } => self.call(&HandleJavaScriptDialogParams {
                accept,
                prompt_text: text.filter(|_| accept),
            }),
        };
        Ok(())
    }

    /// Dismisses a dialog that has no viewer to answer it. This does not count as use of the
    /// browser.
    pub fn dismiss_dialog(&mut self) {
        self.call_passively(&HandleJavaScriptDialogParams {
            accept: false,
            prompt_text: None,
        });
    }

    fn ask_history(&mut self, offset: i64) -> i64 {
        let id = self.call(&GetNavigationHistoryParams::default());
        self.awaited.insert(id, Awaited::History(offset));
        id
    }

    fn handle_reply(
        &mut self,
        id: i64,
        answer: Result<&RawValue, String>,
    ) -> Option<ScreencastEvent> {
        match (self.awaited.remove(&id)?, answer) {
            (Awaited::Start, answer) => {
                self.is_blind = answer.is_err();
                None
            }
            (Awaited::History(_), Err(_)) => None,
            (Awaited::History(offset), Ok(result)) => {
                let history: GetNavigationHistoryReturns =
                    serde_json::from_str(result.get()).ok()?;
                let wanted = usize::try_from(history.current_index + offset).ok();
                // The history may have no entry in that direction.
                let entry = wanted.and_then(|index| history.entries.get(index))?;
                self.call(&NavigateToHistoryEntryParams::new(entry.id));
                None
            }
            (Awaited::Opened(url), Err(why)) => Some(ScreencastEvent::InputFailed(format!(
                "{} was not opened: {why}",
                address::shorten(&url)
            ))),
            (Awaited::Opened(url), Ok(result)) => {
                let opened: NavigateReturns = serde_json::from_str(result.get()).ok()?;
                let error = opened
                    .error_text
                    .filter(|_| opened.is_download != Some(true))?;
                Some(ScreencastEvent::InputFailed(format!(
                    "{} could not be opened: {error}",
                    address::shorten(&url)
                )))
            }
        }
    }

    fn call<C: Command>(&mut self, command: &C) -> i64 {
        let (id, text) = self.write(command);
        // If the client is closed, the receiving half reports it.
        let _ = self.sender.send(text);
        id
    }

    /// Sends a command that does not count as use of the browser, because viewing does not keep a
    /// session alive.
    fn call_passively<C: Command>(&mut self, command: &C) -> i64 {
        let (id, text) = self.write(command);
        let _ = self.sender.send_passively(text);
        id
    }

    fn write<C: Command>(&mut self, command: &C) -> (i64, String) {
        self.last_id += 1;
        let call = serde_json::json!({ "id": self.last_id, "method": command.identifier(), "params": command });
        (self.last_id, call.to_string())
    }
}

fn handle_event(method: &str, params: &RawValue) -> Option<ScreencastEvent> {
    match method {
        "Page.screencastFrame" => {
            let frame: FrameEvent<'_> = serde_json::from_str(params.get()).ok()?;
            let jpeg = STANDARD.decode(frame.data).ok()?;
            let (width, height) = frame.metadata.size();
            Some(ScreencastEvent::Frame(Frame {
                jpeg: jpeg.into(),
                width,
                height,
                ticket: FrameTicket(frame.ticket),
            }))
        }
        "Page.screencastVisibilityChanged" => {
            let visibility: Visibility = serde_json::from_str(params.get()).ok()?;
            (!visibility.visible).then_some(ScreencastEvent::Hidden)
        }
        "Page.javascriptDialogOpening" => {
            let opening: EventJavascriptDialogOpening = serde_json::from_str(params.get()).ok()?;
            let kind = match opening.r#type {
                DialogType::Alert => "alert",
                DialogType::Confirm => "confirm",
                DialogType::Prompt => "prompt",
                DialogType::Beforeunload => "beforeunload",
            };
            let default = opening.default_prompt.unwrap_or_default();
            Some(ScreencastEvent::Dialog(Some(Dialog {
                kind,
                message: opening.message,
                default,
            })))
        }
        "Page.javascriptDialogClosed" => Some(ScreencastEvent::Dialog(None)),
        _ => None,
    }
}
