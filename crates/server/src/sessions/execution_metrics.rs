//! What is counted of one request to run code, whatever becomes of it.

use std::sync::Arc;
use std::time::Instant;

use hearth_contract::Language;

use crate::metrics::{Execution, Kill, Metrics};

/// Open from the request to its answer. One that is dropped open was abandoned by its caller.
#[derive(Debug)]
pub(super) struct ExecutionMetricsGuard {
    metrics: Arc<Metrics>,
    language: Language,
    opened: Instant,
    has_begun: bool,
    is_closed: bool,
}

impl ExecutionMetricsGuard {
    pub fn open(metrics: &Arc<Metrics>, language: Language) -> ExecutionMetricsGuard {
        let (metrics, opened) = (Arc::clone(metrics), Instant::now());
        ExecutionMetricsGuard {
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
        self.metrics.waited(self.language, self.opened.elapsed());
    }

    pub fn printed(&self, kept_bytes: usize, dropped_bytes: usize) {
        self.metrics.printed(kept_bytes, dropped_bytes);
    }

    pub fn killed(&self, kill: Kill) {
        self.metrics.killed(kill);
    }

    pub fn close(mut self, execution: Execution) {
        self.is_closed = true;
        if execution == Execution::Busy {
            self.metrics.waited(self.language, self.opened.elapsed());
        }
        self.metrics
            .executed(self.language, execution, self.opened.elapsed());
    }
}

impl Drop for ExecutionMetricsGuard {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        if self.has_begun {
            self.metrics.killed(Kill::CallerGone);
        } else {
            self.metrics.waited(self.language, self.opened.elapsed());
        }
        self.metrics
            .executed(self.language, Execution::Abandoned, self.opened.elapsed());
    }
}
