//! The shim: the small process between the server and a program.
//!
//! It runs before any async runtime exists, holds one thread, an empty environment and one socket
//! to the server. All signals but those that cannot be are blocked, so nothing that shares its user
//! id ends it politely; a SIGKILL of the shim takes the program with it (parent-death signal).
//!
//! It stays in the server's session but in a process group of its own. When the server dies while
//! the shim is stopped, that group is orphaned with a stopped member, and the kernel sends it
//! SIGHUP and SIGCONT (`setpgid(2)`): it wakes up, finds the control socket closed and ends the
//! tree.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Pid, Uid, fchown, getpid, setgroups};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use serde::de::DeserializeOwned;

use crate::files::task::{FileTask, TaskReply};
use crate::policy::notify::NotifyHandler;
use crate::policy::sandbox_policy::{Ids, PreparedPolicy, UnixSockets, drop_privileges, set_umask};
use crate::supervisor::kill::{Reaped, kill_descendants, reap};
use crate::supervisor::open_files;
use crate::supervisor::protocol::{Event, ExecEnvironment, ExecRequest, OWN_FDS_FROM, ShimCommand};
use crate::sys;

/// The hidden first argument that makes the executable a shim.
pub const SHIM_ARGUMENT: &str = "__shim";

/// How long a killed tree is waited for before it is looked at again.
const KILL_ROUND_INTERVAL: Duration = Duration::from_millis(20);

/// Runs the shim on descriptor 0 until nothing of its tree is left, and returns the exit code for
/// the process. To be called from `main` before anything else when the first argument is
/// [`SHIM_ARGUMENT`]; `arguments` are those behind it: none, or the user and group id for what is
/// started.
pub fn run_shim(arguments: &[String]) -> i32 {
    let ids = match arguments {
        [] => None,
        [uid, gid] => match (uid.parse(), gid.parse()) {
            (Ok(uid), Ok(gid)) => Some(Ids { uid, gid }),
            _ => return 1,
        },
        _ => return 1,
    };
    match Shim::receive_command(ids) {
        Ok((shim, ShimCommand::Prepare(environment), _)) => shim.run(&environment),
        Ok((shim, ShimCommand::FileTask(task), file)) => shim.run_file_task(&task, file),
        // Nobody to tell: the server sees the control socket close and reports the program as not
        // started.
        Err(_) => 1,
    }
}

struct Shim {
    control: UnixStream,
    /// Tells of children that ended; all signals are blocked.
    signals: SignalFd,
    /// Whose the program is to be; the shim itself stays what it is, so that the program cannot
    /// touch it.
    ids: Option<Ids>,
    /// Answers the program's questions, if it may ask any.
    broker: Option<NotifyHandler>,
}

impl Shim {
    fn receive_command(ids: Option<Ids>) -> io::Result<(Shim, ShimCommand, Option<File>)> {
        sys::close_fds_from(3)?;
        occupy_program_fds()?;
        let all = SigSet::all();
        all.thread_block()?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        prctl::set_child_subreaper(true)?;
        let _ = prctl::set_name(c"hearth-shim");
        if let Some(ids) = ids {
            // What only the session may pass, its shim passes too, also where root may not do
            // everything.
            setgroups(&[Gid::from_raw(ids.gid)])?;
        }
        let stdin = io::stdin();
        let control = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
        let mut shim = Shim {
            control,
            signals,
            ids,
            broker: None,
        };
        let (order, mut files) = shim.receive()?;
        Ok((shim, order, files.pop().map(File::from)))
    }

    /// Waits for a message. An error when there will be none.
    fn receive<M: DeserializeOwned>(&mut self) -> io::Result<(M, Vec<OwnedFd>)> {
        let mut length = [0; 4];
        let (bytes, fds) = receive_with_fds(&self.control, &mut length)?;
        if bytes != 4 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut message = vec![0; u32::from_ne_bytes(length) as usize];
        self.control.read_exact(&mut message)?;
        Ok((serde_json::from_slice(&message)?, fds))
    }

