//! The handle of a running browser: everything that the server may want of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::broker::Broker;
use crate::broker::client::Client;
use crate::broker::commands::{BrowserError, BrowserInfo, Tab, TabChanges, Target};
use crate::broker::file_access::ClientOrigin;
use crate::broker::pending::{PendingAttach, Root};
use crate::chromium::supervise::{DeathReason, Supervised};

/// How long a browser may take to end after it was asked to; then it is killed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A running browser. Cheap to clone; when the last clone is dropped it is killed.
#[derive(Clone)]
pub struct Browser {
    inner: Arc<Inner>,
}

struct Inner {
    /// Its tasks and clients hold it too.
    broker: Arc<Broker>,
    supervised: Supervised,
    /// One permit: two who find no tab open one between them.
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

    /// The process id of Chromium's main process.
    pub fn program_pid(&self) -> u32 {
        self.inner.program_pid
    }

    /// The target id of the tab last opened, activated or navigated by anyone. None when every tab
    /// is closed.
    pub fn current_tab(&self) -> Option<String> {
        self.inner.broker.current_tab().borrow().clone()
    }

    /// The current tab, after an empty one was opened if the default context has none left.
    pub async fn ensure_tab(&self) -> Result<String, BrowserError> {
        let _one_at_a_time = self
            .inner
            .opening
            .acquire()
            .await
            .map_err(|_| BrowserError::Gone)?;
        if self.inner.broker.default_context_has_a_tab()
            && let Some(current) = self.current_tab()
        {
            return Ok(current);
        }
        self.inner.broker.open_tab().await
    }

    /// The open tabs, in the order in which they were opened.
    pub async fn tabs(&self) -> Result<Vec<Tab>, BrowserError> {
        self.inner.broker.tabs().await
    }

    /// To be told when [`tabs`](Browser::tabs) may say something else.
    pub fn tab_changes(&self) -> TabChanges {
        self.inner.broker.tab_changes()
    }

    /// Brings a tab to the front, and makes it the current one.
    pub async fn activate_tab(&self, tab: &str) -> Result<(), BrowserError> {
        self.inner.broker.activate_tab(tab).await
    }

    /// Closes a tab.
    pub async fn close_tab(&self, tab: &str) -> Result<(), BrowserError> {
        self.inner.broker.close_tab(tab).await
    }

    /// Opens an empty tab, which is the current one from then on.
    pub async fn open_tab(&self) -> Result<String, BrowserError> {
        let broker = &self.inner.broker;
        if broker.has_all_tabs() {
            return Err(BrowserError::Refused {
                method: "another tab".to_owned(),
                message: broker.too_many_tabs(),
            });
        }
        self.inner.broker.open_tab().await
    }

    /// Notes that somebody uses the browser by other means than a client's commands.
    pub fn record_use(&self) {
        self.inner.broker.record_use();
    }

    /// Sees to it that every tab answers, since a client that connects waits for all of them: a
    /// script that never ends is ended (in a tab that is silent for two seconds), and a tab that
    /// stays silent is closed. One round trip when nothing is wrong.
    pub async fn recover_unresponsive_tabs(&self) {
        self.inner.broker.recover_unresponsive_tabs().await;
    }

    /// When somebody last used the browser by a CDP command or by hand; the time of the launch when
    /// nobody has yet. To the millisecond.
    pub fn last_command(&self) -> Instant {
        self.inner.broker.last_command()
    }

    /// Waits until the browser is gone, and tells why. Clients have been told before. Cancel safe.
    pub async fn died(&self) -> DeathReason {
        let mut end = self.inner.supervised.end.clone();
        match end.wait_for(|end| end.reason.is_some()).await {
            Ok(end) => end.reason.unwrap_or(DeathReason::Killed),
            // The supervisor sets it before it ends; only a runtime that is shutting down drops it
            // earlier.
            Err(_) => DeathReason::Killed,
        }
    }

    /// Attaches a client: when this returns, the browser has answered, and a tab is there for it to
    /// find.
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

    /// Attaches a client to one target only, as Chromium's own `/devtools/page/` does.
    /// [`BrowserError::Refused`] when there is no such target.
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

    /// What the browser says that it is.
    pub async fn info(&self) -> Result<BrowserInfo, BrowserError> {
        self.inner.broker.info().await
    }

    /// Everything in the browser that a client may attach to.
    pub async fn targets(&self) -> Result<Vec<Target>, BrowserError> {
        self.inner.broker.targets().await
    }

    /// Asks the browser to end, which saves what it holds in memory, waits five seconds for it, and
    /// kills it if it must. Returns when nothing of it is left, and tells whether it ended by
    /// itself.
    pub async fn close(&self) -> bool {
        self.inner.supervised.closing.cancel();
        let asked = async {
            match self.inner.broker.ask_to_close().await {
                // The answer may be lost with the browser.
                Ok(()) | Err(BrowserError::Gone) => self.gone().await,
                Err(error) => tracing::warn!(%error, "chromium does not close and is killed"),
            }
        };
        // Killing is right for one that is gone, too.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, asked).await;
        self.kill().await;
        self.died().await == DeathReason::Closed
    }

    /// Kills the browser and everything it started. Returns when nothing of it is left.
    pub async fn kill(&self) {
        self.inner.supervised.kill.cancel();
        self.gone().await;
    }

    async fn gone(&self) {
        let mut end = self.inner.supervised.end.clone();
        // An error means that the supervisor is gone, and with it the tree.
        let _ = end.wait_for(|end| end.gone).await;
    }

    pub(crate) fn broker(&self) -> &Arc<Broker> {
        &self.inner.broker
    }
}
