//! Hearth's own commands: typed by the generated protocol, each with a timeout.

use std::sync::Arc;
use std::time::Duration;

use chromiumoxide_cdp::cdp::browser_protocol::browser::{
    CloseParams, CrashParams, GetVersionParams, GetWindowForTargetParams, SetContentsSizeParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::page::GetLayoutMetricsParams;
use chromiumoxide_cdp::cdp::browser_protocol::target::{
    ActivateTargetParams, AttachToTargetParams, CloseTargetParams, CreateTargetParams,
    DetachFromTargetParams, GetTargetsParams, SetDiscoverTargetsParams, TargetInfo,
};
use chromiumoxide_types::Command;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::broker::Broker;
use crate::broker::client::Client;
use crate::broker::pending::{Pending, PendingAttach};
use crate::cdp::pipe::PushError;
use crate::viewport::Viewport;

/// The time limit for one of Hearth's commands.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// The interval of the liveness checks.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// The time after which a browser that does not reply counts as hung. Its main process computes
/// little: it replies within a second even on a busy machine.
const SILENCE: Duration = Duration::from_secs(10);

/// The reason why a command of Hearth failed.
#[derive(Debug, Error)]
pub enum BrowserError {
    /// The browser has ended, or is about to end.
    #[error("the browser is gone")]
    Gone,
    /// Too many bytes already wait to be sent to the browser.
    #[error("the browser reads too slowly")]
    Busy,
    /// The browser did not reply in time.
    #[error("the browser did not complete {method} within {timeout:?}")]
    TimedOut {
        /// The method of the command.
        method: String,
        /// The time limit.
        timeout: Duration,
    },
    /// The browser replied with an error.
    #[error("the browser rejected {method}: {message}")]
    Rejected {
        /// The method of the command.
        method: String,
        /// The browser's error message.
        message: String,
    },
    /// The reply does not match the protocol.
    #[error("cannot parse the browser's reply to {method}: {source}")]
    Malformed {
        /// The method of the command.
        method: String,
        /// The parse error.
        source: serde_json::Error,
    },
}

/// The version information of a running browser, as in CDP's `Browser.getVersion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserInfo {
    /// The name and version, such as `HeadlessChrome/156.0.8078.79`.
    pub product: String,
    /// The version of CDP.
    pub protocol_version: String,
    /// The source revision, prefixed with `@`.
    pub revision: String,
    /// The user agent that pages and servers see.
    pub user_agent: String,
    /// The version of V8.
    pub js_version: String,
}

/// A target that a client may attach to: a page, a frame of another site, a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// CDP's target id.
    pub id: String,
    /// CDP's target type: `page`, `iframe`, `worker`, `service_worker`, …
    pub kind: String,
    /// The title of the page.
    pub title: String,
    /// The URL of the target.
    pub url: String,
}

/// An open tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab {
    /// CDP's target id.
    pub id: String,
    /// The title of the page.
    pub title: String,
    /// The URL of the page.
    pub url: String,
    /// True for the current tab.
    pub is_current: bool,
    /// True if the renderer has crashed. Reloading starts a new one.
    pub has_crashed: bool,
}

/// A notifier for changes of the tabs.
#[derive(Debug)]
pub struct TabChanges {
    current: watch::Receiver<Option<String>>,
    shows: watch::Receiver<()>,
}

