//! The maximum rate of requests with one API key.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const MINUTE_NANOSECONDS: u64 = 60_000_000_000;

/// A bucket with a token for each request that is permitted within a minute. It is full at first
/// and refills evenly.
#[derive(Debug)]
pub(crate) struct RequestRate {
    max_per_minute: u64,
    start: Instant,
    /// The time at which the bucket is full again, in nanoseconds since `start`.
    full_at: AtomicU64,
}

/// The error of a request above the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateExceeded {
    pub max_per_minute: u64,
    /// The time until a request is permitted, rounded up.
    pub retry_seconds: u32,
}

impl RequestRate {
    /// Creates a full bucket. `max_per_minute` is at least 1.
    pub fn new(max_per_minute: u64) -> RequestRate {
        RequestRate {
            max_per_minute,
            start: Instant::now(),
            full_at: AtomicU64::new(0),
        }
    }

    pub fn max_per_minute(&self) -> u64 {
        self.max_per_minute
    }

    /// Takes a token for a request.
    pub fn count(&self) -> Result<(), RateExceeded> {
        self.count_after(self.start.elapsed())
    }

    fn count_after(&self, elapsed: Duration) -> Result<(), RateExceeded> {
        let now = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX / 2);
        let refill = MINUTE_NANOSECONDS / self.max_per_minute;
        let with_request = |full_at: u64| full_at.max(now) + refill;
        let counted = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                Some(with_request(full_at)).filter(|after| after - now <= MINUTE_NANOSECONDS)
            });
        counted.map(drop).map_err(|full_at| {
            let missing = with_request(full_at) - now - MINUTE_NANOSECONDS;
            let seconds = missing.div_ceil(1_000_000_000);
            RateExceeded {
                max_per_minute: self.max_per_minute,
                retry_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rate: &RequestRate, requests: usize, at: Duration) -> usize {
        let counted = (0..requests).filter(|_| rate.count_after(at).is_ok());
        counted.count()
    }

    #[test]
    fn a_minute_permits_the_maximum_and_refills_evenly() {
        for max in [1, 7, 60, 1_000_000] {
            let rate = RequestRate::new(max);
            let max = usize::try_from(max).expect("small");
            let later = Duration::from_secs(100);
            assert_eq!(counted(&rate, max + 5, later), max);
            assert_eq!(counted(&rate, max + 5, later), 0);
            let half = later + Duration::from_secs(30);
            assert_eq!(counted(&rate, max + 5, half), max / 2);
            let much_later = half + Duration::from_hours(100);
            assert_eq!(counted(&rate, max + 5, much_later), max);
        }
    }

    #[test]
    fn a_rejection_says_when_the_next_request_is_permitted() {
        let rate = RequestRate::new(2);
        let at = Duration::from_millis;
        assert_eq!(counted(&rate, 2, at(0)), 2);
        let exceeded = rate.count_after(at(1_500)).expect_err("both are used");
        let expected = RateExceeded {
            max_per_minute: 2,
            retry_seconds: 29,
        };
        assert_eq!(exceeded, expected);
        assert!(rate.count_after(at(29_999)).is_err());
        assert_eq!(rate.count_after(at(30_000)), Ok(()));
    }
}
