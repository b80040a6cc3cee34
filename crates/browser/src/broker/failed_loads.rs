//! Applies the delays of `main_load` to messages about pages that did not load, and explains these
//! pages.

use std::borrow::Cow;
use std::convert::Infallible;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::main_load::origin_of;
use super::pending::ClientCallInFlight;
use super::policy::TrackedEffect;
use super::routes::EventRoute;
use super::{Broker, State};
use crate::cdp::envelope::{self, BrowserMessage};

/// The member of events that marks the load of a document.
const OF_DOCUMENT: &str = r#""type":"Document""#;

/// The event about a failed request.
pub(super) const LOADING_FAILED: &str = "Network.loadingFailed";

/// The error of a navigation that was cancelled. No error page follows.
const ABORTED: &str = "net::ERR_ABORTED";

/// The params of `Network.requestWillBeSent`.
#[derive(Deserialize)]
struct WillBeSent<'a> {
    #[serde(borrow, rename = "requestId")]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "loaderId")]
    loader: Cow<'a, str>,
    #[serde(borrow, rename = "frameId", default)]
    frame: Cow<'a, str>,
    #[serde(borrow)]
    request: RequestUrl<'a>,
}

#[derive(Deserialize)]
struct RequestUrl<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
}

/// The params of `Network.loadingFailed`.
#[derive(Deserialize)]
struct LoadingFailed<'a> {
    #[serde(borrow, rename = "requestId")]
    request: Cow<'a, str>,
    #[serde(default)]
    canceled: bool,
}

/// The params of `Page.frameNavigated`.
#[derive(Deserialize)]
struct Navigated<'a> {
    #[serde(borrow)]
    frame: FrameId<'a>,
}

#[derive(Deserialize)]
struct FrameId<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// The params of `Target.detachedFromTarget`.
#[derive(Deserialize)]
struct Detached<'a> {
    #[serde(borrow, rename = "sessionId")]
    session: Cow<'a, str>,
}

/// The params of `Page.frameStoppedLoading`.
#[derive(Deserialize)]
struct Stopped<'a> {
    #[serde(borrow, rename = "frameId")]
    frame: Cow<'a, str>,
}

/// The result of `Page.navigate`.
#[derive(Deserialize)]
struct NavigateResult<'a> {
    #[serde(borrow, rename = "errorText")]
    error: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "loaderId")]
    loader: Option<Cow<'a, str>>,
}

/// Parses params or a result. Returns `None` if they have an unknown form.
fn read<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(json?.get()).ok()
}

/// The delayed messages that a client gets together with an event.
#[derive(Default)]
pub(super) struct Released {
    pub(super) before: Vec<String>,
    pub(super) after: Option<String>,
}

impl State {
    /// Applies a client's event to the load of a page. Returns the delayed messages that are now
    /// due.
    pub(super) fn release_delayed(
        &mut self,
        method: &str,
        message: &BrowserMessage<'_>,
        frame: &str,
        route: &EventRoute,
    ) -> Released {
        let mut released = Released::default();
        let on = &*route.session;
        match method {
            "Network.requestWillBeSent" if frame.contains(OF_DOCUMENT) => {
                if let Some(sent) = read::<WillBeSent<'_>>(message.params)
                    && sent.id == sent.loader
                    && let Some(load) = self.routes.load_of_frame(on, &sent.frame)
                {
                    released.before = load.requested(&sent.id, &sent.request.url);
                }
            }
            "Page.frameNavigated" => {
                if let Some(Navigated { frame }) = read(message.params)
                    && let Some(load) = self.routes.load_of_frame(on, &frame.id)
                {
                    released.before.extend(load.committed());
                }
            }
            "Page.frameStoppedLoading" => {
                if let Some(Stopped { frame }) = read(message.params)
                    && let Some(load) = self.routes.load_of_frame(on, &frame)
                {
                    released.after = load.stopped();
                }
            }
            "Target.detachedFromTarget" => {
                if let Some(Detached { session }) = read(message.params) {
                    released.before = self.routes.take_delayed_below(route.client, &session);
                }
            }
            _ => {}
        }
        released
    }
}

