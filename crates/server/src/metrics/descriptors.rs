//! The number of open descriptors, as the watch in `lifecycle` counts it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The open descriptors of the server and their limit.
#[derive(Debug)]
pub(crate) struct Descriptors {
    open: AtomicU64,
    max: u64,
}

impl Descriptors {
    pub fn new(max: u64) -> Descriptors {
        Descriptors {
            open: AtomicU64::new(0),
            max,
        }
    }

    /// Records a count. `None` means that it could not be read, which is reported as the limit.
    pub fn record(&self, open: Option<u64>) {
        self.open.store(open.unwrap_or(self.max), Ordering::Relaxed);
    }

    /// Returns the last count.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Returns the limit (`RLIMIT_NOFILE`).
    pub fn max(&self) -> u64 {
        self.max
    }
}
