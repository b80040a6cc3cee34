//! Removes directories that hostile code has filled. One descriptor is open at a time at any depth,
//! and directories whose mode denies access to their owner are opened.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::files::dirs::{FileId, entries, file_id, open, open_above, open_below};

/// Maximum number of times to empty a directory that a program is still writing to.
const MAX_ROUNDS: usize = 8;

/// A directory above the one that is being emptied.
struct Ancestor {
    file_id: FileId,
    /// The name of the subdirectory that is being emptied.
    through: CString,
    /// The names of the remaining subdirectories.
    remaining: Vec<CString>,
}

/// Removes `dir` and everything in it. A missing `dir` is not an error. If files cannot be removed,
/// they and their parent directories stay, and the first error is returned. Blocks.
pub fn remove_tree(dir: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let name = CString::new(name.as_bytes())?;
    let parent = match open(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        parent => parent?,
    };
    let mut outcome = Ok(());
    for _ in 0..MAX_ROUNDS {
        outcome = match unlinkat(&parent, name.as_c_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => empty(open_below(&parent, &name)?),
            Err(error) => return Err(error.into()),
        };
    }
    outcome.and(Err(Errno::ENOTEMPTY.into()))
}

/// Removes everything below a directory in one pass.
fn empty(dir: OwnedFd) -> io::Result<()> {
    let mut first_error = Ok(());
    let mut ancestors: Vec<Ancestor> = Vec::new();
    let mut here = dir;
    let mut remaining = unlink_files(&here, &mut first_error)?;
    loop {
        if let Some(name) = remaining.pop() {
            match open_below(&here, &name) {
                Ok(below) => {
                    ancestors.push(Ancestor {
                        file_id: file_id(&fstat(&here)?),
                        through: name,
                        remaining,
                    });
                    here = below;
                    remaining = unlink_files(&here, &mut first_error)?;
                }
                Err(error) => first_error = first_error.and(Err(error)),
            }
        } else if let Some(parent) = ancestors.pop() {
            here = open_above(&here, parent.file_id)?;
            remaining = parent.remaining;
            if let Err(error) = unlinkat(&here, parent.through.as_c_str(), UnlinkatFlags::RemoveDir)
            {
                first_error = first_error.and(Err(error.into()));
            }
        } else {
            return first_error;
        }
    }
}

/// Removes files and empty subdirectories. Returns the names of the other subdirectories.
fn unlink_files(dir: &OwnedFd, first_error: &mut io::Result<()>) -> io::Result<Vec<CString>> {
    let mut dirs = Vec::new();
    for name in entries(dir)? {
        let name = name?;
        match unlinkat(dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(Errno::EISDIR) => match unlinkat(dir, name.as_c_str(), UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(_) => dirs.push(name),
            },
            Err(error) if first_error.is_ok() => *first_error = Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(dirs)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::{Mode, mkdirat};

    use super::*;

    #[test]
    fn everything_is_removed_and_links_are_not_followed() {
        let outside = tempfile::tempdir().expect("a dir");
        fs::write(outside.path().join("kept"), "x").expect("written");
        let root = tempfile::tempdir().expect("a dir");
        let dir = root.path().join("s");
        fs::create_dir_all(dir.join("a/b/c")).expect("made");
        fs::create_dir_all(dir.join("a/d")).expect("made");
        symlink(outside.path(), dir.join("a/link")).expect("linked");
        for number in 0..100 {
            fs::write(dir.join(format!("a/b/{number}")), "x").expect("written");
        }
        fs::set_permissions(dir.join("a/b"), Permissions::from_mode(0o000)).expect("closed");
        remove_tree(&dir).expect("removed");
        assert!(!dir.exists() && outside.path().join("kept").exists());
        remove_tree(&dir).expect("missing is fine");
        remove_tree(&dir.join("neither")).expect("missing is fine");
    }

    #[test]
    fn depth_is_not_limited_by_descriptors_or_path_length() {
        let root = tempfile::tempdir().expect("a dir");
        let dir = root.path().join("s");
        fs::create_dir(&dir).expect("made");
        let mut here = open(&dir).expect("opened");
        for _ in 0..5000 {
            mkdirat(&here, "deep", Mode::S_IRWXU).expect("made");
            here = open_below(&here, c"deep").expect("opened");
        }
        remove_tree(&dir).expect("removed");
        assert!(!dir.exists());
    }

    #[test]
    fn a_file_instead_of_the_directory_is_an_error() {
        let root = tempfile::tempdir().expect("a dir");
        fs::write(root.path().join("s"), "x").expect("written");
        assert!(remove_tree(&root.path().join("s")).is_err());
    }
}
