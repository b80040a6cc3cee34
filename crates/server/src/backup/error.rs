//! Errors of backups.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::store::StoreError;

/// An error of writing or restoring a backup.
#[derive(Debug, Error)]
pub(crate) enum BackupError {
    /// A file exists under the name of the backup, or under the name that it has until it is
    /// complete.
    #[error("cannot write {0}: it exists\n  fix: choose another name, or remove it")]
    Exists(PathBuf),
    /// The file system failed.
    #[error("cannot {action} {path}: {source}")]
    Files {
        /// A verb.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The store cannot be copied.
    #[error("cannot copy the store: {0}")]
    Copy(StoreError),
    /// A file shrank while it was copied.
    #[error("cannot copy {0}: it became shorter meanwhile")]
    Changed(PathBuf),
    /// Profiles or a store exist, and replacing them was not requested.
    #[error(
        "cannot restore into {0}: it is not empty\n  fix: add --replace to replace the store and the profiles in it, or set HEARTH_DATA_DIR to an empty directory"
    )]
    NotEmpty(PathBuf),
    /// The file is not a backup.
    #[error(
        "cannot restore {0}: it is not a backup of Hearth, or its beginning is damaged. Nothing was changed"
    )]
    Foreign(PathBuf),
    /// The backup has been changed or cut.
    #[error("cannot restore {path}: it is damaged or incomplete ({reason}). Nothing was changed")]
    Damaged { path: PathBuf, reason: String },
    /// A newer version wrote the backup.
    #[error(
        "cannot restore {path}: Hearth {version} wrote it, which is newer. Nothing was changed\n  fix: restore it with that version"
    )]
    Newer { path: PathBuf, version: String },
    /// The store in the backup cannot be used.
    #[error("cannot restore {path}: {source}. Nothing was changed")]
    Store { path: PathBuf, source: StoreError },
}
