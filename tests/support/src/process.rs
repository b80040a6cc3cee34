//! The process table, as any process on the machine can read it from `/proc`.
//!
//! A process is identified by its id and its start time together, because ids are reused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A snapshot of one process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Start time in clock ticks since boot.
    pub started_ticks: u64,
    /// Its parent's id.
    pub parent: i32,
    /// The id of its process session: the pid of the session's leader, which may have ended.
    pub session: i32,
    /// The state letter of `ps`: `R`, `S`, `T` (stopped), `Z` (zombie) and others.
    pub state: char,
    /// Its arguments, separated by spaces; the name in brackets if there are none.
    pub command: String,
}

/// Memory of a process, as `/proc/PID/smaps_rollup` counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// PSS: shared pages count proportionally.
    pub proportional_kib: u64,
    /// Private memory.
    pub private_kib: u64,
}

impl Process {
    /// Finds the live process with this id.
    pub fn find(pid: i32) -> Option<Self> {
        Self::read(pid).filter(Self::is_alive)
    }

    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may contain spaces and brackets, so fields are counted from the last bracket
        // (proc_pid_stat(5)).
        let (name, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let arguments =
            strings_of(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).join(" ");
        let command = if arguments.is_empty() {
            format!("[{}]", name.rsplit_once('(')?.1)
        } else {
            arguments
        };
        Some(Self {
            pid,
            started_ticks: fields.get(19)?.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            command,
        })
    }

    /// Returns the id and the start time, which together are unique since boot.
    pub fn key(&self) -> (i32, u64) {
        (self.pid, self.started_ticks)
    }

    /// Reads it again; returns `false` once it has ended.
    pub fn refresh(&mut self) -> bool {
        let now = Self::read(self.pid)
            .filter(|now| now.key() == self.key() && !matches!(now.state, 'Z' | 'X'));
        let is_alive = now.is_some();
        *self = now.unwrap_or_else(|| self.clone());
        is_alive
    }

    /// Returns true if it runs or is stopped. A zombie is neither, because it waits for its parent,
    /// which may be the machine's init.
    pub fn is_alive(&self) -> bool {
        self.clone().refresh()
    }

    /// Returns its initial environment, one `NAME=value` per entry; `None` once it has ended.
    pub fn environment(&self) -> Option<Vec<String>> {
        let bytes = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        self.is_alive().then(|| strings_of(&bytes))
    }

    /// Returns its memory in KiB; `None` once it has ended.
    pub fn memory(&self) -> Option<Memory> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        let sum_of = |name: &str| -> Option<u64> {
            let sizes = rollup
                .lines()
                .filter_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
            sizes
                .map(|size| size.rsplit(' ').next()?.parse::<u64>().ok())
                .sum()
        };
        Some(Memory {
            proportional_kib: sum_of("Pss:")?,
            private_kib: sum_of("Private_")?,
        })
    }

    /// Returns the processor time that it has used, in seconds, with that of its children that have
    /// ended if `with_ended_children`.
    pub fn processor_seconds(&self, with_ended_children: bool) -> f64 {
        // The kernel counts in hundredths of a second for every program (USER_HZ).
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(')') else {
            return 0.0;
        };
        let fields = rest.split_whitespace().skip(11);
        let counted = fields.take(if with_ended_children { 4 } else { 2 });
        let ticks: u32 = counted.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
        f64::from(ticks) / TICKS_PER_SECOND
    }

    /// Returns true if it is a Hearth shim.
    pub fn is_shim(&self) -> bool {
        self.command.split(' ').any(|argument| argument == "__shim")
    }

    /// Returns true if it is the main process of a Chromium.
    pub fn is_browser(&self) -> bool {
        self.command.contains("--remote-debugging-pipe")
            && !self.command.contains("--type=")
            && !self.is_shim()
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may still end between the check and the signal; the error does not matter then.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

fn strings_of(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

/// Lists every process on the machine, except those that end while the table is read.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .collect()
}

/// Lists all descendants of `root`, zombies included, without `root` itself.
pub fn tree(root: i32) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.pid);
            found.push(child);
        }
    }
    found
}

/// Lists every live process in the process session of `leader`, and every live process with `text`
/// in its arguments, its environment or the path of its working dir.
pub fn belonging(leader: i32, text: &str) -> Vec<Process> {
    all()
        .into_iter()
        .filter(|process| {
            process.session == leader
                || process.command.contains(text)
                || mentions_elsewhere(process.pid, text)
        })
        .filter(Process::is_alive)
        .collect()
}

fn mentions_elsewhere(pid: i32, text: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let dir = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    String::from_utf8_lossy(&environment).contains(text) || dir.to_string_lossy().contains(text)
}

/// Returns the inodes of the listening TCP sockets that the given processes hold.
pub fn listening_sockets(pids: impl IntoIterator<Item = i32>) -> BTreeSet<u64> {
    let listening: BTreeSet<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| listening_inodes(Path::new(table)))
        .collect();
    let held: BTreeSet<u64> = pids.into_iter().flat_map(socket_inodes).collect();
    listening.intersection(&held).copied().collect()
}

fn listening_inodes(table: &Path) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let text = fs::read_to_string(table).unwrap_or_default();
    text.lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(3) == Some(&LISTEN))
        .filter_map(|fields| fields.get(9)?.parse().ok())
        .collect()
}

fn socket_inodes(pid: i32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        })
        .collect()
}

/// Raises this process's limit on open files to the hard limit, for tests with many connections.
pub fn raise_open_file_limit() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("every process has limits");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .expect("a soft limit may be raised to the hard one");
}

/// Formats processes one per line, for assertion messages.
pub fn describe<'a>(processes: impl IntoIterator<Item = &'a Process>) -> String {
    let lines = processes.into_iter().map(|process| {
        let command: String = process.command.chars().take(160).collect();
        format!(
            "  {} {} (parent {}) {command}",
            process.pid, process.state, process.parent
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
