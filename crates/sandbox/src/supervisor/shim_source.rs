//! Starts shims, either as children of this process or through the [`Spawner`].

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::Pid;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

use crate::policy::user::{SandboxUser, UserIds};
use crate::supervisor::fd_passing::send_with_fds;
use crate::supervisor::shim_command::shim_command;
use crate::supervisor::spawner::{Spawner, chown_dir};

/// A way to start shims.
#[derive(Clone, Debug)]
pub(crate) enum ShimSource {
    /// Starts shims as children of this process. `ids` is set if this process is root.
    Local {
        executable: Arc<Path>,
        ids: Option<UserIds>,
    },
    /// Starts shims through the privileged process, which can change user ids.
    Spawner(Spawner),
}

impl ShimSource {
    /// Returns the ids that programs can run under, or None if they run under the caller's own.
    pub(crate) fn user_ids(&self) -> Option<UserIds> {
        match self {
            ShimSource::Local { ids, .. } => *ids,
            ShimSource::Spawner(spawner) => Some(spawner.ids()),
        }
    }

    /// Changes the owner of directories. Does nothing if there are no other ids. Blocks.
    pub(crate) fn chown_dirs(&self, user: SandboxUser, dirs: &[File]) -> io::Result<()> {
        match self {
            ShimSource::Local { ids: None, .. } => Ok(()),
            ShimSource::Local { ids: Some(ids), .. } => {
                let ids = ids.ids(user).ok_or(io::ErrorKind::InvalidInput)?;
                dirs.iter().try_for_each(|dir| chown_dir(ids, dir))
            }
            ShimSource::Spawner(spawner) => spawner.chown_dirs(user, dirs),
        }
    }

    /// Starts a shim whose program will run as `user`.
    pub(crate) async fn start(&self, user: Option<SandboxUser>) -> io::Result<IdleShim> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // If the start fails halfway, dropping this socket ends the shim, and its parent reaps it.
        let stream = UnixStream::from_std(ours)?;
        let theirs = OwnedFd::from(theirs);
        match (self, user) {
            (ShimSource::Local { executable, ids }, user) => {
                let ids = user.and_then(|user| ids.as_ref()?.ids(user));
                let child = Command::from(shim_command(executable, ids, theirs)).spawn()?;
                let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
                Ok(IdleShim {
                    stream,
                    child: Some(child),
                    pid: pid.ok_or(io::ErrorKind::NotFound)?,
                })
            }
            (ShimSource::Spawner(spawner), Some(user)) => {
                let spawner = spawner.clone();
                let pid = spawn_blocking(move || spawner.spawn(user, &theirs))
                    .await
                    .map_err(io::Error::other)??;
                Ok(IdleShim {
                    stream,
                    child: None,
                    pid,
                })
            }
            (ShimSource::Spawner(_), None) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the spawner needs a sandbox user",
            )),
        }
    }
}

/// A shim that supervises nothing yet. Dropping it ends the shim.
#[derive(Debug)]
pub(crate) struct IdleShim {
    pub stream: UnixStream,
    /// None if the privileged process started the shim. It reaps the shim, too.
    pub child: Option<Child>,
    pub pid: i32,
}

impl IdleShim {
    /// Sends a message of the protocol, and descriptors with it.
    pub(crate) async fn send(&mut self, message: &impl Serialize, fds: &[RawFd]) -> io::Result<()> {
        let message = serde_json::to_vec(message)?;
        let length = u32::try_from(message.len())
            .map_err(|_| io::ErrorKind::InvalidInput)?
            .to_ne_bytes();
        // This cannot block: the socket holds at most one message, and these are four bytes.
        send_with_fds(&self.stream, &length, fds)?;
        self.stream.write_all(&message).await
    }

    /// Returns true if the shim is alive, and resumes it if it was stopped. Programs of the same
    /// user may send it any signal.
    pub(crate) fn is_alive(&self) -> bool {
        // An idle shim sends nothing, so a read finds either no data or the end of the stream. This
        // calls the kernel directly, because tokio detects the end only when it polls the socket.
        let is_silent =
            recv(self.stream.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT) == Err(Errno::EAGAIN);
        if is_silent {
            self.resume();
        }
        is_silent
    }

    /// Ends the shim and waits until it is gone.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        self.resume();
        self.stream.shutdown().await?;
        self.stream.read_to_end(&mut Vec::new()).await?;
        if let Some(mut child) = self.child {
            child.wait().await?;
        }
        Ok(())
    }

    /// Sends SIGCONT to a shim that is a child of this process. The child is not reaped yet, so the
    /// process id is still the shim's. A shim of the privileged process resumes when data arrives.
    fn resume(&self) {
        if self.child.is_some() {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGCONT);
        }
    }
}
