//! Sessions: where they are known, what each owns, and how each ends.
//!
//! `registry` maps ids to sessions and makes new ones. `session` is what stays known of one, also
//! after its end. `live` is what it owns while it lives (browser, kernels, daemon, folder) and
//! gives back at the end. `expiry` decides when it ends by itself. `execution` walks one execute
//! request through it. `programs` plans what is started with which environment, `agent` keeps the
//! agent-browser daemon, `folder` the files, `enclosure` what is around them. `overview` is what an
//! operator asks about all of them; `recent`, `account` and `leftovers` are what is noted for that.
//! `limits` says how much a session may take; `watch` ends what takes more memory or processes,
//! `disk_watch` what takes more of the disk.

mod account;
mod activity;
mod agent;
mod disk_watch;
mod enclosure;
mod execution;
mod expiry;
mod folder;
mod kernels;
mod leftovers;
mod limits;
mod live;
mod overview;
mod profile;
mod programs;
mod recent;
mod registry;
mod session;
mod watch;

pub(crate) use disk_watch::watch_disk;
pub(crate) use enclosure::{Enclosure, Site};
pub(crate) use folder::{Folder, sessions_folder, sweep};
#[cfg(test)]
pub(crate) use limits::tests::LIMITS as NO_LIMITS;
pub(crate) use limits::{DEFAULT_LIMITS, Limits};
pub(crate) use registry::{Books, ENDED_KEPT_COUNT, Known, Registry, RegistrySpec, folder_name};
pub(crate) use session::{Ending, Session};
pub(crate) use watch::watch;
