//! What has to be done while this process is still root: folders for the user that the server
//! becomes.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, lchown};
use std::path::Path;

use hearth_confine::UserIds;

use crate::config::ConfigError;

/// Others may pass through, and see nothing: what is below has names that nobody can guess, and
/// locks of its own.
const PASSAGE: u32 = 0o711;

/// Makes folders and gives them to the server's user. Those that are there change hands.
pub(crate) fn prepare_dirs(folders: &[&Path], ids: UserIds) -> io::Result<()> {
    for folder in folders {
        DirBuilder::new()
            .recursive(true)
            .mode(PASSAGE)
            .create(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(PASSAGE))?;
        chown(folder, Some(ids.server()), Some(ids.server()))?;
    }
    Ok(())
}

/// Makes the files in `folder` whose names begin with `name` the server's: one that ran as root
/// itself may have left them.
pub(crate) fn chown_files(folder: &Path, name: &str, ids: UserIds) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(name.as_bytes())
        {
            // Nobody but root and the server makes names there.
            lchown(entry.path(), Some(ids.server()), Some(ids.server()))?;
        }
    }
    Ok(())
}

/// That the users of sessions can come as far as `path`: every folder above it lets others pass.
pub(crate) fn check_traversable(name: &str, path: &Path) -> Result<(), ConfigError> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let closed = real
        .ancestors()
        .skip(1)
        .find(|folder| fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o001 == 0));
    match closed {
        None => Ok(()),
        Some(folder) => Err(ConfigError::new(
            name,
            format!(
                "sessions run under users of their own, and {} does not let them through to {}: run `chmod o+x {0}`, choose another place, or set HEARTH_ISOLATION=none if you trust all code",
                folder.display(),
                real.display(),
            ),
        )),
    }
}
