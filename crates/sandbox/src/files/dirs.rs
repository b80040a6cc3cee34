//! Steps through directory trees that hostile code has created.
//!
//! Each step opens one directory relative to another. No step follows a symbolic link or joins
//! paths, and stepping up verifies that the parent is the directory that the walk came from.

use std::ffi::{CStr, CString};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;

/// The device and inode numbers of a file.
pub(crate) type FileId = (u64, u64);

const FLAGS: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Opens a directory. Fails for a symbolic link.
pub(crate) fn open(dir: &Path) -> io::Result<OwnedFd> {
    Ok(openat(AT_FDCWD, dir, FLAGS, Mode::empty())?)
}

/// Opens a subdirectory. If its mode denies access to its owner, and this process is the owner,
/// this restores the access.
pub(crate) fn open_below(dir: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    // Opened as a path first, so that all following steps refer to the same file.
    let found = openat(
        dir,
        name,
        OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let stat = fstat(&found)?;
    let is_closed = stat.st_mode & Mode::S_IRWXU.bits() != Mode::S_IRWXU.bits();
    if is_closed && is_kind(&stat, SFlag::S_IFDIR) && stat.st_uid == geteuid().as_raw() {
        let path = format!("/proc/self/fd/{}", found.as_raw_fd());
        // If this fails, so does the next step.
        let _ = fs::set_permissions(
            path,
            Permissions::from_mode((stat.st_mode & 0o7777) | 0o700),
        );
    }
    Ok(openat(&found, ".", FLAGS, Mode::empty())?)
}

/// Opens the parent of a directory. Fails if it is not `from`, because the directory has moved.
pub(crate) fn open_above(dir: &OwnedFd, from: FileId) -> io::Result<OwnedFd> {
    let above = openat(dir, "..", FLAGS, Mode::empty())?;
    if file_id(&fstat(&above)?) == from {
        Ok(above)
    } else {
        Err(Errno::ESTALE.into())
    }
}

/// Lists the names in a directory.
pub(crate) fn entries(dir: &OwnedFd) -> io::Result<impl Iterator<Item = io::Result<CString>>> {
    let entries: OwningIter = Dir::openat(dir, ".", FLAGS, Mode::empty())?.into_iter();
    let names = entries.map(|entry| Ok(entry?.file_name().to_owned()));
    Ok(names.filter(|name| {
        !name
            .as_ref()
            .is_ok_and(|name| [c".", c".."].contains(&name.as_c_str()))
    }))
}

/// Returns true if an operation on files failed for lack of descriptors or memory. A dir that could
/// not be opened for this reason must not look empty or missing.
pub fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
}

pub(crate) fn file_id(stat: &FileStat) -> FileId {
    (stat.st_dev, stat.st_ino)
}

pub(crate) fn is_kind(stat: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == kind
}
