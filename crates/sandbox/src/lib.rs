//! Start a program so that it can always be ended.
//!
//! Every program that Hearth runs (Chromium, kernels, shells, the agent-browser daemon) is started
//! here and nowhere else. Between the server and the program stands a *shim*: the same executable
//! in a mode of its own ([`run_shim`]), small and single-threaded, that is the subreaper of
//! everything the program starts. It kills the whole tree when it is asked to, when its deadline
//! passes, when the program has ended and left something behind, and when the server is gone,
//! however that came about.
//!
//! A tour: [`Program`] says what to start, [`Launcher::start`] starts it and gives back a [`ProcessTree`],
//! the owner of everything that came out of it. `shim_source` makes shims, and `reserve` keeps one
//! ready. `protocol` is what server and shim say to each other over one socket, `shim` is the other
//! side of it, `kill` ends a tree, `private_tmp` gives it a `/tmp` of its own, `open_files` keeps
//! the server's limit and the programs' apart. `living` knows the trees that run, and `usage` what
//! they take; `find_orphans` finds what nobody knows; `disk` measures their files, `remove` removes them
//! and `archive` packs them, all by the steps of `folders`. `sys` is the one place with `unsafe`
//! code.
//!
//! This crate must not know what it starts: no browser, no language, no HTTP. Linux only.

mod files;
mod policy;
mod proc;
mod supervisor;
mod sys;

pub use files::disk::DiskUsage;
pub use files::remove::remove_tree;
pub use policy::notify::UnixSocketBroker;
pub use policy::private_tmp::PrivateTmp;
pub use policy::sandbox_policy::{Access, Grant, Limits, SandboxPolicy, Syscalls, UnixSockets};
pub use policy::user::{SandboxUser, UserIds, UserRole};
pub use proc::orphans::find_orphans;
pub use proc::usage::{Snapshot, SystemSample, Usage};
pub use supervisor::launcher::{Launcher, StartError};
pub use supervisor::open_files::raise_open_file_limit;
pub use supervisor::process_table::TreeHandle;
pub use supervisor::process_tree::ProcessTree;
pub use supervisor::program::{Exit, Program};
pub use supervisor::shim::{SHIM_ARGUMENT, run_shim};
pub use supervisor::spawner::{InitFork, PrivilegedFork, Spawner, fork_init, fork_privileged};
