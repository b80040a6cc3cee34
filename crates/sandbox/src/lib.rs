//! Starts programs in a sandbox, so that they can always be ended.
//!
//! Hearth starts every program (Chromium, kernels, shells, the agent-browser daemon) through this
//! crate. A *shim* runs between the server and the program: the same executable in another mode
//! ([`run_shim`]), small and single-threaded. It is the subreaper of everything that the program
//! starts. It kills the whole tree when the server requests it, when the deadline passes, when the
//! program ends and leaves processes behind, and when the server is gone for any reason.
//!
//! [`Launcher::start`] starts a [`Program`] and returns a [`ProcessTree`], which owns all its
//! processes. A [`SandboxPolicy`] states what the program may do. [`Launcher::files`] returns a
//! [`FileWorker`], which works on a session's files under the session's user id.
//!
//! The modules depend on each other in one direction, from `supervisor` to `files`, `proc` and
//! `policy`:
//!
//! - `supervisor`: `launcher` starts programs through a `shim_source` and keeps a `warm_shim`
//!   ready. `protocol` defines the messages between server and `shim`. `child` starts the program,
//!   `kill` ends its tree, `process_tree` and `process_table` are the server's view of it.
//!   `monitor` is the privileged half of the server, and `spawner` the handle to it.
//! - `policy`: `sandbox_policy` is data. `apply` enforces it with `landlock`, `seccomp`, `notify`,
//!   `private_tmp` and `user`.
//! - `files`: `task` is a task for a file worker: `disk` measures, `remove` removes, `archive`
//!   packs, `client_files` reads and writes for clients. All use the steps in `dirs`.
//! - `proc`: `usage` measures process trees, `orphans` finds processes that no session owns.
//!
//! `sys` is the only module with `unsafe` code.
//!
//! This crate must not depend on the kind of program that it starts: it contains nothing about
//! browsers, languages or HTTP. It supports Linux only.

mod files;
mod policy;
mod proc;
mod supervisor;
mod sys;

pub use files::client_files::{EntryKind, ListedEntry, Listing};
pub use files::dirs::is_shortage;
pub use files::disk::DiskUsage;
pub use files::relative_path::{InvalidPath, RelativePath};
pub use files::remove::remove_tree;
pub use policy::private_tmp::PrivateTmp;
pub use policy::sandbox_policy::{
    Access, Grant, Limits, SandboxPolicy, Syscalls, UnixSocketBroker, UnixSockets,
};
pub use policy::user::{SandboxUser, UserIds, UserRole};
pub use proc::orphans::{find_orphans, has_processes};
pub use proc::usage::{ProcReader, Snapshot, SystemSample, Usage};
pub use supervisor::file_worker::FileWorker;
pub use supervisor::launcher::{Launcher, StartError};
pub use supervisor::monitor::{InitFork, PrivilegedFork, fork_init, fork_privileged};
pub use supervisor::open_files::raise_open_file_limit;
pub use supervisor::process_table::TreeHandle;
pub use supervisor::process_tree::ProcessTree;
pub use supervisor::program::{Exit, Program};
pub use supervisor::shim::run_shim;
pub use supervisor::shim_command::SHIM_ARGUMENT;
pub use supervisor::spawner::{Spawner, open_regular_file};
pub use sys::{return_freed_memory, trim_memory};
