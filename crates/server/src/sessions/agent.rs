//! The agent-browser daemon of a session.
//!
//! The CLI that code calls talks to a daemon, which holds the connection to the browser and the
//! `@e1` references. A daemon that the CLI starts would outlive the session. Therefore the server
//! starts the daemon below a separate shim, and ends it with the session. It starts before the
//! first shell, or when a program of a kernel requests it.
//!
//! The daemon runs one command at a time, and a command that was cut off keeps it busy. Therefore
//! the server replaces the daemon after code that used it was killed.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_sandbox::{Launcher, ProcessTree, StartError};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::sandbox::programs::{SessionCommands, agent_socket};

/// The time limit for the daemon to start listening. It usually takes a few milliseconds.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of the daemon's response to a command. Actual responses are shorter.
const MAX_RESPONSE_BYTES: u64 = 4096;

/// The reason why the daemon did not start.
#[derive(Debug, Error)]
pub(super) enum AgentError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("cannot write the files of agent-browser: {0}")]
    Files(#[from] io::Error),
    #[error("the agent-browser daemon exited at startup")]
    Ended,
    #[error("the agent-browser daemon does not listen")]
    Silent,
    #[error("the agent-browser daemon does not close its port: {0}")]
    Open(String),
    #[error("the session is ending")]
    Closed,
}

/// The daemon of one session. At most one shell and one kernel per language use it at a time.
#[derive(Debug)]
pub(super) struct Agent {
    /// The directory of the daemon's socket.
    dir: PathBuf,
    /// Held while a daemon starts.
    starting: tokio::sync::Mutex<()>,
    daemon: Mutex<Daemon>,
    /// Cancelled at the end of the session.
    closing: CancellationToken,
}

/// The running daemon, and its users.
#[derive(Debug, Default)]
struct Daemon {
    tree: Option<ProcessTree>,
    /// True if code in a kernel has used it.
    is_used_by_kernels: bool,
}

/// A guard for code that can use the daemon. Dropping it before [`finish`] kills the daemon,
/// because a command that was cut off keeps the daemon busy.
///
/// [`finish`]: AgentUse::finish
pub(super) struct AgentUse<'a> {
    agent: &'a Agent,
    is_shell: bool,
    is_finished: bool,
}

impl Agent {
    pub fn new(dir: PathBuf) -> Agent {
        Agent {
            dir,
            starting: tokio::sync::Mutex::default(),
            daemon: Mutex::default(),
            closing: CancellationToken::new(),
        }
    }

