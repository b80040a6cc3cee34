//! The pool of user ids. A session holds a lease from before its first process until after its last
//! file is gone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The numbered user id slots of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct UidPool {
    count: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    leased: BTreeSet<u16>,
    /// The start of the next search. It advances, so that returned ids are reused as late as
    /// possible.
    next: u16,
}

/// A lease on one slot, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct UidLease {
    slot: u16,
    state: Arc<Mutex<State>>,
}

impl UidPool {
    /// Creates a pool of `count` slots that leases `start` first. Servers on one machine start at
    /// different slots.
    pub fn new(count: u16, start: u16) -> UidPool {
        let next = if count == 0 { 0 } else { start % count };
        UidPool {
            count,
            state: Arc::new(Mutex::new(State {
                leased: BTreeSet::new(),
                next,
            })),
        }
    }

    /// Returns the leased slots.
    pub fn leased(&self) -> BTreeSet<u16> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .leased
            .clone()
    }

    /// Returns true if `slot` is leased.
    pub fn is_leased(&self, slot: u16) -> bool {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .leased
            .contains(&slot)
    }

    /// Leases a free slot, or returns `None` if all are leased.
    pub fn lease(&self) -> Option<UidLease> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (state.next..self.count)
            .chain(0..state.next)
            .find(|slot| !state.leased.contains(slot))?;
        state.leased.insert(slot);
        state.next = (slot + 1) % self.count;
        Some(UidLease {
            slot,
            state: Arc::clone(&self.state),
        })
    }
}

impl UidLease {
    pub fn slot(&self) -> u16 {
        self.slot
    }
}

impl Drop for UidLease {
    fn drop(&mut self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .leased
            .remove(&self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_lease_at_a_time_and_is_reused_last() {
        let pool = UidPool::new(3, 4);
        let first = pool.lease().expect("free");
        assert_eq!(first.slot(), 1);
        drop(first);
        let all: Vec<_> = (0..3).map(|_| pool.lease().expect("free")).collect();
        assert_eq!(
            all.iter().map(UidLease::slot).collect::<Vec<_>>(),
            [2, 0, 1]
        );
        assert!(pool.lease().is_none());
        assert!(UidPool::new(0, 7).lease().is_none());
    }
}
