//! The server's side: starts shims, and owns what they watch over.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;

use crate::disk::{DiskUsage, measure};
use crate::living::{Living, LivingTree, Vitals};
use crate::open_files;
use crate::private_tmp::PrivateTmp;
use crate::program::{Exit, Program};
use crate::protocol::{EVENT_BYTES, Event, KILL, OWN_FDS_FROM, Order};
use crate::shim::SHIM_ARGUMENT;
use crate::usage::Snapshot;

/// How long a shim may take from its start to the word that the program runs.
const START_BOUND: Duration = Duration::from_secs(10);

/// How often a killed tree's shim is woken and asked again: hostile code of the same user can stop it.
const KILL_AGAIN: Duration = Duration::from_millis(100);

/// Why a program could not be started. Nothing of it is left then.
#[derive(Debug, Error)]
pub enum StartError {
    /// The shim itself could not be started, or talked to.
    #[error("cannot start a supervisor process for {program}: {source}")]
    Shim {
        /// What was to be started.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The shim runs, but the program could not be executed.
    #[error("cannot start {program}: {source}")]
    Program {
        /// What was to be started.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Starts programs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The executable whose `main` calls [`run_shim`](crate::run_shim).
    shim: Arc<Path>,
    /// Holds the owner task of every shim; the server waits for it to be empty when it ends.
    tracker: TaskTracker,
    /// Given to every program, if there is one.
    private_tmp: Option<Arc<PrivateTmp>>,
    /// What it has started and is not gone.
    living: Living,
}

impl Launcher {
    /// `shim` is the executable that becomes a shim when its first argument is
    /// [`SHIM_ARGUMENT`](crate::SHIM_ARGUMENT); `tracker` gets one task for every tree.
    pub fn new(shim: PathBuf, tracker: TaskTracker) -> Launcher {
        Launcher { shim: shim.into(), tracker, private_tmp: None, living: Living::default() }
    }

    /// The same, for programs that get a `/tmp` of their own where that is possible.
    #[must_use]
    pub fn with_private_tmp(self, private_tmp: PrivateTmp) -> Launcher {
        Launcher { private_tmp: Some(Arc::new(private_tmp)), ..self }
    }

    /// The trees that it and its clones have started, and that are not gone.
    pub fn trees(&self) -> Vec<LivingTree> {
        self.living.all()
    }

    /// What the files in `folders` take, deleted ones that the launcher's trees hold open included, up to a little more
    /// than `most`. `snapshot` says which processes the trees are.
    pub async fn measure(&self, folders: Vec<PathBuf>, most: DiskUsage, snapshot: Arc<Snapshot>) -> DiskUsage {
        let trees = self.trees();
        let measured = spawn_blocking(move || {
            let pids: Vec<i32> = trees.iter().flat_map(|tree| tree.pids(&snapshot)).collect();
            measure(&folders, &pids, most)
        });
        // It fails by a panic only, which has been told by then.
        measured.await.unwrap_or_default()
    }

    /// Starts `program` below a shim of its own, and returns when the program runs (its `exec` succeeded).
    pub async fn start(&self, program: Program) -> Result<Tree, StartError> {
        let name = program.program.clone();
        let shim_failed = |source| StartError::Shim { program: name.clone(), source };
        let (mut stream, child, shim_pid) = self.spawn_shim().map_err(shim_failed)?;
        let starting = async {
            send_order(&mut stream, program, self.private_tmp.as_deref()).await?;
            next_event(&mut stream).await
        };
        let event = match tokio::time::timeout(START_BOUND, starting).await {
            Ok(event) => event.map_err(shim_failed)?,
            Err(_) => return Err(shim_failed(io::ErrorKind::TimedOut.into())),
        };
        let program_pid = match event {
            Event::Started(pid) => pid,
            Event::NotStarted(errno) => {
                return Err(StartError::Program { program: name, source: io::Error::from_raw_os_error(errno) });
            }
            Event::Ended(_) => return Err(shim_failed(io::ErrorKind::InvalidData.into())),
        };
        Ok(self.own(stream, child, shim_pid, program_pid))
    }

    fn spawn_shim(&self) -> io::Result<(UnixStream, Child, i32)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let stream = UnixStream::from_std(ours)?;
        // When the start fails half-way, dropping the socket is what ends the shim, and the runtime reaps it.
        let child = Command::new(self.shim.as_ref())
            .arg0("hearth")
            .arg(SHIM_ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Ok((stream, child, pid.ok_or(io::ErrorKind::NotFound)?))
    }

    fn own(&self, stream: UnixStream, child: Child, shim_pid: i32, program_pid: i32) -> Tree {
        let (events, control) = stream.into_split();
        let (state, watcher) = watch::channel(State::default());
        let vitals = Vitals::new(shim_pid, program_pid);
        self.living.add(&vitals);
        let owner = Owner { events, control, child, shim_pid, state, vitals: Arc::clone(&vitals) };
        self.tracker.spawn(owner.run());
        Tree { shim_pid, program_pid, state: watcher, vitals }
    }
}

async fn send_order(stream: &mut UnixStream, program: Program, private_tmp: Option<&PrivateTmp>) -> io::Result<()> {
    if program.fds.iter().any(|&(number, _)| !(0..OWN_FDS_FROM).contains(&number)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let order = Order {
        program: path_to_string(&program.program)?,
        args: program.args,
        env: program.env,
        cwd: path_to_string(&program.cwd)?,
        fd_numbers: program.fds.iter().map(|&(number, _)| number).collect(),
        deadline_ms: program.deadline.map(|deadline| u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)),
        private_tmp: private_tmp.cloned(),
        open_files: open_files::for_programs(),
    };
    let order = serde_json::to_vec(&order)?;
    let length = u32::try_from(order.len()).map_err(|_| io::ErrorKind::InvalidInput)?.to_ne_bytes();
    let fds: Vec<RawFd> = program.fds.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    // Four bytes into a fresh socket: this cannot block.
    sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(&length)], rights, MsgFlags::MSG_NOSIGNAL, None)?;
    stream.write_all(&order).await
}

