//! Metrics on the traffic of sessions.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::gauges::Gauges;
use super::primitives::{Count, OneLabel, raise};

/// Metrics on the traffic of sessions.
#[derive(Debug, Default)]
pub(super) struct EgressMetrics {
    bytes: Family<OneLabel, Count>,
    denials: Family<OneLabel, Count>,
}

impl EgressMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "egress_bytes",
            "Bytes that sessions sent and received",
            self.bytes.clone(),
        );
        all.register(
            "egress_refusals",
            "Denied egress connections, by rule",
            self.denials.clone(),
        );
    }

    pub(super) fn set(&self, gauges: &Gauges) {
        let traffic = [
            ("up", gauges.traffic.up_bytes),
            ("down", gauges.traffic.down_bytes),
        ];
        for (direction, bytes) in traffic {
            raise(
                &self.bytes.get_or_create(&[("direction", direction)]),
                bytes,
            );
        }
        for (rule, count) in &gauges.egress_denials {
            raise(&self.denials.get_or_create(&[("rule", *rule)]), *count);
        }
    }
}
