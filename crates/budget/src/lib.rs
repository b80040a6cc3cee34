//! Accounts for memory that peers can make the server hold.
//!
//! A [`Budget`] is a limit in bytes. Every buffer that a peer can grow has a [`Reservation`], which
//! it extends before it grows. A session's budget is a child of the server's, so a reservation in
//! it counts in both. A reservation that does not fit is an error, and the owner of the buffer
//! decides what ends: a connection, a program, or only the rest of an output.
//!
//! This crate must not depend on what the bytes are, nor on HTTP, sessions or processes.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

/// A limit in bytes. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    name: &'static str,
    limit: u64,
    used: AtomicU64,
    /// The number of reservations that did not fit.
    denied: AtomicU64,
    /// The number of reservations that did not fit into a child.
    denied_in_children: AtomicU64,
    parent: Option<Budget>,
}

/// An error: a budget has too few bytes left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the buffers of {name} exceed {limit} bytes")]
pub struct Exhausted {
    /// The owner of the budget: `this session` or `the server`.
    pub name: &'static str,
    /// The limit of the budget, in bytes.
    pub limit: u64,
}

impl Budget {
    /// Creates a budget. `name` is its owner, for errors.
    pub fn new(name: &'static str, limit: u64) -> Self {
        Self(Arc::new(Counter {
            name,
            limit,
            used: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            denied_in_children: AtomicU64::new(0),
            parent: None,
        }))
    }

    /// Creates a budget whose reservations count in this one as well.
    #[must_use]
    pub fn child(&self, name: &'static str, limit: u64) -> Self {
        Self(Arc::new(Counter {
            name,
            limit,
            used: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            denied_in_children: AtomicU64::new(0),
            parent: Some(self.clone()),
        }))
    }

    /// Returns the reserved bytes.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Returns the limit in bytes.
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Returns the number of reservations that did not fit into this budget.
    pub fn denied(&self) -> u64 {
        self.0.denied.load(Ordering::Relaxed)
    }

    /// Returns the number of reservations that did not fit into a child of this budget, also of
    /// children that are gone.
    pub fn denied_in_children(&self) -> u64 {
        self.0.denied_in_children.load(Ordering::Relaxed)
    }

    /// Returns true if more than half of this budget or of one above it is reserved. Callers then
    /// drop what they keep only for convenience.
    pub fn is_scarce(&self) -> bool {
        let Counter { limit, parent, .. } = &*self.0;
        self.used() > limit / 2 || parent.as_ref().is_some_and(Self::is_scarce)
    }

    /// Returns an empty reservation, for a buffer that grows later.
    pub fn empty(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
        }
    }

    /// Reserves bytes.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, Exhausted> {
        let mut reservation = self.empty();
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    fn add(&self, bytes: u64) -> Result<(), Exhausted> {
        let counter = &*self.0;
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= counter.limit);
        let added = counter
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        if added.is_err() {
            counter.denied.fetch_add(1, Ordering::Relaxed);
            if let Some(Budget(parent)) = &counter.parent {
                parent.denied_in_children.fetch_add(1, Ordering::Relaxed);
            }
            return Err(Exhausted {
                name: counter.name,
                limit: counter.limit,
            });
        }
        if let Some(parent) = &counter.parent {
            parent.add(bytes).inspect_err(|_| {
                counter.used.fetch_sub(bytes, Ordering::Relaxed);
            })?;
        }
        Ok(())
    }

    fn remove(&self, bytes: u64) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(parent) = &self.0.parent {
            parent.remove(bytes);
        }
    }
}

/// Reserved bytes of one buffer. Dropping it returns them.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Reservation {
    /// Returns the reserved bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reserves more bytes. On an error the reservation is unchanged.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let bytes = bytes as u64;
        self.budget.add(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Returns all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes < self.bytes {
            self.budget.remove(self.bytes - bytes);
            self.bytes = bytes;
        }
    }

    /// Moves all reserved bytes to a new reservation, and leaves this one empty.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self {
            budget: self.budget.clone(),
            bytes: std::mem::take(&mut self.bytes),
        }
    }

    /// Takes over the bytes of another reservation of the same budget.
    pub fn absorb(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.budget.0, &other.budget.0));
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Moves the reservation to another budget, such as from the server to one of its sessions.
    pub fn move_to(self, budget: &Budget) -> Result<Self, Exhausted> {
        // Returned first, because the other budget may be a child of this one.
        let bytes = self.bytes;
        drop(self);
        budget.add(bytes)?;
        Ok(Self {
            budget: budget.clone(),
            bytes,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.remove(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn reservations_count_in_the_parent_and_are_returned() {
        let server = Budget::new("the server", 100);
        let session = server.child("this session", 60);
        let mut held = session.reserve(40).expect("40 of 60");
        assert_eq!((session.used(), server.used()), (40, 40));
        held.grow(20).expect("60 of 60");
        held.shrink_to(10);
        assert_eq!((session.used(), server.used()), (10, 10));
        drop(held);
        assert_eq!((session.used(), server.used()), (0, 0));
    }

    #[test]
    fn a_reservation_that_does_not_fit_changes_nothing() {
        let server = Budget::new("the server", 100);
        let one = server.child("this session", 80);
        let other = server.child("this session", 80);
        let mut held = one.reserve(80).expect("80 of 80");
        let session_error = held.grow(1).expect_err("81 of 80");
        assert_eq!(
            (session_error.name, session_error.limit),
            ("this session", 80)
        );
        let server_error = other.reserve(21).expect_err("101 of 100");
        assert_eq!((server_error.name, server_error.limit), ("the server", 100));
        assert_eq!((one.used(), other.used(), server.used()), (80, 0, 80));
        assert_eq!((one.denied(), server.denied()), (1, 1));
        drop((held, one));
        assert_eq!(server.denied_in_children(), 1);
    }

    #[test]
    fn a_budget_is_scarce_when_half_of_it_or_of_its_parent_is_reserved() {
        let server = Budget::new("the server", 100);
        let (one, other) = (
            server.child("this session", 40),
            server.child("this session", 80),
        );
        let held = one.reserve(20).expect("20 of 40");
        assert!(!one.is_scarce() && !other.is_scarce());
        let more = one.reserve(1).expect("21 of 40");
        assert!(one.is_scarce() && !other.is_scarce());
        let _rest = other.reserve(30).expect("30 of 80");
        assert!(other.is_scarce(), "51 of 100");
        drop((held, more));
        assert!(!one.is_scarce() && !other.is_scarce());
    }

    #[test]
    fn a_reservation_moves_between_budgets() {
        let server = Budget::new("the server", 100);
        let session = server.child("this session", 60);
        let body = server.reserve(60).expect("60 of 100");
        let body = body.move_to(&session).expect("60 of 60");
        assert_eq!((session.used(), server.used()), (60, 60));
        let mut buffer = session.empty();
        buffer.absorb(body);
        assert_eq!(buffer.take().bytes(), 60);
        assert_eq!((session.used(), server.used()), (0, 0));
    }

    #[test]
    fn threads_never_exceed_the_limit() {
        let budget = Budget::new("the server", 1000);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let held = budget.reserve(300);
                        assert!(budget.used() <= 1000);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }
}
