//! File operations that run under a session's own user id.

pub(crate) mod archive;
pub(crate) mod dirs;
pub(crate) mod disk;
pub(crate) mod remove;
pub(crate) mod task;
