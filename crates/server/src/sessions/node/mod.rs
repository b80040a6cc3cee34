//! The sessions of a node of a cluster.
//!
//! - `reserve` and `reservations` give new sessions their place in the store. `profile_lease` takes
//!   the lease on a profile.
//! - `member` does the work of a node, and `reconcile` compares its sessions with the store.

pub(super) mod member;
pub(super) mod profile_lease;
pub(super) mod reconcile;
pub(super) mod reservations;
pub(super) mod reserve;
