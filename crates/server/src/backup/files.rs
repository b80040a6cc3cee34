//! File operations of both directions.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::error::BackupError;

/// Makes renames in a directory survive a power failure.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Removes a file or a directory, if it exists.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Returns a function that turns an error of the file system into one that names the path.
pub(super) fn failed(
    action: &'static str,
    path: &Path,
) -> impl Fn(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::Files {
        action,
        path: path.clone(),
        source,
    }
}
