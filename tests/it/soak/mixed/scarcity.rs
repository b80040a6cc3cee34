//! Too little space and too few descriptors, for some seconds at a time.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hearth_test_support::new_data_dir;
use nix::fcntl::posix_fallocate;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

use super::audit::UIDS;
use super::dice::Dice;
use super::soak::Soak;

/// Size of the disk that the test mounts.
const DISK: &str = "size=3g,mode=0700";

/// The setting `HEARTH_MIN_FREE_DISK_MB` on that disk.
const MIN_FREE_MIB: u64 = 400;

/// Space of another disk that the test fills.
const FILLED_MIB: u64 = 3000;

/// A data dir on a disk that the test may fill.
pub struct Disk {
    pub dir: TempDir,
    /// The minimum free space for the server.
    pub min_free_mib: u64,
    /// True if the disk belongs to the test, which may then take all its space.
    is_own: bool,
}

impl Disk {
    /// Mounts a disk for the data dir. Only this thread, its later threads and the programs that
    /// they start can see it, so it ends with the test.
    pub fn mount() -> Disk {
        let dir = new_data_dir();
        let mounted = unshare(CloneFlags::CLONE_NEWNS)
            .and_then(|()| {
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
            })
            .and_then(|()| {
                let kind = Some("tmpfs");
                mount(kind, dir.path(), kind, MsFlags::empty(), Some(DISK))
            });
        if let Err(error) = mounted {
            eprintln!("cannot mount a disk, so only part of the real one is filled: {error}");
        }
        let is_own = mounted.is_ok();
        let min_free_mib = if is_own {
            MIN_FREE_MIB
        } else {
            free_mib(dir.path()).saturating_sub(FILLED_MIB)
        };
        Disk {
            dir,
            min_free_mib,
            is_own,
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_own {
            // The dir below it is removed next.
            let _ = umount2(self.dir.path(), MntFlags::MNT_DETACH);
        }
    }
}

fn free_mib(dir: &Path) -> u64 {
    let disk = statvfs(dir).expect("the dir is on a disk");
    (disk.blocks_available() * disk.fragment_size()) >> 20
}

/// Extends a file until `left_mib` are free in `dir`. Takes some seconds.
fn extend(path: &Path, dir: &Path, left_mib: u64) {
    let file = File::options().append(true).create(true).open(path);
    // Without space, not even the file can be created.
    let Ok(file) = file else { return };
    let excess_mib = free_mib(dir).saturating_sub(left_mib);
    let length = file.metadata().map_or(0, |it| it.len());
    let bytes = i64::try_from(length + (excess_mib << 20)).expect("a small disk");
    // Fails when others have taken the rest.
    let _ = posix_fallocate(&file, 0, bytes.max(1));
}

/// Takes space with a file, so that too little or nothing is left.
async fn fill_disk(soak: &Soak<'_>, disk: &Disk, mut dice: Dice) {
    let takes_all = dice.chance(40) && disk.is_own;
    let left_mib = if takes_all {
        0
    } else {
        disk.min_free_mib.saturating_sub(50)
    };
    let what = format!(
        "fault: disk filled {}",
        if takes_all { "completely" } else { "partly" }
    );
    soak.journal.count(&what);
    let lasting = dice.millis(2000, 6000);
    let path = disk.dir.path().join("filling");
    let filling = async {
        // Sessions may take or free space meanwhile.
        for _ in 0..3 {
            let (dir, path) = (disk.dir.path().to_owned(), path.clone());
            let extending = tokio::task::spawn_blocking(move || extend(&path, &dir, left_mib));
            extending.await.expect("no panic");
            soak.pause(lasting / 3).await;
        }
        // It may not exist if there was no space at all.
        let _ = std::fs::remove_file(&path);
    };
    soak.hits.on_server(what, filling).await;
}

/// Sets the soft limit of open files of the server, as the server's user. Root needs a capability
/// for it that it may lack.
fn limit_descriptors(pid: i32, limit: u64) {
    let status = Command::new("prlimit")
        .arg(format!("--pid={pid}"))
        .arg(format!("--nofile={limit}:"))
        .uid(UIDS.0)
        .gid(UIDS.0)
        .status();
    assert!(
        status.expect("util-linux is installed").success(),
        "the limit of open files of {pid} cannot be set to {limit}"
    );
}

/// Returns the soft limit of open files of a process, and the number of its open files.
fn descriptors(pid: i32) -> (u64, u64) {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|numbers| numbers.split_whitespace().next()?.parse().ok());
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    (soft.unwrap_or(0), open as u64)
}

/// Leaves few descriptors to the server.
async fn take_descriptors(soak: &Soak<'_>, mut dice: Dice) {
    let pid = soak.server.serving_pid();
    let (limit, open) = descriptors(pid);
    let spare = dice.below(40) as u64;
    let what = "fault: few descriptors".to_owned();
    soak.journal.count(&what);
    let lasting = dice.millis(1000, 4000);
    let taking = async {
        limit_descriptors(pid, open + spare);
        soak.pause(lasting).await;
        limit_descriptors(pid, limit);
    };
    soak.hits.on_server(what, taking).await;
}

/// Makes resources scarce now and then, until the round is over.
pub async fn make_scarce(soak: &Soak<'_>, disk: &Disk, mut dice: Dice) {
    loop {
        let mut action = dice.fork();
        let pause = Duration::from_secs(12) + action.millis(0, 10_000);
        soak.pause(pause).await;
        if soak.is_over() {
            return;
        }
        if action.chance(50) {
            fill_disk(soak, disk, action).await;
        } else {
            take_descriptors(soak, action).await;
        }
    }
}
