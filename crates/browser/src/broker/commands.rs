//! The commands that are ours, not a client's: typed by the generated protocol, each with a bound.

use std::time::Duration;

use chromiumoxide_cdp::cdp::browser_protocol::browser::{
    CloseParams, GetVersionParams, GetWindowForTargetParams, SetContentsSizeParams,
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

/// How long the browser may take for a command of ours.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a browser is looked after that is used.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// A browser that does not answer for so long is taken for hung. Its main process hardly computes:
/// on a busy machine it answers within a second.
const SILENCE: Duration = Duration::from_secs(10);

/// Why the browser did not do what we asked of it.
#[derive(Debug, Error)]
pub enum BrowserError {
    /// It has ended, or is about to.
    #[error("the browser is gone")]
    Gone,
    /// It takes nothing more: too much waits for it already.
    #[error("the browser reads too slowly")]
    Busy,
    /// It did not answer in time.
    #[error("the browser did not answer {method} within {timeout:?}")]
    TimedOut {
        /// What was asked.
        method: String,
        /// How long it had.
        timeout: Duration,
    },
    /// It answered with an error.
    #[error("the browser refused {method}: {message}")]
    Refused {
        /// What was asked.
        method: String,
        /// Its reason.
        message: String,
    },
    /// Its answer is not what the protocol says.
    #[error("the browser's answer to {method} cannot be understood: {source}")]
    Malformed {
        /// What was asked.
        method: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// What a running browser says that it is, in the words of CDP's `Browser.getVersion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserInfo {
    /// Name and version, such as `HeadlessChrome/156.0.8078.79`.
    pub product: String,
    /// Of CDP.
    pub protocol_version: String,
    /// Of the source, with an `@` before it.
    pub revision: String,
    /// What pages and servers are told.
    pub user_agent: String,
    /// Of V8.
    pub js_version: String,
}

/// Something that a client may attach to: a page, a frame of another site, a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// CDP's target id.
    pub id: String,
    /// CDP's type: `page`, `iframe`, `worker`, `service_worker`, …
    pub kind: String,
    /// From the page.
    pub title: String,
    /// Where it is.
    pub url: String,
}

/// An open tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab {
    /// CDP's target id.
    pub id: String,
    /// From the page.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// It is the current one.
    pub is_current: bool,
    /// Its renderer has crashed; reloading gives it a new one.
    pub has_crashed: bool,
}

/// Tells when tabs may have changed.
#[derive(Debug)]
pub struct TabChanges {
    current: watch::Receiver<Option<String>>,
    shows: watch::Receiver<()>,
}

impl TabChanges {
    /// Waits until another tab is the current one, or some tab was opened, closed or shows another
    /// address. Chromium does not tell of titles that change later. Never returns once the browser
    /// is gone. Cancel safe.
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
    /// Has every target announced, so that tabs are known.
    pub(crate) async fn discover_targets(&self) -> Result<(), BrowserError> {
        self.call(None, SetDiscoverTargetsParams::new(true))
            .await
            .map(drop)
    }

    /// Opens an empty tab in the default context and gives back its target id.
    pub(crate) async fn open_tab(&self) -> Result<String, BrowserError> {
        let opened = self
            .call(None, CreateTargetParams::new("about:blank"))
            .await?;
        Ok(opened.target_id.inner().clone())
    }

    /// Brings a tab to the front.
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

    /// The open tabs, in the order in which they were opened, with the titles that they have now.
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
        // Chromium keeps them in none. One of which we are not told yet comes last.
        tabs.sort_by_key(|tab| {
            order
                .iter()
                .position(|id| *id == tab.id)
                .unwrap_or(usize::MAX)
        });
        Ok(tabs)
    }

    /// To be told when [`tabs`](Broker::tabs) may say something else.
    pub(crate) fn tab_changes(&self) -> TabChanges {
        TabChanges {
            current: self.current_tab(),
            shows: self.tab_shows(),
        }
    }

    /// Asks the browser for a word whenever it is used and says nothing. Returns when it stays
    /// silent.
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

    /// Gives a tab's page exactly the viewport's size, whatever its window's bars take.
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

    /// Asks the browser to end. Only this saves fresh cookies in full Chromium.
    pub(crate) async fn ask_to_close(&self) -> Result<(), BrowserError> {
        self.call(None, CloseParams {}).await.map(drop)
    }

    /// Gives a new client its root session.
    pub(crate) async fn attach(&self, attach: PendingAttach) -> Result<Client, BrowserError> {
        let method = "attaching a client".to_owned();
        let client = self.request_client(attach)?;
        match tokio::time::timeout(COMMAND_TIMEOUT, client).await {
            Ok(Ok(Ok(client))) => Ok(client),
            Ok(Ok(Err(error))) => Err(BrowserError::Refused {
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

    /// The browser's own word on what it is.
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

    /// Everything in the browser that a client may attach to. Chromium leaves itself and its tab
    /// targets out; parts of its own interface and pages that are only being prepared are left out
    /// here.
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

    /// A command that may take less or more time than the others.
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
        let Ok(reply) = tokio::time::timeout(bound, reply).await else {
            self.give_up(id);
            return Err(BrowserError::TimedOut { method, bound });
        };
        match reply.map_err(|_| BrowserError::Gone)? {
            Ok(result) => {
                let result: serde_json::Value =
                    serde_json::from_str(result.get()).map_err(malformed)?;
                C::response_from_value(result).map_err(malformed)
            }
            Err(error) => {
                let message = message_of(&error);
                Err(BrowserError::Refused { method, message })
            }
        }
    }
}

fn message_of(error: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    serde_json::from_str(error.get())
        .map_or_else(|_| error.get().to_owned(), |Error { message }| message)
}
