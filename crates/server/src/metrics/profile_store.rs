//! Metrics on profiles in object storage.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::primitives::{Count, IntGauge, OneLabel};

/// The histogram buckets for an operation, in seconds: from a small object on loopback to the time
/// limits.
const OPERATION_SECONDS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 120.0];

/// An operation on an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ObjectOperation {
    /// Reading one.
    Get,
    /// Writing or copying one.
    Put,
    /// Deleting one.
    Delete,
}

impl ObjectOperation {
    const ALL: [ObjectOperation; 3] = [
        ObjectOperation::Get,
        ObjectOperation::Put,
        ObjectOperation::Delete,
    ];

    fn label(self) -> &'static str {
        match self {
            ObjectOperation::Get => "get",
            ObjectOperation::Put => "put",
            ObjectOperation::Delete => "delete",
        }
    }
}

/// Metrics on profiles in object storage. All are 0 without one.
#[derive(Debug)]
pub(crate) struct ProfileStoreMetrics {
    seconds: Family<OneLabel, Histogram>,
    failures: Family<OneLabel, Count>,
    fenced: Count,
    unsaved: IntGauge,
}

impl ProfileStoreMetrics {
    pub(super) fn new() -> ProfileStoreMetrics {
        let metrics = ProfileStoreMetrics {
            seconds: Family::new_with_constructor(|| Histogram::new(OPERATION_SECONDS)),
            failures: Family::default(),
            fenced: Count::default(),
            unsaved: IntGauge::default(),
        };
        for operation in ObjectOperation::ALL {
            let label = [("operation", operation.label())];
            drop(metrics.seconds.get_or_create(&label));
            drop(metrics.failures.get_or_create(&label));
        }
        metrics
    }

    pub(super) fn register(&self, all: &mut Registry) {
        all.register_with_unit(
            "objects",
            "Time of an operation of the object storage with profiles, by operation",
            Unit::Seconds,
            self.seconds.clone(),
        );
        all.register(
            "objects_failures",
            "Operations that the object storage did not answer or rejected, by operation",
            self.failures.clone(),
        );
        all.register(
            "profile_fenced",
            "Saves of a profile that were rejected because another session had its lease",
            self.fenced.clone(),
        );
        all.register(
            "profile_unsaved",
            "Profiles that wait on this machine until the object storage answers",
            self.unsaved.clone(),
        );
    }

    /// Records an operation.
    pub fn finished(&self, operation: ObjectOperation, duration: Duration, has_failed: bool) {
        let label = [("operation", operation.label())];
        self.seconds
            .get_or_create(&label)
            .observe(duration.as_secs_f64());
        if has_failed {
            self.failures.get_or_create(&label).inc();
        }
    }

    /// Records that a save was rejected because another session has the lease.
    pub fn fenced(&self) {
        self.fenced.inc();
    }

    /// Counts a profile that waits until it is saved, until the guard is dropped.
    pub fn waiting(&self) -> WaitingProfile {
        self.unsaved.inc();
        WaitingProfile(self.unsaved.clone())
    }
}

/// A profile that waits until it is saved. Dropping it ends the wait.
#[derive(Debug)]
pub(crate) struct WaitingProfile(IntGauge);

impl Drop for WaitingProfile {
    fn drop(&mut self) {
        self.0.dec();
    }
}
