//! The server's side: starts shims, and owns what they watch over.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::fcntl::OFlag;
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
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::chores::{Answer, Chore, Report};
use crate::confinement::Confinement;
use crate::disk::DiskUsage;
use crate::identity::{Identity, UserIds};
use crate::living::{Living, LivingTree, Vitals};
use crate::open_files;
use crate::private_tmp::PrivateTmp;
use crate::program::{Exit, Program};
use crate::protocol::{EVENT_BYTES, Event, KILL, OWN_FDS_FROM, Order, Run};
use crate::spawner::{self, Spawner};
use crate::usage::Snapshot;

/// How long a shim may take from its start to the word that the program runs.
const START_BOUND: Duration = Duration::from_secs(10);

/// How long a chore may take. Removing a session's files takes milliseconds, a hundred thousand of them a second.
const CHORE_BOUND: Duration = Duration::from_mins(1);

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
    starter: Starter,
    /// Holds the owner task of every shim; the server waits for it to be empty when it ends.
    tracker: TaskTracker,
    /// Given to every program, if there is one.
    private_tmp: Option<Arc<PrivateTmp>>,
    /// Under which ids programs run; none: the caller's own.
    identity: Option<Identity>,
    /// What every program may do; none: what the caller may.
    confinement: Option<Arc<Confinement>>,
    /// What it and its clones have started and is not gone.
    living: Living,
}

/// Who makes shims.
#[derive(Clone, Debug)]
enum Starter {
    /// This process. `ids` is there when it is root.
    Own { shim: Arc<Path>, ids: Option<UserIds> },
    /// Another one, which may change user ids.
    Spawner(Spawner),
}

impl Launcher {
    /// `shim` is the executable that becomes a shim when its first argument is
    /// [`SHIM_ARGUMENT`](crate::SHIM_ARGUMENT); `tracker` gets one task for every tree.
    pub fn new(shim: PathBuf, tracker: TaskTracker) -> Launcher {
        let starter = Starter::Own { shim: shim.into(), ids: None };
        Launcher { starter, tracker, private_tmp: None, identity: None, confinement: None, living: Living::default() }
    }

    /// The same for a process that is root: it can give programs an identity.
    #[must_use]
    pub fn with_ids(self, ids: UserIds) -> Launcher {
        let starter = match self.starter {
            Starter::Own { shim, .. } => Starter::Own { shim, ids: Some(ids) },
            spawner @ Starter::Spawner(_) => spawner,
        };
        Launcher { starter, ..self }
    }

    /// Has the spawner start shims, which can give programs an identity.
    #[must_use]
    pub fn with_spawner(self, spawner: Spawner) -> Launcher {
        Launcher { starter: Starter::Spawner(spawner), ..self }
    }

    /// The same for programs that get a `/tmp` of their own where that is possible.
    #[must_use]
    pub fn with_private_tmp(self, private_tmp: PrivateTmp) -> Launcher {
        Launcher { private_tmp: Some(Arc::new(private_tmp)), ..self }
    }

    /// The same for programs that run under the ids of `identity`, if this launcher can give any.
    #[must_use]
    pub fn under(&self, identity: Option<Identity>) -> Launcher {
        Launcher { identity, ..self.clone() }
    }

    /// The same for programs that may do what `confinement` says.
    #[must_use]
    pub fn confined(&self, confinement: Arc<Confinement>) -> Launcher {
        Launcher { confinement: Some(confinement), ..self.clone() }
    }

    /// The ids that programs can be given; none where they run under the caller's own.
    pub fn user_ids(&self) -> Option<UserIds> {
        match &self.starter {
            Starter::Own { ids, .. } => *ids,
            Starter::Spawner(spawner) => Some(spawner.ids()),
        }
    }

    /// Makes folders, which belong to this process, those of `identity`. Does nothing where there are no ids to give.
    /// Blocks.
    pub fn give(&self, identity: Identity, folders: &[&Path]) -> io::Result<()> {
        let open = |path: &&Path| {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
        };
        let folders = folders.iter().map(open).collect::<io::Result<Vec<File>>>()?;
        match &self.starter {
            Starter::Own { ids: None, .. } => Ok(()),
            Starter::Own { ids: Some(ids), .. } => {
                let ids = ids.ids(identity).ok_or(io::ErrorKind::InvalidInput)?;
                folders.iter().try_for_each(|folder| spawner::give_to(ids, folder))
            }
            Starter::Spawner(spawner) => spawner.give(identity, &folders),
        }
    }

    /// Removes what is in `folders`, which stay, under the launcher's identity.
    pub async fn empty(&self, folders: Vec<PathBuf>) -> io::Result<()> {
        self.perform(Chore::Empty(folders)).await.map(drop)
    }

    /// Removes what is in a folder and puts files there, by name and content, under the launcher's identity.
    pub async fn refill(&self, folder: PathBuf, files: Vec<(String, String)>) -> io::Result<()> {
        self.perform(Chore::Refill(folder, files)).await.map(drop)
    }

    /// The memory of files in memory that `pids` hold open, mapped or not, as far as the launcher's identity may look.
    pub async fn open_memory_files(&self, pids: Vec<i32>) -> io::Result<u64> {
        Ok(self.perform(Chore::WeighFiles(pids)).await?.memory_bytes)
    }

