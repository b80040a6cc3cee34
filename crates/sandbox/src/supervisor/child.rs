//! The child of a shim, which becomes the program.
//!
//! The child does everything that does not depend on the program first, such as installing the
//! filters, which takes half a millisecond. It then reads the [`ExecRequest`] from the control
//! socket, which it shares with the shim, changes its user and executes the program.
//!
//! It reports to the shim over a socket that closes with the exec. The shim waits for that.

#![expect(clippy::disallowed_methods, reason = "programs are started here")]

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Pid, Uid, fchown, getpid, getppid};

use crate::policy::apply::PreparedPolicy;
use crate::policy::user::{Ids, drop_privileges, set_umask};
use crate::supervisor::fd_passing::{receive_with_fds, send_with_fds};
use crate::supervisor::open_files;
use crate::supervisor::protocol::{ExecEnvironment, ExecRequest};
use crate::sys;

/// Sets up everything that does not depend on the program: the limit of open files, the private
/// `/tmp` and the policy.
pub(crate) fn prepare_environment(
    environment: &ExecEnvironment,
) -> io::Result<Option<PreparedPolicy>> {
    if let Some(files) = environment.open_files {
        open_files::limit(files)?;
    }
    let mut is_private = false;
    if let Some(private_tmp) = &environment.private_tmp {
        is_private = private_tmp.enter()?;
    }
    environment
        .policy
        .as_ref()
        .map(|policy| PreparedPolicy::new(policy, is_private))
        .transpose()
}

/// The result of [`fork`].
pub(crate) enum Forked {
    Shim(ForkedChild),
    Child(Child),
}

/// Forks the shim, which must have one thread. The child is prepared as far as possible.
pub(crate) fn fork(prepared: Option<PreparedPolicy>, ids: Option<Ids>) -> io::Result<Forked> {
    let shim = getpid();
    let (ours, theirs) = UnixStream::pair()?;
    match sys::fork_process()? {
        ForkResult::Child => {
            drop(ours);
            let mut child = Child {
                shim,
                status: theirs,
                prepared,
                ids,
                error: None,
            };
            child.error = child.prepare().err();
            Ok(Forked::Child(child))
        }
        ForkResult::Parent { child } => Ok(Forked::Shim(ForkedChild {
            pid: child,
            status: ours,
        })),
    }
}

/// The child itself, before its exec.
pub(crate) struct Child {
    shim: Pid,
    /// The other end is in the [`ForkedChild`].
    status: UnixStream,
    prepared: Option<PreparedPolicy>,
    ids: Option<Ids>,
    /// The reason why the preparation failed. The server learns it when it names the program.
    error: Option<io::Error>,
}

impl Child {
    /// Applies the sandbox except for what needs the rights of the shim until the exec.
    fn prepare(&mut self) -> io::Result<()> {
        sys::die_with_parent(self.shim)?;
        sys::reset_signal_handlers();
        let Some(prepared) = &mut self.prepared else {
            return Ok(());
        };
        prepared.set_limits()?;
        if let Some(listener) = prepared.install_filters()? {
            open_files::allow_all()?;
            let report = Report::Listening.encode();
            send_with_fds(&self.status, &report, &[listener.as_raw_fd()])?;
        }
        Ok(())
    }

    /// Returns true if the shim ended before the kernel knew that this process must end with it.
    pub fn is_orphan(&self) -> bool {
        getppid() != self.shim
    }

    /// Executes the program of `request`. Returns only if that fails, after telling the shim.
    pub fn execute(mut self, request: &ExecRequest, fds: Vec<OwnedFd>) {
        let Ok(mut status) = self.status.try_clone() else {
            // The shim finds that the child exited.
            return;
        };
        let error = match self.error.take() {
            Some(error) => error,
            None => self.try_execute(request, fds),
        };
        let errno = error.raw_os_error().unwrap_or(0);
        let _ = status.write_all(&Report::Failed(errno).encode());
    }

    fn try_execute(self, request: &ExecRequest, fds: Vec<OwnedFd>) -> io::Error {
        let Child {
            shim,
            mut status,
            mut prepared,
            ids,
            ..
        } = self;
        if fds.len() != request.fd_numbers.len() {
            return Errno::EBADF.into();
        }
        let mut command = Command::new(&request.program);
        command
            .args(&request.args)
            .env_clear()
            .envs(request.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&request.cwd)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(ids) = ids
            && let Err(error) = fds.iter().try_for_each(|fd| chown_pipe(fd, ids))
        {
            return error;
        }
        let (moves, _kept) = map_fds(&mut command, fds, &request.fd_numbers);
        let deadline = request.deadline_ms;
        sys::prepare_exec(&mut command, moves, move || {
            if let Some(ids) = ids {
                drop_privileges(ids, &[])?;
                // The programs of a session share their files. No other user may access them.
                set_umask(0o007);
                sys::die_with_parent(shim)?;
            }
            if let Some(prepared) = &mut prepared {
                prepared.restrict_files()?;
                prepared.set_open_files_limit()?;
            }
            status.write_all(&Report::Executing(deadline).encode())
        });
        command.exec()
    }
}

