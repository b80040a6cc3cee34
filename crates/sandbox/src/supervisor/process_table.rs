//! The running process trees of a launcher.
//!
//! Code that measures trees finds them here and does not keep them running. It can kill a tree with
//! a reason, which the owner of the tree can read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tokio::sync::Notify;

use crate::proc::usage::{Snapshot, Usage};

/// The shared state of a tree. The [`ProcessTree`](crate::ProcessTree), the task that owns the shim
/// and [`TreeHandle`]s hold it.
#[derive(Debug)]
pub(crate) struct TreeState {
    shim_pid: i32,
    program_pid: i32,
    /// The owner task waits for it.
    pub(crate) kill_requested: Notify,
    /// The reason for killing the tree, if there is one. The first reason wins.
    pub(crate) kill_reason: OnceLock<String>,
    /// True if the shim has ended. After it is reaped, its process id may be reused.
    pub(crate) gone: AtomicBool,
}

impl TreeState {
    pub(crate) fn new(shim_pid: i32, program_pid: i32) -> Arc<TreeState> {
        Arc::new(TreeState {
            shim_pid,
            program_pid,
            kill_requested: Notify::new(),
            kill_reason: OnceLock::new(),
            gone: AtomicBool::new(false),
        })
    }
}

/// The running trees of a launcher and all its clones.
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

/// A handle to a tree that was running when it was created. It does not keep the tree running.
#[derive(Clone, Debug)]
pub struct TreeHandle(Arc<TreeState>);

impl TreeHandle {
    /// Returns the process id of the program itself.
    pub fn program_pid(&self) -> u32 {
        self.0.program_pid.unsigned_abs()
    }

    /// Returns the resource usage of the tree in `snapshot`. Returns zero if the tree is gone.
    pub fn usage(&self, snapshot: &Snapshot) -> Usage {
        let usage = snapshot.below(self.0.shim_pid);
        // Checked last: if the shim still exists now, its process id was valid in the snapshot, and
        // everything below it belonged to the tree.
        if self.is_alive() {
            usage
        } else {
            Usage::default()
        }
    }

    /// Returns the processes below the shim in `snapshot`. Returns none if the tree is gone.
    pub fn pids(&self, snapshot: &Snapshot) -> Vec<i32> {
        let pids = snapshot.pids_below(self.0.shim_pid);
        if self.is_alive() { pids } else { Vec::new() }
    }

    /// Returns true if the tree is already being killed for a reason.
    pub fn is_being_killed(&self) -> bool {
        self.0.kill_reason.get().is_some()
    }

    /// Kills the tree and stores the reason for
    /// [`ProcessTree::kill_reason`](crate::ProcessTree::kill_reason).
    pub fn kill_with_reason(&self, reason: String) {
        // Fails if there is a reason already, which is kept.
        let _ = self.0.kill_reason.set(reason);
        self.0.kill_requested.notify_one();
    }

    fn is_alive(&self) -> bool {
        !self.0.gone.load(Ordering::Acquire)
    }
}
