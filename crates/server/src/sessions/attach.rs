//! Access to the session's browser for CDP clients, viewers and operators.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_browser::{
    Browser, BrowserError, BrowserInfo, Client, ClientOrigin, Tab, TabChanges, Target, Viewport,
};
use hearth_budget::Budget;
use hearth_contract::DestroyedReason;
use tokio::time::timeout;

use super::error::SessionError;
use super::session::Session;
use crate::ending::Ending;
use crate::live_view::LiveView;

/// The time limit for reading the current page.
const PAGE_TIMEOUT: Duration = Duration::from_millis(500);

impl Session {
    /// Attaches a new client to the session's browser, or to one target in it.
    pub async fn attach_client(
        &self,
        target: Option<&str>,
        origin: ClientOrigin,
    ) -> Result<Client, SessionError> {
        let browser = self.browser()?;
        let attached = match target {
            None => browser.attach(origin).await,
            Some(target) => browser.attach_to(target, origin).await,
        };
        match (target, attached) {
            (_, Ok(client)) => Ok(client),
            (Some(target), Err(BrowserError::Rejected { .. })) => {
                Err(SessionError::TargetNotFound(target.to_owned()))
            }
            // Clients notice a crash before the session's supervisor does.
            (_, Err(BrowserError::Gone)) if browser.died().await.is_crash() => {
                Err(SessionError::BrowserCrashed)
            }
            (_, Err(error)) => Err(SessionError::BrowserUnreachable(error.to_string())),
        }
    }

    /// Makes the browser crash, in test mode.
    pub async fn crash_browser(&self) -> Result<(), SessionError> {
        let crashing = self.browser()?.crash().await;
        crashing.map_err(|error| SessionError::BrowserUnreachable(error.to_string()))
    }

    /// Makes the browser ignore the certificate errors of all pages until the session ends.
    pub async fn ignore_certificate_errors(&self) -> Result<(), SessionError> {
        let ignoring = self.browser()?.ignore_certificate_errors().await;
        ignoring.map_err(|error| SessionError::BrowserUnreachable(error.to_string()))
    }

    /// Emulates a mobile device in all tabs until the session ends.
    pub async fn emulate_mobile(&self) -> Result<(), SessionError> {
        let emulating = self.browser()?.emulate_mobile().await;
        emulating.map_err(|error| SessionError::BrowserUnreachable(error.to_string()))
    }

    /// Returns the browser's version information.
    pub async fn browser_info(&self) -> Result<BrowserInfo, SessionError> {
        let identity = self.browser()?.info().await;
        identity.map_err(|error| SessionError::BrowserUnreachable(error.to_string()))
    }

    /// Returns the current tab. Opens one if the last tab was closed.
    pub async fn current_tab(&self) -> Result<String, SessionError> {
        let tab = self.browser()?.ensure_tab().await;
        tab.map_err(|error| SessionError::BrowserUnreachable(error.to_string()))
    }

    /// Returns the open tabs in the order in which they were opened.
    pub async fn tabs(&self) -> Result<Vec<Tab>, SessionError> {
        let tabs = self.browser()?.tabs().await;
        tabs.map_err(|error| SessionError::BrowserUnreachable(error.to_string()))
    }

    /// Returns a notifier for changes of the tabs.
    pub fn tab_changes(&self) -> Result<TabChanges, SessionError> {
        Ok(self.browser()?.tab_changes())
    }

    /// Brings a tab to the front and makes it the current one.
    pub async fn activate_tab(&self, tab: &str) -> Result<(), SessionError> {
        let activated = self.browser()?.activate_tab(tab).await;
        activated.map_err(|error| SessionError::BrowserUnreachable(error.to_string()))
    }

    /// Returns the targets that a client can attach to.
    pub async fn targets(&self) -> Result<Vec<Target>, SessionError> {
        let targets = self.browser()?.targets().await;
        targets.map_err(|error| SessionError::BrowserUnreachable(error.to_string()))
    }

    /// Returns the budget for messages of the session's clients and viewers.
    pub fn budget(&self) -> Result<Budget, SessionError> {
        Ok(self.resources()?.budget.clone())
    }

    /// Returns the session's live view.
    pub fn live_view(&self) -> Result<Arc<LiveView>, SessionError> {
        Ok(Arc::clone(&self.resources()?.view))
    }

    /// Returns the current tab with its URL and title, or `None` if the browser does not respond in
    /// time.
    pub async fn current_page(&self) -> Option<Tab> {
        let browser = self.browser().ok()?;
        let tabs = timeout(PAGE_TIMEOUT, browser.tabs()).await.ok()?.ok()?;
        tabs.into_iter().find(|tab| tab.is_current)
    }

    /// Returns the kind of a dialog that waits for an answer, such as `alert`.
    pub fn open_dialog(&self) -> Option<String> {
        let dialogs = self.browser().ok()?.open_dialogs();
        dialogs.into_iter().next().map(|dialog| dialog.kind)
    }

    /// Returns a JPEG of the current tab that fits into `max`. Returns `None` if there is no
    /// picture, and for a session without a live view.
    pub async fn thumbnail(&self, max: Viewport) -> Option<Bytes> {
        self.live_view_tokens()?;
        let browser = self.browser().ok()?;
        let tab = browser.current_tab()?;
        browser.thumbnail(&tab, max).await.ok()?
    }

    /// Returns the browser. Clients of a browser that crashed get an error that says so.
    fn browser(&self) -> Result<Browser, SessionError> {
        match self.ending() {
            Some(Ending {
                reason: DestroyedReason::BrowserCrashed,
                ..
            }) => Err(SessionError::BrowserCrashed),
            _ => Ok(self.resources()?.browser.clone()),
        }
    }
}
