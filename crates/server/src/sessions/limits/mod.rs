//! Watchers that end sessions which exceed a limit.

pub(crate) mod disk;
pub(crate) mod memory;
