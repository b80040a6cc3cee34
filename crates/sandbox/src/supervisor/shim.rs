//! The shim: a small process between the server and a program.
//!
//! It runs before any async runtime exists. It has one thread, an empty environment and one socket
//! to the server. It blocks every signal that can be blocked, so other processes of its user cannot
//! end it with SIGTERM. If it gets SIGKILL, the program dies too (parent-death signal), and the
//! spawner ends the rest of the tree ([`orphan_killer`](crate::supervisor::orphan_killer)).
//!
//! A stopped shim resumes when the server sends a request or dies, because the kernel then sends
//! SIGCONT for the control socket. This also discards a stop that is still pending. SIGCONT is the
//! shim's parent-death signal, too. A shim that finds the control socket closed ends the tree. The
//! [child](crate::supervisor::child) of a shim is in its process group until it becomes the
//! program, so it resumes, too.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Gid, Pid, getpid, setgroups};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use serde::de::DeserializeOwned;

use crate::files::task::{FileTask, TaskOutput, TaskReply};
use crate::policy::notify::NotifyHandler;
use crate::policy::sandbox_policy::UnixSockets;
use crate::policy::user::{Ids, drop_privileges, set_umask};
use crate::supervisor::child::{Forked, Started, fork, prepare_environment};
use crate::supervisor::fd_passing::{receive_with_fds, send_with_fds};
use crate::supervisor::kill::{Reaped, kill_descendants, reap};
use crate::supervisor::protocol::{
    Event, ExecEnvironment, ExecRequest, OWN_FDS_FROM, ShimCommand, read_message,
};
use crate::supervisor::shim_command::parse_ids;
use crate::sys::{self, Resumed};

/// Interval between two rounds of killing a tree.
const KILL_ROUND_INTERVAL: Duration = Duration::from_millis(20);

/// Runs the shim on descriptor 0 until its tree is gone, and returns the exit code of the process.
///
/// `main` must call this before anything else if the first argument is
/// [`SHIM_ARGUMENT`](crate::SHIM_ARGUMENT). `arguments` are the arguments after it: either none, or
/// the user and group id of the program.
pub fn run_shim(arguments: &[String]) -> i32 {
    let Ok(ids) = parse_ids(arguments) else {
        return 1;
    };
    match Shim::receive_command(ids) {
        Ok((shim, ShimCommand::Prepare(environment), _)) => shim.run(&environment),
        Ok((shim, ShimCommand::FileTask(task), file)) => shim.run_file_task(&task, file),
        // The shim cannot report this. The server sees the control socket close and reports that
        // the program did not start.
        Err(_) => 1,
    }
}

struct Shim {
    control: UnixStream,
    /// Reports children that ended. All signals are blocked.
    signals: SignalFd,
    /// The ids of the program. The shim keeps its own, so the program cannot signal or trace it.
    ids: Option<Ids>,
    /// Answers the program's notifications, if its policy has a broker.
    handler: Option<NotifyHandler>,
}

/// The sources of events that are ready.
#[derive(Default)]
struct Ready {
    control: bool,
    signals: bool,
    notification: Option<Notification>,
}

/// An event of the listener for notifications.
enum Notification {
    Sent,
    /// No process is left that could send one.
    Ended,
}

impl Shim {
    fn receive_command(ids: Option<Ids>) -> io::Result<(Shim, ShimCommand, Option<File>)> {
        sys::close_fds_from(3)?;
        let stdin = io::stdin();
        sys::resume_on_input(stdin.as_fd(), Resumed::Group)?;
        reserve_program_fds()?;
        let all = SigSet::all();
        all.thread_block()?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        prctl::set_child_subreaper(true)?;
        let _ = prctl::set_name(c"hearth-shim");
        if let Some(ids) = ids {
            // The shim joins the session's group to traverse directories that are closed to others.
            // This is needed where root lacks CAP_DAC_OVERRIDE.
            setgroups(&[Gid::from_raw(ids.gid)])?;
        }
        // After the last change of credentials, because such a change resets it (`prctl(2)`).
        prctl::set_pdeathsig(Signal::SIGCONT)?;
        let control = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
        let shim = Shim {
            control,
            signals,
            ids,
            handler: None,
        };
        let (command, mut files) = shim.receive()?;
        Ok((shim, command, files.pop().map(File::from)))
    }

