//! The driver of a session's current tab.

use std::sync::Arc;
use std::time::Duration;

use hearth_browser::ClientOrigin;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::error::PageError;
use super::origin_headers::OriginHeaders;
use super::page_state::Document;
use crate::sessions::Session;

/// The address of an empty tab.
const EMPTY_TAB: &str = "about:blank";

/// The time that a new tab has for showing a page.
const NEW_TAB_TIME: Duration = Duration::from_secs(1);

/// The time that a tab has for its first replies.
const ATTACH_TIME: Duration = Duration::from_secs(10);

/// A driver of a session's current tab.
#[derive(Debug)]
pub(crate) struct PageDriver {
    pub(super) session: Arc<Session>,
    pub(super) connection: Connection,
    /// The headers of every tab that the driver attaches to.
    pub(super) headers: Option<OriginHeaders>,
    pub(super) is_mobile: bool,
    /// The last tab that the page has opened and that stayed empty.
    empty_tab: Option<String>,
}

impl PageDriver {
    /// Attaches to the current tab of a session.
    pub async fn attach(session: &Arc<Session>) -> Result<PageDriver, PageError> {
        let tab = session.current_tab().await?;
        let connection = Self::connect(session, tab).await?;
        let mut driver = PageDriver {
            session: Arc::clone(session),
            connection,
            headers: None,
            is_mobile: false,
            empty_tab: None,
        };
        driver.listen(Instant::now() + ATTACH_TIME).await?;
        Ok(driver)
    }

    /// Waits this long, or until the deadline.
    pub async fn wait_ms(&mut self, milliseconds: u64, deadline: Instant) -> Result<(), PageError> {
        self.follow(deadline).await?;
        let until = Instant::now() + Duration::from_millis(milliseconds);
        self.connection.read_until(until.min(deadline)).await?;
        if until > deadline {
            return Err(PageError::TimedOut);
        }
        Ok(())
    }

    /// Returns the document that the tab shows, if its response is known.
    pub fn document(&self) -> Option<&Document> {
        self.connection.page.document()
    }

    /// Returns the session.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Attaches to the current tab, if it is another one than before. Stays with its tab while the
    /// page has opened an empty one. A new tab has a second to show a page.
    pub async fn follow(&mut self, deadline: Instant) -> Result<(), PageError> {
        let mut changes = self.session.tab_changes()?;
        let until = deadline.min(Instant::now() + NEW_TAB_TIME);
        let current = loop {
            let current = self.session.current_tab().await?;
            if current == self.connection.tab() && !self.connection.is_closed() {
                return Ok(());
            }
            if !self.is_behind(&current).await? {
                break current;
            }
            let is_known = self.empty_tab.as_ref() == Some(&current);
            if is_known || timeout_at(until, changes.next()).await.is_err() {
                self.empty_tab = Some(current);
                return Ok(());
            }
        };
        self.connection = Self::connect(&self.session, current).await?;
        self.listen(deadline).await?;
        self.apply_headers(deadline).await
    }

    /// Makes the tab of the driver the current one. Another tab is current if the page has opened
    /// an empty one.
    pub async fn show(&mut self, deadline: Instant) -> Result<(), PageError> {
        self.follow(deadline).await?;
        if self.session.current_tab().await? != self.connection.tab() {
            self.session.activate_tab(self.connection.tab()).await?;
        }
        Ok(())
    }

    /// Returns true if this tab is empty, and the tab of the driver shows a page.
    async fn is_behind(&self, current: &str) -> Result<bool, PageError> {
        let tabs = self.session.tabs().await?;
        let is_empty = |id: &str| {
            let tab = tabs.iter().find(|tab| tab.id == id);
            tab.is_none_or(|tab| tab.url.is_empty() || tab.url == EMPTY_TAB)
        };
        Ok(is_empty(current) && !is_empty(self.connection.tab()))
    }

    async fn connect(session: &Session, tab: String) -> Result<Connection, PageError> {
        let client = session
            .attach_client(Some(&tab), ClientOrigin::External)
            .await?;
        Ok(Connection::new(tab, client))
    }

    /// Starts to listen to the events of the tab. A page that was opened before the replies would
    /// have no events.
    async fn listen(&mut self, deadline: Instant) -> Result<(), PageError> {
        let page = json!({});
        // The bodies of responses are not read.
        let network = json!({"maxTotalBufferSize": 0, "maxResourceBufferSize": 0});
        let calls = [("Page.enable", page), ("Network.enable", network)];
        self.connection.call_all(&calls, deadline).await
    }
}