    /// Returns a guard for code in a shell.
    pub fn use_in_shell(&self) -> AgentUse<'_> {
        AgentUse {
            agent: self,
            is_shell: true,
            is_finished: false,
        }
    }

    /// Returns a guard for code in a kernel, which seldom uses the daemon.
    pub fn use_in_kernel(&self) -> AgentUse<'_> {
        AgentUse {
            agent: self,
            is_shell: false,
            is_finished: false,
        }
    }

    /// Marks the daemon as used by code in a kernel.
    pub fn mark_used_by_kernels(&self) {
        self.daemon().is_used_by_kernels = true;
    }

    /// Returns true if the daemon is running and listens. After `agent-browser close` the daemon
    /// runs for another moment without listening. The next command would then start its own daemon,
    /// which the sandbox does not allow.
    ///
    /// This does not connect, which takes a tenth of a millisecond, because the daemon removes its
    /// socket when it stops listening.
    pub fn is_listening(&self) -> bool {
        let is_running = self
            .daemon()
            .tree
            .as_ref()
            .is_some_and(ProcessTree::is_running);
        is_running
            && fs::symlink_metadata(self.dir.join(agent_socket()))
                .is_ok_and(|metadata| metadata.file_type().is_socket())
    }

    /// Starts a daemon on the tab `target`, unless one is listening, and waits until it listens.
    pub async fn start(
        &self,
        launcher: &Launcher,
        commands: &SessionCommands,
        target: &str,
    ) -> Result<(), AgentError> {
        let starting = async {
            let _turn = self.starting.lock().await;
            if !self.is_listening() {
                self.replace(launcher, commands, target).await?;
            }
            Ok(())
        };
        tokio::select! {
            started = starting => started,
            () = self.closing.cancelled() => Err(AgentError::Closed),
        }
    }

    async fn replace(
        &self,
        launcher: &Launcher,
        commands: &SessionCommands,
        target: &str,
    ) -> Result<(), AgentError> {
        self.kill();
        // This removes the files of an earlier daemon, because a socket without a listener would
        // make the CLI start its own daemon.
        launcher
            .files()
            .refill_dir(
                self.dir.clone(),
                SessionCommands::plan_agent_files(target).into(),
            )
            .await?;
        let changes = DirChanges::watch(&self.dir)?;
        let tree = launcher.start(commands.plan_agent()).await?;
        let socket = self.dir.join(agent_socket());
        let becoming_ready = async {
            let connection = changes.until_listening(&socket).await?;
            close_port(connection).await
        };
        tokio::select! {
            ready = timeout(LISTEN_TIMEOUT, becoming_ready) => ready.unwrap_or(Err(AgentError::Silent))?,
            _ = tree.exited() => return Err(AgentError::Ended),
        }
        self.daemon().tree = Some(tree);
        Ok(())
    }

    /// Kills the daemon without waiting for its exit. The session's task tracker tracks the exit.
    pub fn kill(&self) {
        drop(std::mem::take(&mut *self.daemon()));
    }

    /// Kills the daemon, and starts no other.
    pub async fn close(&self) {
        self.closing.cancel();
        drop(self.starting.lock().await);
        self.kill();
    }

    fn daemon(&self) -> MutexGuard<'_, Daemon> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AgentUse<'_> {
    /// Keeps the daemon for the next code. Call this only if the code ended, because the daemon is
    /// then idle.
    pub fn finish(mut self) {
        self.is_finished = true;
    }
}

impl Drop for AgentUse<'_> {
    fn drop(&mut self) {
        let is_cut_off = !self.is_finished;
        if is_cut_off && (self.is_shell || self.agent.daemon().is_used_by_kernels) {
            self.agent.kill();
        }
    }
}

/// A stream of changes in a directory (`inotify(7)`). It uses tokio's pipe receiver, which accepts
/// any pollable descriptor.
struct DirChanges(pipe::Receiver);

impl DirChanges {
    fn watch(dir: &Path) -> io::Result<DirChanges> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_OPEN;
        inotify.add_watch(dir, flags)?;
        Ok(DirChanges(pipe::Receiver::from_owned_fd_unchecked(
            inotify.into(),
        )?))
    }

    /// Connects to `socket`, with an attempt after every change. The daemon can create the socket
    /// before it listens. Its last change is to open its tab file, and it listens by then.
    async fn until_listening(mut self, socket: &Path) -> io::Result<UnixStream> {
        let mut changes = vec![0; 4096];
        loop {
            if let Ok(connection) = UnixStream::connect(socket).await {
                return Ok(connection);
            }
            // Every change leads to an attempt, so the names of files are ignored.
            let _read_bytes = self.0.read(&mut changes).await?;
        }
    }
}

/// Makes the daemon close the port on which it streams its browser, because any local user could
/// connect without a key. The daemon still has to open the port once: a daemon that starts without
/// the port keeps no log of requests.
async fn close_port(mut daemon: UnixStream) -> Result<(), AgentError> {
    daemon
        .write_all(b"{\"id\":\"1\",\"action\":\"stream_disable\"}\n")
        .await?;
    let mut line = String::new();
    // Code can replace the socket and send anything, so the response is limited.
    BufReader::new(daemon)
        .take(MAX_RESPONSE_BYTES)
        .read_line(&mut line)
        .await?;
    let response: Value = serde_json::from_str(&line).unwrap_or_default();
    if response["success"] == true {
        Ok(())
    } else {
        Err(AgentError::Open(line))
    }
}
