//! The shim: the small process between the server and a program.
//!
//! It runs before any async runtime exists, holds one thread, an empty environment and one socket to the
//! server. All signals but those that cannot be are blocked, so nothing that shares its user id ends it
//! politely; a SIGKILL of the shim takes the program with it (parent-death signal).
//!
//! It stays in the server's session but in a process group of its own. When the server dies while the shim
//! is stopped, that group is orphaned with a stopped member, and the kernel sends it SIGHUP and SIGCONT
//! (`setpgid(2)`): it wakes up, finds the control socket closed and ends the tree.

use std::fs::File;
use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::{Pid, getpid};

use crate::kill::{Reaped, kill_descendants, reap};
use crate::protocol::{Event, OWN_FDS_FROM, Order};
use crate::{open_files, sys};

/// The hidden first argument that makes the executable a shim.
pub const SHIM_ARGUMENT: &str = "__shim";

/// How long a killed tree is waited for before it is looked at again.
const KILL_ROUND: Duration = Duration::from_millis(20);

/// Runs the shim on descriptor 0 until nothing of its tree is left, and returns the exit code for the
/// process. To be called from `main` before anything else when the first argument is [`SHIM_ARGUMENT`].
pub fn run_shim() -> i32 {
    match Shim::take_order() {
        Ok((shim, order, fds)) => shim.run(&order, fds),
        // Nobody to tell: the server sees the control socket close and reports the program as not started.
        Err(_) => 1,
    }
}

struct Shim {
    control: UnixStream,
    /// Tells of children that ended; all signals are blocked.
    signals: SignalFd,
}

impl Shim {
    fn take_order() -> io::Result<(Shim, Order, Vec<OwnedFd>)> {
        sys::close_fds_from(3)?;
        occupy_program_fds()?;
        let all = SigSet::all();
        all.thread_block()?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        prctl::set_child_subreaper(true)?;
        let _ = prctl::set_name(c"hearth-shim");
        let stdin = io::stdin();
        let mut control = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
        let (length, fds) = receive_length_and_fds(&control)?;
        let mut order = vec![0; length];
        control.read_exact(&mut order)?;
        let order: Order = serde_json::from_slice(&order)?;
        Ok((Shim { control, signals }, order, fds))
    }

    fn run(mut self, order: &Order, fds: Vec<OwnedFd>) -> i32 {
        let deadline = order.deadline_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        let program = match start(order, fds) {
            Ok(pid) => pid,
            Err(error) => {
                self.tell(Event::NotStarted(error.raw_os_error().unwrap_or(0)));
                return 0;
            }
        };
        self.tell(Event::Started(program.as_raw()));
        self.watch(program, deadline);
        self.end_tree(program);
        0
    }

    /// Returns when the tree is to be killed: the program has ended, the server wants it or is gone, or the
    /// deadline has passed.
    fn watch(&mut self, program: Pid, deadline: Option<Instant>) {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return;
            }
            let (control_ready, signal_ready) = self.wait_for_events(left);
            // Either a request to kill or the end of the server: nothing else is ever sent.
            if control_ready {
                return;
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
            let _ = poll(&mut signals, poll_timeout(Some(KILL_ROUND)));
            self.drain_signals();
        }
    }

    fn wait_for_events(&self, at_most: Option<Duration>) -> (bool, bool) {
        let mut events = [
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        if poll(&mut events, poll_timeout(at_most)).is_err() {
            return (false, false);
        }
        let ready = |event: &PollFd| event.revents().is_some_and(|flags| !flags.is_empty());
        (ready(&events[0]), ready(&events[1]))
    }

    fn drain_signals(&self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
    }

    fn tell(&mut self, event: Event) {
        // A server that is gone is noticed by `watch`.
        let _ = self.control.write_all(&event.encode());
    }
}

fn poll_timeout(at_most: Option<Duration>) -> PollTimeout {
    match at_most {
        // Rounded up, or the last fraction of a millisecond would be spent spinning.
        Some(left) => PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
        None => PollTimeout::NONE,
    }
}

fn start(order: &Order, fds: Vec<OwnedFd>) -> io::Result<Pid> {
    if let Some(files) = order.open_files {
        open_files::limit(files)?;
    }
    if let Some(private_tmp) = &order.private_tmp {
        private_tmp.enter()?;
    }
    if fds.len() != order.fd_numbers.len() {
        return Err(io::Error::from_raw_os_error(nix::libc::EBADF));
    }
    let mut command = Command::new(&order.program);
    command.args(&order.args).env_clear().envs(order.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(&order.cwd).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut moves = Vec::new();
    let mut kept = Vec::new();
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
    sys::prepare_child(&mut command, moves);
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Pid::from_raw(pid))
}

/// Fills the descriptors that a program may be given, so that nothing which is opened later lands there: a
/// move onto such a number would otherwise overwrite the pipe over which a failed `exec` is told.
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

fn receive_length_and_fds(control: &UnixStream) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut length = [0; 4];
    let mut space = cmsg_space!([RawFd; 16]);
    let mut fds = Vec::new();
    {
        let mut parts = [IoSliceMut::new(&mut length)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_WAITALL;
        let message = recvmsg::<()>(control.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        if message.bytes != 4 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = part {
                for fd in received {
                    fds.push(sys::take_received_fd(fd)?);
                }
            }
        }
    }
    Ok((u32::from_ne_bytes(length) as usize, fds))
}
