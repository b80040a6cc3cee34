//! The memory of the machine and of its cgroups, and the number of sessions that fit into it.

use std::fs;
use std::path::{Path, PathBuf};

/// The estimated memory of a session: a browser with a few pages and a kernel in each language. The
/// default session limit follows from it.
pub(crate) const SESSION_BYTES: u64 = 512 << 20;

/// The memory of a warm session with both kernels, in MiB.
pub(crate) const WARM_SESSION_MB: u64 = 400;

/// The estimated memory of the server and the system.
const RESERVED_BYTES: u64 = 1 << 30;

/// Returns the number of sessions that fit into `memory_bytes`, at least one.
pub(crate) fn plan_max_sessions(memory_bytes: u64) -> usize {
    let sessions = memory_bytes.saturating_sub(RESERVED_BYTES) / SESSION_BYTES;
    usize::try_from(sessions)
        .unwrap_or(usize::MAX)
        .clamp(1, 1000)
}

/// Returns the memory that this process can use, which is the machine's memory or a lower limit of
/// a cgroup. Returns 0 if it is unknown.
pub(crate) fn memory_bytes() -> u64 {
    let machine = machine_bytes();
    group_bytes().map_or(machine, |group| group.min(machine))
}

/// Returns the machine's memory, or 0 if it is unknown.
pub(crate) fn machine_bytes() -> u64 {
    meminfo_bytes("MemTotal:").unwrap_or(0)
}

/// Returns the memory that is still available to programs of this process, on the machine and in
/// every cgroup with a limit. Returns `None` if it is unknown.
pub(crate) fn available_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let in_groups = plan_limit_files(&groups)
        .into_iter()
        .filter_map(|file| available_in(&file));
    in_groups.chain(meminfo_bytes("MemAvailable:")).min()
}

/// Returns the resident memory of this process.
pub(crate) fn own_bytes() -> Option<u64> {
    kib_after(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

fn meminfo_bytes(key: &str) -> Option<u64> {
    kib_after(&fs::read_to_string("/proc/meminfo").ok()?, key)
}

fn kib_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Returns the memory left below the cgroup limit in `limit_file`. Page cache that the kernel can
/// drop counts as available, as it does in `MemAvailable`.
fn available_in(limit_file: &Path) -> Option<u64> {
    let number = |name: &str| {
        fs::read_to_string(limit_file.with_file_name(name))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let limit = number(limit_file.file_name()?.to_str()?)?;
    let (usage, droppable) = if limit_file.ends_with("memory.max") {
        ("memory.current", "inactive_file ")
    } else {
        ("memory.usage_in_bytes", "total_inactive_file ")
    };
    let stat = fs::read_to_string(limit_file.with_file_name("memory.stat")).unwrap_or_default();
    let dropped = stat
        .lines()
        .find_map(|line| line.strip_prefix(droppable)?.trim().parse::<u64>().ok())
        .unwrap_or(0);
    Some(limit.saturating_sub(number(usage)?.saturating_sub(dropped)))
}

/// Returns the smallest memory limit of the process's cgroups. In a container, the cgroup is the
/// root. A system service has a cgroup further down. Every directory in between can also have a
/// limit.
fn group_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files = plan_limit_files(&groups);
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
        .min()
}

/// Returns the files that can hold limits, from the lines of `/proc/self/cgroup` (`cgroups(7)`).
/// Version 2 has one hierarchy. Version 1 has a separate hierarchy for memory.
fn plan_limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let dirs = Path::new(path.trim_start_matches('/')).ancestors();
        files.extend(dirs.map(|dir| Path::new(root).join(dir).join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_limit_follows_the_memory() {
        assert_eq!(plan_max_sessions(0), 1);
        assert_eq!(plan_max_sessions(2 << 30), 2);
        assert_eq!(plan_max_sessions(24 << 30), 46);
    }

    #[test]
    fn every_directory_above_the_process_can_have_a_limit() {
        let files = plan_limit_files("0::/system.slice/hearth.service\n");
        let expected = [
            "/sys/fs/cgroup/system.slice/hearth.service/memory.max",
            "/sys/fs/cgroup/system.slice/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
    }

    #[test]
    fn available_memory_of_a_cgroup_is_its_limit_minus_what_cannot_be_dropped() {
        let dir = tempfile::tempdir().expect("a directory");
        let write =
            |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("written");
        let limit = dir.path().join("memory.max");
        write("memory.max", "1000\n");
        assert_eq!(available_in(&limit), None);
        write("memory.current", "700\n");
        assert_eq!(available_in(&limit), Some(300));
        write("memory.stat", "anon 5\ninactive_file 200\nactive_file 9\n");
        assert_eq!(available_in(&limit), Some(500));
        write("memory.max", "max\n");
        assert_eq!(available_in(&limit), None);
        assert!(
            available_bytes().is_some_and(|bytes| bytes > 0)
                && own_bytes().is_some_and(|bytes| bytes > 0)
        );
    }

    #[test]
    fn version_1_has_a_hierarchy_for_memory() {
        let files = plan_limit_files("9:name=systemd:/\n4:memory:/docker/1234\n0::/\n");
        let expected = [
            "/sys/fs/cgroup/memory/docker/1234/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
    }
}
