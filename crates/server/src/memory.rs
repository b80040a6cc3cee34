//! How much memory there is, and how many sessions that is room for.

use std::fs;
use std::path::{Path, PathBuf};

/// What a session is reckoned to need when the limit follows from the memory: a browser with a few pages and a
/// kernel in each language.
pub(crate) const SESSION_BYTES: u64 = 512 << 20;

/// Left to the server and the system by that reckoning.
const RESERVED_BYTES: u64 = 1 << 30;

/// How many sessions `memory_bytes` are room for; one at the least.
pub(crate) fn plan_max_sessions(memory_bytes: u64) -> usize {
    let sessions = memory_bytes.saturating_sub(RESERVED_BYTES) / SESSION_BYTES;
    usize::try_from(sessions).unwrap_or(usize::MAX).clamp(1, 1000)
}

/// The memory that this process may use: the machine's, or less where a cgroup says so. 0 if nothing can be told.
pub(crate) fn memory_bytes() -> u64 {
    let machine = machine_bytes();
    group_bytes().map_or(machine, |group| group.min(machine))
}

/// The machine's memory.
pub(crate) fn machine_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map_or(0, |kib| kib * 1024)
}

/// The smallest memory limit of the process's cgroups. A container sees its own as the root, a service of the system
/// has one further down, and any of the folders between may have a limit, too.
fn group_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files = plan_limit_files(&groups);
    files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

/// Where limits can stand, by the lines of `/proc/self/cgroup` (`cgroups(7)`): version 2 has one hierarchy, in version
/// 1 memory has its own.
fn plan_limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let folders = Path::new(path.trim_start_matches('/')).ancestors();
        files.extend(folders.map(|folder| Path::new(root).join(folder).join(file)));
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
    fn a_limit_may_stand_in_every_folder_above_the_process() {
        let files = plan_limit_files("0::/system.slice/hearth.service\n");
        let expected = [
            "/sys/fs/cgroup/system.slice/hearth.service/memory.max",
            "/sys/fs/cgroup/system.slice/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
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
