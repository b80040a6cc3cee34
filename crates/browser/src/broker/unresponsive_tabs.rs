//! TabList that do not answer, and getting them out of everybody's way.
//!
//! A client that connects asks every tab about itself and waits for all of them, so one that is
//! silent keeps everybody out: a script that never ends, a dialog, or a popup to an address that a
//! page may not open (`data:`, `javascript:`), which Chromium announces and never gives a document.
//! Commands for the browser process still work on such a tab, and `Runtime.terminateExecution` ends
//! a running script if its session was there before the script (measured on Chromium 156: a session
//! that is attached later gets no answer).

use std::sync::Arc;
use std::time::Duration;

use chromiumoxide_cdp::cdp::js_protocol::runtime::{EvaluateParams, TerminateExecutionParams};
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::broker::commands::BrowserError;

/// A tab that says nothing for so long is silent. Long pauses of living pages are shorter.
const SILENCE: Duration = Duration::from_secs(2);

/// How long each attempt to wake a tab may take.
const RECOVERY_TIMEOUT: Duration = Duration::from_millis(500);

impl Broker {
    /// Asks every tab for a word. One that is silent has its dialog dismissed and its script ended;
    /// one that is silent even then is closed.
    pub(crate) async fn recover_unresponsive_tabs(self: &Arc<Self>) {
        let mut tabs = JoinSet::new();
        for tab in self.open_tabs() {
            let broker = Arc::clone(self);
            tabs.spawn(async move {
                if let Err(error) = broker.recover_tab(&tab).await {
                    // It may have been closed meanwhile.
                    tracing::debug!(%error, "a tab cannot be asked");
                }
            });
        }
        while tabs.join_next().await.is_some() {}
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
                method: "its first document".to_owned(),
                timeout: SILENCE,
            })
        };
        let Err(BrowserError::TimedOut { .. }) = asked.await else {
            return Ok(());
        };
        // On a session that was told of it: on another one Chromium knows of no dialog.
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
            tracing::info!("the script of a tab that did not answer was ended");
            return Ok(());
        }
        tracing::info!("a tab that does not answer is closed");
        self.close_tab(tab).await
    }
}
