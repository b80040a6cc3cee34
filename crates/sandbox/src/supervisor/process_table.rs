//! The trees that live: known to whoever measures them, without being kept alive by that, and ended
//! with a reason that whoever waits for them can read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tokio::sync::Notify;

use crate::proc::usage::{Snapshot, Usage};

/// What is known of a tree beside its end. Held by the tree, by its owner task, and for a moment by
/// who measures it.
#[derive(Debug)]
pub(crate) struct TreeState {
    shim_pid: i32,
    program_pid: i32,
    /// Heard by the owner task.
    pub(crate) kill_wanted: Notify,
    /// Why it is killed, if that was told; the first reason stands.
    pub(crate) kill_reason: OnceLock<String>,
    /// The shim has ended, or is about to be reaped: its number may soon be another's.
    pub(crate) gone: AtomicBool,
}

impl TreeState {
    pub(crate) fn new(shim_pid: i32, program_pid: i32) -> Arc<TreeState> {
        Arc::new(TreeState {
            shim_pid,
            program_pid,
            kill_wanted: Notify::new(),
            kill_reason: OnceLock::new(),
            gone: AtomicBool::new(false),
        })
    }
}

/// The living trees of a launcher and all its clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessTable(Arc<Mutex<Vec<Weak<TreeState>>>>);

impl ProcessTable {
    pub(crate) fn add(&self, tree_state: &Arc<TreeState>) {
        let mut trees = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trees.retain(|tree| tree.strong_count() > 0);
        trees.push(Arc::downgrade(tree_state));
    }

    pub(crate) fn all(&self) -> Vec<TreeHandle> {
        let trees = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trees
            .iter()
            .filter_map(Weak::upgrade)
            .map(TreeHandle)
            .filter(TreeHandle::is_alive)
            .collect()
    }
}

/// A tree that lived when it was asked for. Holding it does not keep the tree alive.
#[derive(Clone, Debug)]
pub struct TreeHandle(Arc<TreeState>);

impl TreeHandle {
    /// The process id of the program itself.
    pub fn program_pid(&self) -> u32 {
        self.0.program_pid.unsigned_abs()
    }

    /// What it takes, as far as `snapshot` saw it; nothing once it is gone.
    pub fn usage(&self, snapshot: &Snapshot) -> Usage {
        let usage = snapshot.below(self.0.shim_pid);
        // Asked for last: until then the number was the shim's, and so what was seen below it was
        // the tree.
        if self.is_alive() {
            usage
        } else {
            Usage::default()
        }
    }

    /// The processes below its shim, as far as `snapshot` saw them.
    pub fn pids(&self, snapshot: &Snapshot) -> Vec<i32> {
        let pids = snapshot.pids_below(self.0.shim_pid);
        if self.is_alive() { pids } else { Vec::new() }
    }

    /// Whether it is about to be killed for a reason already.
    pub fn is_being_killed(&self) -> bool {
        self.0.kill_reason.get().is_some()
    }

    /// Kills all of it and leaves the reason for
    /// [`ProcessTree::kill_reason`](crate::ProcessTree::kill_reason).
    pub fn kill_with_reason(&self, reason: String) {
        // A second reason for the same end is no news.
        let _ = self.0.kill_reason.set(reason);
        self.0.kill_wanted.notify_one();
    }

    fn is_alive(&self) -> bool {
        !self.0.gone.load(Ordering::Acquire)
    }
}
