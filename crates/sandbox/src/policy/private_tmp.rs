//! A private `/tmp` and `/dev/shm` for a session, and files that replace those of the machine, if
//! this process can mount.
//!
//! They live in a mount namespace. `/tmp` is a bind mount of a session directory, so other sessions
//! do not see its files, and they are removed with the session. If mounts are not allowed (in a
//! container without `CAP_SYS_ADMIN`, or without user namespaces for unprivileged users), programs
//! use the machine's `/tmp`.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{getegid, geteuid};
use serde::{Deserialize, Serialize};

const TMP: &str = "/tmp";

const SHARED_MEMORY: &str = "/dev/shm";

/// Options of the private `/dev/shm`. Its files use memory; the size suits a browser with many
/// tabs.
const SHARED_MEMORY_OPTIONS: &str = "mode=1777,size=512m,nr_inodes=65536";

/// The mounts of a session. All programs of a session share them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrivateTmp {
    /// The directory to mount on `/tmp`.
    dir: PathBuf,
    /// Directories below the machine's `/tmp` that stay visible.
    kept: Vec<PathBuf>,
    /// Directories below the machine's `/dev/shm` that stay visible.
    kept_in_memory: Vec<PathBuf>,
    /// Needed directories in other places.
    elsewhere: Vec<PathBuf>,
    /// Files that replace other files: the new file, and the path where programs see it.
    replaced: Vec<(PathBuf, PathBuf)>,
    /// True if programs run as users other than the user of this process.
    is_for_others: bool,
}

impl PrivateTmp {
    /// Prepares `dir` as a private `/tmp`. Directories in `needed` that lie below the machine's
    /// `/tmp` or `/dev/shm` stay visible to programs under the same path. All of them must exist.
    pub fn prepare(dir: PathBuf, needed: &[&Path]) -> io::Result<PrivateTmp> {
        // The usual mode of /tmp: writable by all, and only owners can remove their files.
        fs::set_permissions(&dir, Permissions::from_mode(0o1777))?;
        let mut kept = Vec::new();
        let mut kept_in_memory = Vec::new();
        let mut elsewhere = Vec::new();
        for path in needed {
            // A path in a directory that this process cannot traverse is used unchanged.
            let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            if path.starts_with(SHARED_MEMORY) {
                kept_in_memory.push(path);
                continue;
            }
            if let Ok(below) = path.strip_prefix(TMP) {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o755)
                    .create(dir.join(below))?;
                kept.push(path);
            } else {
                elsewhere.push(path);
            }
        }
        Ok(PrivateTmp {
            dir,
            kept,
            kept_in_memory,
            elsewhere,
            replaced: Vec::new(),
            is_for_others: false,
        })
    }

    /// Shows `file` to programs at `path`. Does nothing if `path` does not exist.
    #[must_use]
    pub fn with_file(mut self, file: PathBuf, path: &Path) -> PrivateTmp {
        if path.exists() {
            self.replaced.push((file, path.to_owned()));
        }
        self
    }

    /// Makes the needed directories reachable for programs that run as other users, even if a
    /// parent directory is closed to them.
    #[must_use]
    pub fn for_other_users(self) -> PrivateTmp {
        PrivateTmp {
            is_for_others: true,
            ..self
        }
    }

    /// Moves the calling process, which must have one thread, into a namespace with the private
    /// `/tmp` and an empty `/dev/shm`, whose files end with the last process in it.
    ///
    /// Returns false if mounts are not allowed. An error means that they are allowed, and that one
    /// of them failed.
    pub(crate) fn enter(&self) -> io::Result<bool> {
        match unshare(CloneFlags::CLONE_NEWNS) {
            Ok(()) => {}
            Err(Errno::EPERM) if geteuid().is_root() => return Ok(false),
            // An unprivileged user can mount in a new user namespace, if the system allows those.
            Err(Errno::EPERM) => match own_user_namespace() {
                Ok(()) => {}
                Err(_) => return Ok(false),
            },
            Err(Errno::ENOSYS | Errno::EINVAL) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let nothing = None::<&str>;
        // Otherwise the mounts would propagate to the whole machine.
        match mount(
            nothing,
            "/",
            nothing,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            nothing,
        ) {
            Ok(()) => {}
            // The root is not a mount point (in a chroot), or a seccomp filter denies the call.
            Err(Errno::EPERM | Errno::EINVAL | Errno::EACCES) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        // Before the next mount, which may hide the files.
        for (file, path) in &self.replaced {
            mount(Some(file), path, nothing, MsFlags::MS_BIND, nothing)?;
        }
        // Opened in this namespace, as bind mounts require, and before the mount hides them.
        let kept: Vec<File> = self
            .kept
            .iter()
            .map(|path| open_path(path))
            .collect::<io::Result<_>>()?;
        mount(Some(&self.dir), TMP, nothing, MsFlags::MS_BIND, nothing)?;
        for (file, path) in kept.iter().zip(&self.kept) {
            let source = format!("/proc/self/fd/{}", file.as_raw_fd());
            mount(
                Some(source.as_str()),
                path,
                nothing,
                MsFlags::MS_BIND | MsFlags::MS_REC,
                nothing,
            )?;
        }
        for path in self.elsewhere.iter().filter(|_| self.is_for_others) {
            make_reachable(path)?;
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if Path::new(SHARED_MEMORY).is_dir() {
            let kept: Vec<File> = self
                .kept_in_memory
                .iter()
                .map(|path| open_path(path))
                .collect::<io::Result<_>>()?;
            mount(
                Some("tmpfs"),
                SHARED_MEMORY,
                Some("tmpfs"),
                flags,
                Some(SHARED_MEMORY_OPTIONS),
            )?;
            for (file, path) in kept.iter().zip(&self.kept_in_memory) {
                create_open_dir(path)?;
                let source = format!("/proc/self/fd/{}", file.as_raw_fd());
                mount(
                    Some(source.as_str()),
                    path,
                    nothing,
                    MsFlags::MS_BIND | MsFlags::MS_REC,
                    nothing,
                )?;
            }
        }
        Ok(true)
    }
}

/// Enters a new user namespace, in which the caller keeps its ids and can mount
/// (`user_namespaces(7)`), and a new mount namespace in it. The capabilities end with the next
/// `exec`.
fn own_user_namespace() -> io::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Makes `path` reachable for other users if a parent directory is closed to them. Replaces that
/// directory, in this namespace, with an empty one that contains only `path`. Does nothing if all
/// parents are open.
fn make_reachable(path: &Path) -> io::Result<()> {
    let is_closed =
        |dir: &&Path| fs::metadata(dir).is_ok_and(|metadata| metadata.mode() & 0o001 == 0);
    let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
    parents.reverse();
    let Some(closed) = parents
        .into_iter()
        .find(is_closed)
        .filter(|_| geteuid().is_root())
    else {
        return Ok(());
    };
    let kept = open_path(path)?;
    mount(
        Some("tmpfs"),
        closed,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some("mode=0755,size=64k"),
    )?;
    create_open_dir(path)?;
    let source = format!("/proc/self/fd/{}", kept.as_raw_fd());
    mount(
        Some(source.as_str()),
        path,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )?;
    Ok(())
}

/// Creates a directory that all users can traverse, independent of the umask.
fn create_open_dir(path: &Path) -> io::Result<()> {
    let mask = umask(Mode::from_bits_truncate(0o022));
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    umask(mask);
    made
}

fn open_path(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_PATH | OFlag::O_CLOEXEC).bits())
        .open(path)
}
