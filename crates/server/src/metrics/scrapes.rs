//! Metrics of scrapes.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::primitives::OneLabel;

/// The histogram buckets of scrapes, in seconds.
const SCRAPE_SECONDS: [f64; 12] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// The outcome of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScrapeOutcome {
    Succeeded,
    /// The site or its page prevented it.
    NotLoaded,
    ActionFailed,
    TimedOut,
    /// The egress filter denied the address.
    Denied,
    /// The server has no capacity for it.
    Rejected,
    /// The session did not start or did not work.
    Failed,
    /// The client disconnected.
    Abandoned,
}

impl ScrapeOutcome {
    const ALL: [ScrapeOutcome; 8] = [
        ScrapeOutcome::Succeeded,
        ScrapeOutcome::NotLoaded,
        ScrapeOutcome::ActionFailed,
        ScrapeOutcome::TimedOut,
        ScrapeOutcome::Denied,
        ScrapeOutcome::Rejected,
        ScrapeOutcome::Failed,
        ScrapeOutcome::Abandoned,
    ];

    /// Returns the label for metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            ScrapeOutcome::Succeeded => "succeeded",
            ScrapeOutcome::NotLoaded => "not_loaded",
            ScrapeOutcome::ActionFailed => "action_failed",
            ScrapeOutcome::TimedOut => "timed_out",
            ScrapeOutcome::Denied => "denied",
            ScrapeOutcome::Rejected => "rejected",
            ScrapeOutcome::Failed => "failed",
            ScrapeOutcome::Abandoned => "abandoned",
        }
    }
}

/// The metrics of scrapes.
pub(crate) struct ScrapeMetrics {
    seconds: Family<OneLabel, Histogram>,
}

impl ScrapeMetrics {
    /// Creates them at 0, so that rates include the first event.
    pub(super) fn new() -> ScrapeMetrics {
        let scrapes = || Histogram::new(SCRAPE_SECONDS);
        let seconds: Family<OneLabel, Histogram> = Family::new_with_constructor(scrapes);
        for outcome in ScrapeOutcome::ALL {
            drop(seconds.get_or_create(&[("outcome", outcome.label())]));
        }
        ScrapeMetrics { seconds }
    }

    pub(super) fn register(&self, all: &mut Registry) {
        all.register_with_unit(
            "scrape",
            "Time of scrapes, by outcome",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }

    pub fn finished(&self, outcome: ScrapeOutcome, duration: Duration) {
        self.seconds
            .get_or_create(&[("outcome", outcome.label())])
            .observe(duration.as_secs_f64());
    }
}
