//! The part of a server that may change user ids, and nothing else.
//!
//! A server that is started as root splits in two before it has a second thread. What was started
//! stays root and becomes the *spawner*: it makes shims under the ids of sessions, gives dirs
//! away to them, passes signals on and reaps. It reads no request, listens on no port, and
//! understands two messages of fixed size. The other half, which does all the rest, drops to a user
//! of its own; a hole in it is a hole in a process that may do nothing.
//!
//! ```text
//! spawn  'S' user            + the control socket of the shim   → the shim's process id, or minus an errno
//! give   'G' user            + up to 16 folders                 → 0, or minus an errno
//! ```
//!
//! Folders are given as descriptors, and only those that belong to the server are given away, so no
//! path is followed.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fchown};

use crate::policy::sandbox_policy::{Ids, drop_privileges, set_umask};
use crate::policy::user::{SandboxUser, UserIds, UserRole};
use crate::supervisor::shim::{SHIM_ARGUMENT, receive_with_fds};
use crate::sys;

/// Bytes of a message.
const REQUEST_BYTES: usize = 1 + SandboxUser::BYTES;

/// Our own executable, also after its file was replaced.
const EXECUTABLE: &str = "/proc/self/exe";

/// How long shims may take to end after the server has; killing takes milliseconds.
const SHIM_EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is passed on to the server.
const FORWARDED_SIGNALS: [Signal; 5] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
];

/// What came out of the split.
#[derive(Debug)]
pub enum PrivilegedFork {
    /// This is the server, under its own user id, with what it reaches the spawner by.
    Server(Spawner),
    /// This was the spawner, and everything is over. The exit code is the server's.
    Exited(i32),
}

/// Splits this process, which is root and has one thread: see the module. Returns in the server at
/// once, and in the spawner when the server and everything that it started are gone.
pub fn fork_privileged(ids: UserIds) -> io::Result<PrivilegedFork> {
    let (ours, theirs) = UnixStream::pair()?;
    match sys::fork_process()? {
        ForkResult::Child => {
            drop(ours);
            drop_privileges(
                Ids {
                    uid: ids.server(),
                    gid: ids.server(),
                },
                &ids.groups(),
            )?;
            set_umask(0o022);
            sys::die_with_parent()?;
            prctl::set_dumpable(false)?;
            Ok(PrivilegedFork::Server(Spawner {
                stream: Arc::new(Mutex::new(theirs)),
                ids,
            }))
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            Ok(PrivilegedFork::Exited(
                Monitor {
                    asked: Some((ours, ids)),
                    server: child,
                }
                .run()?,
            ))
        }
    }
}

/// What came out of a split whose other half starts nothing.
#[derive(Debug)]
pub enum InitFork {
    /// This is the server.
    Server,
    /// This was the other half, and everything is over. The exit code is the server's.
    Exited(i32),
}

/// Splits this process, which is the first one of its container and has one thread. Every process
/// whose parent ends becomes the first one's child: the half that stays passes signals on and
/// reaps, as `init` does. Returns in the server at once, and in that half when the server and
/// everything that it started are gone.
pub fn fork_init() -> io::Result<InitFork> {
    match sys::fork_process()? {
        ForkResult::Child => {
            sys::die_with_parent()?;
            Ok(InitFork::Server)
        }
        ForkResult::Parent { child } => Ok(InitFork::Exited(
            Monitor {
                asked: None,
                server: child,
            }
            .run()?,
        )),
    }
}

/// The server's way to the spawner. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spawner {
    stream: Arc<Mutex<UnixStream>>,
    ids: UserIds,
}

impl Spawner {
    /// Which ids it gives out.
    pub fn ids(&self) -> UserIds {
        self.ids
    }

    /// Starts a shim with that control socket. Takes a millisecond; blocks.
    pub(crate) fn spawn(&self, user: SandboxUser, control: &OwnedFd) -> io::Result<i32> {
        self.ask(b'S', user, &[control.as_raw_fd()])
    }

    /// Makes folders of the server somebody else's; blocks.
    pub(crate) fn chown_dirs(&self, user: SandboxUser, dirs: &[File]) -> io::Result<()> {
        let dirs: Vec<RawFd> = dirs.iter().map(AsRawFd::as_raw_fd).collect();
        self.ask(b'G', user, &dirs).map(drop)
    }

