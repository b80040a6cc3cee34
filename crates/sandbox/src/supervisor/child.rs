//! Starts the program as a child of the shim, inside its sandbox.

#![expect(clippy::disallowed_methods, reason = "programs are started here")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Pid, Uid, fchown};

use crate::policy::apply::PreparedPolicy;
use crate::policy::notify::NotifyHandler;
use crate::policy::sandbox_policy::UnixSockets;
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

/// Starts the program and returns its process id. Returns a handler for its notifications if the
/// policy has a broker.
pub(crate) fn start(
    request: &ExecRequest,
    fds: Vec<OwnedFd>,
    prepared: Option<PreparedPolicy>,
    environment: &ExecEnvironment,
    ids: Option<Ids>,
) -> io::Result<(Pid, Option<NotifyHandler>)> {
    if fds.len() != request.fd_numbers.len() {
        return Err(io::Error::from_raw_os_error(nix::libc::EBADF));
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
    if let Some(ids) = ids {
        for fd in &fds {
            chown_pipe(fd, ids)?;
        }
    }
    let (moves, _kept) = map_fds(&mut command, fds, &request.fd_numbers);
    let (pid, listener) = spawn_sandboxed(&mut command, moves, prepared, ids)?;
    let handler = match environment
        .policy
        .as_ref()
        .map(|policy| &policy.unix_sockets)
    {
        Some(UnixSockets::Brokered(broker)) => {
            let listener = receive_listener(&listener)?;
            Some(NotifyHandler::new(listener, broker))
        }
        _ => None,
    };
    Ok((pid, handler))
}

/// Assigns descriptors to the program's numbers. Returns the moves (from, to) for numbers above 2,
/// and the descriptors that must stay open until the program has started.
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

/// Spawns the program and applies its sandbox before `exec`. Returns the process id, and the socket
/// on which the child has sent its notification listener, if there is one.
fn spawn_sandboxed(
    command: &mut Command,
    moves: Vec<(RawFd, RawFd)>,
    mut prepared: Option<PreparedPolicy>,
    ids: Option<Ids>,
) -> io::Result<(Pid, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    sys::prepare_child(command, moves, move || {
        if let Some(prepared) = &prepared {
            prepared.set_limits()?;
        }
        if let Some(ids) = ids {
            drop_privileges(ids, &[])?;
            // The programs of a session share their files. No other user may access them.
            set_umask(0o007);
            sys::die_with_parent()?;
        }
        if let Some(prepared) = &mut prepared {
            if let Some(listener) = prepared.restrict_self()? {
                open_files::allow_all()?;
                send_with_fds(&theirs, b"L", &[listener.as_raw_fd()])?;
            }
            prepared.set_open_files_limit()?;
        }
        Ok(())
    });
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((Pid::from_raw(pid), ours))
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

/// Receives the listener that the child sent before its `exec`.
fn receive_listener(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let (_, mut fds) = receive_with_fds(socket, &mut byte)?;
    fds.pop().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
