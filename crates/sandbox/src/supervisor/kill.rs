//! Kills a process tree from its subreaper.
//!
//! Every orphan below a subreaper becomes its child (`prctl(2)`, `PR_SET_CHILD_SUBREAPER`), so a
//! process can leave its parent, its group and its session, but not the tree. Killing processes one
//! at a time cannot keep up with a process that forks. Therefore this module stops everything first
//! and kills it afterwards, until the kernel reports that no children are left.

use std::collections::{HashMap, HashSet};
use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::supervisor::program::Exit;

/// Maximum number of rounds that look for processes which started while others were being stopped.
/// A fork bomb takes a handful of rounds. The limit matters only if `/proc` is broken.
const MAX_FREEZE_ROUNDS: usize = 64;

/// The result of [`reap`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// There are running children.
    SomeLeft,
    /// There are no children, so the whole tree is gone.
    NoneLeft,
}

/// Reaps every child that has ended and calls `on_exit` for each.
pub(crate) fn reap(mut on_exit: impl FnMut(Pid, Exit)) -> Reaped {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => on_exit(pid, Exit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => on_exit(pid, Exit::Signal(signal as i32)),
            Ok(WaitStatus::StillAlive) => return Reaped::SomeLeft,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Reaped::NoneLeft,
        }
    }
}

/// Stops and then kills everything below `root`, but not `root`. Returns without waiting. Callers
/// must [reap] the children and repeat the call until none are left.
pub(crate) fn kill_descendants(root: Pid) {
    let mut stopped = HashSet::new();
    for _ in 0..MAX_FREEZE_ROUNDS {
        let fresh: Vec<Pid> = descendants(root)
            .into_iter()
            .filter(|pid| !stopped.contains(pid))
            .collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            // Fails if the process has ended meanwhile, which is harmless.
            let _ = kill(pid, Signal::SIGSTOP);
            stopped.insert(pid);
        }
    }
    for pid in stopped {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Returns all running processes below `root`.
///
/// Zombies do not count: they start nothing and need no signal, and a tree with many of them would
/// seem to grow. A process whose first thread has ended while others run looks like a zombie in the
/// process table, but counts as running.
fn descendants(root: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut children: HashMap<i32, Vec<(i32, bool)>> = HashMap::new();
    for entry in entries.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else {
            continue;
        };
        if let Some((parent, zombie)) = parse_stat(&stat) {
            children.entry(parent).or_default().push((pid, zombie));
        }
    }
    let mut found = Vec::new();
    let mut queue = vec![root.as_raw()];
    while let Some(parent) = queue.pop() {
        for (pid, zombie) in children.remove(&parent).unwrap_or_default() {
            queue.push(pid);
            if !zombie {
                found.push(Pid::from_raw(pid));
            }
        }
    }
    found
}

/// Parses the parent, and whether the process is a zombie, from `/proc/PID/stat`.
///
/// Programs choose the name in brackets, and it may contain brackets and spaces. Fields therefore
/// count from the last bracket (`proc_pid_stat(5)`).
fn parse_stat(stat: &[u8]) -> Option<(i32, bool)> {
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let fields = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 20 of the file.
    let threads: u64 = fields
        .nth(15)
        .and_then(|field| field.parse().ok())
        .unwrap_or(1);
    Some((parent, matches!(state, "Z" | "X") && threads <= 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_process_name_does_not_confuse_the_walk() {
        assert_eq!(
            parse_stat(b"12 (a) Z 1 (b) S 77 12 12 0"),
            Some((77, false))
        );
        assert_eq!(parse_stat(b"12 (sleep) Z 5 12 12 0"), Some((5, true)));
        assert_eq!(parse_stat(b"12 sleep"), None);
        let leader_of =
            |threads| format!("12 (sleep) Z 5 12 12 0 -1 4 0 0 0 0 0 0 0 0 20 0 {threads} 0 99");
        assert_eq!(parse_stat(leader_of(2).as_bytes()), Some((5, false)));
        assert_eq!(parse_stat(leader_of(1).as_bytes()), Some((5, true)));
    }
}
