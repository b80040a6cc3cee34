//! The agent-browser daemon of a session.
//!
//! The CLI that user code calls in bash talks to a daemon that holds the connection to the browser
//! and the `@e1` references. Left to itself the CLI starts one that belongs to nobody and outlives
//! everything; we start it below a shim of its own, so that it lives as long as the session and no
//! longer.
//!
//! The daemon is serial: a command that was cut off keeps it busy. So after a shell that did not
//! end by itself it is replaced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hearth_confine::{Launcher, StartError, Tree};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use crate::sandbox::commands::SessionCommands;

/// How long the daemon may take to listen; it takes a few milliseconds.
const LISTEN_BOUND: Duration = Duration::from_secs(5);

/// More than the daemon's answer to one command takes.
const MAX_ANSWER_BYTES: u64 = 4096;

/// Why there is no daemon.
#[derive(Debug, Error)]
pub(super) enum AgentError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("agent-browser's files cannot be written: {0}")]
    Files(#[from] io::Error),
    #[error("agent-browser's daemon ended at once")]
    Ended,
    #[error("agent-browser's daemon does not listen")]
    Silent,
    #[error("agent-browser's daemon does not close its port: {0}")]
    Open(String),
}

/// The daemon's place. One shell at a time uses it.
#[derive(Debug)]
pub(super) struct Agent {
    folder: PathBuf,
    /// The daemon, unless a shell that used it was cut off.
    daemon: Mutex<Option<Tree>>,
}

/// Holds the daemon for a shell. Unless the shell is said to have ended by itself, the daemon goes
/// with it.
pub(super) struct AgentUse<'a> {
    agent: &'a Agent,
    daemon: Option<Tree>,
}

impl Agent {
    pub fn new(folder: PathBuf) -> Agent {
        Agent {
            folder,
            daemon: Mutex::new(None),
        }
    }

    /// The daemon that is there, if it lives and listens. After `agent-browser close` it lives on
    /// for a moment, and the next command would start one of its own, which may not.
    pub async fn take_running(&self) -> Option<AgentUse<'_>> {
        let known = self
            .daemon
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let daemon = known.filter(Tree::is_running)?;
        UnixStream::connect(self.folder.join(SessionCommands::agent_socket()))
            .await
            .ok()?;
        Some(AgentUse {
            agent: self,
            daemon: Some(daemon),
        })
    }

    /// A new daemon, which listens and starts on the tab `target`.
    pub async fn start(
        &self,
        launcher: &Launcher,
        programs: &SessionCommands,
        target: &str,
    ) -> Result<AgentUse<'_>, AgentError> {
        // What the one before has left goes: a socket without a listener would make the CLI start
        // its own.
        launcher
            .refill(
                self.folder.clone(),
                SessionCommands::plan_agent_files(target).into(),
            )
            .await?;
        let changes = FolderChanges::watch(&self.folder)?;
        let daemon = launcher.start(programs.plan_agent()).await?;
        let socket = self.folder.join(SessionCommands::agent_socket());
        let making_ready = async {
            let connection = changes.until_listening(&socket).await?;
            close_port(connection).await
        };
        tokio::select! {
            ready = timeout(LISTEN_BOUND, making_ready) => ready.unwrap_or(Err(AgentError::Silent))?,
            _ = daemon.exited() => return Err(AgentError::Ended),
        }
        Ok(AgentUse {
            agent: self,
            daemon: Some(daemon),
        })
    }

    /// Kills the daemon; the session's trackers see to the rest.
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
    /// The shell ended by itself: the daemon is not in the middle of anything.
    pub fn finished(mut self) {
        *self
            .agent
            .daemon
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = self.daemon.take();
    }
}

/// Tells when something changes in a folder (`inotify(7)`), through the runtime's safe reader for
/// whatever can be polled.
struct FolderChanges(pipe::Receiver);

impl FolderChanges {
    fn watch(folder: &Path) -> io::Result<FolderChanges> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_OPEN;
        inotify.add_watch(folder, flags)?;
        Ok(FolderChanges(pipe::Receiver::from_owned_fd_unchecked(
            inotify.into(),
        )?))
    }

    /// Tries `socket` at every change. The one that makes the socket can come before the daemon
    /// listens on it; the last one is that the daemon opens its tab file, and by then it does.
    async fn until_listening(mut self, socket: &Path) -> io::Result<UnixStream> {
        let mut changes = vec![0; 4096];
        loop {
            if let Ok(connection) = UnixStream::connect(socket).await {
                return Ok(connection);
            }
            // Which file it was does not matter.
            let _read_bytes = self.0.read(&mut changes).await?;
        }
    }
}

/// Has the daemon close the port that it shows its browser at, to everybody on this machine who
/// connects: it takes no key. Started without that port the daemon would keep no log of requests;
/// having had it once is enough.
async fn close_port(mut daemon: UnixStream) -> Result<(), AgentError> {
    daemon
        .write_all(b"{\"id\":\"1\",\"action\":\"stream_disable\"}\n")
        .await?;
    let mut line = String::new();
    // Code can put a socket of its own there, and say what it likes.
    BufReader::new(daemon)
        .take(MAX_ANSWER_BYTES)
        .read_line(&mut line)
        .await?;
    let answer: Value = serde_json::from_str(&line).unwrap_or_default();
    if answer["success"] == true {
        Ok(())
    } else {
        Err(AgentError::Open(line))
    }
}
