//! Metrics on requests to a Firecrawl server.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::gauges::Gauges;
use super::primitives::{Count, IntGauge, OneLabel, saturate};

/// The reason why a request got no response of Firecrawl.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FirecrawlFailure {
    /// It did not answer.
    Silent,
    /// All connections are in use.
    Busy,
}

impl FirecrawlFailure {
    const ALL: [FirecrawlFailure; 2] = [FirecrawlFailure::Silent, FirecrawlFailure::Busy];

    fn label(self) -> &'static str {
        match self {
            FirecrawlFailure::Silent => "silent",
            FirecrawlFailure::Busy => "busy",
        }
    }
}

/// Metrics on requests to a Firecrawl server. All are 0 without one.
#[derive(Debug)]
pub(crate) struct FirecrawlMetrics {
    up: IntGauge,
    connections: IntGauge,
    max_connections: IntGauge,
    failures: Family<OneLabel, Count>,
}

impl FirecrawlMetrics {
    pub(super) fn new() -> FirecrawlMetrics {
        let metrics = FirecrawlMetrics {
            up: IntGauge::default(),
            connections: IntGauge::default(),
            max_connections: IntGauge::default(),
            failures: Family::default(),
        };
        for failure in FirecrawlFailure::ALL {
            drop(
                metrics
                    .failures
                    .get_or_create(&[("reason", failure.label())]),
            );
        }
        metrics
    }

    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "firecrawl_up",
            "1 if the last connection to Firecrawl succeeded",
            self.up.clone(),
        );
        all.register(
            "firecrawl_connections",
            "Open connections to Firecrawl",
            self.connections.clone(),
        );
        all.register(
            "firecrawl_connections_max",
            "The limit of connections to Firecrawl; 0 without HEARTH_FIRECRAWL_URL",
            self.max_connections.clone(),
        );
        all.register(
            "firecrawl_failures",
            "Requests that got no response of Firecrawl, by reason",
            self.failures.clone(),
        );
    }

    /// Records that a request got no response of Firecrawl.
    pub fn failed(&self, failure: FirecrawlFailure) {
        self.failures
            .get_or_create(&[("reason", failure.label())])
            .inc();
    }

    pub(super) fn set(&self, gauges: &Gauges) {
        let counts = gauges.firecrawl;
        self.up.set(i64::from(counts.answers));
        self.connections.set(saturate(counts.connections as u64));
        self.max_connections
            .set(saturate(counts.max_connections as u64));
    }
}
