//! The monotonic clock of leases.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A point in time on this machine's clock that also runs while the machine is suspended. A node
/// that wakes up therefore knows that its last beat is old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    /// Returns the current time.
    pub fn now() -> Moment {
        // The clock exists on every supported kernel. Without it every lease counts as lost.
        let time = clock_gettime(ClockId::CLOCK_BOOTTIME);
        Moment(time.map_or(Duration::MAX, Duration::from))
    }

    /// Returns the time from `earlier` to this moment, or zero if it is later.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the moment that is `duration` later.
    pub fn after(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_forward() {
        let first = Moment::now();
        let second = Moment::now();
        assert!(second >= first && first > Moment::default());
        let later = first.after(Duration::from_secs(1));
        assert_eq!(later.since(first), Duration::from_secs(1));
        assert_eq!(first.since(later), Duration::ZERO);
    }
}
