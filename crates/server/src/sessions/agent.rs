//! The agent-browser daemon of a session.
//!
//! The CLI that bash code calls talks to a daemon, which holds the connection to the browser and
//! the `@e1` references. A daemon that the CLI starts would outlive the session. Therefore the
//! server starts the daemon below a separate shim, and ends it with the session.
//!
//! The daemon runs one command at a time, and a command that was cut off keeps it busy. Therefore
//! the server replaces the daemon after a shell was killed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hearth_sandbox::{Launcher, ProcessTree, StartError};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::timeout;

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
}

/// The daemon of one session. One shell at a time uses it.
#[derive(Debug)]
pub(super) struct Agent {
    /// The directory of the daemon's socket.
    dir: PathBuf,
    /// The daemon, or `None` while a shell uses it and after a shell was killed.
    daemon: Mutex<Option<ProcessTree>>,
}

/// A guard for the use of the daemon by one shell. Dropping it kills the daemon, unless [`keep`]
/// was called.
///
/// [`keep`]: AgentUse::keep
pub(super) struct AgentUse<'a> {
    agent: &'a Agent,
    daemon: Option<ProcessTree>,
}

impl Agent {
    pub fn new(dir: PathBuf) -> Agent {
        Agent {
            dir,
            daemon: Mutex::new(None),
        }
    }

    /// Takes the daemon if it is running and listens. After `agent-browser close` the daemon runs
    /// for another moment without listening. The next command would then start its own daemon,
    /// which the sandbox does not allow.
    pub async fn take_running(&self) -> Option<AgentUse<'_>> {
        let known = self
            .daemon
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let daemon = known.filter(ProcessTree::is_running)?;
        UnixStream::connect(self.dir.join(agent_socket()))
            .await
            .ok()?;
        Some(AgentUse {
            agent: self,
            daemon: Some(daemon),
        })
    }

    /// Starts a daemon on the tab `target`, and waits until it listens.
    pub async fn start(
        &self,
        launcher: &Launcher,
        commands: &SessionCommands,
        target: &str,
    ) -> Result<AgentUse<'_>, AgentError> {
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
        let daemon = launcher.start(commands.plan_agent()).await?;
        let socket = self.dir.join(agent_socket());
        let becoming_ready = async {
            let connection = changes.until_listening(&socket).await?;
            close_port(connection).await
        };
        tokio::select! {
            ready = timeout(LISTEN_TIMEOUT, becoming_ready) => ready.unwrap_or(Err(AgentError::Silent))?,
            _ = daemon.exited() => return Err(AgentError::Ended),
        }
        Ok(AgentUse {
            agent: self,
            daemon: Some(daemon),
        })
    }

    /// Kills the daemon without waiting for its exit. The session's task tracker tracks the exit.
    pub fn kill(&self) {
        drop(
            self.daemon
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

impl AgentUse<'_> {
    /// Keeps the daemon for the next shell. Call this only if the shell exited, because the daemon
    /// is then idle.
    pub fn keep(mut self) {
        *self
            .agent
            .daemon
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = self.daemon.take();
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
