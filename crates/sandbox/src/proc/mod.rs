//! Reads the process table of the system.

pub(crate) mod orphans;
pub(crate) mod usage;
