//! Preparation of directories for the user that the server becomes, while the process is still
//! root.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};

use hearth_sandbox::UserIds;
use thiserror::Error;

/// The mode of a directory that other users can traverse but not list. They cannot guess the names
/// below it, whose modes also protect them.
const TRAVERSABLE: u32 = 0o711;

/// A directory that the users of sessions cannot traverse.
#[derive(Debug, Error)]
#[error(
    "cannot reach {}: sessions run under separate users, and {} does not let them through\n  \
     fix: run `chmod o+x {}`, choose another directory, or set HEARTH_ISOLATION=none if you trust all code",
    path.display(),
    closed.display(),
    closed.display()
)]
pub(crate) struct NotTraversable {
    /// The path that must be reachable.
    path: PathBuf,
    /// The first parent that other users cannot traverse.
    closed: PathBuf,
}

/// Creates directories, or takes over existing ones, and gives them to the server's user.
pub(crate) fn prepare_dirs(dirs: &[&Path], ids: UserIds) -> io::Result<()> {
    for dir in dirs {
        DirBuilder::new()
            .recursive(true)
            .mode(TRAVERSABLE)
            .create(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(TRAVERSABLE))?;
        chown(dir, Some(ids.server()), Some(ids.server()))?;
    }
    Ok(())
}

/// Gives the files in `dir` whose names start with `prefix` to the server's user. An earlier server
/// that ran as root may have created them.
pub(crate) fn chown_files(dir: &Path, prefix: &str, ids: UserIds) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(prefix.as_bytes())
        {
            // Only root and the server create entries in `dir`, so a session cannot plant one.
            lchown(entry.path(), Some(ids.server()), Some(ids.server()))?;
        }
    }
    Ok(())
}

/// Checks that the users of sessions can traverse every parent of `path`.
pub(crate) fn check_traversable(path: &Path) -> Result<(), NotTraversable> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let closed = real
        .ancestors()
        .skip(1)
        .find(|dir| fs::metadata(dir).is_ok_and(|metadata| metadata.mode() & 0o001 == 0))
        .map(Path::to_owned);
    match closed {
        None => Ok(()),
        Some(closed) => Err(NotTraversable { path: real, closed }),
    }
}
