//! Measures the disk usage of a session: files in its directories, and deleted files that are still
//! open.
//!
//! Session code may try to evade the measurement, and changes files meanwhile. The walk therefore
//! follows no links, opens each directory from its parent, and stops at the limit.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use serde::{Deserialize, Serialize};

use crate::files::dirs::{
    FileId, entries, file_id, is_kind, is_shortage, open, open_above, open_below,
};
use crate::proc::usage::unless_gone;

/// Maximum number of open files to examine per session. Files beyond it are found when the session
/// ends.
const MAX_OPEN_FILES: usize = 20_000;

/// Maximum number of walks if a directory moves during the walk. Code could move directories
/// forever.
const MAX_ATTEMPTS: usize = 3;

/// Disk usage of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUsage {
    /// Allocated blocks, so holes in sparse files count as zero. A file with several hard links
    /// counts once.
    pub bytes: u64,
    /// Directory entries of all types.
    pub files: u64,
}

/// Measures everything below `dirs`, and those of `open_files` that are deleted and on the same
/// disks.
///
/// Stops when either value exceeds `max`, so the result is at most one file larger. Opens
/// directories whose mode denies access to their owner, if this process is the owner. Fails if
/// descriptors or memory are short. Blocks for about 3 µs per file.
pub(crate) fn measure(
    dirs: &[PathBuf],
    open_files: &[OpenFile],
    max: DiskUsage,
) -> io::Result<DiskUsage> {
    let mut usage = DiskUsage::default();
    let mut disks: HashSet<u64> = HashSet::new();
    for _ in 0..MAX_ATTEMPTS {
        let mut walk = DirWalk {
            usage: DiskUsage::default(),
            max,
            linked: HashSet::new(),
        };
        let mut is_complete = true;
        for dir in dirs {
            match walk.measure(dir) {
                Ok(disk) => disks.extend(disk),
                Err(error) if is_shortage(&error) => return Err(error),
                Err(_) => is_complete = false,
            }
        }
        usage = DiskUsage {
            bytes: usage.bytes.max(walk.usage.bytes),
            files: usage.files.max(walk.usage.files),
        };
        if is_complete {
            break;
        }
    }
    for file in open_files
        .iter()
        .filter(|file| file.is_unlinked && disks.contains(&file.disk))
    {
        usage.bytes += file.bytes;
    }
    Ok(usage)
}

/// Returns the memory of memory-backed files (memfd, `/dev/shm`) that `pids` hold open, mapped or
/// not. Blocks.
pub(crate) fn memory_file_bytes(pids: &[i32]) -> io::Result<u64> {
    let files = open_files(pids)?;
    let in_memory = files.iter().filter(|file| file.is_memory);
    Ok(in_memory.map(|file| file.bytes).sum())
}

/// A directory above the current one of a walk.
struct Ancestor {
    /// Identifies it when the walk returns.
    file_id: FileId,
    /// The names of subdirectories still to walk.
    remaining: Vec<CString>,
}

struct DirWalk {
    usage: DiskUsage,
    max: DiskUsage,
    /// Files with several hard links that were counted.
    linked: HashSet<FileId>,
}

impl DirWalk {
    fn is_over(&self) -> bool {
        self.usage.bytes > self.max.bytes || self.usage.files > self.max.files
    }

    /// Walks one directory and returns its device number, or None if the directory does not exist.
    /// Fails if a directory moved meanwhile, or if descriptors or memory are short. Keeps one
    /// descriptor open at any depth, and needs three more for each step.
    fn measure(&mut self, dir: &Path) -> io::Result<Option<u64>> {
        let mut here = match open(dir) {
            Ok(here) => here,
            Err(error) if is_shortage(&error) => return Err(error),
            Err(_) => return Ok(None),
        };
        let disk = fstat(&here)?.st_dev;
        let mut ancestors: Vec<Ancestor> = Vec::new();
        let mut remaining = self.read(&here)?;
        while !self.is_over() {
            if let Some(name) = remaining.pop() {
                let below = match open_below(&here, &name) {
                    Ok(below) => below,
                    Err(error) if is_shortage(&error) => return Err(error),
                    // The directory was removed or replaced meanwhile.
                    Err(_) => continue,
                };
                ancestors.push(Ancestor {
                    file_id: file_id(&fstat(&here)?),
                    remaining,
                });
                here = below;
                remaining = self.read(&here)?;
            } else if let Some(parent) = ancestors.pop() {
                (here, remaining) = (open_above(&here, parent.file_id)?, parent.remaining);
            } else {
                break;
            }
        }
        Ok(Some(disk))
    }

