//! The last readings of the watchers. A watcher that cannot read does not know what sessions use,
//! so the server then behaves as if the limit were reached.

use std::io;
use std::sync::{Mutex, PoisonError};

/// A resource that a watcher reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Memory,
    Disk,
}

impl Reading {
    fn name(self) -> &'static str {
        match self {
            Reading::Memory => "memory",
            Reading::Disk => "disk space",
        }
    }
}

/// The failed readings in a row, by resource, and the last error.
#[derive(Debug)]
pub(super) struct Readings {
    memory: Mutex<Failures>,
    disk: Mutex<Failures>,
    /// The number of failed readings in a row after which a limit counts as reached.
    max_failures: u32,
}

#[derive(Debug, Default)]
struct Failures {
    count: u32,
    error: String,
}

impl Readings {
    pub fn new(max_failures: u32) -> Readings {
        Readings {
            memory: Mutex::default(),
            disk: Mutex::default(),
            max_failures,
        }
    }

    /// Records that a reading succeeded.
    pub fn record_success(&self, of: Reading) {
        self.with(of, |failures| failures.count = 0);
    }

    /// Records that a reading failed. Returns true if the largest session must end, which is the
    /// case at the last permitted failure in a row, and each time after as many more.
    pub fn record_failure(&self, of: Reading, error: &io::Error) -> bool {
        let count = self.with(of, |failures| {
            failures.count += 1;
            failures.error = error.to_string();
            failures.count
        });
        tracing::error!(reading = of.name(), %error, count, "limit not checked");
        count.is_multiple_of(self.max_failures)
    }

    /// Returns the resources that cannot be read, each with the last error.
    pub fn failing(&self) -> Vec<(&'static str, String)> {
        let all = [Reading::Memory, Reading::Disk].map(|of| {
            let error = self.with(of, |failures| failures.error.clone());
            self.is_failing(of).then(|| (of.name(), error))
        });
        all.into_iter().flatten().collect()
    }

    /// Returns true if a resource cannot be read.
    pub fn is_failing(&self, of: Reading) -> bool {
        self.with(of, |failures| failures.count >= self.max_failures)
    }

    fn with<T>(&self, of: Reading, change: impl FnOnce(&mut Failures) -> T) -> T {
        let failures = match of {
            Reading::Memory => &self.memory,
            Reading::Disk => &self.disk,
        };
        change(&mut failures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_in_a_row_count() {
        let readings = Readings::new(2);
        let error = io::Error::from_raw_os_error(nix::libc::EMFILE);
        assert!(!readings.record_failure(Reading::Memory, &error));
        readings.record_success(Reading::Memory);
        assert!(!readings.record_failure(Reading::Memory, &error));
        assert!(readings.failing().is_empty());
        assert!(readings.record_failure(Reading::Memory, &error));
        assert_eq!(readings.failing(), [("memory", error.to_string())]);
        assert!(!readings.record_failure(Reading::Memory, &error));
        assert!(readings.record_failure(Reading::Memory, &error));
        readings.record_success(Reading::Memory);
        assert!(readings.failing().is_empty());
    }
}
