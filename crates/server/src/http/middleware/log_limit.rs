//! Limits the log lines about requests, because one client can send thousands per second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::ServerLimits;

/// The interval between lines about suppressed ones.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The limits for both kinds of requests, so that clients without a key cannot hide the others.
#[derive(Debug)]
pub(crate) struct LogLimits {
    pub unauthenticated: LogLimit,
    pub others: LogLimit,
}

impl LogLimits {
    pub fn new(limits: ServerLimits) -> LogLimits {
        let unauthenticated = limits.unauthenticated_log_lines;
        LogLimits {
            unauthenticated: LogLimit::new(unauthenticated, unauthenticated),
            others: LogLimit::new(limits.log_lines, limits.burst_log_lines),
        }
    }
}

/// A number of lines that refills steadily.
#[derive(Debug)]
pub(crate) struct LogLimit {
    per_second: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The lines that may be written at `at`.
    available: f64,
    at: Instant,
    suppressed: u64,
    reported: Instant,
}

impl LogLimit {
    /// Creates a limit of `per_second` lines, and of `burst` lines after a pause.
    fn new(per_second: u32, burst: u32) -> LogLimit {
        let now = Instant::now();
        LogLimit {
            per_second: f64::from(per_second),
            burst: f64::from(burst),
            state: Mutex::new(State {
                available: f64::from(burst),
                at: now,
                suppressed: 0,
                reported: now,
            }),
        }
    }

    /// Returns true if another line may be written, and the number of suppressed lines if it is
    /// time to report it.
    pub fn admit(&self) -> (bool, Option<u64>) {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> (bool, Option<u64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(state.at).as_secs_f64();
        state.at = now;
        state.available = (state.available + elapsed * self.per_second).min(self.burst);
        let is_admitted = state.available >= 1.0;
        if is_admitted {
            state.available -= 1.0;
        } else {
            state.suppressed += 1;
        }
        let is_due = now.saturating_duration_since(state.reported) >= REPORT_INTERVAL;
        if state.suppressed == 0 || !is_due {
            return (is_admitted, None);
        }
        state.reported = now;
        (is_admitted, Some(std::mem::take(&mut state.suppressed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted_and_reported() {
        let limit = LogLimit::new(2, 10);
        let start = Instant::now();
        let admitted = (0..25).filter(|_| limit.admit_at(start).0).count();
        assert_eq!(admitted, 10);
        assert_eq!(limit.admit_at(start + REPORT_INTERVAL), (true, Some(15)));
        assert_eq!(limit.admit_at(start + REPORT_INTERVAL), (true, None));
        assert_eq!(limit.admit_at(start + REPORT_INTERVAL), (false, None));
        assert_eq!(
            limit.admit_at(start + REPORT_INTERVAL * 100),
            (true, Some(1))
        );
    }
}