    fn ask(&self, what: u8, user: SandboxUser, fds: &[RawFd]) -> io::Result<i32> {
        let [a, b, c] = user.encode();
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let request = [what, a, b, c];
        let rights = [ControlMessage::ScmRights(fds)];
        sendmsg::<()>(
            stream.as_raw_fd(),
            &[IoSlice::new(&request)],
            &rights,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        let answer = i32::from_ne_bytes(answer);
        if answer < 0 {
            Err(io::Error::from_raw_os_error(-answer))
        } else {
            Ok(answer)
        }
    }
}

/// The half that is not the server.
struct Monitor {
    /// Where the server asks for shims, and whose ids they may have; none where it starts them
    /// itself.
    asked: Option<(UnixStream, UserIds)>,
    server: Pid,
}

impl Monitor {
    fn run(mut self) -> io::Result<i32> {
        let all = SigSet::all();
        all.thread_block()?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let _ = prctl::set_name(if self.asked.is_some() {
            c"hearth-spawner"
        } else {
            c"hearth-init"
        });
        prctl::set_dumpable(false)?;
        let code = loop {
            let mut events = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            events.extend(
                self.asked
                    .iter()
                    .map(|(stream, _)| PollFd::new(stream.as_fd(), PollFlags::POLLIN)),
            );
            if poll(&mut events, PollTimeout::NONE).is_err() {
                continue;
            }
            let is_asked = events
                .get(1)
                .and_then(PollFd::revents)
                .is_some_and(|flags| !flags.is_empty());
            self.forward_signals(&signals);
            if let Some(code) = self.reap() {
                break code;
            }
            if is_asked && let Err(error) = self.serve() {
                // When the server has closed its end it asks for nothing more: its death is what is
                // waited for.
                self.asked = None;
                // Nonsense comes from a server that is not itself any more.
                if error.kind() == io::ErrorKind::InvalidData {
                    let _ = kill(self.server, Signal::SIGKILL);
                }
            }
        };
        self.wait_for_shims(&signals);
        Ok(code)
    }

    fn forward_signals(&self, signals: &SignalFd) {
        while let Ok(Some(signal)) = signals.read_signal() {
            let signal = i32::try_from(signal.ssi_signo)
                .ok()
                .and_then(|number| Signal::try_from(number).ok());
            if let Some(signal) = signal.filter(|signal| FORWARDED_SIGNALS.contains(signal)) {
                let _ = kill(self.server, signal);
            }
        }
    }

    /// Collects who has ended; tells the exit code when it is the server.
    fn reap(&self) -> Option<i32> {
        let mut code = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, exit)) if pid == self.server => code = Some(exit),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.server => {
                    code = Some(128 + signal as i32)
                }
                Ok(WaitStatus::StillAlive) | Err(_) => return code,
                Ok(_) => {}
            }
        }
    }

    /// Their lifelines have closed with the server; they end by themselves.
    fn wait_for_shims(&self, signals: &SignalFd) {
        let deadline = Instant::now() + SHIM_EXIT_TIMEOUT;
        loop {
            // A signal about the last one may come before this looks; then there is nobody left to
            // wait for.
            if waitpid(None, Some(WaitPidFlag::WNOHANG)).is_err() {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let mut events = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(
                &mut events,
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
            );
            while let Ok(Some(_)) = signals.read_signal() {}
            self.reap();
        }
    }

    /// One message. An error when it makes no sense or the server is gone.
    fn serve(&mut self) -> io::Result<()> {
        let Some((stream, all)) = &mut self.asked else {
            return Ok(());
        };
        let (what, user, fds) = receive(stream)?;
        let user = SandboxUser::decode(user).ok_or(io::ErrorKind::InvalidData)?;
        let ids = all.ids(user).ok_or(io::ErrorKind::InvalidData)?;
        let outcome = match what {
            b'S' if user.role != UserRole::Server => start_shim(ids, fds),
            b'G' => chown_dirs(ids, *all, &fds).map(|()| 0),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let answer =
            outcome.unwrap_or_else(|error| -error.raw_os_error().unwrap_or(nix::libc::EIO));
        stream.write_all(&answer.to_ne_bytes())
    }
}

fn receive(stream: &UnixStream) -> io::Result<(u8, [u8; SandboxUser::BYTES], Vec<OwnedFd>)> {
    let mut request = [0; REQUEST_BYTES];
    let (bytes, fds) = receive_with_fds(stream, &mut request)?;
    if bytes != REQUEST_BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let [what, a, b, c] = request;
    Ok((what, [a, b, c], fds))
}

fn start_shim(ids: Ids, fds: Vec<OwnedFd>) -> io::Result<i32> {
    let [control] = <[OwnedFd; 1]>::try_from(fds).map_err(|_| io::ErrorKind::InvalidInput)?;
    let child = shim_command(Path::new(EXECUTABLE), Some(ids), control).spawn()?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// How a shim is started, by the spawner or by a server that has none.
pub(crate) fn shim_command(executable: &Path, ids: Option<Ids>, control: OwnedFd) -> Command {
    let mut command = Command::new(executable);
    command.arg0("hearth").arg(SHIM_ARGUMENT);
    if let Some(Ids { uid, gid }) = ids {
        command.arg(uid.to_string()).arg(gid.to_string());
    }
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(control))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.process_group(0);
    command
}

/// Only what is a folder and the server's.
fn chown_dirs(to: Ids, ids: UserIds, dirs: &[OwnedFd]) -> io::Result<()> {
    for dir in dirs {
        let file = File::from(dir.try_clone()?);
        let metadata = file.metadata()?;
        if !metadata.is_dir() || metadata.uid() != ids.server() {
            return Err(io::Error::from_raw_os_error(nix::libc::EPERM));
        }
        chown_dir(to, &file)?;
    }
    Ok(())
}

pub(crate) fn chown_dir(to: Ids, dir: &File) -> io::Result<()> {
    Ok(fchown(
        dir,
        Some(Uid::from_raw(to.uid)),
        Some(Gid::from_raw(to.gid)),
    )?)
}
