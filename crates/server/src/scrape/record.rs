//! The log line and the metrics of one scrape, written however it ends.

use std::sync::Arc;

use tokio::time::Instant;

use super::failure::ScrapeError;
use crate::clock;
use crate::metrics::{Metrics, ScrapeOutcome};

/// A guard that lives from the request to its result. Dropping it without [`finish`] records a
/// scrape whose client disconnected.
///
/// [`finish`]: ScrapeRecord::finish
#[derive(Debug)]
pub(super) struct ScrapeRecord {
    metrics: Arc<Metrics>,
    began: Instant,
    outcome: ScrapeOutcome,
    page_status: Option<u16>,
    bytes: usize,
}

impl ScrapeRecord {
    pub fn new(metrics: &Arc<Metrics>) -> ScrapeRecord {
        ScrapeRecord {
            metrics: Arc::clone(metrics),
            began: Instant::now(),
            outcome: ScrapeOutcome::Abandoned,
            page_status: None,
            bytes: 0,
        }
    }

    /// Records the outcome: the status of the page and the size of the response, or the error.
    pub fn finish(mut self, result: Result<(u16, usize), &ScrapeError>) {
        match result {
            Ok((page_status, bytes)) => {
                self.outcome = ScrapeOutcome::Succeeded;
                self.page_status = Some(page_status);
                self.bytes = bytes;
            }
            Err(error) => self.outcome = error.outcome(),
        }
    }
}

impl Drop for ScrapeRecord {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        self.metrics.scrapes().finished(self.outcome, duration);
        tracing::info!(
            outcome = self.outcome.label(),
            duration_ms = clock::milliseconds(duration),
            page_status = self.page_status,
            bytes = self.bytes,
            "scrape finished"
        );
    }
}
