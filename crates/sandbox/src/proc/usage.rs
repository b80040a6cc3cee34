//! How much a tree takes of the machine, read from `/proc` (`proc_pid_status(5)`), where other
//! users' processes can be read as well.
//!
//! One look at all processes serves every tree: the children of a process are only listed by each
//! of its threads (`/proc/PID/task/TID/children`), and a browser has a hundred of those.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;

/// What a tree takes, its shim left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory that no file backs: private, shared, swapped out, and the tables for it. What several
    /// processes share counts for each of them.
    pub memory_bytes: u64,
    /// What of it is mapped from shared memory and files in memory.
    pub shared_bytes: u64,
    /// Processes, zombies included: they have a number too.
    pub processes: u64,
    /// Threads of all processes, of which each has one at least.
    pub threads: u64,
}

impl Usage {
    fn add(&mut self, process: &Process) {
        self.memory_bytes += process.memory_bytes;
        self.shared_bytes += process.shared_bytes;
        self.processes += 1;
        self.threads += process.threads;
    }
}

/// All processes of the machine at about the same moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    children: HashMap<i32, Vec<Process>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    memory_bytes: u64,
    shared_bytes: u64,
    /// What of it the tables for the memory take.
    table_bytes: u64,
    threads: u64,
}

impl Snapshot {
    /// Reads the process table. Takes about 15 µs a process, and waits for nothing.
    pub fn take() -> Snapshot {
        let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
        let mut text = Vec::with_capacity(4096);
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<i32>().ok())
            else {
                continue;
            };
            // One that ends meanwhile takes nothing any more.
            if let Some(process) = read_process(pid, &mut text) {
                children.entry(process.parent).or_default().push(process);
            }
        }
        Snapshot { children }
    }

    /// What everything below a process takes.
    pub(crate) fn below(&self, root: i32) -> Usage {
        let mut usage = Usage::default();
        self.walk(root, |process| usage.add(process));
        usage
    }

    pub(crate) fn pids_below(&self, root: i32) -> Vec<i32> {
        let mut pids = Vec::new();
        self.walk(root, |process| pids.push(process.pid));
        pids
    }

    fn walk(&self, root: i32, mut visit: impl FnMut(&Process)) {
        let mut queue = vec![root];
        // A process has one parent, so nothing comes twice; one that was read while it got another
        // parent is no child of its own either.
        let mut left = self.children.values().map(Vec::len).sum::<usize>();
        while let Some(parent) = queue.pop() {
            for process in self.children.get(&parent).into_iter().flatten() {
                if left == 0 {
                    return;
                }
                left -= 1;
                visit(process);
                queue.push(process.pid);
            }
        }
    }
}

/// What some processes take when everything that they share counts once (`Pss` of
/// `/proc/PID/smaps_rollup`). Those that we may not look into count as in [`Usage`]. It walks page
/// tables: some milliseconds for a gigabyte. Blocks.
pub fn proportional_memory_bytes(pids: &[i32]) -> u64 {
    let mut text = Vec::with_capacity(4096);
    let mut total = 0;
    for pid in pids {
        let Some(process) = read_process(*pid, &mut text) else {
            continue;
        };
        let rollup = read(&format!("/proc/{pid}/smaps_rollup"), &mut text);
        total += rollup.map_or(process.memory_bytes, |rollup| {
            parse_rollup(&rollup) + process.table_bytes
        });
    }
    total
}

/// Reads what a process takes. One whose first thread has ended while others go on looks like a
/// zombie that takes nothing; what it takes is told by each of the others.
fn read_process(pid: i32, text: &mut Vec<u8>) -> Option<Process> {
    let process = parse(pid, &read(&format!("/proc/{pid}/status"), text)?)?;
    if process.memory_bytes > 0 || process.threads < 2 {
        return Some(process);
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    for task in tasks.flatten() {
        let status = read(&task.path().join("status").to_string_lossy(), text);
        if let Some(thread) = status
            .and_then(|status| parse(pid, &status))
            .filter(|thread| thread.memory_bytes > 0)
        {
            return Some(thread);
        }
    }
    Some(process)
}

/// A name in it is its owner's to choose, and need not be text.
fn read<'a>(path: &str, bytes: &'a mut Vec<u8>) -> Option<Cow<'a, str>> {
    bytes.clear();
    File::open(path).ok()?.read_to_end(bytes).ok()?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes))
}

/// A few figures of the whole machine that cost next to nothing to read (20 µs): what makes a
/// [`Snapshot`] worth taking shows in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemSample {
    /// Memory that programs could still get (`MemAvailable`).
    pub available_bytes: u64,
    /// Memory of shared mappings and of files in memory, mapped or not (`Shmem`).
    pub shared_bytes: u64,
    /// Threads of all processes.
    pub threads: u64,
}

impl SystemSample {
    /// Reads them (`proc_meminfo(5)`, `proc_loadavg(5)`); what cannot be read is 0.
    pub fn take() -> SystemSample {
        let mut text = Vec::with_capacity(4096);
        let meminfo = read("/proc/meminfo", &mut text).unwrap_or_default();
        let (available_bytes, shared_bytes) =
            (field(&meminfo, "MemAvailable"), field(&meminfo, "Shmem"));
        let threads = parse_threads(&read("/proc/loadavg", &mut text).unwrap_or_default());
        SystemSample {
            available_bytes,
            shared_bytes,
            threads: threads.unwrap_or_default(),
        }
    }
}

