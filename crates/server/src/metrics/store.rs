//! Metrics on the store of sessions.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::primitives::{IntGauge, OneLabel};

/// The histogram buckets for a statement, in seconds: from a read of a local file to the time
/// limits.
const STATEMENT_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.3, 1.0, 3.0, 10.0];

/// A kind of statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreStatement {
    /// The beat of a node.
    Beat,
    /// A look at all nodes.
    Look,
    /// The end of the sessions of lost nodes.
    Sweep,
    /// Any other statement about nodes.
    Membership,
    /// The reservation of a new session.
    Reserve,
    /// The activation of a new session.
    Activate,
    /// A statement about a profile or its lease.
    Profile,
    /// Any other statement that reads.
    Read,
    /// Any other statement that writes.
    Write,
}

impl StoreStatement {
    const ALL: [StoreStatement; 9] = [
        StoreStatement::Beat,
        StoreStatement::Look,
        StoreStatement::Sweep,
        StoreStatement::Membership,
        StoreStatement::Reserve,
        StoreStatement::Activate,
        StoreStatement::Profile,
        StoreStatement::Read,
        StoreStatement::Write,
    ];

    fn label(self) -> &'static str {
        match self {
            StoreStatement::Beat => "beat",
            StoreStatement::Look => "look",
            StoreStatement::Sweep => "sweep",
            StoreStatement::Membership => "membership",
            StoreStatement::Reserve => "reserve",
            StoreStatement::Activate => "activate",
            StoreStatement::Profile => "profile",
            StoreStatement::Read => "read",
            StoreStatement::Write => "write",
        }
    }
}

/// Metrics on the store. Cheap to clone: all clones count together.
#[derive(Clone, Debug)]
pub(crate) struct StoreMetrics {
    up: IntGauge,
    seconds: Family<OneLabel, Histogram>,
}

impl Default for StoreMetrics {
    fn default() -> StoreMetrics {
        let metrics = StoreMetrics {
            up: IntGauge::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(STATEMENT_SECONDS)),
        };
        // A server starts only with a store that works.
        metrics.up.set(1);
        for statement in StoreStatement::ALL {
            let label = [("statement", statement.label())];
            drop(metrics.seconds.get_or_create(&label));
        }
        metrics
    }
}

impl StoreMetrics {
    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "store_up",
            "1 if the store has answered the last statement",
            self.up.clone(),
        );
        all.register_with_unit(
            "store",
            "Time of a statement of the store with the wait for a connection, by kind",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }

    /// Records a statement, and whether the store has answered it.
    pub fn finished(&self, statement: StoreStatement, duration: Duration, is_answered: bool) {
        self.up.set(i64::from(is_answered));
        self.seconds
            .get_or_create(&[("statement", statement.label())])
            .observe(duration.as_secs_f64());
    }
}
