//! Metrics on requests that were forwarded to other nodes of a cluster.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::primitives::{Count, IntGauge, OneLabel};

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
            sockets: IntGauge::default(),
        };
        for outcome in ForwardOutcome::ALL {
            drop(
                metrics
                    .requests
                    .get_or_create(&[("outcome", outcome.label())]),
            );
        }
        metrics
    }

    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "peer_requests",
            "Requests forwarded to other nodes, by outcome",
            self.requests.clone(),
        );
        all.register(
            "peer_sockets",
            "Open WebSockets that are forwarded to other nodes",
            self.sockets.clone(),
        );
    }

    /// Records that a request was forwarded.
    pub fn finished(&self, outcome: ForwardOutcome) {
        self.requests
            .get_or_create(&[("outcome", outcome.label())])
            .inc();
    }

    /// Counts a WebSocket.
    pub fn socket(&self) -> CountedSocket {
        self.sockets.inc();
        CountedSocket(self.sockets.clone())
    }
}
