//! The startup and shutdown of the server.
//!
//! [`prepare`] does everything that needs a single-threaded process or root privileges.
//! [`self_test`] starts programs in the sandbox and checks that it holds. [`services`] opens the
//! store and builds the registry. [`serve`] listens until a signal arrives. [`reload`] changes
//! settings meanwhile.

mod address;
mod banner;
mod cluster_targets;
mod descriptors;
mod drain;
mod join;
mod listeners;
mod open_profiles;
mod open_store;
mod peer_port;
mod prepare;
mod reload;
mod retention;
mod self_test;
mod serve;
mod services;
mod setting_files;
mod signals;

pub(crate) use self::address::{explain, free_neighbour};
pub(crate) use self::open_store::database_error;
pub(crate) use self::prepare::{LOCK, Role, interrupted_restore, lock_data_dir, prepare};
pub(crate) use self::reload::{ReloadReport, request_reload};
pub(crate) use self::serve::serve;