/// The shim's handle to its child.
pub(crate) struct ForkedChild {
    pid: Pid,
    /// The other end closes with the exec, or with the child.
    status: UnixStream,
}

/// A program that runs.
pub(crate) struct Started {
    pub pid: Pid,
    /// The listener for notifications, if the policy has a broker.
    pub listener: Option<OwnedFd>,
    /// The time after which the shim kills the tree.
    pub deadline: Option<Duration>,
}

impl ForkedChild {
    /// Waits until the child has executed the program. Returns an error if it could not, and None
    /// if it ended without a request.
    pub fn wait_until_started(self) -> io::Result<Option<Started>> {
        self.wait_for_hangup();
        let mut listener = None;
        let mut executed = None;
        while let Some((report, fd)) = self.next_report()? {
            match report {
                Report::Listening => listener = fd,
                Report::Executing(deadline) => executed = Some(deadline),
                Report::Failed(errno) => {
                    self.reap();
                    return Err(io::Error::from_raw_os_error(errno));
                }
            }
        }
        let Some(deadline) = executed else {
            self.reap();
            return Ok(None);
        };
        Ok(Some(Started {
            pid: self.pid,
            listener,
            deadline: deadline.map(Duration::from_millis),
        }))
    }

    /// Waits until the child has closed its end. What it sends earlier does not wake the shim,
    /// because the exec needs the processor.
    fn wait_for_hangup(&self) {
        let mut events = [PollFd::new(self.status.as_fd(), PollFlags::empty())];
        while poll(&mut events, PollTimeout::NONE) == Err(Errno::EINTR) {}
    }

    /// Returns the next report and its descriptor, or None after the last one.
    fn next_report(&self) -> io::Result<Option<(Report, Option<OwnedFd>)>> {
        let mut bytes = [0; Report::BYTES];
        let (length, mut fds) = receive_with_fds(&self.status, &mut bytes)?;
        if length == 0 {
            return Ok(None);
        }
        let report = Report::decode(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some((report, fds.pop())))
    }

    fn reap(&self) {
        let _ = waitpid(self.pid, None);
    }
}

/// A message of the child to the shim: a letter and a number.
enum Report {
    /// The filters are installed. The listener for notifications comes with this report.
    Listening,
    /// The exec follows. Holds the milliseconds after which the shim kills the tree.
    Executing(Option<u64>),
    /// The program does not start; holds an `errno`.
    Failed(i32),
}

impl Report {
    const BYTES: usize = 9;

    /// The number that stands for no deadline. It would be some million years.
    const NEVER: u64 = u64::MAX;

    fn encode(&self) -> [u8; Report::BYTES] {
        let (letter, number) = match self {
            Report::Listening => (b'L', 0),
            Report::Executing(deadline) => (b'E', deadline.unwrap_or(Report::NEVER)),
            Report::Failed(errno) => (b'F', u64::from(errno.unsigned_abs())),
        };
        let mut bytes = [letter; Report::BYTES];
        bytes[1..].copy_from_slice(&number.to_ne_bytes());
        bytes
    }

    fn decode(bytes: [u8; Report::BYTES]) -> Option<Report> {
        let [letter, number @ ..] = bytes;
        let number = u64::from_ne_bytes(number);
        Some(match letter {
            b'L' => Report::Listening,
            b'E' => Report::Executing(Some(number).filter(|&number| number != Report::NEVER)),
            b'F' => Report::Failed(i32::try_from(number).ok()?),
            _ => return None,
        })
    }
}

/// Assigns descriptors to the program's numbers. Returns the moves (from, to) for numbers above 2,
/// and the descriptors that must stay open until the exec.
fn map_fds(
    command: &mut Command,
    fds: Vec<OwnedFd>,
    numbers: &[i32],
) -> (Vec<(RawFd, RawFd)>, Vec<OwnedFd>) {
    let mut moves = Vec::new();
    let mut kept = Vec::new();
    for (fd, &number) in fds.into_iter().zip(numbers) {
        match number {
            0 => drop(command.stdin(fd)),
            1 => drop(command.stdout(fd)),
            2 => drop(command.stderr(fd)),
            _ => {
                moves.push((fd.as_raw_fd(), number));
                kept.push(fd);
            }
        }
    }
    (moves, kept)
}

/// Changes the owner of a pipe to the program's user. Otherwise the program could not reopen it by
/// name, as in `> /dev/stderr`.
fn chown_pipe(fd: &OwnedFd, ids: Ids) -> io::Result<()> {
    if SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO {
        fchown(
            fd,
            Some(Uid::from_raw(ids.uid)),
            Some(Gid::from_raw(ids.gid)),
        )?;
    }
    Ok(())
}
