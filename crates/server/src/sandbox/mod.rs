//! The sandbox of a session, which limits the files, ports and system calls of its programs.
//!
//! `plan` holds one policy per kind of program, as pure functions. `session` applies the policies
//! to one session: its directories (`dirs`, `python_env`), its user ids (`uid_pool`), the name of
//! its user (`account`) and the launchers of its programs. `programs` holds the command lines and
//! environments. `probes` attacks the sandbox at each start of the server, through the same
//! launchers as sessions, and `report` prints which protections held. `ownership` prepares
//! directories while the process is still root.
//!
//! `compile_cache` lets kernels load compiled code. `trust` holds the certificate authorities of
//! sessions, and `browser_database` creates the files from which browsers read them.
//!
//! This module does not depend on sessions, settings or HTTP. The crate `sandbox` enforces the
//! policies.

pub(crate) mod account;
pub(crate) mod browser_database;
mod compile_cache;
pub(crate) mod dirs;
pub(crate) mod isolation;
pub(crate) mod ownership;
pub(crate) mod plan;
pub(crate) mod probes;
pub(crate) mod programs;
pub(crate) mod python_env;
pub(crate) mod report;
pub(crate) mod session;
pub(crate) mod trust;
pub(crate) mod uid_pool;

pub(crate) use dirs::{SessionDir, sessions_dir, sweep};
pub(crate) use isolation::Isolation;
pub(crate) use ownership::{check_traversable, chown_files, prepare_dirs};
pub(crate) use plan::Ports;
pub(crate) use probes::probe;
pub(crate) use report::{LayerState, Row, headline, render};
pub(crate) use session::{SandboxSpec, SessionSandbox};
pub(crate) use trust::{remove_trust, trust_dir};
pub(crate) use uid_pool::UidPool;
