//! Opens, writes, lists and removes files of a session for its clients.
//!
//! Session code can replace any of these files at any time, with links, pipes or directories. Each
//! step opens one name below the directory that it has reached, and follows no link. The kind of a
//! file is checked after it is open, so a race changes nothing.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use crate::files::dirs::{entries, is_kind, open};
use crate::files::relative_path::RelativePath;

/// Maximum number of entries in a listing.
const MAX_ENTRIES: usize = 10_000;

/// Maximum size of a listing, as the worker sends it and with the path of the directory before
/// each name, as clients get it.
pub(crate) const MAX_LISTING_BYTES: usize = 2 << 20;

/// Opens a directory only as a place, which needs no right to read it.
const STEP: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// The entries of a directory, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The first entries. Entries whose names are not UTF-8 are missing.
    pub entries: Vec<ListedEntry>,
    /// True if the directory has more entries.
    pub is_truncated: bool,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedEntry {
    /// The name in its directory.
    pub name: String,
    /// The kind of file.
    pub kind: EntryKind,
    /// The size of the content. Holes of a sparse file count.
    pub bytes: u64,
    /// The time of the last change, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, which is never followed.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// Opens a regular file for reading. Fails with `EISDIR` for a directory, `ELOOP` for a symbolic
/// link and `ENXIO` for other files. Blocks for a moment, and never because of the file.
pub(crate) fn open_file(dir: &Path, path: &RelativePath) -> io::Result<File> {
    let (parent, name) = parent_of(dir, path)?;
    // Without O_NONBLOCK, a pipe without a writer or a lease of another process would block.
    let flags = OFlag::O_RDONLY
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_CLOEXEC;
    let file = openat(&parent, name, flags, Mode::empty())?;
    require_regular(&file)?;
    Ok(File::from(file))
}

/// Fails unless a descriptor refers to a regular file.
pub(crate) fn require_regular(file: impl AsFd) -> io::Result<()> {
    match kind_of(&fstat(file)?) {
        EntryKind::File => Ok(()),
        EntryKind::Directory => Err(Errno::EISDIR.into()),
        EntryKind::Link => Err(Errno::ELOOP.into()),
        EntryKind::Other => Err(Errno::ENXIO.into()),
    }
}

/// Creates an empty file beside `path`, for content that [`place_part`] moves there when it is
/// complete. Creates missing directories. Fails with `EISDIR` if `path` is a directory.
pub(crate) fn create_part(dir: &Path, path: &RelativePath, part: u64) -> io::Result<File> {
    let (above, name) = path.parent_and_name();
    let mut parent = open(dir)?;
    for above in above {
        match mkdirat(&parent, above, Mode::from_bits_truncate(0o770)) {
            Ok(()) | Err(Errno::EEXIST) => parent = step(&parent, above)?,
            Err(error) => return Err(error.into()),
        }
    }
    if let Ok(stat) = fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        && kind_of(&stat) == EntryKind::Directory
    {
        return Err(Errno::EISDIR.into());
    }
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(0o660);
    let file = openat(&parent, part_name(part).as_str(), flags, mode)?;
    Ok(File::from(file))
}

/// Moves a complete part to `path`. Replaces a file, link or pipe there, and no directory.
pub(crate) fn place_part(dir: &Path, path: &RelativePath, part: u64) -> io::Result<()> {
    let (parent, name) = parent_of(dir, path)?;
    Ok(renameat(&parent, part_name(part).as_str(), &parent, name)?)
}

/// Removes a part. A missing one is not an error.
pub(crate) fn remove_part(dir: &Path, path: &RelativePath, part: u64) -> io::Result<()> {
    let (parent, _) = parent_of(dir, path)?;
    let removed = unlinkat(
        &parent,
        part_name(part).as_str(),
        UnlinkatFlags::NoRemoveDir,
    );
    match removed {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes a file, a link itself, or an empty directory. Fails with `ENOTEMPTY` for another
/// directory.
pub(crate) fn remove_file(dir: &Path, path: &RelativePath) -> io::Result<()> {
    let (parent, name) = parent_of(dir, path)?;
    match unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR) => match unlinkat(&parent, name, UnlinkatFlags::RemoveDir) {
            Err(Errno::EEXIST) => Err(Errno::ENOTEMPTY.into()),
            removed => Ok(removed?),
        },
        removed => Ok(removed?),
    }
}

/// Lists a directory, or `dir` itself. Blocks for about 3 µs per entry.
pub(crate) fn list_dir(dir: &Path, path: Option<&RelativePath>) -> io::Result<Listing> {
    let mut here = open(dir)?;
    for name in path.into_iter().flat_map(RelativePath::names) {
        here = step(&here, name)?;
    }
    let mut listing = Listing::default();
    let mut names = BTreeSet::new();
    for name in entries(&here)? {
        let Ok(name) = name?.into_string() else {
            continue;
        };
        names.insert(name);
        if names.len() > MAX_ENTRIES {
            names.pop_last();
            listing.is_truncated = true;
        }
    }
    let prefix = path.map_or(Ok(0), |path| {
        serde_json::to_vec(path.as_str()).map(|json| json.len())
    })?;
    let mut bytes = 0;
    for name in names {
        // Fails if the file was removed meanwhile.
        let Ok(stat) = fstatat(&here, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
            continue;
        };
        let entry = ListedEntry {
            name,
            kind: kind_of(&stat),
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified_ms: modified_ms(&stat),
        };
        bytes += prefix + serde_json::to_vec(&entry)?.len() + 1;
        if bytes > MAX_LISTING_BYTES {
            listing.is_truncated = true;
            break;
        }
        listing.entries.push(entry);
    }
    Ok(listing)
}

/// Returns the directory that contains `path`, and the last name.
fn parent_of<'a>(dir: &Path, path: &'a RelativePath) -> io::Result<(OwnedFd, &'a str)> {
    let (above, name) = path.parent_and_name();
    let mut parent = open(dir)?;
    for above in above {
        parent = step(&parent, above)?;
    }
    Ok((parent, name))
}

/// Opens a subdirectory. Fails with `ENOTDIR` for a symbolic link.
fn step(dir: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    Ok(openat(dir, name, STEP, Mode::empty())?)
}

/// Returns the name of a file whose content is not complete.
fn part_name(part: u64) -> String {
    format!(".hearth-upload-{part:016x}")
}

fn kind_of(stat: &FileStat) -> EntryKind {
    if is_kind(stat, SFlag::S_IFREG) {
        EntryKind::File
    } else if is_kind(stat, SFlag::S_IFDIR) {
        EntryKind::Directory
    } else if is_kind(stat, SFlag::S_IFLNK) {
        EntryKind::Link
    } else {
        EntryKind::Other
    }
}

fn modified_ms(stat: &FileStat) -> i64 {
    let seconds = stat.st_mtime.saturating_mul(1000);
    seconds.saturating_add(stat.st_mtime_nsec / 1_000_000)
}

#[cfg(test)]
mod tests;