    /// Waits until a message arrives, or until the server closes the socket.
    fn wait_for_request(&self) {
        PolledSocket(&self.control).wait_for_data();
    }

    /// Waits for a message. Fails if the server closes the socket.
    fn receive<M: DeserializeOwned>(&self) -> io::Result<(M, Vec<OwnedFd>)> {
        let mut control = PolledSocket(&self.control);
        control.wait_for_data();
        let mut length = [0; 4];
        let (bytes, fds) = receive_with_fds(&self.control, &mut length)?;
        if bytes != 4 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((read_message(&mut control, length)?, fds))
    }

    fn run_file_task(mut self, task: &FileTask, file: Option<File>) -> i32 {
        // The programs of a session share their files. No other user may access them.
        set_umask(0o007);
        let sample = task.sample_proc();
        let performed = self
            .ids
            .map_or(Ok(()), |ids| {
                drop_privileges(ids, &[])?;
                // The change of credentials has reset it.
                Ok(prctl::set_pdeathsig(Signal::SIGCONT)?)
            })
            .and_then(|()| task.perform(&sample?, file));
        // If the server is gone, the reply is not needed.
        let _ = self.send_reply(performed);
        0
    }

    /// Sends the reply to a task. The first byte carries the file that the task has opened.
    fn send_reply(&mut self, performed: io::Result<TaskOutput>) -> io::Result<()> {
        let (report, file) = match performed {
            Ok(TaskOutput { report, file }) => (Ok(report), file),
            Err(error) => (Err(error), None),
        };
        let reply = TaskReply::new(report).encode();
        let (first, rest) = reply.split_at(reply.len().min(1));
        let fds: Vec<RawFd> = file.iter().map(File::as_raw_fd).collect();
        send_with_fds(&self.control, first, &fds)?;
        self.control.write_all(rest)
    }

    /// Returns the exit code of this process, which is either the shim or a child that could not
    /// become the program.
    fn run(mut self, environment: &ExecEnvironment) -> i32 {
        let prepared = prepare_environment(environment);
        if self.ids.is_none() {
            // Code of the same user could kill the child or stop it, so there is none before the
            // request.
            self.wait_for_request();
        }
        let started = match prepared.and_then(|prepared| fork(prepared, self.ids)) {
            Ok(Forked::Child(child)) => {
                // An orphan would wait as long as the server keeps the control socket open.
                if !child.is_orphan()
                    && let Ok((request, fds)) = self.receive()
                {
                    child.execute(&request, fds);
                }
                return 1;
            }
            Ok(Forked::Shim(child)) => child.wait_until_started().transpose(),
            // The response to the request, unless the server has closed the socket.
            Err(error) => self.receive::<ExecRequest>().ok().map(|_| Err(error)),
        };
        match started {
            Some(Ok(started)) => self.supervise(started, environment),
            Some(Err(error)) => self.send(Event::NotStarted(error.raw_os_error().unwrap_or(0))),
            // The server does not need this shim, or it is gone.
            None => {}
        }
        0
    }

    /// Supervises the program until its tree is gone.
    fn supervise(&mut self, started: Started, environment: &ExecEnvironment) {
        let Started {
            pid: program,
            listener,
            deadline,
        } = started;
        let deadline = deadline.map(|deadline| Instant::now() + deadline);
        self.handler = listener.and_then(|listener| notify_handler(environment, listener));
        self.send(Event::Started(program.as_raw()));
        drop_capabilities_except_kill();
        self.wait_for_end(program, deadline);
        self.kill_tree(program);
        // The exit of the last process in a mount namespace takes the kernel a millisecond or more.
        self.send(Event::AllEnded);
    }

