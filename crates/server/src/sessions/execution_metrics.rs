//! What is counted of one request to run code, whatever becomes of it.

use std::sync::Arc;
use std::time::Instant;

use hearth_contract::Language;

use crate::metrics::{ExecuteOutcome, KillReason, Metrics};

/// Open from the request to its answer. One that is dropped open was abandoned by its caller.
#[derive(Debug)]
pub(super) struct Account {
    metrics: Arc<Metrics>,
    language: Language,
    opened: Instant,
    has_begun: bool,
    is_closed: bool,
}

impl Account {
    pub fn open(metrics: &Arc<Metrics>, language: Language) -> Account {
        let (metrics, opened) = (Arc::clone(metrics), Instant::now());
        Account {
            metrics,
            language,
            opened,
            has_begun: false,
            is_closed: false,
        }
    }

    /// Its turn has come. Those to whom it does not come have waited, too.
    pub fn begun(&mut self) {
        self.has_begun = true;
        self.metrics
            .execution_waited(self.language, self.opened.elapsed());
    }

    pub fn printed(&self, kept_bytes: usize, dropped_bytes: usize) {
        self.metrics.output_captured(kept_bytes, dropped_bytes);
    }

    pub fn killed(&self, kill: KillReason) {
        self.metrics.execution_killed(kill);
    }

    pub fn close(mut self, execution: ExecuteOutcome) {
        self.is_closed = true;
        if execution == ExecuteOutcome::Busy {
            self.metrics
                .execution_waited(self.language, self.opened.elapsed());
        }
        self.metrics
            .execution_finished(self.language, execution, self.opened.elapsed());
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        if self.has_begun {
            self.metrics.execution_killed(KillReason::CallerGone);
        } else {
            self.metrics
                .execution_waited(self.language, self.opened.elapsed());
        }
        self.metrics.execution_finished(
            self.language,
            ExecuteOutcome::Abandoned,
            self.opened.elapsed(),
        );
    }
}
