//! A `/tmp` of a session's own, where this process may mount.
//!
//! It is a mount namespace with one bind mount; the folder behind it goes with the session, so what
//! code leaves in `/tmp` goes too and no other session sees it. Where mounting is not allowed (a
//! container without `CAP_SYS_ADMIN`, a machine without user namespaces for plain users) programs
//! see the machine's `/tmp`.

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

/// Enough for a browser with many tabs; what is in there is memory.
const SHARED_MEMORY_OPTIONS: &str = "mode=1777,size=512m,nr_inodes=65536";

/// What a private `/tmp` is made of. Every program of a session gets the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrivateTmp {
    /// What is behind `/tmp`.
    dir: PathBuf,
    /// Folders below the machine's `/tmp` that stay where they are.
    kept: Vec<PathBuf>,
    /// The same below the machine's `/dev/shm`.
    kept_in_memory: Vec<PathBuf>,
    /// What is needed anywhere else.
    elsewhere: Vec<PathBuf>,
    /// Whether programs run as other users than we do.
    is_for_others: bool,
}

impl PrivateTmp {
    /// Prepares `folder`, which exists, to be a `/tmp`. Of `needed`, whatever lies below the
    /// machine's `/tmp` will be seen at its place by programs too; all of them exist.
    pub fn prepare(dir: PathBuf, needed: &[&Path]) -> io::Result<PrivateTmp> {
        // As /tmp is everywhere: open to all, and nobody removes what is another's.
        fs::set_permissions(&dir, Permissions::from_mode(0o1777))?;
        let mut kept = Vec::new();
        let mut kept_in_memory = Vec::new();
        let mut elsewhere = Vec::new();
        for path in needed {
            // Of what lies behind a closed door the name has to be good as it is.
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
            is_for_others: false,
        })
    }

    /// For programs that run as other users: what they need and lies below a folder that is closed
    /// to them gets a way that they can go.
    #[must_use]
    pub fn for_other_users(self) -> PrivateTmp {
        PrivateTmp {
            is_for_others: true,
            ..self
        }
    }

    /// Gives the calling process, which has one thread, and all that it starts the private `/tmp`,
    /// and an empty `/dev/shm` that goes with the last of them. Tells whether it did: not where
    /// mounting is not allowed. An error means that it is, and went wrong half-way.
    pub(crate) fn enter(&self) -> io::Result<bool> {
        match unshare(CloneFlags::CLONE_NEWNS) {
            Ok(()) => {}
            Err(Errno::EPERM) if geteuid().is_root() => return Ok(false),
            // A plain user may mount in a user namespace of its own, where there are such.
            Err(Errno::EPERM) => match own_user_namespace() {
                Ok(()) => {}
                Err(_) => return Ok(false),
            },
            Err(Errno::ENOSYS | Errno::EINVAL) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let nothing = None::<&str>;
        // Or our mount would be the whole machine's.
        match mount(
            nothing,
            "/",
            nothing,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            nothing,
        ) {
            Ok(()) => {}
            // The root is no mount point of its own (a chroot), or a filter forbids it.
            Err(Errno::EPERM | Errno::EINVAL | Errno::EACCES) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        // Found in this namespace, as bind mounts demand, and before the mount hides them.
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
            lead_to(path)?;
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
                make_passage(path)?;
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

/// A user namespace in which the caller has its own ids and the right to mount
/// (`user_namespaces(7)`), and a mount namespace below it. The rights end with the next `exec`.
fn own_user_namespace() -> io::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Lets other users come to a folder that lies below one which is closed to them: in its place they
/// see one with nothing in it but the way. Does nothing where the way is open.
fn lead_to(path: &Path) -> io::Result<()> {
    let is_closed =
        |dir: &&Path| fs::metadata(dir).is_ok_and(|metadata| metadata.mode() & 0o001 == 0);
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    let Some(closed) = above
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
    make_passage(path)?;
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

/// Makes a folder that everybody may pass through, whatever the mask of this process is.
fn make_passage(path: &Path) -> io::Result<()> {
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
