//! How many files may be open at once (`RLIMIT_NOFILE`, `getrlimit(2)`). The server holds some for
//! every program that it owns and takes all that it may have. Programs get what the server itself
//! was given: some close every number up to their limit, and some cannot use numbers above 1023
//! (`select(2)`).

use std::io;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What this process was given.
static GIVEN: OnceLock<u64> = OnceLock::new();

/// Raises this process's own limit as far as the system lets it. Programs that are started
/// afterwards get the limit that was there before. To be called once, early.
pub fn raise_open_file_limit() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    // A second call finds the limit raised; what was given is what the first one found.
    GIVEN.get_or_init(|| soft);
    Ok(())
}

/// What programs are to get, if this process's own limit is another one.
pub(crate) fn for_programs() -> Option<u64> {
    GIVEN.get().copied()
}

/// Gives this process, and what it starts, a limit.
pub(crate) fn limit(soft: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard)?)
}

/// As many as the hard limit allows.
pub(crate) fn allow_all() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