impl TabChanges {
    /// Waits until another tab becomes current, or a tab is opened, is closed or shows another
    /// address. Chromium does not report later changes of titles. Never returns once the browser is
    /// gone. Cancel safe.
    pub async fn next(&mut self) {
        let changed = tokio::select! {
            changed = self.current.changed() => changed,
            changed = self.shows.changed() => changed,
        };
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl From<PushError> for BrowserError {
    fn from(not: PushError) -> BrowserError {
        match not {
            PushError::Full => BrowserError::Busy,
            PushError::Closed => BrowserError::Gone,
        }
    }
}

impl Broker {
    /// Makes Chromium announce every target, so that the broker can track all tabs.
    pub(crate) async fn discover_targets(&self) -> Result<(), BrowserError> {
        self.call(None, SetDiscoverTargetsParams::new(true))
            .await
            .map(drop)
    }

    /// Opens an empty tab in the default context and returns its target id.
    pub(crate) async fn open_tab(&self) -> Result<String, BrowserError> {
        let opened = self
            .call(None, CreateTargetParams::new("about:blank"))
            .await?;
        Ok(opened.target_id.inner().clone())
    }

    /// Brings a tab to the front and makes it the current one.
    pub(crate) async fn activate_tab(&self, target: &str) -> Result<(), BrowserError> {
        self.call(None, ActivateTargetParams::new(target.to_owned()))
            .await?;
        self.make_current(target);
        Ok(())
    }

    /// Closes a tab.
    pub(crate) async fn close_tab(&self, target: &str) -> Result<(), BrowserError> {
        self.call(None, CloseTargetParams::new(target.to_owned()))
            .await
            .map(drop)
    }

    /// Returns the open tabs in the order in which they were opened, with their current titles.
    pub(crate) async fn tabs(&self) -> Result<Vec<Tab>, BrowserError> {
        let pages = self
            .targets()
            .await?
            .into_iter()
            .filter(|target| target.kind == "page");
        let current = self.current_tab().borrow().clone();
        let tab = |page: Target| Tab {
            is_current: current.as_deref() == Some(&page.id),
            has_crashed: self.has_crashed(&page.id),
            id: page.id,
            title: page.title,
            url: page.url,
        };
        let mut tabs: Vec<Tab> = pages.map(tab).collect();
        let order = self.tabs_in_order();
        // Chromium returns them in no particular order. Tabs that were not announced yet come last.
        tabs.sort_by_key(|tab| {
            order
                .iter()
                .position(|id| *id == tab.id)
                .unwrap_or(usize::MAX)
        });
        Ok(tabs)
    }

    /// Returns a notifier for changes of [`tabs`](Broker::tabs).
    pub(crate) fn tab_changes(&self) -> TabChanges {
        TabChanges {
            current: self.current_tab(),
            shows: self.tab_shows(),
        }
    }

    /// Probes the browser whenever a reply is pending and the browser is silent. Returns when a
    /// probe gets no reply in time.
    pub(crate) async fn watch_liveness(&self) {
        let mut looks = tokio::time::interval(WATCH_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.close_all_excess();
            if self.owes_reply()
                && let Err(BrowserError::TimedOut { .. }) =
                    self.call_within(SILENCE, None, GetVersionParams {}).await
            {
                return;
            }
        }
    }

    /// Resizes the window so that a tab's page has exactly the viewport's size, whatever the
    /// window's bars take.
    pub(crate) async fn fit_page(
        &self,
        target: &str,
        viewport: Viewport,
    ) -> Result<(), BrowserError> {
        let attach = AttachToTargetParams {
            flatten: Some(true),
            ..AttachToTargetParams::new(target.to_owned())
        };
        let session = self.call(None, attach).await?.session_id;
        let metrics = self
            .call(Some(session.as_ref()), GetLayoutMetricsParams {})
            .await?;
        let leave = DetachFromTargetParams {
            session_id: Some(session),
        };
        self.call(None, leave).await?;
        let page = &metrics.css_layout_viewport;
        let (width, height) = (i64::from(viewport.width), i64::from(viewport.height));
        if (page.client_width, page.client_height) == (width, height) {
            return Ok(());
        }
        let window = GetWindowForTargetParams {
            target_id: Some(target.to_owned().into()),
        };
        let window_id = self.call(None, window).await?.window_id;
        let size = SetContentsSizeParams {
            width: Some(width),
            height: Some(height),
            ..SetContentsSizeParams::new(window_id)
        };
        self.call(None, size).await.map(drop)
    }

    /// Requests the browser to exit. Full Chromium saves fresh cookies only this way.
    pub(crate) async fn ask_to_close(&self) -> Result<(), BrowserError> {
        self.call(None, CloseParams {}).await.map(drop)
    }

    /// Requests the browser to crash.
    pub(crate) async fn ask_to_crash(&self) -> Result<(), BrowserError> {
        self.call(None, CrashParams {}).await.map(drop)
    }

    /// Attaches a new client with its root session.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        attach: PendingAttach,
    ) -> Result<Client, BrowserError> {
        let method = "attaching a client".to_owned();
        let client = self.request_client(attach)?;
        match tokio::time::timeout(COMMAND_TIMEOUT, client).await {
            Ok(Ok(Ok(client))) => Ok(client),
            Ok(Ok(Err(error))) => Err(BrowserError::Rejected {
                method,
                message: message_of(&error),
            }),
            Ok(Err(_)) => Err(BrowserError::Gone),
            Err(_) => Err(BrowserError::TimedOut {
                method,
                timeout: COMMAND_TIMEOUT,
            }),
        }
    }

    /// Returns the version information that the browser reports.
    pub(crate) async fn info(&self) -> Result<BrowserInfo, BrowserError> {
        let version = self.call(None, GetVersionParams {}).await?;
        Ok(BrowserInfo {
            product: version.product,
            protocol_version: version.protocol_version,
            revision: version.revision,
            user_agent: version.user_agent,
            js_version: version.js_version,
        })
    }

    /// Returns all targets that a client may attach to. Chromium omits itself and its tab targets;
    /// this also omits parts of the browser's own interface and prerendered pages.
    pub(crate) async fn targets(&self) -> Result<Vec<Target>, BrowserError> {
        let targets = self
            .call(None, GetTargetsParams::default())
            .await?
            .target_infos;
        let shown = targets
            .into_iter()
            .filter(|target| target.r#type != "browser_ui" && target.subtype.is_none());
        let plain = |target: TargetInfo| Target {
            id: target.target_id.inner().clone(),
            kind: target.r#type,
            title: target.title,
            url: target.url,
        };
        Ok(shown.map(plain).collect())
    }

    pub(crate) async fn call<C: Command>(
        &self,
        session: Option<&str>,
        command: C,
    ) -> Result<C::Response, BrowserError> {
        self.call_within(COMMAND_TIMEOUT, session, command).await
    }

    /// Sends a command with a timeout that differs from the default.
    pub(crate) async fn call_within<C: Command>(
        &self,
        timeout: Duration,
        session: Option<&str>,
        command: C,
    ) -> Result<C::Response, BrowserError> {
        let method = command.identifier().into_owned();
        let malformed = |source| BrowserError::Malformed {
            method: method.clone(),
            source,
        };
        let params = serde_json::to_string(&command).map_err(malformed)?;
        let (sender, reply) = oneshot::channel();
        let id = self.send_command(&method, &params, session, Pending::Command(sender))?;
        let Ok(reply) = tokio::time::timeout(timeout, reply).await else {
            self.give_up(id);
            return Err(BrowserError::TimedOut { method, timeout });
        };
        match reply.map_err(|_| BrowserError::Gone)? {
            Ok(result) => {
                let result: serde_json::Value =
                    serde_json::from_str(result.get()).map_err(malformed)?;
                C::response_from_value(result).map_err(malformed)
            }
            Err(error) => {
                let message = message_of(&error);
                Err(BrowserError::Rejected { method, message })
            }
        }
    }
}

pub(super) fn message_of(error: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    serde_json::from_str(error.get())
        .map_or_else(|_| error.get().to_owned(), |Error { message }| message)
}
