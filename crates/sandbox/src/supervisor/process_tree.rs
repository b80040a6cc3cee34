//! A running program with all its descendants, and the task that owns its shim.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::supervisor::process_table::{ProcessTable, TreeState};
use crate::supervisor::program::Exit;
use crate::supervisor::protocol::{EVENT_BYTES, Event, KILL};
use crate::supervisor::shim_source::IdleShim;

/// Interval between kill requests to a shim. Hostile code of the same user, or an administrator,
/// can stop the shim. Each request resumes it.
const KILL_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Reads the next event of a shim. Cancel safe, because the shim writes each event with one call
/// and the kernel delivers it whole.
pub(crate) async fn next_event(events: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Event> {
    let mut bytes = [0; EVENT_BYTES];
    events.read_exact(&mut bytes).await?;
    Event::decode(bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The progress of a tree's end.
#[derive(Clone, Copy, Debug, Default)]
struct EndState {
    /// The exit of the program itself.
    exit: Option<Exit>,
    /// True if no process of the program is left.
    all_ended: bool,
    /// True if the shim has exited, too.
    gone: bool,
}

/// A running program and everything that it starts. Dropping it kills all of it.
#[derive(Debug)]
pub struct ProcessTree {
    shim_pid: i32,
    program_pid: i32,
    /// The [`Owner`] writes it.
    state: watch::Receiver<EndState>,
    /// Shared with the tree's [`Owner`].
    tree_state: Arc<TreeState>,
}

impl ProcessTree {
    /// Creates the owner of a program that `shim` has started, and adds it to `processes`.
    /// `tracker` runs the task that owns the shim.
    pub(crate) fn new(
        shim: IdleShim,
        program_pid: i32,
        processes: &ProcessTable,
        tracker: &TaskTracker,
    ) -> ProcessTree {
        let IdleShim {
            stream,
            child,
            pid: shim_pid,
        } = shim;
        let (events, control) = stream.into_split();
        let (state, watcher) = watch::channel(EndState::default());
        let tree_state = TreeState::new(shim_pid, program_pid);
        processes.add(&tree_state);
        let owner = Owner {
            events,
            control,
            child,
            shim_pid,
            state,
            tree_state: Arc::clone(&tree_state),
        };
        tracker.spawn(owner.run().in_current_span());
        ProcessTree {
            shim_pid,
            program_pid,
            state: watcher,
            tree_state,
        }
    }

    /// Returns the process id of the program itself.
    pub fn program_pid(&self) -> u32 {
        self.program_pid.unsigned_abs()
    }

    /// Returns the process id of the shim.
    pub fn shim_pid(&self) -> u32 {
        self.shim_pid.unsigned_abs()
    }

    /// Returns true until the shim has reported that the program ended.
    pub fn is_running(&self) -> bool {
        self.state.borrow().exit.is_none() && self.state.has_changed().is_ok()
    }

    /// Kills the whole tree with SIGKILL, including stopped, daemonised and forking processes.
    /// Returns at once and may be called again. [`gone`](ProcessTree::gone) waits for the end.
    pub fn kill(&self) {
        self.tree_state.kill_requested.notify_one();
    }

    /// Returns the reason that [`TreeHandle::kill_with_reason`] gave for killing the tree.
    pub fn kill_reason(&self) -> Option<&str> {
        self.tree_state.kill_reason.get().map(String::as_str)
    }

    /// Waits until the program itself has ended. The shim then kills its descendants. Cancel safe.
    pub async fn exited(&self) -> Exit {
        let mut state = self.state.clone();
        match state.wait_for(|state| state.exit.is_some()).await {
            Ok(state) => state.exit.unwrap_or(Exit::Lost),
            Err(_) => Exit::Lost,
        }
    }

    /// Waits until no process of the program is left, and returns how the program ended. Its shim
    /// may still be exiting. Cancel safe.
    pub async fn all_ended(&self) -> Exit {
        let mut state = self.state.clone();
        match state.wait_for(|state| state.all_ended).await {
            Ok(state) => state.exit.unwrap_or(Exit::Lost),
            Err(_) => Exit::Lost,
        }
    }

    /// Waits until no process of the tree is left, and returns how the program ended. Cancel safe.
    pub async fn gone(&self) -> Exit {
        let mut state = self.state.clone();
        match state.wait_for(|state| state.gone).await {
            Ok(state) => state.exit.unwrap_or(Exit::Lost),
            Err(_) => Exit::Lost,
        }
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The task that owns a shim: it reads its events, sends kill requests and reaps it.
struct Owner {
    events: OwnedReadHalf,
    control: OwnedWriteHalf,
    /// None if the privileged process started the shim. It reaps the shim, too.
    child: Option<Child>,
    shim_pid: i32,
    /// The waiters of the [`ProcessTree`] read it.
    state: watch::Sender<EndState>,
    /// Shared with the [`ProcessTree`].
    tree_state: Arc<TreeState>,
}

impl Owner {
    async fn run(mut self) {
        let mut killing = false;
        let mut retry = tokio::time::interval(KILL_RETRY_INTERVAL);
        loop {
            tokio::select! {
                event = next_event(&mut self.events) => match event {
                    Ok(Event::Ended(exit)) => {
                        self.state.send_modify(|state| state.exit = Some(exit));
                    }
                    Ok(Event::AllEnded) => self.state.send_modify(|state| state.all_ended = true),
                    Ok(Event::Started(_) | Event::NotStarted(_)) => {}
                    Err(_) => break,
                },
                () = self.tree_state.kill_requested.notified() => {
                    killing = true;
                    retry.reset_immediately();
                }
                _ = retry.tick(), if killing => self.request_kill(),
            }
        }
        self.tree_state.gone.store(true, Ordering::Release);
        // The shim closes its socket only by exiting.
        if let Some(mut child) = self.child.take() {
            let exit = child.wait().await;
            tracing::trace!(shim = self.shim_pid, ?exit, "process tree ended");
        }
        self.state.send_modify(|state| {
            state.exit.get_or_insert(Exit::Lost);
            state.all_ended = true;
            state.gone = true;
        });
    }

    fn request_kill(&self) {
        // The child is not reaped yet, so the process id is still the shim's. A shim of the
        // privileged process resumes when the request arrives.
        if self.child.is_some() {
            let _ = kill(Pid::from_raw(self.shim_pid), Signal::SIGCONT);
        }
        let _ = self.control.try_write(&[KILL]);
    }
}
