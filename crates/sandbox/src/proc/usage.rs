//! Resource usage of process trees, read from `/proc` (`proc_pid_status(5)`), which also shows
//! processes of other users.
//!
//! One snapshot of all processes serves every tree. Reading the children of one process is slower:
//! each of its threads lists its own children (`/proc/PID/task/TID/children`), and a browser has a
//! hundred threads.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// The resource usage of a tree without its shim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory without a backing file: private, shared, swapped out, and page tables. Memory that
    /// processes share counts once for each.
    pub memory_bytes: u64,
    /// The part of it that is mapped from shared memory and memory-backed files.
    pub shared_bytes: u64,
    /// Processes, including zombies, which use a process id too.
    pub processes: u64,
    /// Threads of all processes. Each process has at least one.
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

/// All processes of the machine at one moment, approximately.
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
    /// The part of it that page tables use.
    table_bytes: u64,
    threads: u64,
}

/// A reader of the process table and of the state of the machine. It keeps their files open, so
/// that a sample needs no other descriptor, and a snapshot needs two at a time.
#[derive(Debug)]
pub struct ProcReader {
    table: Dir,
    meminfo: File,
    loadavg: File,
}

impl ProcReader {
    /// Opens the files.
    pub fn open() -> io::Result<ProcReader> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(ProcReader {
            table: Dir::open("/proc", flags, Mode::empty())?,
            meminfo: File::open("/proc/meminfo")?,
            loadavg: File::open("/proc/loadavg")?,
        })
    }

    /// Reads the process table. Takes about 15 µs per process and does not wait. Fails if a process
    /// cannot be read for a reason other than its end, such as a lack of descriptors, because it
    /// would look as if it used nothing. Blocks.
    pub fn snapshot(&mut self) -> io::Result<Snapshot> {
        let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
        let mut text = Vec::with_capacity(4096);
        // The iterator starts at the beginning again when it is dropped.
        for entry in self.table.iter() {
            let entry = entry?;
            let name = entry.file_name().to_str();
            let Some(pid) = name.ok().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            // None if the process has ended meanwhile.
            if let Some(process) = read_process(pid, &mut text)? {
                children.entry(process.parent).or_default().push(process);
            }
        }
        Ok(Snapshot { children })
    }

    /// Takes a sample of the machine (`proc_meminfo(5)`, `proc_loadavg(5)`).
    pub fn sample(&self) -> io::Result<SystemSample> {
        let mut text = [0; 4096];
        let meminfo = reread(&self.meminfo, &mut text)?;
        let (available_bytes, shared_bytes) =
            (field(&meminfo, "MemAvailable"), field(&meminfo, "Shmem"));
        let loadavg = reread(&self.loadavg, &mut text)?;
        Ok(SystemSample {
            available_bytes,
            shared_bytes,
            threads: parse_threads(&loadavg).ok_or(ErrorKind::InvalidData)?,
        })
    }
}

impl Snapshot {
    /// Returns the usage of all descendants of a process.
    pub(crate) fn below(&self, root: i32) -> Usage {
        let mut usage = Usage::default();
        self.walk(root, |process| usage.add(process));
        usage
    }

    /// Returns the ids of all descendants of a process.
    pub(crate) fn pids_below(&self, root: i32) -> Vec<i32> {
        let mut pids = Vec::new();
        self.walk(root, |process| pids.push(process.pid));
        pids
    }