fn path_to_string(path: &Path) -> io::Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "path is not UTF-8"))
}

/// The shim writes an event with one call and the kernel hands it over whole, so a caller that is cancelled
/// loses none.
async fn next_event(events: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Event> {
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
pub struct Tree {
    shim_pid: i32,
    program_pid: i32,
    /// Written by the tree's [`Owner`].
    state: watch::Receiver<State>,
    /// Shared with the tree's [`Owner`].
    vitals: Arc<Vitals>,
}

impl Tree {
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

    /// Kills the whole tree with SIGKILL; stopped, daemonised and forking processes too. Returns at once and
    /// may be called again; [`gone`](Tree::gone) tells when nothing is left.
    pub fn kill(&self) {
        self.vitals.kill_wanted.notify_one();
    }

    /// Why all of it was killed, when somebody said so: [`LivingTree::kill_because`].
    pub fn killed_because(&self) -> Option<&str> {
        self.vitals.because.get().map(String::as_str)
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

impl Drop for Tree {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The one task that owns a shim: its socket, its events, its end.
struct Owner {
    events: OwnedReadHalf,
    control: tokio::net::unix::OwnedWriteHalf,
    child: Child,
    shim_pid: i32,
    /// Read by every waiter of the [`Tree`].
    state: watch::Sender<State>,
    /// Shared with the [`Tree`].
    vitals: Arc<Vitals>,
}

impl Owner {
    async fn run(mut self) {
        let mut killing = false;
        let mut again = tokio::time::interval(KILL_AGAIN);
        loop {
            tokio::select! {
                event = next_event(&mut self.events) => match event {
                    Ok(Event::Ended(exit)) => {
                        self.state.send_modify(|state| state.exit = Some(exit));
                    }
                    Ok(Event::Started(_) | Event::NotStarted(_)) => {}
                    Err(_) => break,
                },
                () = self.vitals.kill_wanted.notified() => {
                    killing = true;
                    again.reset_immediately();
                }
                _ = again.tick(), if killing => self.ask_to_kill(),
            }
        }
        self.vitals.gone.store(true, Ordering::Release);
        // The shim closes its socket only by exiting.
        let exit = self.child.wait().await;
        tracing::trace!(shim = self.shim_pid, ?exit, "a tree is gone");
        self.state.send_modify(|state| {
            state.exit.get_or_insert(Exit::Lost);
            state.gone = true;
        });
    }

    fn ask_to_kill(&self) {
        // Not yet reaped, so the number is still the shim's.
        let _ = kill(Pid::from_raw(self.shim_pid), Signal::SIGCONT);
        let _ = self.control.try_write(&[KILL]);
    }
}
