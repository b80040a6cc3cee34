//! Kills the remaining processes of a program whose shim was killed.
//!
//! A shim that gets SIGKILL takes its program with it, but not the processes that the program has
//! started. They become children of the nearest subreaper, which is the process that starts shims.

use std::collections::HashSet;
use std::fs;
use std::io;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::policy::user::UserIds;
use crate::supervisor::kill::kill_descendants;

/// The shims of this process, by which it tells its other children apart.
pub(crate) struct OrphanKiller {
    ids: UserIds,
    shims: HashSet<Pid>,
}

impl OrphanKiller {
    /// Makes this process the parent of future orphans.
    pub fn start(ids: UserIds) -> io::Result<OrphanKiller> {
        prctl::set_child_subreaper(true)?;
        Ok(OrphanKiller {
            ids,
            shims: HashSet::new(),
        })
    }

    pub fn add_shim(&mut self, pid: Pid) {
        self.shims.insert(pid);
    }

    /// Removes a shim that was reaped.
    pub fn remove_shim(&mut self, pid: Pid) {
        self.shims.remove(&pid);
    }

    /// Kills every child under a user id of a session that is not a shim, with its descendants.
    /// Each of them becomes a child when its parent ends, and must be reaped.
    pub fn kill(&self) {
        for pid in children() {
            if !self.shims.contains(&pid) && self.is_of_session(pid) {
                kill_descendants(pid);
                // It is not reaped yet, so the id is still its own.
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
    }

    /// Returns true if the process has a user id of a session. In a container, other programs can
    /// leave orphans, too.
    fn is_of_session(&self, pid: Pid) -> bool {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        let real = ids.and_then(|ids| ids.split_whitespace().next()?.parse().ok());
        real.is_some_and(|uid| self.ids.index_of(uid).is_some())
    }
}

/// Returns the children of this process, which has one thread.
pub(crate) fn children() -> Vec<Pid> {
    let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let pids = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    pids.map(Pid::from_raw).collect()
}
