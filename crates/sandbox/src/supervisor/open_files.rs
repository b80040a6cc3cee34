//! Limits of open files (`RLIMIT_NOFILE`, `getrlimit(2)`).
//!
//! The server holds descriptors for each of its programs, so it raises its own limit as far as
//! possible. Programs get the limit that the server started with, because some close every number
//! up to their limit, and some cannot use numbers above 1023 (`select(2)`).

use std::io;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The limit that this process started with.
static INITIAL_LIMIT: OnceLock<u64> = OnceLock::new();

/// Raises the limit of this process as far as the system allows. Programs that start later get the
/// previous limit. Call this once, early.
pub fn raise_open_file_limit() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    // A second call would find the raised limit, so keep the value of the first.
    INITIAL_LIMIT.get_or_init(|| soft);
    Ok(())
}

/// Returns the limit of programs if it differs from the limit of this process.
pub(crate) fn for_programs() -> Option<u64> {
    INITIAL_LIMIT.get().copied()
}

/// Sets the soft limit of this process and of programs that it starts.
pub(crate) fn limit(soft: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard)?)
}

/// Raises the soft limit of this process to the hard limit.
pub(crate) fn allow_all() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