    /// Counts the entries of a directory and returns the names of its subdirectories.
    fn read(&mut self, dir: &OwnedFd) -> io::Result<Vec<CString>> {
        let mut dirs = Vec::new();
        for name in entries(dir)? {
            let name = name?;
            // Fails if the file was removed meanwhile.
            let Ok(stat) = fstatat(dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
                continue;
            };
            self.usage.files += 1;
            let is_dir = is_kind(&stat, SFlag::S_IFDIR);
            if is_dir {
                dirs.push(name);
            }
            if is_dir || stat.st_nlink < 2 || self.linked.insert(file_id(&stat)) {
                self.usage.bytes += bytes(&stat);
            }
            if self.is_over() {
                break;
            }
        }
        Ok(dirs)
    }
}

fn bytes(stat: &FileStat) -> u64 {
    // The unit is 512 bytes on every disk (`stat(3type)`).
    u64::try_from(stat.st_blocks)
        .unwrap_or(0)
        .saturating_mul(512)
}

/// A regular file that a process holds open.
#[derive(Debug)]
pub(crate) struct OpenFile {
    disk: u64,
    bytes: u64,
    /// It has no directory entry, because it was deleted or never had one.
    is_unlinked: bool,
    is_memory: bool,
}

/// Lists the descriptors of a process. If its first thread has ended while others run, that thread
/// has no descriptors. In that case, lists those of another thread.
fn descriptors_of(pid: i32) -> io::Result<Vec<fs::DirEntry>> {
    let list = |path: &Path| -> io::Result<Vec<fs::DirEntry>> {
        let Some(entries) = unless_gone(fs::read_dir(path))? else {
            return Ok(Vec::new());
        };
        let entries = entries.take(MAX_OPEN_FILES).map(unless_gone);
        entries.filter_map(Result::transpose).collect()
    };
    let process = PathBuf::from(format!("/proc/{pid}"));
    let own = list(&process.join("fd"))?;
    if !own.is_empty() {
        return Ok(own);
    }
    for thread in list(&process.join("task"))? {
        let found = list(&thread.path().join("fd"))?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Returns the files that `pids` hold open, each once. Skips processes that this process may not
/// inspect.
pub(crate) fn open_files(pids: &[i32]) -> io::Result<Vec<OpenFile>> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let mut descriptors = Vec::new();
    for pid in pids {
        descriptors.extend(descriptors_of(*pid)?);
    }
    for descriptor in descriptors.into_iter().take(MAX_OPEN_FILES) {
        // Follows the descriptor, not the name, which may refer to another file by now.
        let path = descriptor.path();
        let Ok(about) = fs::metadata(&path) else {
            continue;
        };
        if !about.is_file() || about.blocks() == 0 || !seen.insert((about.dev(), about.ino())) {
            continue;
        }
        found.push(OpenFile {
            disk: about.dev(),
            bytes: about.blocks().saturating_mul(512),
            is_unlinked: about.nlink() == 0,
            is_memory: statfs(&path).is_ok_and(|disk| disk.filesystem_type() == TMPFS_MAGIC),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::{Mode, mkdirat};

    use super::*;

    const ANY: DiskUsage = DiskUsage {
        bytes: u64::MAX,
        files: u64::MAX,
    };

    fn measure_one(dir: &Path, max: DiskUsage) -> DiskUsage {
        measure(&[dir.to_owned()], &[], max).expect("measured")
    }

    fn dir() -> tempfile::TempDir {
        tempfile::tempdir().expect("a dir")
    }

    fn write(path: &Path, bytes: usize) {
        fs::write(path, vec![7; bytes]).expect("written");
    }

    #[test]
    fn files_of_all_directories_count_by_their_blocks() {
        let dir = dir();
        fs::create_dir_all(dir.path().join("a/b")).expect("made");
        write(&dir.path().join("a/b/x"), 1 << 20);
        write(&dir.path().join("y"), 1 << 20);
        let usage = measure_one(dir.path(), ANY);
        assert_eq!(usage.files, 4);
        assert!((2 << 20..3 << 20).contains(&usage.bytes), "{usage:?}");
    }

    #[test]
    fn holes_and_hard_links_take_no_space() {
        let dir = dir();
        fs::File::create(dir.path().join("sparse"))
            .and_then(|file| file.set_len(1 << 40))
            .expect("made");
        write(&dir.path().join("one"), 1 << 20);
        fs::hard_link(dir.path().join("one"), dir.path().join("two")).expect("linked");
        let usage = measure_one(dir.path(), ANY);
        assert_eq!(usage.files, 3);
        assert!(usage.bytes < 2 << 20, "{usage:?}");
    }

    #[test]
    fn links_are_not_followed() {
        let (dir, other) = (dir(), dir());
        write(&other.path().join("x"), 1 << 20);
        symlink(other.path(), dir.path().join("out")).expect("linked");
        symlink("loop", dir.path().join("loop")).expect("linked");
        let usage = measure_one(dir.path(), ANY);
        assert_eq!(usage.files, 2);
        assert!(usage.bytes < 1 << 20, "{usage:?}");
        assert_eq!(
            measure_one(&dir.path().join("out"), ANY),
            DiskUsage::default()
        );
    }

    #[test]
    fn it_stops_above_the_maximum() {
        let dir = dir();
        for number in 0..20 {
            write(&dir.path().join(number.to_string()), 4096);
        }
        assert_eq!(
            measure_one(dir.path(), DiskUsage { files: 5, ..ANY }).files,
            6
        );
        assert!(measure_one(dir.path(), DiskUsage { bytes: 1, ..ANY }).files <= 2);
    }

    #[test]
    fn depth_is_not_limited_by_path_length() {
        let dir = dir();
        let mut here = open(dir.path()).expect("opened");
        for _ in 0..3000 {
            mkdirat(&here, "deep", Mode::S_IRWXU).expect("made");
            here = open_below(&here, c"deep").expect("opened");
        }
        assert_eq!(measure_one(dir.path(), ANY).files, 3000);
    }

    #[test]
    fn a_closed_directory_is_opened_and_a_missing_one_is_empty() {
        let dir = dir();
        fs::create_dir_all(dir.path().join("closed/below")).expect("made");
        fs::set_permissions(dir.path().join("closed"), Permissions::from_mode(0o000))
            .expect("closed");
        assert_eq!(measure_one(dir.path(), ANY).files, 2);
        assert_eq!(
            measure_one(&dir.path().join("missing"), ANY),
            DiskUsage::default()
        );
    }

    #[test]
    fn a_deleted_file_counts_while_it_is_open() {
        let dir = dir();
        let me = [i32::try_from(std::process::id()).expect("a small number")];
        let mut file = fs::File::create(dir.path().join("gone")).expect("made");
        file.write_all(&vec![7; 1 << 20]).expect("written");
        fs::remove_file(dir.path().join("gone")).expect("removed");
        let dirs = [dir.path().to_owned()];
        let bytes = || {
            let open = open_files(&me).expect("listed");
            measure(&dirs, &open, ANY).expect("measured").bytes
        };
        assert!(bytes() >= 1 << 20);
        drop(file);
        assert!(bytes() < 1 << 20);
    }
}
