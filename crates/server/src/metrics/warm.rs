//! Metrics on warm sessions.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::gauges::Gauges;
use super::primitives::{CREATE_SECONDS, Count, IntGauge, OneLabel, saturate};

/// The reason why a client did not get a warm session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ColdReason {
    /// The server prepares none.
    Off,
    /// None was ready.
    Empty,
    /// The session has a profile, and so another browser. Its kernels were warm.
    Profile,
    /// The session has a location, and so another browser and other kernels.
    Location,
    /// The warm session did not work any more.
    Broken,
}

impl ColdReason {
    const ALL: [ColdReason; 5] = [
        ColdReason::Off,
        ColdReason::Empty,
        ColdReason::Profile,
        ColdReason::Location,
        ColdReason::Broken,
    ];

    fn label(self) -> &'static str {
        match self {
            ColdReason::Off => "off",
            ColdReason::Empty => "empty",
            ColdReason::Profile => "profile",
            ColdReason::Location => "location",
            ColdReason::Broken => "broken",
        }
    }
}

/// Metrics on warm sessions and on creations without one.
#[derive(Debug)]
pub(crate) struct WarmMetrics {
    sessions: Family<OneLabel, IntGauge>,
    claimed: Count,
    cold: Family<OneLabel, Count>,
    prepare: Histogram,
}

impl WarmMetrics {
    pub(super) fn new() -> WarmMetrics {
        let metrics = WarmMetrics {
            sessions: Family::default(),
            claimed: Count::default(),
            cold: Family::default(),
            prepare: Histogram::new(CREATE_SECONDS),
        };
        for reason in ColdReason::ALL {
            drop(metrics.cold.get_or_create(&[("reason", reason.label())]));
        }
        metrics
    }

    pub(super) fn register(&self, all: &mut Registry) {
        all.register(
            "warm_sessions",
            "Sessions that are prepared in advance, by state",
            self.sessions.clone(),
        );
        all.register(
            "warm_claimed",
            "Clients that got a warm session",
            self.claimed.clone(),
        );
        all.register(
            "cold_creations",
            "Clients that got no warm session, by reason",
            self.cold.clone(),
        );
        all.register_with_unit(
            "warm_prepare",
            "Time to prepare a warm session",
            Unit::Seconds,
            self.prepare.clone(),
        );
    }

    /// Records that a client got a warm session.
    pub fn claimed(&self) {
        self.claimed.inc();
    }

    /// Records that a client did not get a warm session.
    pub fn cold(&self, reason: ColdReason) {
        self.cold.get_or_create(&[("reason", reason.label())]).inc();
    }

    /// Records that a session was prepared.
    pub fn prepared(&self, duration: Duration) {
        self.prepare.observe(duration.as_secs_f64());
    }

    pub(super) fn set(&self, gauges: &Gauges) {
        for (state, count) in [
            ("ready", gauges.warm_ready),
            ("preparing", gauges.warm_preparing),
        ] {
            self.sessions
                .get_or_create(&[("state", state)])
                .set(saturate(count as u64));
        }
    }
}