    /// Waits until the tree must be killed: the program has ended, the server requests it or is
    /// gone, or the deadline has passed.
    fn wait_for_end(&mut self, program: Pid, deadline: Option<Instant>) {
        loop {
            let remaining =
                deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if remaining == Some(Duration::ZERO) {
                return;
            }
            let ready = self.wait_for_events(remaining);
            // The server sends only kill requests, so this is a kill request or the end of the
            // stream.
            if ready.control {
                return;
            }
            match (ready.notification, &self.handler) {
                (Some(Notification::Sent), Some(handler)) => handler.handle(),
                // The listener stays ready from now on. Polling it would keep the processor busy,
                // on which the last process may still be exiting.
                (Some(Notification::Ended), _) => self.handler = None,
                _ => {}
            }
            if ready.signals {
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

    /// Kills descendants until the kernel reports that no child is left.
    fn kill_tree(&mut self, program: Pid) {
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

    /// Waits for the server, a child or a notification.
    fn wait_for_events(&self, timeout: Option<Duration>) -> Ready {
        let on = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut events = vec![on(self.control.as_fd()), on(self.signals.as_fd())];
        events.extend(self.handler.as_ref().map(|handler| on(handler.listener())));
        if poll(&mut events, poll_timeout(timeout)).is_err() {
            return Ready::default();
        }
        let has_event = |event: &PollFd| event.revents().is_some_and(|flags| !flags.is_empty());
        // The listener hangs up when no process with its filter is left. Only POLLIN means that
        // there is a notification.
        let has_data = |event: &PollFd| {
            event
                .revents()
                .is_some_and(|flags| flags.contains(PollFlags::POLLIN))
        };
        let listener = events.get(2).filter(|event| has_event(event));
        Ready {
            control: has_event(&events[0]),
            signals: has_event(&events[1]),
            notification: listener.map(|event| {
                if has_data(event) {
                    Notification::Sent
                } else {
                    Notification::Ended
                }
            }),
        }
    }

    fn drain_signals(&self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
    }

    fn send(&mut self, event: Event) {
        // `wait_for_end` detects that the server is gone.
        let _ = self.control.write_all(&event.encode());
    }
}

/// Reads from a socket after waiting with `poll`, as [`sys::resume_on_input`] requires.
struct PolledSocket<'a>(&'a UnixStream);

impl PolledSocket<'_> {
    /// Waits until there is data, an end or an error, which the next read returns.
    fn wait_for_data(&self) {
        let mut events = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        while poll(&mut events, PollTimeout::NONE) == Err(Errno::EINTR) {}
    }
}

impl Read for PolledSocket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_for_data();
        let mut socket = self.0;
        socket.read(buffer)
    }
}

fn poll_timeout(timeout: Option<Duration>) -> PollTimeout {
    match timeout {
        // Rounds up, because otherwise the last fraction of a millisecond would be a busy loop.
        Some(timeout) => {
            PollTimeout::try_from(timeout + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        }
        None => PollTimeout::NONE,
    }
}

/// Returns the handler of the program's notifications, if its policy has a broker.
fn notify_handler(environment: &ExecEnvironment, listener: OwnedFd) -> Option<NotifyHandler> {
    match &environment.policy.as_ref()?.unix_sockets {
        UnixSockets::Brokered(broker) => Some(NotifyHandler::new(listener, broker)),
        UnixSockets::Denied | UnixSockets::Allowed => None,
    }
}

/// Drops every capability except `CAP_KILL` (`capabilities(7)`), which ends programs of other
/// users.
fn drop_capabilities_except_kill() {
    let Ok(CapabilitySets { permitted, .. }) = capabilities(None) else {
        return;
    };
    let kept = permitted & CapabilitySet::KILL;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    // Ignores errors, because a process without capabilities has none to drop.
    let _ = set_capabilities(None, sets);
}

/// Opens `/dev/null` on all numbers that a program's descriptors can have, so that later ones get
/// higher numbers. Otherwise moving a descriptor to such a number could overwrite the pipe that
/// reports a failed `exec`.
fn reserve_program_fds() -> io::Result<()> {
    let mut filler = File::open("/dev/null")?;
    while filler.as_raw_fd() < OWN_FDS_FROM {
        let next = filler.try_clone()?;
        // Stays open until `exec` closes it.
        std::mem::forget(filler);
        filler = next;
    }
    Ok(())
}
