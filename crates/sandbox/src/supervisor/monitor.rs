//! The privileged half of a server (privilege separation, as in OpenSSH).
//!
//! A server that starts as root forks before it has a second thread. The parent stays root and
//! becomes the *monitor*. It starts shims under the ids of sessions, changes the owner of session
//! directories, opens the files with settings again, forwards signals and reaps children. It parses
//! no HTTP, listens on no port, and accepts three requests of fixed size
//! ([`spawner`](crate::supervisor::spawner)). The child does all other work under an unprivileged
//! user, so a vulnerability in the server does not give root access.
//!
//! The monitor receives directories as descriptors. It changes only directories that belong to the
//! server. It follows only the paths that it got before the fork, and opens those for reading.
//!
//! A stopped monitor resumes when the server sends a request or dies, as shims do
//! ([`sys::resume_on_input`]). It then resumes and reaps the shims.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid};

use crate::policy::user::{Ids, UserIds, UserRole, drop_privileges, set_umask};
use crate::supervisor::fd_passing::send_with_fds;
use crate::supervisor::orphan_killer::{OrphanKiller, children};
use crate::supervisor::shim_command::shim_command;
use crate::supervisor::spawner::{
    CHOWN, OPEN, Request, SPAWN, Spawner, chown_dir, open_regular_file,
};
use crate::sys::{self, Resumed};

/// The server's own executable. The link works even after an upgrade has replaced the file.
const EXECUTABLE: &str = "/proc/self/exe";

/// Time limit for shims to end after the server has. Killing a tree takes milliseconds.
const SHIM_EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Interval between two attempts to resume stopped shims.
const RESUME_INTERVAL: Duration = Duration::from_millis(50);

/// Signals that the monitor forwards to the server.
const FORWARDED_SIGNALS: [Signal; 5] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
];

/// The half of the process that [`fork_privileged`] returns in.
#[derive(Debug)]
pub enum PrivilegedFork {
    /// The server, under its own user id, with a handle to the monitor.
    Server(Spawner),
    /// The monitor, after the server and all its programs have ended. Holds the server's exit code.
    Exited(i32),
}

/// Forks this process, which must be root and have one thread, into a server and a monitor. The
/// server can open `files` again through the monitor.
///
/// Returns in the server at once. Returns in the monitor after the server and everything that it
/// started have ended.
pub fn fork_privileged(ids: UserIds, files: Vec<PathBuf>) -> io::Result<PrivilegedFork> {
    let (ours, theirs) = monitor_socket()?;
    let monitor = getpid();
    match sys::fork_process()? {
        ForkResult::Child => {
            drop(ours);
            let server = Ids {
                uid: ids.server(),
                gid: ids.server(),
            };
            drop_privileges(server, &ids.groups())?;
            // The server sets the modes of its files; it prepares some of them for sessions.
            set_umask(0o022);
            sys::die_with_parent(monitor)?;
            prctl::set_dumpable(false)?;
            Ok(PrivilegedFork::Server(Spawner::new(theirs, ids)))
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            let monitor = Monitor {
                socket: ours,
                ids: Some(ids),
                files,
                server: child,
                orphans: Some(OrphanKiller::start(ids)?),
            };
            Ok(PrivilegedFork::Exited(monitor.run()?))
        }
    }
}

/// The half of the process that [`fork_init`] returns in.
#[derive(Debug)]
pub enum InitFork {
    /// The server.
    Server,
    /// The init process, after the server and all its programs have ended. Holds the server's exit
    /// code.
    Exited(i32),
}

/// Forks this process, which must be the first one of its container and have one thread.
///
/// Orphaned processes become children of the first process, so it must reap them. The parent
/// forwards signals and reaps, as `init` does. Returns in the server at once. Returns in the parent
/// after the server and everything that it started have ended.
pub fn fork_init() -> io::Result<InitFork> {
    let (ours, theirs) = monitor_socket()?;
    let monitor = getpid();
    match sys::fork_process()? {
        ForkResult::Child => {
            drop(ours);
            // Stays open until the server ends.
            std::mem::forget(theirs);
            sys::die_with_parent(monitor)?;
            Ok(InitFork::Server)
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            let monitor = Monitor {
                socket: ours,
                ids: None,
                files: Vec::new(),
                server: child,
                orphans: None,
            };
            Ok(InitFork::Exited(monitor.run()?))
        }
    }
}

/// Creates the sockets of the monitor, which calls this before the fork, and of the server.
fn monitor_socket() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    sys::resume_on_input(ours.as_fd(), Resumed::Process)?;
    Ok((ours, theirs))
}

/// The parent of the server.
struct Monitor {
    /// The socket that requests arrive on. The other end closes when the server ends.
    socket: UnixStream,
    /// The ids that requests may name. None if there are no requests: the server starts its shims
    /// itself, or it has closed its end.
    ids: Option<UserIds>,
    /// The files that the server may read.
    files: Vec<PathBuf>,
    server: Pid,
    /// None if the server starts its shims itself.
    orphans: Option<OrphanKiller>,
}

impl Monitor {
    fn run(mut self) -> io::Result<i32> {
        let all = SigSet::all();
        all.thread_block()?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let _ = prctl::set_name(if self.ids.is_some() {
            c"hearth-spawner"
        } else {
            c"hearth-init"
        });
        prctl::set_dumpable(false)?;
        let code = loop {
            let Some(has_request) = self.wait_for_events(&signals) else {
                continue;
            };
            self.forward_signals(&signals);
            if let Some(code) = self.reap() {
                break code;
            }
            if has_request && let Err(error) = self.handle_request() {
                // The server has closed its end and sends no more requests. The loop ends when the
                // server does.
                self.ids = None;
                // A server that sends malformed requests is compromised.
                if error.kind() == io::ErrorKind::InvalidData {
                    let _ = kill(self.server, Signal::SIGKILL);
                }
            }
        };
        self.wait_for_shims(&signals);
        Ok(code)
    }

