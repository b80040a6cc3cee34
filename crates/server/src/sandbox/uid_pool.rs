//! Which user ids are taken. A session has a slot from before its first process to after its last
//! file.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The slots of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct UidPool {
    count: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    taken: BTreeSet<u16>,
    /// Where the search begins: ids come back as late as possible.
    next: u16,
}

/// A slot that is taken; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct UidLease {
    number: u16,
    state: Arc<Mutex<State>>,
}

impl UidPool {
    /// `count` slots, the first of which to give is `start`. Two servers on one machine start at
    /// different ones.
    pub fn new(count: u16, start: u16) -> UidPool {
        let next = if count == 0 { 0 } else { start % count };
        UidPool {
            count,
            state: Arc::new(Mutex::new(State {
                taken: BTreeSet::new(),
                next,
            })),
        }
    }

    /// Those that somebody has.
    pub fn taken(&self) -> BTreeSet<u16> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .taken
            .clone()
    }

    /// Whether somebody has it.
    pub fn is_taken(&self, number: u16) -> bool {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .taken
            .contains(&number)
    }

    /// One that nobody has; none when all are taken.
    pub fn take(&self) -> Option<UidLease> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (state.next..self.count)
            .chain(0..state.next)
            .find(|number| !state.taken.contains(number))?;
        state.taken.insert(number);
        state.next = (number + 1) % self.count;
        Some(UidLease {
            number,
            state: Arc::clone(&self.state),
        })
    }
}

impl UidLease {
    pub fn number(&self) -> u16 {
        self.number
    }
}

impl Drop for UidLease {
    fn drop(&mut self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .taken
            .remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_given_to_one_at_a_time_and_comes_back_last() {
        let slots = UidPool::new(3, 4);
        let first = slots.take().expect("free");
        assert_eq!(first.number(), 1);
        drop(first);
        let all: Vec<_> = (0..3).map(|_| slots.take().expect("free")).collect();
        assert_eq!(
            all.iter().map(UidLease::number).collect::<Vec<_>>(),
            [2, 0, 1]
        );
        assert!(slots.take().is_none());
        assert!(UidPool::new(0, 7).take().is_none());
    }
}
