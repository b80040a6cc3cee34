//! The watchers that end what exceeds a limit.

pub(super) mod disk;
pub(super) mod memory;
