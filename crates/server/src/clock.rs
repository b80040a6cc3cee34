//! The only wall time. Deadlines are monotonic and do not come from here.

use std::time::Duration;

use jiff::Timestamp;

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks for the wall time"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// ISO 8601 in UTC with milliseconds and `Z`, as clients parse it.
pub(crate) fn format(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// Whole milliseconds, as answers and the log have them.
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
