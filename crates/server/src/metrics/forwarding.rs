//! Metrics on requests that were forwarded to other nodes of a cluster.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::primitives::{Count, IntGauge, OneLabel};

/// The histogram buckets for a forwarded request, in seconds: from a short answer to an execution
/// that takes its whole timeout.
const REQUEST_SECONDS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0,
];

/// The outcome of a forwarded request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ForwardOutcome {
    /// The other node answered, with whatever status.
    Answered,
    /// There was no connection to it.
    Unreachable,
    /// It received the request, and did not answer.
    Lost,
}

impl ForwardOutcome {
    const ALL: [ForwardOutcome; 3] = [
        ForwardOutcome::Answered,
        ForwardOutcome::Unreachable,
        ForwardOutcome::Lost,
    ];

    fn label(self) -> &'static str {
        match self {
            ForwardOutcome::Answered => "answered",
            ForwardOutcome::Unreachable => "unreachable",
            ForwardOutcome::Lost => "lost",
        }
    }
}

/// Metrics on forwarded requests. All are 0 on a single server.
#[derive(Debug)]
pub(crate) struct ForwardingMetrics {
    requests: Family<OneLabel, Count>,
    seconds: Family<OneLabel, Histogram>,
    sockets: IntGauge,
}

/// A forwarded WebSocket, which counts until it is dropped.
#[derive(Debug)]
pub(crate) struct CountedSocket(IntGauge);

impl Drop for CountedSocket {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ForwardingMetrics {
    pub(super) fn new() -> ForwardingMetrics {
        let metrics = ForwardingMetrics {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            sockets: IntGauge::default(),
        };
        for outcome in ForwardOutcome::ALL {
            let label = [("outcome", outcome.label())];
            drop(metrics.requests.get_or_create(&label));
            drop(metrics.seconds.get_or_create(&label));
        }
        metrics
    }

    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "peer_requests",
            "Requests forwarded to other nodes, by outcome",
            self.requests.clone(),
        );
        all.register_with_unit(
            "peer",
            "Time until the other node began to answer, or did not, by outcome",
            Unit::Seconds,
            self.seconds.clone(),
        );
        all.register(
            "peer_sockets",
            "Open WebSockets that are forwarded to other nodes",
            self.sockets.clone(),
        );
    }

    /// Records a forwarded request.
    pub fn finished(&self, outcome: ForwardOutcome, duration: Duration) {
        let label = [("outcome", outcome.label())];
        self.requests.get_or_create(&label).inc();
        self.seconds
            .get_or_create(&label)
            .observe(duration.as_secs_f64());
    }

    /// Counts a WebSocket.
    pub fn socket(&self) -> CountedSocket {
        self.sockets.inc();
        CountedSocket(self.sockets.clone())
    }
}
