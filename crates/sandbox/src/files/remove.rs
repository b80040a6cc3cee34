//! Removing a folder that hostile code has filled: however deep it goes, one descriptor is open at
//! a time, and folders that their owner has closed to itself are opened.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::files::dirs::{FileId, entries, file_id, open, open_above, open_below};

/// How often a folder is emptied into which something is still being put.
const MAX_ROUNDS: usize = 8;

/// A folder that is being emptied, while we are further down.
struct Ancestor {
    file_id: FileId,
    /// The name in it of the folder that we went down into.
    through: CString,
    /// Names of other dirs in it.
    remaining: Vec<CString>,
}

/// Removes `folder` and everything in it; one that is not there is fine. What cannot be removed is
/// remaining, and so are the folders above it; the error is that of the first. Blocks.
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

/// Goes through everything below a folder once.
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

/// Removes what is no dir, or an empty one; gives back the names of the others.
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
    fn everything_goes_and_nothing_that_a_link_leads_to() {
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
        remove_tree(&dir).expect("there is none");
        remove_tree(&dir.join("neither")).expect("there is none");
    }

    #[test]
    fn folders_may_be_deeper_than_descriptors_and_paths_reach() {
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
    fn a_file_in_the_place_of_the_folder_is_an_error() {
        let root = tempfile::tempdir().expect("a dir");
        fs::write(root.path().join("s"), "x").expect("written");
        assert!(remove_tree(&root.path().join("s")).is_err());
    }
}
