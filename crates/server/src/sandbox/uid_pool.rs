//! The pool of user ids. A session holds a lease from before its first process until after its last
//! file is gone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The user id indexes of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct UidPool {
    count: u16,
    state: Arc<Mutex<State>>,
    /// Notified when a lease ends.
    returned: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    leased: BTreeSet<u16>,
    /// The start of the next search. It advances, so that returned ids are reused as late as
    /// possible.
    next: u16,
}

/// A lease on one index, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct UidLease {
    index: u16,
    state: Arc<Mutex<State>>,
    /// Notified at the end, unless the index was found in use.
    returned: Option<Arc<Notify>>,
}

impl UidPool {
    /// Creates a pool of `count` indexes that leases `start` first. Servers on one machine start at
    /// different indexes.
    pub fn new(count: u16, start: u16) -> UidPool {
        let next = if count == 0 { 0 } else { start % count };
        UidPool {
            count,
            state: Arc::new(Mutex::new(State {
                leased: BTreeSet::new(),
                next,
            })),
            returned: Arc::default(),
        }
    }

    /// Waits until a lease ends after this call.
    pub fn returned(&self) -> impl Future<Output = ()> + '_ {
        self.returned.notified()
    }

    /// Returns the leased indexes.
    pub fn leased(&self) -> BTreeSet<u16> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .leased
            .clone()
    }

    /// Returns true if `index` is leased.
    pub fn is_leased(&self, index: u16) -> bool {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .leased
            .contains(&index)
    }

    /// Returns true if every index is leased. A pool without indexes is not used.
    pub fn is_exhausted(&self) -> bool {
        let leased = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.count > 0 && leased.leased.len() >= usize::from(self.count)
    }

    /// Leases a free index for which `is_unused` is true, or returns `None` if there is none.
    /// Blocks as `is_unused` does.
    pub fn lease(&self, is_unused: impl Fn(u16) -> bool) -> Option<UidLease> {
        for _ in 0..self.count {
            // Dropping the lease of an index that is in use returns it, and the search goes on.
            let mut lease = self.lease_next()?;
            if is_unused(lease.index) {
                lease.returned = Some(Arc::clone(&self.returned));
                return Some(lease);
            }
            tracing::warn!(
                slot = lease.index,
                "user ids not reused: a process still runs under them"
            );
        }
        None
    }

    fn lease_next(&self) -> Option<UidLease> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let index = (state.next..self.count)
            .chain(0..state.next)
            .find(|index| !state.leased.contains(index))?;
        state.leased.insert(index);
        state.next = (index + 1) % self.count;
        Some(UidLease {
            index,
            state: Arc::clone(&self.state),
            returned: None,
        })
    }
}

impl UidLease {
    pub fn index(&self) -> u16 {
        self.index
    }
}

impl Drop for UidLease {
    fn drop(&mut self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .leased
            .remove(&self.index);
        if let Some(returned) = &self.returned {
            returned.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn an_index_has_one_lease_at_a_time_and_is_reused_last() {
        let pool = UidPool::new(3, 4);
        let any = |_| true;
        let first = pool.lease(any).expect("free");
        assert_eq!(first.index(), 1);
        drop(first);
        let all: Vec<_> = (0..3).map(|_| pool.lease(any).expect("free")).collect();
        assert_eq!(
            all.iter().map(UidLease::index).collect::<Vec<_>>(),
            [2, 0, 1]
        );
        assert!(pool.lease(any).is_none());
        assert!(UidPool::new(0, 7).lease(any).is_none());
    }

    #[test]
    fn a_lease_that_ends_wakes_those_who_wait_since_before() {
        let pool = UidPool::new(1, 0);
        let lease = pool.lease(|_| true).expect("free");
        let returned = pool.returned();
        drop(lease);
        assert_eq!(returned.now_or_never(), Some(()));
        let returned = pool.returned();
        assert!(pool.lease(|_| false).is_none());
        assert_eq!(returned.now_or_never(), None, "no lease has ended");
    }

    #[test]
    fn an_index_with_processes_is_not_leased() {
        let pool = UidPool::new(3, 0);
        let lease = pool.lease(|index| index == 2).expect("one is unused");
        assert_eq!(lease.index(), 2);
        assert!(pool.lease(|_| false).is_none());
        assert_eq!(pool.leased().len(), 1);
    }
}
