//! Reads the process table.

pub(crate) mod orphans;
pub(crate) mod usage;