    fn run_file_task(mut self, task: &FileTask, file: Option<File>) -> i32 {
        set_umask(0o007);
        let sample = task.sample_proc();
        let report = self
            .ids
            .map_or(Ok(()), |ids| drop_privileges(ids, &[]))
            .and_then(|()| task.perform(&sample, file));
        // A server that is gone needs no report.
        let _ = self.control.write_all(&TaskReply::of(report).encode());
        0
    }

    fn run(mut self, environment: &ExecEnvironment) -> i32 {
        let placed = enter(environment);
        // Not needed any more, or the server is gone.
        let Ok((run, fds)) = self.receive::<ExecRequest>() else {
            return 0;
        };
        let deadline = run
            .deadline_ms
            .map(|ms| Instant::now() + Duration::from_millis(ms));
        let program =
            match placed.and_then(|prepared| start(&run, fds, prepared, environment, self.ids)) {
                Ok((pid, broker)) => {
                    self.broker = broker;
                    pid
                }
                Err(error) => {
                    self.tell(Event::NotStarted(error.raw_os_error().unwrap_or(0)));
                    return 0;
                }
            };
        self.tell(Event::Started(program.as_raw()));
        drop_capabilities_except_kill();
        self.watch(program, deadline);
        self.end_tree(program);
        0
    }

    /// Returns when the tree is to be killed: the program has ended, the server wants it or is
    /// gone, or the deadline has passed.
    fn watch(&mut self, program: Pid, deadline: Option<Instant>) {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return;
            }
            let (control_ready, signal_ready, notify_ready) = self.wait_for_events(left);
            // Either a request to kill or the end of the server: nothing else is ever sent.
            if control_ready {
                return;
            }
            if notify_ready && let Some(broker) = &self.broker {
                broker.answer();
            }
            if signal_ready {
                let mut program_ended = false;
                self.drain_signals();
                reap(|pid, exit| {
                    if pid == program {
                        program_ended = true;
                        let _ = self.control.write_all(&Event::Ended(exit).encode());
                    }
                });
                if program_ended {
                    return;
                }
            }
        }
    }

    /// Kills until the kernel says that nothing is left.
    fn end_tree(&mut self, program: Pid) {
        let me = getpid();
        loop {
            let reaped = reap(|pid, exit| {
                if pid == program {
                    let _ = self.control.write_all(&Event::Ended(exit).encode());
                }
            });
            if reaped == Reaped::NoneLeft {
                return;
            }
            kill_descendants(me);
            let mut signals = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut signals, poll_timeout(Some(KILL_ROUND_INTERVAL)));
            self.drain_signals();
        }
    }

    /// Whether the server, a child and the door have something to say.
    fn wait_for_events(&self, timeout: Option<Duration>) -> (bool, bool, bool) {
        let on = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut events = vec![on(self.control.as_fd()), on(self.signals.as_fd())];
        events.extend(self.broker.as_ref().map(|broker| on(broker.listener())));
        if poll(&mut events, poll_timeout(timeout)).is_err() {
            return (false, false, false);
        }
        let ready = |event: &PollFd| event.revents().is_some_and(|flags| !flags.is_empty());
        // Nobody who could ask is left when it hangs up, which comes with the end of the program.
        let asked = |event: &PollFd| {
            event
                .revents()
                .is_some_and(|flags| flags.contains(PollFlags::POLLIN))
        };
        (
            ready(&events[0]),
            ready(&events[1]),
            events.get(2).is_some_and(asked),
        )
    }

    fn drain_signals(&self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
    }

    fn tell(&mut self, event: Event) {
        // A server that is gone is noticed by `watch`.
        let _ = self.control.write_all(&event.encode());
    }
}

fn poll_timeout(timeout: Option<Duration>) -> PollTimeout {
    match timeout {
        // Rounded up, or the last fraction of a millisecond would be spent spinning.
        Some(left) => {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        }
        None => PollTimeout::NONE,
    }
}

