//! The record of a run: counts of what happened, and violations of what the server promises.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The record. Violations are printed when they happen, and fail the test at its end.
#[derive(Debug)]
pub struct Journal {
    start: Instant,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    counts: BTreeMap<String, u64>,
    slowest: BTreeMap<&'static str, Duration>,
    violations: Vec<String>,
}

impl Journal {
    pub fn new() -> Journal {
        Journal {
            start: Instant::now(),
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().expect("the lock is not poisoned")
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Prints one line with the time.
    pub fn say(&self, text: &str) {
        eprintln!("[{:7.1} s] {text}", self.elapsed().as_secs_f64());
    }

    pub fn count(&self, what: &str) {
        *self.entries().counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Records the time that a request took.
    pub fn took(&self, what: &'static str, elapsed: Duration) {
        let mut entries = self.entries();
        let slowest = entries.slowest.entry(what).or_default();
        *slowest = (*slowest).max(elapsed);
    }

    /// Records a broken promise.
    pub fn violation(&self, text: String) {
        self.say(&format!("VIOLATION: {text}"));
        self.entries().violations.push(text);
    }

    pub fn violations(&self) -> Vec<String> {
        self.entries().violations.clone()
    }

    /// Returns all counts and the slowest responses, one per line.
    pub fn summary(&self) -> String {
        let entries = self.entries();
        let mut text = String::new();
        for (what, count) in &entries.counts {
            writeln!(text, "{count:7}  {what}").expect("writing to a string cannot fail");
        }
        for (what, slowest) in &entries.slowest {
            writeln!(text, "{:6.1}s  slowest {what}", slowest.as_secs_f64())
                .expect("writing to a string cannot fail");
        }
        text
    }
}
