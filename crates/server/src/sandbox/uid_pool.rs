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

    /// Leases a free slot for which `is_unused` is true, or returns `None` if there is none. Blocks
    /// as `is_unused` does.
    pub fn lease(&self, is_unused: impl Fn(u16) -> bool) -> Option<UidLease> {
        for _ in 0..self.count {
            // Dropping the lease of a slot that is in use returns it, and the search goes on.
            let lease = self.lease_next()?;
            if is_unused(lease.slot) {
                return Some(lease);
            }
            tracing::warn!(
                slot = lease.slot,
                "user ids not reused: a process still runs under them"
            );
        }
        None
    }

    fn lease_next(&self) -> Option<UidLease> {
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
        let any = |_| true;
        let first = pool.lease(any).expect("free");
        assert_eq!(first.slot(), 1);
        drop(first);
        let all: Vec<_> = (0..3).map(|_| pool.lease(any).expect("free")).collect();
        assert_eq!(
            all.iter().map(UidLease::slot).collect::<Vec<_>>(),
            [2, 0, 1]
        );
        assert!(pool.lease(any).is_none());
        assert!(UidPool::new(0, 7).lease(any).is_none());
    }

    #[test]
    fn a_slot_with_processes_is_not_leased() {
        let pool = UidPool::new(3, 0);
        let lease = pool.lease(|slot| slot == 2).expect("one is unused");
        assert_eq!(lease.slot(), 2);
        assert!(pool.lease(|_| false).is_none());
        assert_eq!(pool.leased().len(), 1);
    }
}
