//! The watchers that enforce the resource limits.

pub(super) mod disk;
pub(super) mod memory;
