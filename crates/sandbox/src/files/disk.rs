//! How much a session's files take of a disk: those in its dirs, and those that are deleted but
//! still open.
//!
//! What lies there was made by code that may not want to be measured, and that goes on meanwhile.
//! So no link is followed, every folder is opened from the one above it, and no more names are
//! looked at than may be there.

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

use crate::files::dirs::{FileId, entries, file_id, is_kind, open, open_above, open_below};

/// How many open files of one tree are looked at; what hides behind more of them is found by its
/// end.
const MAX_OPEN_FILES: usize = 20_000;

/// How often folders are walked anew when one changed its place while we were in it. Code can do
/// that for ever.
const MAX_ATTEMPTS: usize = 3;

/// What files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUsage {
    /// Blocks in use, so the holes of a sparse file take nothing. A file with several names counts
    /// once.
    pub bytes: u64,
    /// Names: of files, folders and everything else.
    pub files: u64,
}

/// Measures everything below `folders`, and what `open_files` are of their disks without a name. Stops
/// when that is more than `most` in either way, so what it gives back is at the most one file more.
/// Folders that their owner has closed to itself are opened, when that is us. Blocks: 3 µs a file.
pub(crate) fn measure(dirs: &[PathBuf], open_files: &[OpenFile], max: DiskUsage) -> DiskUsage {
    let mut usage = DiskUsage::default();
    let mut disks: HashSet<u64> = HashSet::new();
    for _ in 0..MAX_ATTEMPTS {
        let mut walk = DirWalk {
            usage: DiskUsage::default(),
            max,
            linked: HashSet::new(),
        };
        let walked = dirs.iter().filter_map(|dir| walk.measure(dir).transpose());
        let walked: Vec<io::Result<u64>> = walked.collect();
        usage = DiskUsage {
            bytes: usage.bytes.max(walk.usage.bytes),
            files: usage.files.max(walk.usage.files),
        };
        disks.extend(walked.iter().flatten());
        if walked.iter().all(Result::is_ok) {
            break;
        }
    }
    for file in open_files
        .iter()
        .filter(|file| file.is_nameless && disks.contains(&file.disk))
    {
        usage.bytes += file.bytes;
    }
    usage
}

/// Memory of files in memory (memfd, `/dev/shm`) that `pids` hold open, mapped or not. Blocks.
pub(crate) fn memory_file_bytes(pids: &[i32]) -> u64 {
    open_files(pids)
        .iter()
        .filter(|file| file.is_memory)
        .map(|file| file.bytes)
        .sum()
}

/// A folder that is being walked, while we are further down.
struct Ancestor {
    /// Disk and number, to know it again.
    file_id: FileId,
    /// Names of dirs in it that were not walked yet.
    remaining: Vec<CString>,
}

struct DirWalk {
    usage: DiskUsage,
    max: DiskUsage,
    /// Files with several names that were seen: disk and number.
    linked: HashSet<FileId>,
}

impl DirWalk {
    fn is_over(&self) -> bool {
        self.usage.bytes > self.max.bytes || self.usage.files > self.max.files
    }

    /// Walks one dir, and tells which disk it is on; None when there is no such dir. An error
    /// means that it changed its shape meanwhile. One descriptor at a time is open, however deep it
    /// goes.
    fn measure(&mut self, dir: &Path) -> io::Result<Option<u64>> {
        let Ok(mut here) = open(dir) else {
            return Ok(None);
        };
        let disk = fstat(&here)?.st_dev;
        let mut ancestors: Vec<Ancestor> = Vec::new();
        let mut remaining = self.read(&here)?;
        while !self.is_over() {
            if let Some(name) = remaining.pop() {
                let Ok(below) = open_below(&here, &name) else {
                    continue;
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

    /// Counts what is in a dir, and gives back the names of the dirs in it.
    fn read(&mut self, dir: &OwnedFd) -> io::Result<Vec<CString>> {
        let mut dirs = Vec::new();
        for name in entries(dir)? {
            let name = name?;
            // Gone meanwhile.
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
    // Blocks are of 512 bytes, whatever the disk's own are (`stat(3type)`).
    u64::try_from(stat.st_blocks)
        .unwrap_or(0)
        .saturating_mul(512)
}

/// A plain file that somebody holds open.
#[derive(Debug)]
pub(crate) struct OpenFile {
    disk: u64,
    bytes: u64,
    /// It is in no folder any more, or never was.
    is_nameless: bool,
    is_memory: bool,
}

/// The descriptors of a process. Its first thread has none any more when it has ended while others
/// go on; those are asked then.
fn descriptors_of(pid: i32) -> Vec<fs::DirEntry> {
    let list = |path: &Path| {
        fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .take(MAX_OPEN_FILES)
            .collect::<Vec<_>>()
    };
    let process = PathBuf::from(format!("/proc/{pid}"));
    let own = list(&process.join("fd"));
    if !own.is_empty() {
        return own;
    }
    let threads = list(&process.join("task"));
    threads
        .iter()
        .map(|thread| list(&thread.path().join("fd")))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// What `pids` hold open, each file once, as far as we may look at them.
pub(crate) fn open_files(pids: &[i32]) -> Vec<OpenFile> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let descriptors = pids.iter().flat_map(|pid| descriptors_of(*pid));
    for descriptor in descriptors.take(MAX_OPEN_FILES) {
        // Through the descriptor, wherever its name leads by now.
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
            is_nameless: about.nlink() == 0,
            is_memory: statfs(&path).is_ok_and(|disk| disk.filesystem_type() == TMPFS_MAGIC),
        });
    }
    found
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
        measure(&[dir.to_owned()], &[], max)
    }

    fn dir() -> tempfile::TempDir {
        tempfile::tempdir().expect("a dir")
    }

    fn write(path: &Path, bytes: usize) {
        fs::write(path, vec![7; bytes]).expect("written");
    }

    #[test]
    fn files_of_all_folders_are_counted_by_their_blocks() {
        let dir = dir();
        fs::create_dir_all(dir.path().join("a/b")).expect("made");
        write(&dir.path().join("a/b/x"), 1 << 20);
        write(&dir.path().join("y"), 1 << 20);
        let usage = measure_one(dir.path(), ANY);
        assert_eq!(usage.files, 4);
        assert!((2 << 20..3 << 20).contains(&usage.bytes), "{usage:?}");
    }

    #[test]
    fn holes_take_nothing_and_a_second_name_takes_no_space() {
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
    fn links_lead_nowhere() {
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
    fn it_stops_at_the_first_file_too_many() {
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
    fn folders_may_be_deeper_than_any_path_is_long() {
        let dir = dir();
        let mut here = open(dir.path()).expect("opened");
        for _ in 0..3000 {
            mkdirat(&here, "deep", Mode::S_IRWXU).expect("made");
            here = open_below(&here, c"deep").expect("opened");
        }
        assert_eq!(measure_one(dir.path(), ANY).files, 3000);
    }

    #[test]
    fn a_closed_folder_is_opened_and_a_missing_one_is_empty() {
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
    fn a_deleted_file_counts_as_long_as_it_is_open() {
        let dir = dir();
        let me = [i32::try_from(std::process::id()).expect("a small number")];
        let mut file = fs::File::create(dir.path().join("gone")).expect("made");
        file.write_all(&vec![7; 1 << 20]).expect("written");
        fs::remove_file(dir.path().join("gone")).expect("removed");
        let dirs = [dir.path().to_owned()];
        assert!(measure(&dirs, &open_files(&me), ANY).bytes >= 1 << 20);
        drop(file);
        assert!(measure(&dirs, &open_files(&me), ANY).bytes < 1 << 20);
    }
}
