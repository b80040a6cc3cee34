//! Who makes shims, and what is held of one before it watches over anything.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use nix::unistd::Pid;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

use crate::policy::user::{SandboxUser, UserIds};
use crate::supervisor::spawner::{self, Spawner};

/// Who makes shims.
#[derive(Clone, Debug)]
pub(crate) enum ShimSource {
    /// This process. `ids` is there when it is root.
    Local {
        shim: Arc<Path>,
        ids: Option<UserIds>,
    },
    /// Another one, which may change user ids.
    Spawner(Spawner),
}

impl ShimSource {
    pub(crate) fn user_ids(&self) -> Option<UserIds> {
        match self {
            ShimSource::Local { ids, .. } => *ids,
            ShimSource::Spawner(spawner) => Some(spawner.ids()),
        }
    }

    pub(crate) fn chown_dirs(&self, user: SandboxUser, dirs: &[File]) -> io::Result<()> {
        match self {
            ShimSource::Local { ids: None, .. } => Ok(()),
            ShimSource::Local { ids: Some(ids), .. } => {
                let ids = ids.ids(user).ok_or(io::ErrorKind::InvalidInput)?;
                dirs.iter().try_for_each(|dir| spawner::chown_dir(ids, dir))
            }
            ShimSource::Spawner(spawner) => spawner.chown_dirs(user, dirs),
        }
    }

    pub(crate) async fn start(&self, user: Option<SandboxUser>) -> io::Result<IdleShim> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // When the start fails half-way, dropping the socket is what ends the shim, and its parent
        // reaps it.
        let stream = UnixStream::from_std(ours)?;
        let theirs = OwnedFd::from(theirs);
        match (self, user) {
            (ShimSource::Local { shim, ids }, user) => {
                let ids = user.and_then(|user| ids.as_ref()?.ids(user));
                let child = Command::from(spawner::shim_command(shim, ids, theirs)).spawn()?;
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
                "no user was chosen",
            )),
        }
    }
}

/// A shim that watches over nothing yet. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct IdleShim {
    pub stream: UnixStream,
    /// None for a shim that the spawner has started, and reaps.
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
        let rights = [ControlMessage::ScmRights(fds)];
        let rights = if fds.is_empty() {
            &rights[..0]
        } else {
            &rights[..]
        };
        // Four bytes into a socket that holds one message at the max: this cannot block.
        sendmsg::<()>(
            self.stream.as_raw_fd(),
            &[IoSlice::new(&length)],
            rights,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        self.stream.write_all(&message).await
    }

    /// Whether it is there, and goes on if somebody has stopped it. Programs of the same user may
    /// send it any signal.
    pub(crate) fn is_alive(&self) -> bool {
        // It says nothing before it is told something, so this is either nothing or the end. The
        // kernel is asked, since the runtime knows of an end only when it has looked.
        let is_silent =
            recv(self.stream.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT) == Err(Errno::EAGAIN);
        if is_silent {
            self.wake();
        }
        is_silent
    }

    /// Ends it, and waits until it is gone.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        self.wake();
        self.stream.shutdown().await?;
        self.stream.read_to_end(&mut Vec::new()).await?;
        if let Some(mut child) = self.child {
            child.wait().await?;
        }
        Ok(())
    }

    /// One of ours is not yet reaped, so the number is still the shim's; no session can stop one of
    /// the spawner's.
    fn wake(&self) {
        if self.child.is_some() {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGCONT);
        }
    }
}
