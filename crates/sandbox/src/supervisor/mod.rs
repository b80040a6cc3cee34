//! Starts programs and owns their process trees.

pub(crate) mod child;
pub(crate) mod fd_passing;
pub(crate) mod file_worker;
pub(crate) mod kill;
pub(crate) mod launcher;
pub(crate) mod monitor;
pub(crate) mod open_files;
pub(crate) mod orphan_killer;
pub(crate) mod process_table;
pub(crate) mod process_tree;
pub(crate) mod program;
pub(crate) mod protocol;
pub(crate) mod shim;
pub(crate) mod shim_command;
pub(crate) mod shim_source;
pub(crate) mod spawner;
pub(crate) mod warm_shim;