/// Of root's rights only the one to end what other users run is needed from now on
/// (`capabilities(7)`).
fn drop_capabilities_except_kill() {
    let Ok(CapabilitySets { permitted, .. }) = capabilities(None) else {
        return;
    };
    let left = permitted & CapabilitySet::KILL;
    let sets = CapabilitySets {
        effective: left,
        permitted: left,
        inheritable: CapabilitySet::empty(),
    };
    // Who has none has nothing to give up.
    let _ = set_capabilities(None, sets);
}

/// Does everything that can be done before it is known what to start.
fn enter(environment: &ExecEnvironment) -> io::Result<Option<PreparedPolicy>> {
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

fn start(
    order: &ExecRequest,
    fds: Vec<OwnedFd>,
    mut prepared: Option<PreparedPolicy>,
    environment: &ExecEnvironment,
    ids: Option<Ids>,
) -> io::Result<(Pid, Option<NotifyHandler>)> {
    if fds.len() != order.fd_numbers.len() {
        return Err(io::Error::from_raw_os_error(nix::libc::EBADF));
    }
    let mut command = Command::new(&order.program);
    command
        .args(&order.args)
        .env_clear()
        .envs(order.env.iter().map(|(name, value)| (name, value)));
    command
        .current_dir(&order.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut moves = Vec::new();
    let mut kept = Vec::new();
    if let Some(ids) = ids {
        for fd in &fds {
            chown_pipe(fd, ids)?;
        }
    }
    for (fd, &number) in fds.into_iter().zip(&order.fd_numbers) {
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
    let (ours, theirs) = UnixStream::pair()?;
    sys::prepare_child(&mut command, moves, move || {
        if let Some(prepared) = &prepared {
            prepared.limit()?;
        }
        if let Some(ids) = ids {
            drop_privileges(ids, &[])?;
            set_umask(0o007);
            sys::die_with_parent()?;
        }
        if let Some(prepared) = &mut prepared {
            if let Some(listener) = prepared.enter()? {
                open_files::allow_all()?;
                hand_over(&theirs, listener.as_raw_fd())?;
            }
            prepared.limit_files()?;
        }
        Ok(())
    });
    let child = command.spawn()?;
    let broker = match environment
        .policy
        .as_ref()
        .map(|policy| &policy.unix_sockets)
    {
        Some(UnixSockets::Brokered(broker)) => Some(NotifyHandler::new(take_over(&ours)?, broker)),
        _ => None,
    };
    let pid = i32::try_from(child.id()).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((Pid::from_raw(pid), broker))
}

/// A pipe can be opened anew by its name, as in `> /dev/stderr`, by whoever it belongs to.
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

fn hand_over(socket: &UnixStream, fd: RawFd) -> io::Result<()> {
    let fds = [fd];
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(b"L")],
        &rights,
        MsgFlags::empty(),
        None,
    )?;
    Ok(())
}

/// What the child has handed over, which it did before its `exec`.
fn take_over(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let (_, mut fds) = receive_with_fds(socket, &mut byte)?;
    fds.pop().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Fills the descriptors that a program may be given, so that nothing which is opened later lands
/// there: a move onto such a number would otherwise overwrite the pipe over which a failed `exec`
/// is told.
fn occupy_program_fds() -> io::Result<()> {
    let mut filler = File::open("/dev/null")?;
    while filler.as_raw_fd() < OWN_FDS_FROM {
        let next = filler.try_clone()?;
        // Closed on exec, and held until then.
        std::mem::forget(filler);
        filler = next;
    }
    Ok(())
}

/// Reads as much as fits, and the descriptors that came along (`SCM_RIGHTS`, `unix(7)`).
pub(crate) fn receive_with_fds(
    socket: &UnixStream,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; 16]);
    let mut fds = Vec::new();
    let mut parts = [IoSliceMut::new(bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_WAITALL;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            for fd in received {
                fds.push(sys::take_received_fd(fd)?);
            }
        }
    }
    Ok((message.bytes, fds))
}
