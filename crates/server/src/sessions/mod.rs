//! Sessions: where they are known, what each owns, and how each ends.
//!
//! `registry` maps ids to sessions and makes new ones. `session` is what stays known of one, also
//! after its end. `live` is what it owns while it lives (browser, kernels, daemon, folder) and
//! gives back at the end. `expiry` decides when it ends by itself. `execution` walks one execute
//! request through it. `programs` plans what is started with which environment, `agent` keeps the
//! agent-browser daemon, `folder` the files, `sandbox` what is around them. `overview` is what an
//! operator asks about all of them; `recent`, `account` and `orphans` are what is noted for that.
//! `limits` says how much a session may take; `watch` ends what takes more memory or processes,
//! `disk_watch` what takes more of the disk.

mod activity;
mod agent;
mod execute;
mod execution_metrics;
mod kernel_slots;
mod limits;
mod orphans;
mod overview;
mod profile;
mod recent;
mod registry;
mod resources;
mod session;
mod supervisor;

pub(crate) use limits::disk::watch_disk;
pub(crate) use limits::memory::watch;
pub(crate) use registry::{
    ENDED_KEPT_COUNT, Registry, RegistrySpec, Services, SessionEntry, session_dir_name,
};
pub(crate) use session::{Ending, Session};