    fn walk(&self, root: i32, mut visit: impl FnMut(&Process)) {
        let mut queue = vec![root];
        // Each process has one parent, so no process is visited twice. The counter ends the walk if
        // the table contains a cycle, because it changed while it was read.
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

/// Returns the memory of processes, with shared memory counted once (`Pss` in
/// `/proc/PID/smaps_rollup`). Processes that this process may not inspect count as in [`Usage`].
/// The kernel walks page tables, which takes some milliseconds per gigabyte. Blocks.
pub fn proportional_memory_bytes(pids: &[i32]) -> io::Result<u64> {
    let mut text = Vec::with_capacity(4096);
    let mut total = 0;
    for pid in pids {
        let Some(process) = read_process(*pid, &mut text)? else {
            continue;
        };
        let rollup = read(&format!("/proc/{pid}/smaps_rollup"), &mut text)?;
        total += rollup.map_or(process.memory_bytes, |rollup| {
            parse_rollup(&rollup) + process.table_bytes
        });
    }
    Ok(total)
}

/// Reads the usage of a process. If its first thread has ended while others run, it looks like a
/// zombie without memory. In that case, reads the usage from one of the other threads.
fn read_process(pid: i32, text: &mut Vec<u8>) -> io::Result<Option<Process>> {
    let status = read(&format!("/proc/{pid}/status"), text)?;
    let Some(process) = status.and_then(|status| parse(pid, &status)) else {
        return Ok(None);
    };
    if process.memory_bytes > 0 || process.threads < 2 {
        return Ok(Some(process));
    }
    let Some(tasks) = unless_gone(fs::read_dir(format!("/proc/{pid}/task")))? else {
        return Ok(None);
    };
    for task in tasks {
        let Some(task) = unless_gone(task)? else {
            break;
        };
        let status = read(&task.path().join("status").to_string_lossy(), text)?;
        if let Some(thread) = status
            .and_then(|status| parse(pid, &status))
            .filter(|thread| thread.memory_bytes > 0)
        {
            return Ok(Some(thread));
        }
    }
    Ok(Some(process))
}

/// Reads a file of `/proc`. It may contain process names, which need not be valid UTF-8. Returns
/// `None` if it is empty, or if its process has ended or may not be inspected.
fn read<'a>(path: &str, bytes: &'a mut Vec<u8>) -> io::Result<Option<Cow<'a, str>>> {
    bytes.clear();
    let read = File::open(path).and_then(|mut file| file.read_to_end(bytes));
    let is_read = unless_gone(read)?.is_some() && !bytes.is_empty();
    Ok(is_read.then(|| String::from_utf8_lossy(bytes)))
}

/// Turns the errors of a process that has ended, or that may not be inspected, into `None`.
pub(crate) fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied
            ) || error.raw_os_error() == Some(Errno::ESRCH as i32) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A sample of the state of the whole machine. It is cheap (20 µs) and shows when a [`Snapshot`] is
/// worth taking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemSample {
    /// Memory available to programs (`MemAvailable`).
    pub available_bytes: u64,
    /// Memory of shared mappings and memory-backed files, mapped or not (`Shmem`).
    pub shared_bytes: u64,
    /// Threads of all processes.
    pub threads: u64,
}

/// Reads a small file of `/proc` that is open.
fn reread<'a>(file: &File, bytes: &'a mut [u8]) -> io::Result<Cow<'a, str>> {
    let length = file.read_at(bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..length]))
}

fn field(text: &str, key: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(name, _)| *name == key)
        .map_or(0, |(_, value)| bytes(value))
}

/// Parses the number after the slash, as in `0.20 0.18 0.12 1/80 11206`.
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
    // The kernel escapes newlines in names, so a program cannot add lines.
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

/// Converts a value such as `  1234 kB` to bytes.
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
    fn memory_without_a_backing_file_counts_and_forged_names_do_not() {
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
    fn descendants_count_and_siblings_do_not() {
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
    fn a_cycle_in_the_process_table_ends_the_walk() {
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
    fn shared_pages_count_proportionally() {
        let rollup = "00400000-7fff ---p 00000000 00:00 0  [rollup]\nRss:  900 kB\nPss:  500 kB\nPss_Anon:  300 kB\n\
                      Pss_File:  100 kB\nPss_Shmem:  50 kB\nSwapPss:  2 kB\n";
        assert_eq!(parse_rollup(rollup), 352 * 1024);
    }

    #[test]
    fn the_system_sample_is_read() {
        assert_eq!(
            field("MemTotal:  9 kB\nMemAvailable:    4 kB\n", "MemAvailable"),
            4096
        );
        assert_eq!(parse_threads("0.20 0.18 0.12 1/80 11206\n"), Some(80));
        let reader = ProcReader::open().expect("/proc is readable");
        for _ in 0..2 {
            let sample = reader.sample().expect("/proc is readable");
            assert!(
                sample.available_bytes > 0 && sample.threads > 0,
                "{sample:?}"
            );
        }
    }

    #[test]
    fn this_process_is_in_the_snapshot() {
        let me = i32::try_from(std::process::id()).expect("a small number");
        let parent = i32::try_from(std::os::unix::process::parent_id()).expect("a small number");
        let mut reader = ProcReader::open().expect("/proc is readable");
        for _ in 0..2 {
            let snapshot = reader.snapshot().expect("/proc is readable");
            assert!(snapshot.pids_below(parent).contains(&me));
        }
        assert!(proportional_memory_bytes(&[me]).expect("/proc is readable") > 4096);
    }
}
