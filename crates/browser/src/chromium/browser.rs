//! The handle of a running browser.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::broker::Broker;
use crate::broker::client::Client;
use crate::broker::commands::{BrowserError, BrowserInfo, Tab, TabChanges, Target};
use crate::broker::dialogs::OpenDialog;
use crate::broker::file_access::ClientOrigin;
use crate::broker::finished_downloads::FinishedDownload;
use crate::broker::pending::{PendingAttach, Root};
use crate::chromium::supervise::{DeathReason, Supervised};

/// The time limit for a requested exit. A browser that takes longer is killed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A running browser. Cheap to clone; dropping the last clone kills it.
#[derive(Clone)]
pub struct Browser {
    inner: Arc<Inner>,
}

struct Inner {
    /// Shared with the tasks and clients.
    broker: Arc<Broker>,
    supervised: Supervised,
    /// Has one permit, so that concurrent callers that find no tab open only one.
    opening: Semaphore,
    program_pid: u32,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.supervised.kill.cancel();
    }
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser")
            .field("program_pid", &self.inner.program_pid)
            .finish_non_exhaustive()
    }
}

impl Browser {
    pub(crate) fn new(broker: Arc<Broker>, supervised: Supervised, program_pid: u32) -> Browser {
        Browser {
            inner: Arc::new(Inner {
                broker,
                supervised,
                opening: Semaphore::new(1),
                program_pid,
            }),
        }
    }

    /// Returns the process id of Chromium's main process.
    pub fn program_pid(&self) -> u32 {
        self.inner.program_pid
    }

    /// Returns the target id of the tab that was last opened, activated or navigated by any client.
    /// Returns `None` if all tabs are closed.
    pub fn current_tab(&self) -> Option<String> {
        self.inner.broker.current_tab().borrow().clone()
    }

    /// Returns the current tab of the default context, whose tabs every client sees. Returns `None`
    /// if it has no tab.
    pub fn current_shared_tab(&self) -> Option<String> {
        self.inner.broker.current_shared_tab()
    }

    /// Returns the current tab of the default context. Opens an empty one first if none is left.
    pub async fn ensure_tab(&self) -> Result<String, BrowserError> {
        let _one_at_a_time = self
            .inner
            .opening
            .acquire()
            .await
            .map_err(|_| BrowserError::Gone)?;
        if self.inner.broker.default_context_has_a_tab()
            && let Some(current) = self.current_shared_tab()
        {
            return Ok(current);
        }
        self.inner.broker.open_tab().await
    }

    /// Returns the open tabs in the order in which they were opened.
    pub async fn tabs(&self) -> Result<Vec<Tab>, BrowserError> {
        self.inner.broker.tabs().await
    }

    /// Returns a notifier for changes of [`tabs`](Browser::tabs).
    pub fn tab_changes(&self) -> TabChanges {
        self.inner.broker.tab_changes()
    }

    /// Brings a tab to the front and makes it the current one.
    pub async fn activate_tab(&self, tab: &str) -> Result<(), BrowserError> {
        self.inner.broker.activate_tab(tab).await
    }

    /// Closes a tab.
    pub async fn close_tab(&self, tab: &str) -> Result<(), BrowserError> {
        self.inner.broker.close_tab(tab).await
    }

    /// Opens an empty tab, which becomes the current one.
    pub async fn open_tab(&self) -> Result<String, BrowserError> {
        let broker = &self.inner.broker;
        if broker.has_all_tabs() {
            return Err(BrowserError::Rejected {
                method: "opening another tab".to_owned(),
                message: broker.too_many_tabs(),
            });
        }
        self.inner.broker.open_tab().await
    }

    /// Returns the dialogs that wait for an answer.
    pub fn open_dialogs(&self) -> Vec<OpenDialog> {
        self.inner.broker.open_dialogs()
    }

    /// Returns the number of downloads that have ended.
    pub fn download_count(&self) -> u64 {
        self.inner.broker.download_count()
    }

    /// Returns the downloads that ended after the first `count` ones. Only the latest are kept.
    pub fn downloads_since(&self, count: u64) -> Vec<FinishedDownload> {
        self.inner.broker.downloads_since(count)
    }

    /// Records use of the browser other than a client's commands.
    pub fn record_use(&self) {
        self.inner.broker.record_use();
    }

