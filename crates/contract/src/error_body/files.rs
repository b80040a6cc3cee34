//! The errors of requests for files of a session.

use super::ErrorBody;
use crate::limit::Limit;

impl ErrorBody {
    /// Reports that a path cannot be that of a file. `reason` says why.
    pub fn invalid_file_path(reason: &str) -> Self {
        Self::new(format!(
            "Bad Request: the path of the file is invalid: {reason}. Name a file below the working directory, such as \
             reports/may.csv."
        ))
    }

    /// Reports that the body is a part of a file.
    pub fn partial_upload() -> Self {
        Self::new("Bad Request: Content-Range is not supported. Send the whole file.")
    }

    /// Reports that no file has the path.
    pub fn file_not_found() -> Self {
        Self::new("File not found. GET …/files lists the files of the working directory.")
    }

    /// Reports that the path leads to something else than a regular file. `kind` says to what.
    pub fn not_a_file(kind: &str) -> Self {
        Self::new(format!(
            "The path leads to {kind}. Only regular files can be read and replaced."
        ))
    }

    /// Reports that a directory has entries.
    pub fn directory_not_empty() -> Self {
        Self::new("The directory is not empty. Remove its entries first.")
    }

    /// Reports that the user of the session has no access to a file.
    pub fn file_denied() -> Self {
        Self::new(
            "The session's own user has no access to the file. Code in the session can change its mode.",
        )
    }

    /// Reports that too many requests for files of the session run.
    pub fn files_busy(max: usize) -> Self {
        Self::new(format!(
            "Too many requests for files of this session run (limit: {max}). Nothing was done; try again."
        ))
    }

    /// Reports that a file would exceed a limit of its session.
    pub fn file_over_limit(limit: Limit) -> Self {
        let (what, setting) = match limit {
            Limit::Files(max) => (format!("{max} files"), "HEARTH_SESSION_FILES"),
            Limit::DiskMb(max) => (format!("{max} MiB of disk space"), "HEARTH_SESSION_DISK_MB"),
            // No other limit counts files.
            other => (other.to_string(), "limits"),
        };
        Self::new(format!(
            "The file does not fit: the session may have {what} ({setting}). Remove files, or send a smaller one."
        ))
    }

    /// Reports that the server has too little free disk space for a file.
    pub fn disk_full_for_file(free_mb: u64, min_mb: u64) -> Self {
        Self::new(format!(
            "Cannot write the file: the server's disk has {free_mb} MiB free, the minimum is {min_mb} MiB \
             (HEARTH_MIN_FREE_DISK_MB). Delete sessions or free space on the disk of the data directory."
        ))
    }

    /// Reports that the files of a session cannot be reached. `reason` names no file.
    pub fn files_unavailable(reason: &str) -> Self {
        Self::new(format!(
            "The files of this session cannot be reached: {reason}. Try again."
        ))
    }

    /// Reports that the file has no bytes in the requested range.
    pub fn unsatisfiable_range(bytes: u64) -> Self {
        Self::new(format!(
            "The range is outside of the file, which has {bytes} bytes."
        ))
    }
}
