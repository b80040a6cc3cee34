//! Sessions, from their creation to their end.
//!
//! - `registry` maps ids to entries (`entry`). `create` admits and starts new sessions, `builder`
//!   creates the parts of one session, `warm_pool` holds sessions that `keep_warm` has prepared in
//!   advance, `unlisted` creates and keeps those of scrapes (`kept_sessions`), and `overview`
//!   summarises all sessions.
//! - `session` is the state of one session, which outlives its end. `info` and `tokens` are its
//!   fixed properties. `resources` are its browser, kernels and files until the end.
//! - `execution` handles execute requests and the kernels, and `agent` starts the agent-browser
//!   daemon. `files` reads and writes files for clients. `attach` connects CDP clients and viewers,
//!   and `workbench` its readers; the session's own programs use `program_access`.
//! - `supervisor` ends a session and cleans up. `profile` and `checkpoints` save its profile.
//! - `node` has what differs in a cluster: reservations, leases, and the work of a node.
//! - `limits` enforces the resource limits, and `orphans` finds processes that outlived their
//!   session.
//!
//! Errors are `SessionError`. This module does not depend on HTTP.

mod activity;
mod agent;
mod attach;
mod builder;
mod cdp_listener;
mod checkpoints;
mod create;
mod disk;
mod entry;
mod error;
mod execution;
mod files;
mod health;
mod info;
mod keep_warm;
mod kept_sessions;
mod limits;
mod node;
mod orphans;
mod overview;
mod profile;
mod program_access;
mod progress;
mod readings;
mod recent_load;
mod registry;
mod resources;
mod services;
mod session;
mod session_options;
mod spans;
mod spec;
mod supervisor;
mod team_quota;
mod tokens;
mod trust;
mod unlisted;
mod warm_pool;
mod watchers;
mod workbench;

pub(crate) use cdp_listener::{CdpListener, CdpListeners};
pub(crate) use entry::SessionEntry;
pub(crate) use error::SessionError;
pub(crate) use execution::execute::Executed;
pub(crate) use files::{FileError, OpenedFile, Upload};
pub(crate) use node::member::spawn_member_tasks;
pub(crate) use program_access::ProgramAccess;
pub(crate) use registry::{ENDED_KEPT_COUNT, Registry};
pub(crate) use services::Services;
pub(crate) use session::Session;
pub(crate) use spans::{SESSION, record_session, record_team};
pub(crate) use spec::RegistrySpec;
pub(crate) use team_quota::QuotaMax;
pub(crate) use watchers::spawn_watchers;
