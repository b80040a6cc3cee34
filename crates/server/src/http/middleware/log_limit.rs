//! Limits the log lines about failed requests of clients without a key.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The period for which lines are counted.
const PERIOD: Duration = Duration::from_secs(1);

/// The lines of the current period.
#[derive(Debug)]
pub(crate) struct LogLimit {
    max_lines: u32,
    period: Mutex<Period>,
}

#[derive(Debug)]
struct Period {
    start: Instant,
    lines: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Creates a limit of `max_lines` in a period.
    pub fn new(max_lines: u32) -> LogLimit {
        LogLimit {
            max_lines,
            period: Mutex::new(Period {
                start: Instant::now(),
                lines: 0,
                suppressed: 0,
            }),
        }
    }

    /// Returns true if another line may be written. Writes the number of suppressed lines when a
    /// period ends.
    pub fn admits(&self) -> bool {
        let (admitted, suppressed) = self.admit(Instant::now());
        if suppressed > 0 {
            tracing::warn!(
                count = suppressed,
                "failed requests without a key not logged"
            );
        }
        admitted
    }

    fn admit(&self, now: Instant) -> (bool, u64) {
        let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
        let mut suppressed = 0;
        if now.duration_since(period.start) >= PERIOD {
            suppressed = period.suppressed;
            *period = Period {
                start: now,
                lines: 0,
                suppressed: 0,
            };
        }
        period.lines += 1;
        let admitted = period.lines <= self.max_lines;
        if !admitted {
            period.suppressed += 1;
        }
        (admitted, suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted_until_the_next_period() {
        let limit = LogLimit::new(10);
        let start = Instant::now();
        let admitted = (0..25).filter(|_| limit.admit(start).0).count();
        assert_eq!(admitted, 10);
        assert_eq!(limit.admit(start + PERIOD), (true, 15));
        assert_eq!(limit.admit(start + PERIOD), (true, 0));
    }
}
