//! `hearth reload`: finds the running server, asks it to reload, and reads its report.
//!
//! A server that can reload holds a second lock on the lock file of its data directory, because the
//! kernel returns the process id of that lock's owner (`F_GETLK`, `fcntl_locking(2)`). The server
//! writes its report to a file in the data directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::time::{Instant, interval};

use crate::lifecycle::prepare::LOCK;

/// The name of the file with the report in the data directory.
const REPORT: &str = "reload";

/// The first lines of a report.
const RELOADED: &str = "reloaded";
const FAILED: &str = "failed";

/// The time limit for a reload.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The interval between checks for the report.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The result of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReloadReport {
    pub is_reloaded: bool,
    /// The changes, or the error.
    pub text: String,
}

/// A reload that could not be requested.
#[derive(Debug, Error)]
pub(crate) enum RequestError {
    #[error("no server uses {0}\n  fix: set HEARTH_DATA_DIR to the value that the server has")]
    NoServer(PathBuf),
    #[error(
        "the server of {0} runs in another container\n  fix: run this command in that container"
    )]
    OtherNamespace(PathBuf),
    #[error("cannot read {0}: {1}\n  fix: run this command as root or as the user of the server")]
    Unreadable(PathBuf, io::Error),
    #[error(
        "cannot signal the server, process {0}: {1}\n  fix: run this command as root or as the user of the server"
    )]
    NotSignalled(Pid, Errno),
    #[error("the server ended before it reloaded")]
    Ended,
    #[error("the server did not reload within {} s; its log says more", TIMEOUT.as_secs())]
    TimedOut,
}

/// Makes this server reachable for `hearth reload`. `lock` is its lock file. No other descriptor of
/// that file may be closed in this process, because that would release the lock.
pub(in crate::lifecycle) fn accept_requests(lock: &File) -> io::Result<()> {
    fcntl(lock, FcntlArg::F_SETLK(&whole_file()))?;
    Ok(())
}

/// Asks the server that uses a data directory to reload, and waits for its report.
pub(crate) async fn request_reload(data_dir: &Path) -> Result<ReloadReport, RequestError> {
    let server = find_server(data_dir)?;
    let path = data_dir.join(REPORT);
    let id = || fs::metadata(&path).map(|file| (file.ino(), file.mtime(), file.mtime_nsec()));
    let before = id().ok();
    kill(server, Signal::SIGUSR1).map_err(|error| RequestError::NotSignalled(server, error))?;
    let deadline = Instant::now() + TIMEOUT;
    let mut checks = interval(CHECK_INTERVAL);
    while Instant::now() < deadline {
        checks.tick().await;
        let has_ended = kill(server, None) == Err(Errno::ESRCH);
        if id().ok().is_some_and(|now| Some(now) != before) {
            let text = fs::read_to_string(&path);
            return text
                .map(|text| ReloadReport::decode(&text))
                .map_err(|error| RequestError::Unreadable(path, error));
        }
        if has_ended {
            return Err(RequestError::Ended);
        }
    }
    Err(RequestError::TimedOut)
}

/// Returns the process id of the server that uses a data directory.
fn find_server(data_dir: &Path) -> Result<Pid, RequestError> {
    let path = data_dir.join(LOCK);
    let file = File::open(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => RequestError::NoServer(data_dir.to_owned()),
        _ => RequestError::Unreadable(path, error),
    })?;
    let mut lock = whole_file();
    let found = fcntl(&file, FcntlArg::F_GETLK(&mut lock));
    if found.is_err() || i32::from(lock.l_type) == libc::F_UNLCK {
        return Err(RequestError::NoServer(data_dir.to_owned()));
    }
    // The kernel returns 0 for a process that is not visible in this namespace.
    if lock.l_pid <= 0 {
        return Err(RequestError::OtherNamespace(data_dir.to_owned()));
    }
    Ok(Pid::from_raw(lock.l_pid))
}

/// Returns a write lock on a whole file.
fn whole_file() -> libc::flock {
    // The constants are small, but have the type of other calls.
    let short = |constant: i32| i16::try_from(constant).unwrap_or_default();
    libc::flock {
        l_type: short(libc::F_WRLCK),
        l_whence: short(libc::SEEK_SET),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

impl ReloadReport {
    /// Writes the report to the data directory, where its reader sees either all of it or nothing.
    /// Blocks.
    pub(super) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let new = data_dir.join(format!("{REPORT}.new"));
        fs::write(&new, self.encode())?;
        fs::rename(&new, data_dir.join(REPORT))
    }

    fn encode(&self) -> String {
        let result = if self.is_reloaded { RELOADED } else { FAILED };
        format!("{result}\n{}\n", self.text)
    }

    fn decode(text: &str) -> ReloadReport {
        let (result, text) = text.split_once('\n').unwrap_or((text, ""));
        ReloadReport {
            is_reloaded: result == RELOADED,
            text: text.trim_end().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        for is_reloaded in [true, false] {
            let text = "one\ntwo".to_owned();
            let report = ReloadReport { is_reloaded, text };
            assert_eq!(ReloadReport::decode(&report.encode()), report);
        }
    }

    #[test]
    fn without_a_server_there_is_nobody_to_ask() {
        let dir = tempfile::tempdir().expect("a directory");
        let found = || find_server(dir.path());
        assert!(matches!(found(), Err(RequestError::NoServer(_))));
        File::create(dir.path().join(LOCK)).expect("created");
        assert!(matches!(found(), Err(RequestError::NoServer(_))));
    }
}
