//! Recovers tabs that do not respond.
//!
//! A client that connects queries every tab and waits for all of them, so one unresponsive tab
//! blocks every client. Causes are a script that never ends, a dialog, or a popup to an address
//! that a page may not open (`data:`, `javascript:`): Chromium announces such a popup but never
//! gives it a document.
//!
//! Commands for the browser process still work on such a tab. `Runtime.terminateExecution` ends a
//! running script if its session was attached before the script started (measured on Chromium 156:
//! a session that is attached later gets no reply).

use std::sync::Arc;
use std::time::Duration;

use chromiumoxide_cdp::cdp::js_protocol::runtime::{EvaluateParams, TerminateExecutionParams};
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::broker::commands::BrowserError;

/// The time after which a tab that does not reply counts as unresponsive. Responsive pages have
/// shorter pauses.
const SILENCE: Duration = Duration::from_secs(2);

/// The timeout of each attempt to recover a tab.
const RECOVERY_TIMEOUT: Duration = Duration::from_millis(500);

impl Broker {
    /// Probes every tab. In an unresponsive tab, dismisses the dialog and ends the script. Closes
    /// the tab if it stays unresponsive.
    pub(crate) async fn recover_unresponsive_tabs(self: &Arc<Self>) {
        let mut tabs = JoinSet::new();
        for tab in self.open_tabs() {
            let broker = Arc::clone(self);
            tabs.spawn(async move {
                if let Err(error) = broker.recover_tab(&tab).await {
                    // The tab may have been closed in the meantime.
                    tracing::debug!(%error, "tab probe failed");
                }
            });
        }
        while tabs.join_next().await.is_some() {}
    }

    /// Returns true if there is a tab and every tab responds within `limit`.
    pub(crate) async fn tabs_respond(self: &Arc<Self>, limit: Duration) -> bool {
        let tabs = self.open_tabs();
        let mut probes = JoinSet::new();
        for tab in &tabs {
            let Some(session) = self.broker_session_on(tab) else {
                return false;
            };
            let broker = Arc::clone(self);
            probes.spawn(async move {
                let probe = EvaluateParams::new("1");
                broker
                    .call_within(limit, Some(&session), probe)
                    .await
                    .is_ok()
            });
        }
        let responses = probes.join_all().await;
        !responses.is_empty() && responses.into_iter().all(|responds| responds)
    }

    async fn recover_tab(&self, tab: &str) -> Result<(), BrowserError> {
        let Some(session) = self.broker_session_on(tab) else {
            return Ok(());
        };
        let session = Some(session.as_str());
        let asked = async {
            self.call_within(SILENCE, session, EvaluateParams::new("1"))
                .await?;
            let document = tokio::time::timeout(SILENCE, self.has_document(tab)).await;
            document.map_err(|_| BrowserError::TimedOut {
                method: "loading the first document".to_owned(),
                timeout: SILENCE,
            })
        };
        let Err(BrowserError::TimedOut { .. }) = asked.await else {
            return Ok(());
        };
        // Uses a session on which the dialog was announced, because Chromium does not find it on
        // others.
        self.dismiss_dialog(tab);
        let _ = self
            .call_within(
                RECOVERY_TIMEOUT,
                session,
                TerminateExecutionParams::default(),
            )
            .await;
        let again = self
            .call_within(RECOVERY_TIMEOUT, session, EvaluateParams::new("1"))
            .await;
        if again.is_ok() && !self.is_blank(tab) {
            tracing::info!("script of unresponsive tab ended");
            return Ok(());
        }
        tracing::info!("unresponsive tab closed");
        self.close_tab(tab).await
    }
}