    /// Makes sure that every tab responds, because a client that connects waits for all of them.
    /// Terminates the script of a tab that does not respond for two seconds, and closes a tab that
    /// stays unresponsive. Costs one round trip if all tabs respond.
    pub async fn recover_unresponsive_tabs(&self) {
        self.inner.broker.recover_unresponsive_tabs().await;
    }

    /// Returns true if there is a tab and every tab responds within `limit`.
    pub async fn tabs_respond(&self, limit: Duration) -> bool {
        self.inner.broker.tabs_respond(limit).await
    }

    /// Returns the time of the last use of the browser by a CDP command or by manual input, to the
    /// millisecond. Returns the time of the launch if it was not used yet.
    pub fn last_command(&self) -> Instant {
        self.inner.broker.last_command()
    }

    /// Waits until the browser is gone and returns the reason. Clients have been closed by then.
    /// Cancel safe.
    pub async fn died(&self) -> DeathReason {
        let mut end = self.inner.supervised.end.clone();
        match end.wait_for(|end| end.reason.is_some()).await {
            Ok(end) => end.reason.unwrap_or(DeathReason::Killed),
            // The supervisor sets the reason before it ends. Only a runtime that shuts down drops
            // it earlier.
            Err(_) => DeathReason::Killed,
        }
    }

    /// Attaches a client. When this returns, the browser has replied and has a tab for the client.
    pub async fn attach(&self, origin: ClientOrigin) -> Result<Client, BrowserError> {
        self.ensure_tab().await?;
        self.inner
            .broker
            .attach(PendingAttach {
                root: Root::Browser,
                origin,
            })
            .await
    }

    /// Attaches a client to one target, as Chromium's own `/devtools/page/` does. Returns
    /// [`BrowserError::Rejected`] if the target does not exist.
    pub async fn attach_to(
        &self,
        target: &str,
        origin: ClientOrigin,
    ) -> Result<Client, BrowserError> {
        self.inner
            .broker
            .attach(PendingAttach {
                root: Root::Target(target.to_owned()),
                origin,
            })
            .await
    }

    /// Ignores the certificate errors of all pages until the browser ends.
    pub async fn ignore_certificate_errors(&self) -> Result<(), BrowserError> {
        self.inner.broker.ignore_certificate_errors().await
    }

    /// Emulates a mobile device in all tabs of the default context until the browser ends.
    pub async fn emulate_mobile(&self) -> Result<(), BrowserError> {
        self.inner.broker.emulate_mobile().await
    }

    /// Returns the version information that the browser reports.
    pub async fn info(&self) -> Result<BrowserInfo, BrowserError> {
        self.inner.broker.info().await
    }

    /// Returns all targets that a client may attach to.
    pub async fn targets(&self) -> Result<Vec<Target>, BrowserError> {
        self.inner.broker.targets().await
    }

    /// Requests the browser to exit, which saves its state, waits up to five seconds, and kills it
    /// if needed. Returns when all its processes are gone. Returns true if the browser exited
    /// without being killed.
    pub async fn close(&self) -> bool {
        self.inner.supervised.closing.cancel();
        let asked = async {
            match self.inner.broker.ask_to_close().await {
                // The browser may end before it replies.
                Ok(()) | Err(BrowserError::Gone) => self.gone().await,
                Err(error) => tracing::warn!(%error, "browser killed after failed close"),
            }
        };
        // Killing a browser that has already gone is harmless.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, asked).await;
        self.kill().await;
        self.died().await == DeathReason::Closed
    }

    /// Makes the browser crash, for tests of clients. Its clients and callers notice it like any
    /// other crash.
    pub async fn crash(&self) -> Result<(), BrowserError> {
        match self.inner.broker.ask_to_crash().await {
            Ok(()) | Err(BrowserError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Kills the browser and everything it started. Returns when all processes are gone.
    pub async fn kill(&self) {
        self.inner.supervised.kill.cancel();
        self.gone().await;
    }

    async fn gone(&self) {
        let mut end = self.inner.supervised.end.clone();
        // An error means that the supervisor, and with it the process tree, is gone.
        let _ = end.wait_for(|end| end.gone).await;
    }

    pub(crate) fn broker(&self) -> &Arc<Broker> {
        &self.inner.broker
    }
}
