//! A running program, and the one task that owns what watches over it.

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

use crate::supervisor::process_table::{ProcessTable, TreeState};
use crate::supervisor::program::Exit;
use crate::supervisor::protocol::{EVENT_BYTES, Event, KILL};
use crate::supervisor::shim_source::IdleShim;

/// How often a killed tree's shim is woken and asked again: hostile code of the same user can stop
/// it.
const KILL_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The shim writes an event with one call and the kernel hands it over whole, so a caller that is
/// cancelled loses none.
pub(crate) async fn next_event(events: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Event> {
    let mut bytes = [0; EVENT_BYTES];
    events.read_exact(&mut bytes).await?;
    Event::decode(bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What is known of a tree's end.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// How the program itself ended.
    exit: Option<Exit>,
    /// Nothing of the tree is left.
    gone: bool,
}

/// A running program and everything that it starts. Dropping it kills all of it.
#[derive(Debug)]
pub struct ProcessTree {
    shim_pid: i32,
    program_pid: i32,
    /// Written by the tree's [`Owner`].
    state: watch::Receiver<State>,
    /// Shared with the tree's [`Owner`].
    tree_state: Arc<TreeState>,
}

impl ProcessTree {
    /// A program that `shim` has started, known to `living`. `tracker` gets the task that owns the
    /// shim.
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
        let (state, watcher) = watch::channel(State::default());
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
        tracker.spawn(owner.run());
        ProcessTree {
            shim_pid,
            program_pid,
            state: watcher,
            tree_state,
        }
    }

    /// The process id of the program itself.
    pub fn program_pid(&self) -> u32 {
        self.program_pid.unsigned_abs()
    }

    /// The process id of the shim.
    pub fn shim_pid(&self) -> u32 {
        self.shim_pid.unsigned_abs()
    }

    /// Whether the program itself still runs, as far as is known.
    pub fn is_running(&self) -> bool {
        self.state.borrow().exit.is_none() && self.state.has_changed().is_ok()
    }

    /// Kills the whole tree with SIGKILL; stopped, daemonised and forking processes too. Returns at
    /// once and may be called again; [`gone`](ProcessTree::gone) tells when nothing is left.
    pub fn kill(&self) {
        self.tree_state.kill_wanted.notify_one();
    }

    /// Why all of it was killed, when somebody said so: [`TreeHandle::kill_with_reason`].
    pub fn kill_reason(&self) -> Option<&str> {
        self.tree_state.kill_reason.get().map(String::as_str)
    }

    /// Waits until the program itself has ended. What it started is then being killed. Cancel safe.
    pub async fn exited(&self) -> Exit {
        let mut state = self.state.clone();
        match state.wait_for(|state| state.exit.is_some()).await {
            Ok(state) => state.exit.unwrap_or(Exit::Lost),
            Err(_) => Exit::Lost,
        }
    }

    /// Waits until nothing of the tree is left, and tells how the program ended. Cancel safe.
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

/// The one task that owns a shim: its socket, its events, its end.
struct Owner {
    events: OwnedReadHalf,
    control: OwnedWriteHalf,
    /// None for a shim that the spawner has started, and reaps.
    child: Option<Child>,
    shim_pid: i32,
    /// Read by every waiter of the [`ProcessTree`].
    state: watch::Sender<State>,
    /// Shared with the [`ProcessTree`].
    tree_state: Arc<TreeState>,
}

impl Owner {
    async fn run(mut self) {
        let mut killing = false;
        let mut again = tokio::time::interval(KILL_RETRY_INTERVAL);
        loop {
            tokio::select! {
                event = next_event(&mut self.events) => match event {
                    Ok(Event::Ended(exit)) => {
                        self.state.send_modify(|state| state.exit = Some(exit));
                    }
                    Ok(Event::Started(_) | Event::NotStarted(_)) => {}
                    Err(_) => break,
                },
                () = self.tree_state.kill_wanted.notified() => {
                    killing = true;
                    again.reset_immediately();
                }
                _ = again.tick(), if killing => self.ask_to_kill(),
            }
        }
        self.tree_state.gone.store(true, Ordering::Release);
        // The shim closes its socket only by exiting.
        if let Some(mut child) = self.child.take() {
            let exit = child.wait().await;
            tracing::trace!(shim = self.shim_pid, ?exit, "a tree is gone");
        }
        self.state.send_modify(|state| {
            state.exit.get_or_insert(Exit::Lost);
            state.gone = true;
        });
    }

    fn ask_to_kill(&self) {
        // One of ours is not yet reaped, so the number is still the shim's; no session can stop one
        // of the spawner's.
        if self.child.is_some() {
            let _ = kill(Pid::from_raw(self.shim_pid), Signal::SIGCONT);
        }
        let _ = self.control.try_write(&[KILL]);
    }
}
