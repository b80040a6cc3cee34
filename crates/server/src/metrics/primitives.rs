//! Types and functions that all metrics share.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// The histogram buckets for creating a session, in seconds.
pub(super) const CREATE_SECONDS: [f64; 11] =
    [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0];

/// One label with its value.
pub(super) type OneLabel = [(&'static str, &'static str); 1];
pub(super) type TwoLabels = [(&'static str, &'static str); 2];
pub(super) type Count = Counter<u64, AtomicU64>;
pub(super) type IntGauge = Gauge<i64, AtomicI64>;

/// Raises a counter to a total from another source.
pub(super) fn raise(counter: &Count, total: u64) {
    counter
        .inner()
        .fetch_max(total, std::sync::atomic::Ordering::Relaxed);
}

pub(super) fn saturate(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
