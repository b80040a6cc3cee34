//! What one tab shows, picture after picture, and the hands on it: mouse, keyboard, touch,
//! navigation.
//!
//! A screencast is a client of the broker on its tab alone, so it is told of dialogs, refused
//! addresses and kept apart like every other client. Chromium sends a new picture only after
//! earlier ones were acknowledged (three wait at the most), which is what keeps it from casting for
//! nobody. The first picture comes at once, the next ones when the page changes.
//!
//! The page's events are listened to only once somebody has steered: a page that nobody but an
//! onlooker listens to keeps its dialogs to itself, and Chromium answers them.
//!
//! It must not know: who looks on, and how many.

mod ack_pacer;
mod address;
mod input;
mod message;
mod pressed;

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
use crate::broker::client::{ClientReceiver, ClientSender, Outgoing};
use crate::broker::commands::BrowserError;
use crate::broker::file_access::ClientOrigin;
use crate::chromium::browser::Browser;
use crate::viewport::Viewport;

/// JPEG quality of 100. At 70 text of 14 pixels is clean, and a page of it takes some 90 kB at
/// 1280x720.
const QUALITY: i64 = 70;

/// Every picture counts: with more than 1 Chromium leaves out the one that a page comes to rest at,
/// too.
const EVERY_NTH: i64 = 1;

/// So many frames Chromium sends without an acknowledgement.
pub const MAX_UNACKNOWLEDGED: usize = 3;

/// The largest picture in pixels. A larger page is scaled down to it.
const MAX_FRAME_SIZE: Viewport = Viewport {
    width: 1920,
    height: 1200,
};

/// How long one picture may take: the first of a cast comes at once.
const THUMBNAIL_TIMEOUT: Duration = Duration::from_secs(2);

/// A tab that is being cast. Dropping it ends the cast.
#[derive(Debug)]
pub struct Screencast {
    sender: ClientSender,
    receiver: ClientReceiver,
    last_id: i64,
    /// Calls whose replies matter.
    awaited: HashMap<i64, Awaited>,
    /// The page's events are listened to.
    listens: bool,
    /// Chromium has refused to send pictures, as it does of a tab that has crashed.
    is_blind: bool,
    /// Pictures are at most so large.
    max: Viewport,
    /// When acknowledgements leave.
    acks: AckPacer,
}

/// What a reply is waited for.
#[derive(Debug)]
enum Awaited {
    /// The cast itself: without it there is nothing to see.
    Start,
    /// So many entries away from the current one in the tab's history.
    History(i64),
    /// An address is being opened.
    Opened(String),
}

/// One picture of a tab.
#[derive(Clone, Debug)]
pub struct Frame {
    /// A JPEG, at most as large as was asked for.
    pub jpeg: Bytes,
    /// Of the page's viewport, in CSS pixels: the space of all coordinates of [`Input`].
    pub width: u16,
    /// The same.
    pub height: u16,
    /// What it is acknowledged by.
    pub ticket: FrameTicket,
}

/// What a frame is acknowledged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTicket(i64);

/// A dialog of the page that waits for an answer of this screencast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// `alert`, `confirm`, `prompt` or `beforeunload`.
    pub kind: &'static str,
    /// The page's words.
    pub message: String,
    /// What a prompt proposes.
    pub default: String,
}

/// What comes out of a screencast.
#[derive(Clone, Debug)]
pub enum ScreencastEvent {
    /// The tab looks like this now.
    Frame(Frame),
    /// The page asks something, or has its answer.
    Dialog(Option<Dialog>),
    /// Something that was asked for could not be done; a sentence for people.
    Refused(String),
    /// The tab is behind another one and sends no pictures (only Chromium with windows does that).
    Hidden,
    /// The tab is gone, or the browser has ended. Nothing comes after it.
    Ended,
}