    /// What `pids` take when everything that they share counts once, as far as the launcher's identity may look.
    pub async fn shared_once(&self, pids: Vec<i32>) -> io::Result<u64> {
        Ok(self.perform(Chore::WeighOnce(pids)).await?.memory_bytes)
    }

    async fn perform(&self, chore: Chore) -> io::Result<Report> {
        if self.identity.is_none() || self.user_ids().is_none() {
            return spawn_blocking(move || chore.perform()).await.map_err(io::Error::other)?;
        }
        let doing = async {
            let (mut stream, child, _) = self.spawn_shim().await?;
            send_order(&mut stream, &Order::Chore(chore), &[]).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            if let Some(mut child) = child {
                child.wait().await?;
            }
            Answer::decode(&answer)
        };
        timeout(CHORE_BOUND, doing).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// The trees that it and its clones have started, and that are not gone.
    pub fn trees(&self) -> Vec<LivingTree> {
        self.living.all()
    }

    /// What the files in `folders` take, deleted ones that the launcher's trees hold open included, up to a little more
    /// than `most`, as the launcher's identity sees them. `snapshot` says which processes the trees are.
    pub async fn measure(&self, folders: Vec<PathBuf>, most: DiskUsage, snapshot: Arc<Snapshot>) -> DiskUsage {
        let pids = self.trees().iter().flat_map(|tree| tree.pids(&snapshot)).collect();
        match self.perform(Chore::Measure { folders, pids, most }).await {
            Ok(report) => report.usage,
            Err(error) => {
                tracing::warn!(%error, "the files of a session cannot be measured");
                DiskUsage::default()
            }
        }
    }

    /// Starts `program` below a shim of its own, and returns when the program runs (its `exec` succeeded).
    pub async fn start(&self, program: Program) -> Result<Tree, StartError> {
        let name = program.program.clone();
        let shim_failed = |source| StartError::Shim { program: name.clone(), source };
        let (mut stream, child, shim_pid) = self.spawn_shim().await.map_err(shim_failed)?;
        let starting = async {
            let fds: Vec<RawFd> = program.fds.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
            let order = self.order(&program)?;
            send_order(&mut stream, &order, &fds).await?;
            next_event(&mut stream).await
        };
        let event = match timeout(START_BOUND, starting).await {
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

    async fn spawn_shim(&self) -> io::Result<(UnixStream, Option<Child>, i32)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // When the start fails half-way, dropping the socket is what ends the shim, and its parent reaps it.
        let stream = UnixStream::from_std(ours)?;
        let theirs = OwnedFd::from(theirs);
        match (&self.starter, self.identity) {
            (Starter::Own { shim, ids }, identity) => {
                let ids = identity.and_then(|identity| ids.as_ref()?.ids(identity));
                let child = Command::from(spawner::shim_command(shim, ids, theirs)).spawn()?;
                let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
                Ok((stream, Some(child), pid.ok_or(io::ErrorKind::NotFound)?))
            }
            (Starter::Spawner(spawner), Some(identity)) => {
                let spawner = spawner.clone();
                let pid =
                    spawn_blocking(move || spawner.spawn(identity, &theirs)).await.map_err(io::Error::other)??;
                Ok((stream, None, pid))
            }
            (Starter::Spawner(_), None) => Err(io::Error::new(io::ErrorKind::InvalidInput, "no identity was chosen")),
        }
    }

    fn order(&self, program: &Program) -> io::Result<Order> {
        if program.fds.iter().any(|&(number, _)| !(0..OWN_FDS_FROM).contains(&number)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Order::Run(Box::new(Run {
            program: path_to_string(&program.program)?,
            args: program.args.clone(),
            env: program.env.clone(),
            cwd: path_to_string(&program.cwd)?,
            fd_numbers: program.fds.iter().map(|&(number, _)| number).collect(),
            deadline_ms: program.deadline.map(|deadline| u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)),
            private_tmp: self.private_tmp.as_deref().cloned(),
            open_files: open_files::for_programs(),
            confinement: self.confinement.as_deref().cloned(),
        })))
    }

    fn own(&self, stream: UnixStream, child: Option<Child>, shim_pid: i32, program_pid: i32) -> Tree {
        let (events, control) = stream.into_split();
        let (state, watcher) = watch::channel(State::default());
        let vitals = Vitals::new(shim_pid, program_pid);
        self.living.add(&vitals);
        let owner = Owner { events, control, child, shim_pid, state, vitals: Arc::clone(&vitals) };
        self.tracker.spawn(owner.run());
        Tree { shim_pid, program_pid, state: watcher, vitals }
    }
}

async fn send_order(stream: &mut UnixStream, order: &Order, fds: &[RawFd]) -> io::Result<()> {
    let order = serde_json::to_vec(order)?;
    let length = u32::try_from(order.len()).map_err(|_| io::ErrorKind::InvalidInput)?.to_ne_bytes();
    let rights = [ControlMessage::ScmRights(fds)];
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
    /// None for a shim that the spawner has started, and reaps.
    child: Option<Child>,
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
        // One of ours is not yet reaped, so the number is still the shim's; no session can stop one of the spawner's.
        if self.child.is_some() {
            let _ = kill(Pid::from_raw(self.shim_pid), Signal::SIGCONT);
        }
        let _ = self.control.try_write(&[KILL]);
    }
}
