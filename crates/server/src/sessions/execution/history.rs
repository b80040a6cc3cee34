//! The latest executions of a session with their code and output, for the workbench.
//!
//! The history is in memory only, and ends with the resources of the session. It yields to
//! everything else: while buffers are scarce, nothing is added, and the session's history is
//! dropped.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use hearth_budget::{Budget, Reservation};

/// The maximum number of executions that are kept.
const MAX_EXECUTIONS: usize = 50;

/// The maximum size of all of them, as JSON.
const MAX_BYTES: usize = 512 * 1024;

/// The latest executions of a session.
#[derive(Debug, Default)]
pub(in crate::sessions) struct History(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The number of the last execution, also of one that is not kept.
    count: u64,
}

/// An execution as JSON. Responses that contain it share the bytes.
#[derive(Debug)]
struct Kept {
    number: u64,
    json: Bytes,
}

/// The bytes of an execution, with the memory that they take.
struct Accounted {
    json: Box<[u8]>,
    _reserved: Reservation,
}

impl AsRef<[u8]> for Accounted {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

impl History {
    /// Adds an execution. `describe` gets its number and returns it as JSON.
    pub fn add(&self, budget: &Budget, describe: impl FnOnce(u64) -> Vec<u8>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += 1;
        let number = state.count;
        if budget.is_scarce() {
            state.kept.clear();
            state.bytes = 0;
            return;
        }
        let json = describe(number).into_boxed_slice();
        let length = json.len();
        // One that is too large is not kept, and neither are those before it.
        while state.bytes + length > MAX_BYTES || state.kept.len() >= MAX_EXECUTIONS {
            let Some(oldest) = state.kept.pop_front() else {
                return;
            };
            state.bytes -= oldest.json.len();
        }
        let Ok(reserved) = budget.reserve(length) else {
            return;
        };
        state.bytes += length;
        let json = Bytes::from_owner(Accounted {
            json,
            _reserved: reserved,
        });
        state.kept.push_back(Kept { number, json });
    }

    /// Returns the executions after the one with this number, oldest first.
    pub fn after(&self, number: u64) -> Vec<Bytes> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let later = state.kept.iter().filter(|kept| kept.number > number);
        later.map(|kept| kept.json.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(history: &History, budget: &Budget, length: usize) {
        history.add(budget, |number| {
            let mut json = number.to_string().into_bytes();
            json.resize(length.max(json.len()), b' ');
            json
        });
    }

    fn numbers(history: &History, after: u64) -> Vec<u64> {
        let kept = history.after(after);
        let texts = kept
            .iter()
            .map(|json| String::from_utf8_lossy(json).into_owned());
        texts
            .map(|text| text.trim().parse().expect("a number"))
            .collect()
    }

    #[test]
    fn the_latest_executions_are_kept() {
        let (history, budget) = (History::default(), Budget::new("a test", 1 << 30));
        for _ in 0..MAX_EXECUTIONS + 2 {
            add(&history, &budget, 10);
        }
        let all = numbers(&history, 0);
        assert_eq!((all.len(), all[0]), (MAX_EXECUTIONS, 3));
        assert_eq!(numbers(&history, 50), [51, 52]);
        assert_eq!(budget.used(), 10 * MAX_EXECUTIONS as u64);
        drop(history);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn large_executions_replace_earlier_ones() {
        let (history, budget) = (History::default(), Budget::new("a test", 1 << 30));
        add(&history, &budget, MAX_BYTES / 2);
        add(&history, &budget, MAX_BYTES / 2);
        assert_eq!(numbers(&history, 0), [1, 2]);
        add(&history, &budget, 10);
        assert_eq!(numbers(&history, 0), [2, 3]);
        add(&history, &budget, MAX_BYTES + 1);
        assert_eq!(numbers(&history, 0), [0; 0], "it does not fit at all");
        assert_eq!(budget.used(), 0);
        add(&history, &budget, MAX_BYTES);
        assert_eq!(numbers(&history, 0), [5]);
    }

    #[test]
    fn the_history_yields_to_other_buffers() {
        let (history, budget) = (History::default(), Budget::new("a test", 1000));
        add(&history, &budget, 400);
        let response = history.after(0);
        let other = budget.reserve(200).expect("600 of 1000");
        add(&history, &budget, 10);
        assert_eq!(numbers(&history, 0), [0; 0]);
        assert_eq!(budget.used(), 600, "a response still has the first one");
        drop((response, other));
        assert_eq!(budget.used(), 0);
        add(&history, &budget, 10);
        assert_eq!(numbers(&history, 0), [3]);
    }
}