impl Browser {
    /// Casts a tab. One that has crashed shows nothing, and can be reloaded.
    /// [`BrowserError::Refused`] when it is gone.
    pub async fn screencast(&self, tab: &str) -> Result<Screencast, BrowserError> {
        self.screencast_within(tab, MAX_FRAME_SIZE).await
    }

    /// One picture of a tab as it is now, a JPEG of at most that size; none when it shows nothing,
    /// or does not within two seconds. No use of the browser, and nothing that a page would notice,
    /// as it does of a screenshot that is scaled.
    pub async fn thumbnail(&self, tab: &str, max: Viewport) -> Result<Option<Bytes>, BrowserError> {
        let mut cast = self.screencast_within(tab, max).await?;
        let first = async {
            loop {
                match cast.next().await {
                    ScreencastEvent::Frame(frame) => return Some(frame.jpeg),
                    ScreencastEvent::Hidden | ScreencastEvent::Ended => return None,
                    ScreencastEvent::Dialog(_) | ScreencastEvent::Refused(_) => {}
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
        let mut cast = Screencast {
            sender,
            receiver,
            last_id: 0,
            awaited,
            listens: false,
            is_blind: false,
            max,
            acks,
        };
        cast.start();
        Ok(cast)
    }
}

impl Screencast {
    /// Waits for the next thing to see. Cancel safe.
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

    /// Has Chromium send the picture of now. While [`MAX_UNACKNOWLEDGED`] frames wait it throws
    /// every new one away, the last one of a page that comes to rest among them (measured on
    /// Chromium 156). Frames from before need no acknowledgement.
    pub fn refresh(&mut self) {
        self.acks.forget();
        self.call_passively(&StopScreencastParams {});
        self.start();
    }

    /// Whether Chromium sends no pictures until [`refresh`](Screencast::refresh): the tab had
    /// crashed when it was asked.
    pub fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// Lets Chromium send one frame more, at a pace of 30 frames a second. While a client takes a
    /// screenshot of the tab this waits for its end, half a second at the most: those who look on
    /// do not hold up those who work.
    pub fn acknowledge(&mut self, ticket: FrameTicket) {
        self.acks.add(ticket);
    }

    /// How many acknowledgements wait for their time.
    pub fn waiting_acknowledgements(&self) -> usize {
        self.acks.waiting()
    }

    /// Since when Chromium could have sent another frame, as far as acknowledgements go. None while
    /// some wait for their time.
    pub fn has_been_free_since(&self) -> Option<Instant> {
        self.acks.is_free_since()
    }

    /// Waits until the browser has taken most of what waits for it. To be awaited before
    /// [`input`](Screencast::input). Cancel safe.
    pub async fn room(&self) {
        self.sender.room().await;
    }

    /// Does what somebody's hands did, and counts as a use of the browser. What cannot be done is
    /// told by [`ScreencastEvent::Refused`].
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

    /// Dismisses a dialog that nobody is there to answer, which is nobody's use of the browser.
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
                // There may be nothing in that direction.
                let entry = wanted.and_then(|index| history.entries.get(index))?;
                self.call(&NavigateToHistoryEntryParams::new(entry.id));
                None
            }
            (Awaited::Opened(url), Err(why)) => Some(ScreencastEvent::Refused(format!(
                "{} was not opened: {why}",
                address::shorten(&url)
            ))),
            (Awaited::Opened(url), Ok(result)) => {
                let opened: NavigateReturns = serde_json::from_str(result.get()).ok()?;
                let error = opened
                    .error_text
                    .filter(|_| opened.is_download != Some(true))?;
                Some(ScreencastEvent::Refused(format!(
                    "{} could not be opened: {error}",
                    address::shorten(&url)
                )))
            }
        }
    }

    fn call<C: Command>(&mut self, command: &C) -> i64 {
        let (id, text) = self.write(command);
        // When it is over, the other half says so.
        let _ = self.sender.send(text);
        id
    }

    /// Says what is no use of the browser: looking on does not keep a session alive.
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
