//! Works on files that session code controls.

pub(crate) mod archive;
pub(crate) mod client_files;
pub(crate) mod dirs;
pub(crate) mod disk;
pub(crate) mod relative_path;
pub(crate) mod remove;
pub(crate) mod task;
