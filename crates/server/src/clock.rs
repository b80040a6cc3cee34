//! The wall-clock time. Deadlines use the monotonic clock instead.

use std::time::Duration;

use jiff::Timestamp;

/// Returns the current time.
#[expect(
    clippy::disallowed_methods,
    reason = "the only place that reads the wall clock"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Formats a time as ISO 8601 in UTC with milliseconds and `Z`, which clients parse.
pub(crate) fn format(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// Returns whole milliseconds, which are the unit of responses and of the log.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_z() {
        let time = Timestamp::from_millisecond(1_790_000_000_007).expect("in range");
        assert_eq!(format(time), "2026-09-21T14:13:20.007Z");
        assert_eq!(format(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    }
}