fn field(text: &str, key: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(name, _)| *name == key)
        .map_or(0, |(_, value)| bytes(value))
}

/// The number after the slash: `0.20 0.18 0.12 1/80 11206`.
fn parse_threads(loadavg: &str) -> Option<u64> {
    loadavg.split('/').nth(1)?.split(' ').next()?.parse().ok()
}

fn parse(pid: i32, status: &str) -> Option<Process> {
    let mut process = Process {
        pid,
        parent: -1,
        memory_bytes: 0,
        shared_bytes: 0,
        table_bytes: 0,
        threads: 1,
    };
    // A newline in a name is written as two characters, so every line is the kernel's own.
    for (key, value) in status.lines().filter_map(|line| line.split_once(':')) {
        match key {
            "PPid" => process.parent = value.trim().parse().ok()?,
            "Threads" => process.threads = value.trim().parse().ok()?,
            "RssShmem" => process.shared_bytes = bytes(value),
            "VmPTE" => process.table_bytes = bytes(value),
            "RssAnon" | "VmSwap" | "HugetlbPages" => process.memory_bytes += bytes(value),
            _ => {}
        }
    }
    process.memory_bytes += process.shared_bytes + process.table_bytes;
    (process.parent >= 0).then_some(process)
}

fn parse_rollup(rollup: &str) -> u64 {
    let counted = ["Pss_Anon", "Pss_Shmem", "SwapPss"];
    let lines = rollup.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(key, _)| counted.contains(key))
        .map(|(_, value)| bytes(value))
        .sum()
}

/// `  1234 kB` as bytes.
fn bytes(value: &str) -> u64 {
    let kib = value
        .trim()
        .strip_suffix("kB")
        .and_then(|number| number.trim().parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tevil\\nPPid: 1\nState:\tS (sleeping)\nPPid:\t7\nVmRSS:\t  900 kB\nRssAnon:\t     100 kB\n\
                          RssFile:\t  780 kB\nRssShmem:\t      20 kB\nVmPTE:\t       4 kB\nVmSwap:\t       1 kB\nThreads:\t3\n";

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            memory_bytes: 1,
            shared_bytes: 0,
            table_bytes: 0,
            threads: 2,
        }
    }

    #[test]
    fn memory_without_a_file_behind_it_is_counted_and_a_name_cannot_lie() {
        let (memory_bytes, shared_bytes, table_bytes) = (125 * 1024, 20 * 1024, 4 * 1024);
        let expected = Process {
            pid: 9,
            parent: 7,
            memory_bytes,
            shared_bytes,
            table_bytes,
            threads: 3,
        };
        assert_eq!(parse(9, STATUS), Some(expected));
        // A kernel thread or a zombie has no memory.
        assert_eq!(
            parse(9, "PPid:\t7\nThreads:\t1\n").map(|process| process.memory_bytes),
            Some(0)
        );
        assert_eq!(parse(9, "no status"), None);
    }

    #[test]
    fn everything_below_a_process_is_counted_and_nothing_beside_it() {
        let mut snapshot = Snapshot::default();
        for (pid, parent) in [(2, 1), (3, 2), (4, 3), (5, 1)] {
            snapshot
                .children
                .entry(parent)
                .or_default()
                .push(process(pid, parent));
        }
        assert_eq!(
            snapshot.below(2),
            Usage {
                memory_bytes: 2,
                shared_bytes: 0,
                processes: 2,
                threads: 4
            }
        );
        assert_eq!(snapshot.below(4), Usage::default());
    }

    #[test]
    fn a_table_that_was_read_while_it_changed_is_walked_to_an_end() {
        let mut snapshot = Snapshot::default();
        for (pid, parent) in [(2, 3), (3, 2)] {
            snapshot
                .children
                .entry(parent)
                .or_default()
                .push(process(pid, parent));
        }
        assert!(snapshot.below(2).processes <= 2);
    }

    #[test]
    fn shared_pages_count_once() {
        let rollup = "00400000-7fff ---p 00000000 00:00 0  [rollup]\nRss:  900 kB\nPss:  500 kB\nPss_Anon:  300 kB\n\
                      Pss_File:  100 kB\nPss_Shmem:  50 kB\nSwapPss:  2 kB\n";
        assert_eq!(parse_rollup(rollup), 352 * 1024);
    }

    #[test]
    fn the_machines_figures_are_found() {
        assert_eq!(
            field("MemTotal:  9 kB\nMemAvailable:    4 kB\n", "MemAvailable"),
            4096
        );
        assert_eq!(parse_threads("0.20 0.18 0.12 1/80 11206\n"), Some(80));
        let sample = SystemSample::take();
        assert!(
            sample.available_bytes > 0 && sample.threads > 0,
            "{sample:?}"
        );
    }

    #[test]
    fn this_process_is_in_the_table() {
        let me = i32::try_from(std::process::id()).expect("a small number");
        let parent = i32::try_from(std::os::unix::process::parent_id()).expect("a small number");
        let snapshot = Snapshot::take();
        assert!(snapshot.pids_below(parent).contains(&me));
        assert!(proportional_memory_bytes(&[me]) > 4096);
    }
}