    /// Waits for a signal or a request. Returns whether there is a request, or None if the wait was
    /// interrupted.
    fn wait_for_events(&self, signals: &SignalFd) -> Option<bool> {
        let mut events = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if self.ids.is_some() {
            events.push(PollFd::new(self.socket.as_fd(), PollFlags::POLLIN));
        }
        poll(&mut events, PollTimeout::NONE).ok()?;
        let has_request = events
            .get(1)
            .and_then(PollFd::revents)
            .is_some_and(|flags| !flags.is_empty());
        Some(has_request)
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

    /// Reaps all children that have ended. Returns the exit code of the server if it is one of
    /// them.
    fn reap(&mut self) -> Option<i32> {
        let mut code = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, exit)) if pid == self.server => code = Some(exit),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.server => {
                    code = Some(128 + signal as i32);
                }
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                Ok(status) => {
                    if let (Some(orphans), Some(pid)) = (&mut self.orphans, status.pid()) {
                        orphans.remove_shim(pid);
                    }
                }
            }
        }
        if let Some(orphans) = &self.orphans {
            orphans.kill();
        }
        code
    }

    /// Waits until all shims have ended. They end on their own, because their control sockets
    /// closed with the server. Shims that are stopped, or that are stopped meanwhile, are resumed.
    fn wait_for_shims(&mut self, signals: &SignalFd) {
        let deadline = Instant::now() + SHIM_EXIT_TIMEOUT;
        loop {
            resume_children();
            // The signal of the last child may arrive before this call, so look for children
            // before waiting for a signal.
            self.reap();
            if waitpid(None, Some(WaitPidFlag::WNOHANG)).is_err() {
                return;
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return;
            }
            let mut events = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(
                &mut events,
                PollTimeout::try_from(remaining.min(RESUME_INTERVAL)).unwrap_or(PollTimeout::ZERO),
            );
            while let Ok(Some(_)) = signals.read_signal() {}
        }
    }

    /// Handles one request. Fails if the request is malformed or the server has ended.
    fn handle_request(&mut self) -> io::Result<()> {
        let Some(all) = self.ids else {
            return Ok(());
        };
        let Request { kind, user, fds } = Request::receive(&self.socket)?;
        if kind == OPEN && user.role == UserRole::Server {
            return self.send_file(user.index);
        }
        let ids = all.ids(user).ok_or(io::ErrorKind::InvalidData)?;
        let outcome = match kind {
            SPAWN if user.role != UserRole::Server => start_shim(ids, fds).inspect(|&pid| {
                if let Some(orphans) = &mut self.orphans {
                    orphans.add_shim(Pid::from_raw(pid));
                }
            }),
            CHOWN => chown_dirs(ids, all, &fds).map(|()| 0),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let response = outcome.unwrap_or_else(|error| minus_errno(&error));
        self.socket.write_all(&response.to_ne_bytes())
    }

    /// Opens a file and sends its descriptor. Fails if no file has this index.
    fn send_file(&self, index: u16) -> io::Result<()> {
        let path = self.files.get(usize::from(index));
        let opened = open_regular_file(path.ok_or(io::ErrorKind::InvalidData)?);
        let (response, fd) = match &opened {
            Ok(file) => (0, Some(file.as_raw_fd())),
            Err(error) => (minus_errno(error), None),
        };
        send_with_fds(&self.socket, &response.to_ne_bytes(), fd.as_slice())
    }
}

/// Returns the response to a request that failed.
fn minus_errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(nix::libc::EIO)
}

/// Sends SIGCONT to every child of this process.
fn resume_children() {
    for pid in children() {
        // The child may have ended meanwhile. It is not reaped yet, so the id is still its own.
        let _ = kill(pid, Signal::SIGCONT);
    }
}

fn start_shim(ids: Ids, fds: Vec<OwnedFd>) -> io::Result<i32> {
    let [control] = <[OwnedFd; 1]>::try_from(fds).map_err(|_| io::ErrorKind::InvalidInput)?;
    let child = shim_command(Path::new(EXECUTABLE), Some(ids), control).spawn()?;
    i32::try_from(child.id()).map_err(io::Error::other)
}

/// Changes the owner of directories. Fails with `EPERM` for anything that is not a directory of the
/// server.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_can_open_the_listed_files_again_and_no_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("keys");
        std::fs::write(&file, "one").expect("written");
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let ids = UserIds::new(1000, 1002).expect("one session fits");
        let mut monitor = Monitor {
            socket: ours,
            ids: Some(ids),
            files: vec![file.clone(), "/dev/null".into(), "/nowhere".into()],
            server: Pid::this(),
            orphans: None,
        };
        let monitor = std::thread::spawn(move || while monitor.handle_request().is_ok() {});
        let spawner = Spawner::new(theirs, ids);
        let text = |index| spawner.open_file(index).and_then(io::read_to_string);
        assert_eq!(text(0).expect("a file"), "one");
        // An editor that replaces the file.
        let other = dir.path().join("other");
        std::fs::write(&other, "two").expect("written");
        std::fs::rename(&other, &file).expect("renamed");
        assert_eq!(text(0).expect("a file"), "two");
        let errno = |index| text(index).expect_err("no file").raw_os_error();
        assert_eq!(errno(1), Some(nix::libc::EINVAL));
        assert_eq!(errno(2), Some(nix::libc::ENOENT));
        // The monitor ends the conversation, and kills the server.
        assert!(text(3).is_err());
        monitor.join().expect("it has ended");
    }
}