impl Broker {
    /// Adds the reason to an event about a failed request, and delays the event if an error page
    /// follows. Returns the message if the client gets it now.
    pub(super) fn report_failure(
        &self,
        message: &BrowserMessage<'_>,
        frame: &str,
        route: &EventRoute,
    ) -> Option<String> {
        let failed: Option<LoadingFailed<'_>> = read(message.params);
        let document = failed.filter(|_| frame.contains(OF_DOCUMENT));
        let original = match message.params {
            Some(params) if route.is_root => params.get(),
            _ => frame,
        };
        let hinted = match &document {
            None => {
                let hint = self.navigation_hint.as_ref();
                hint.and_then(|hint| hint.rename(original))
            }
            Some(failed) => {
                let origin = self.origin_of(&route.session, &failed.request);
                self.explain(original, origin.as_deref())
            }
        };
        let text = if route.is_root {
            let params = hinted.and_then(|params| RawValue::from_string(params).ok());
            envelope::root_event(LOADING_FAILED, params.as_deref().or(message.params))
        } else {
            hinted.unwrap_or_else(|| frame.to_owned())
        };
        let Some(failed) = document.filter(|failed| !failed.canceled) else {
            return Some(text);
        };
        let mut state = self.lock();
        let delayed = match state.routes.announced_load_of(&route.session) {
            Some(load) => load.delay_event(&failed.request, text, &self.budget),
            None => Err(text),
        };
        drop(state);
        self.record_delay(delayed)
    }

    /// Adds the reason to Chromium's message about a page at `url` that did not load. Returns
    /// `None` if the message stays unchanged.
    fn explain(&self, message: &str, url: Option<&str>) -> Option<String> {
        let of_certificate =
            url.and_then(|url| self.name_certificate_error(message, origin_of(url)));
        of_certificate.or_else(|| self.navigation_hint.as_ref()?.extend(message, url))
    }

    /// Returns the result of a navigation that failed, with the reason added.
    pub(super) fn explain_navigation(
        &self,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
    ) -> Option<Box<RawValue>> {
        if call.effect != TrackedEffect::Navigate {
            return None;
        }
        let failed: NavigateResult<'_> = read(message.result)?;
        // The page may have been redirected to the denied address.
        let origin = failed
            .loader
            .and_then(|loader| self.origin_of(&call.on, &loader));
        let url = origin.as_deref().or(call.subject.as_deref());
        let extended = self.explain(message.result?.get(), url)?;
        RawValue::from_string(extended).ok()
    }

    /// Delays the reply to a navigation that failed, if an error page follows. Returns the reply if
    /// the client gets it now.
    pub(super) fn delay_failure(
        &self,
        call: &ClientCallInFlight,
        message: &BrowserMessage<'_>,
        text: String,
    ) -> Option<String> {
        if call.effect != TrackedEffect::Navigate {
            return Some(text);
        }
        let is_followed = read(message.result).is_some_and(|result: NavigateResult<'_>| {
            result.loader.is_some() && result.error.is_some_and(|error| error != ABORTED)
        });
        if !is_followed {
            return Some(text);
        }
        let mut state = self.lock();
        let delayed = match state.routes.announced_load_of(&call.on) {
            Some(load) => load.delay_reply(text, &self.budget),
            None => Err(text),
        };
        drop(state);
        self.record_delay(delayed)
    }

    /// Notifies the task that ends delays. Returns a message that is not delayed.
    fn record_delay(&self, delayed: Result<(), String>) -> Option<String> {
        if delayed.is_ok() {
            self.delayed.notify_one();
        }
        delayed.err()
    }

    /// Returns the origin that a request for a session's document was last sent to.
    fn origin_of(&self, session: &str, request: &str) -> Option<String> {
        let mut state = self.lock();
        let load = state.routes.load_of(session)?;
        load.origin_of(request).map(str::to_owned)
    }

    /// Sends delayed messages when no error page follows in time. Never returns.
    pub(crate) async fn watch_delays(&self) -> Infallible {
        loop {
            let due = self.lock().routes.next_due();
            match due {
                None => self.delayed.notified().await,
                Some(due) => {
                    sleep_until(due).await;
                    self.send_due(Instant::now());
                }
            }
        }
    }

    /// Sends the messages whose delay has ended.
    pub(super) fn send_due(&self, now: Instant) {
        let due = self.lock().routes.take_due(now);
        for message in due {
            self.send(message.client, &message.queue, message.text);
        }
    }
}
