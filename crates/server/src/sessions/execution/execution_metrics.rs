//! The metrics of one execute request, recorded however it ends.

use std::sync::Arc;
use std::time::Instant;

use hearth_contract::Language;

use crate::metrics::{ExecuteOutcome, KillReason, Metrics};

/// A guard that lives from the request to its response. Dropping it without [`finish`] records an
/// execution that its caller abandoned.
///
/// [`finish`]: ExecutionMetricsGuard::finish
#[derive(Debug)]
pub(in crate::sessions) struct ExecutionMetricsGuard {
    metrics: Arc<Metrics>,
    language: Language,
    received: Instant,
    has_started: bool,
    is_finished: bool,
}

impl ExecutionMetricsGuard {
    pub fn new(metrics: &Arc<Metrics>, language: Language) -> ExecutionMetricsGuard {
        ExecutionMetricsGuard {
            metrics: Arc::clone(metrics),
            language,
            received: Instant::now(),
            has_started: false,
            is_finished: false,
        }
    }

    /// Records the start of the execution's turn. Executions that never get a turn record their
    /// waiting time at their end.
    pub fn start(&mut self) {
        self.has_started = true;
        self.metrics
            .execution_waited(self.language, self.received.elapsed());
    }

    pub fn record_output(&self, kept_bytes: usize, dropped_bytes: usize) {
        self.metrics.output_captured(kept_bytes, dropped_bytes);
    }

    pub fn record_kill(&self, kill: KillReason) {
        self.metrics.execution_killed(kill);
    }

    /// Records the outcome.
    pub fn finish(mut self, outcome: ExecuteOutcome) {
        self.is_finished = true;
        if outcome == ExecuteOutcome::Busy {
            self.metrics
                .execution_waited(self.language, self.received.elapsed());
        }
        self.metrics
            .execution_finished(self.language, outcome, self.received.elapsed());
    }
}

impl Drop for ExecutionMetricsGuard {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        if self.has_started {
            self.metrics.execution_killed(KillReason::CallerGone);
        } else {
            self.metrics
                .execution_waited(self.language, self.received.elapsed());
        }
        self.metrics.execution_finished(
            self.language,
            ExecuteOutcome::Abandoned,
            self.received.elapsed(),
        );
    }
}
