//! The errors of requests for files.

use std::io;

use hearth_budget::Exhausted;
use hearth_contract::Limit;
use nix::errno::Errno;
use thiserror::Error;

use crate::sessions::error::SessionError;

/// The reason why a request for a file of a session failed.
#[derive(Clone, Debug, Error)]
pub(crate) enum FileError {
    /// The session cannot be used.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The path leads nowhere, or through something that is not a directory.
    #[error("no such file or directory")]
    NotFound,
    /// The path leads to something else than a regular file. Holds what it is.
    #[error("it is {0}")]
    NotAFile(&'static str),
    /// The directory to remove has entries.
    #[error("the directory is not empty")]
    NotEmpty,
    /// The mode of the file, or of a directory above it, denies access to the session's user.
    #[error("the session's user has no access to it")]
    Denied,
    /// The session has the maximum number of requests for files.
    #[error("{0} requests for files run")]
    Busy(usize),
    /// The file would exceed a limit of the session.
    #[error("the session would exceed its limit")]
    OverLimit(Limit),
    /// The server's disk would have too little free space.
    #[error("the disk is full: {free_mb} MiB left, {min_mb} MiB required")]
    DiskFull { free_mb: u64, min_mb: u64 },
    /// The worker could not do its work. The reason names no file.
    #[error("{0}")]
    Unavailable(String),
}

impl FileError {
    /// Returns the meaning of an error of the file worker.
    pub(super) fn of(error: &io::Error) -> FileError {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENOTDIR) => FileError::NotFound,
            Some(Errno::EISDIR) => FileError::NotAFile("a directory"),
            Some(Errno::ELOOP) => FileError::NotAFile("a symbolic link"),
            Some(Errno::ENXIO) => FileError::NotAFile("a pipe, a socket or a device"),
            Some(Errno::ENOTEMPTY | Errno::EEXIST) => FileError::NotEmpty,
            // Another process has a lease on the file in the case of EAGAIN.
            Some(Errno::EACCES | Errno::EPERM | Errno::EAGAIN) => FileError::Denied,
            _ => FileError::Unavailable(error.to_string()),
        }
    }
}

impl From<Exhausted> for FileError {
    fn from(exhausted: Exhausted) -> FileError {
        SessionError::Overloaded(exhausted).into()
    }
}
