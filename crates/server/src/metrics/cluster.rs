//! Metrics of a node of a cluster.

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::gauges::Gauges;
use super::primitives::{Count, IntGauge, OneLabel, saturate};

/// The evidence by which a node has noticed that its lease is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FencedBy {
    /// The store says so.
    Beat,
    /// A peer says so.
    Peer,
    /// Neither the store nor a peer has answered.
    Isolation,
}

impl FencedBy {
    const ALL: [FencedBy; 3] = [FencedBy::Beat, FencedBy::Peer, FencedBy::Isolation];

    /// Returns the label.
    pub fn label(self) -> &'static str {
        match self {
            FencedBy::Beat => "beat",
            FencedBy::Peer => "peer",
            FencedBy::Isolation => "isolation",
        }
    }
}

/// The states of this node, as labels.
const STATES: [&str; 3] = ["up", "draining", "fenced"];

/// Metrics of a node of a cluster. All but the use of sessions are 0 without one.
#[derive(Debug)]
pub(crate) struct ClusterMetrics {
    state: Family<OneLabel, IntGauge>,
    nodes: Family<OneLabel, IntGauge>,
    beat_age: IntGauge,
    fenced: Family<OneLabel, Count>,
    declared_dead: Count,
    adopted: Count,
    /// The autoscaler of the Helm chart reads it.
    sessions_used_percent: IntGauge,
}

impl ClusterMetrics {
    pub(super) fn new() -> ClusterMetrics {
        let metrics = ClusterMetrics {
            state: Family::default(),
            nodes: Family::default(),
            beat_age: IntGauge::default(),
            fenced: Family::default(),
            declared_dead: Count::default(),
            adopted: Count::default(),
            sessions_used_percent: IntGauge::default(),
        };
        for by in FencedBy::ALL {
            drop(metrics.fenced.get_or_create(&[("by", by.label())]));
        }
        metrics
    }

    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "node_state",
            "1 for the state of this node of a cluster",
            self.state.clone(),
        );
        all.register(
            "cluster_nodes",
            "Nodes of the cluster, by state",
            self.nodes.clone(),
        );
        all.register(
            "beat_age_seconds",
            "Time since the database has last accepted a beat of this node",
            self.beat_age.clone(),
        );
        all.register(
            "fenced",
            "Times that this node has lost its lease, by evidence",
            self.fenced.clone(),
        );
        all.register(
            "nodes_declared_dead",
            "Nodes that this node has declared dead",
            self.declared_dead.clone(),
        );
        all.register(
            "sessions_adopted",
            "Active sessions that the database had forgotten",
            self.adopted.clone(),
        );
        all.register(
            "sessions_used_percent",
            "Sessions that start or are active, as a percentage of the maximum",
            self.sessions_used_percent.clone(),
        );
    }

    /// Records that this node has lost its lease.
    pub fn fenced(&self, by: FencedBy) {
        self.fenced.get_or_create(&[("by", by.label())]).inc();
    }

    /// Records that this node has declared another one dead.
    pub fn declared_dead(&self) {
        self.declared_dead.inc();
    }

    /// Records that the database had forgotten an active session.
    pub fn adopted(&self) {
        self.adopted.inc();
    }

    pub(super) fn set(&self, gauges: &Gauges) {
        let used = gauges.creating + gauges.active;
        // A node without places is full.
        let percent = (used * 100).checked_div(gauges.max_sessions).unwrap_or(100);
        self.sessions_used_percent.set(saturate(percent as u64));
        let counts = gauges.cluster.unwrap_or_default();
        for state in STATES {
            let is_current = counts.state == Some(state);
            self.state
                .get_or_create(&[("state", state)])
                .set(i64::from(is_current));
        }
        for (state, count) in [("up", counts.up), ("draining", counts.draining)] {
            self.nodes
                .get_or_create(&[("state", state)])
                .set(saturate(count as u64));
        }
        self.beat_age.set(saturate(counts.beat_age_seconds));
    }
}
