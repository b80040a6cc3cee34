//! Owns a browser's process tree: detects its end, notifies all clients and callers, and makes sure
//! that no process is left. Independent of clients and the protocol.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hearth_budget::Budget;
use hearth_sandbox::{Exit, ProcessTree};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::broker::Broker;
use crate::cdp::pipe::{Frame, ReadEnd, read_frames};

/// The time to wait for the exit status after the pipe has closed, because the pipe closes slightly
/// before the process exits.
const EXIT_AFTER_PIPE: Duration = Duration::from_millis(200);

/// The reason why a browser is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathReason {
    /// Hearth closed it.
    Closed,
    /// Hearth killed it.
    Killed,
    /// It exited without a request: it crashed, or the kernel or another process killed it.
    Exited(Exit),
    /// It closed its pipe but did not exit, and was killed.
    PipeClosed,
    /// It stopped reading commands and was killed.
    Stuck,
    /// It stopped replying and was killed.
    Silent,
    /// It sent an invalid protocol message and was killed.
    InvalidMessage,
}

impl DeathReason {
    /// Returns true if the end was not requested.
    pub fn is_crash(self) -> bool {
        !matches!(self, DeathReason::Closed | DeathReason::Killed)
    }
}

impl fmt::Display for DeathReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeathReason::Closed => f.write_str("closed"),
            DeathReason::Killed => f.write_str("killed"),
            DeathReason::Exited(Exit::Code(code)) => write!(f, "exit code {code}"),
            DeathReason::Exited(Exit::Signal(signal)) => write!(f, "signal {signal}"),
            DeathReason::Exited(Exit::Lost) => f.write_str("supervisor lost"),
            DeathReason::PipeClosed => f.write_str("pipe closed"),
            DeathReason::Stuck => f.write_str("stopped reading"),
            DeathReason::Silent => f.write_str("stopped replying"),
            DeathReason::InvalidMessage => f.write_str("invalid message"),
        }
    }
}

/// The progress of a browser's end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    /// Set once the reason is known. Clients have been closed by then.
    pub(crate) reason: Option<DeathReason>,
    /// True when all processes of the tree are gone.
    pub(crate) gone: bool,
}

/// The supervisor's interface for the browser's handle.
#[derive(Debug)]
pub(crate) struct Supervised {
    /// Written by the supervisor.
    pub(crate) end: watch::Receiver<End>,
    /// Cancelled to kill the tree.
    pub(crate) kill: CancellationToken,
    /// Cancelled before the browser is requested to exit.
    pub(crate) closing: CancellationToken,
}

/// The result of a pipe task.
enum PipeEnd {
    Read(ReadEnd),
    Stuck,
}

/// Starts the tasks of a running browser: a reader, a writer, and the owner of the tree.
pub(crate) fn supervise(
    tracker: &TaskTracker,
    tree: ProcessTree,
    broker: Arc<Broker>,
    from_browser: pipe::Receiver,
    budget: &Budget,
) -> Supervised {
    let (pipe_ends, pipe_ended) = mpsc::channel(2);
    let reader = Arc::clone(&broker);
    let read_end = pipe_ends.clone();
    let budget = budget.clone();
    let reading = async move {
        let end = read_frames(from_browser, &budget, |frame| match frame {
            Frame::Whole(frame) => reader.handle_frame(frame),
            Frame::Oversized(beginning) => reader.handle_oversized(beginning),
        })
        .await;
        // The supervisor may have ended already.
        let _ = read_end.send(PipeEnd::Read(end)).await;
    };
    tracker.spawn(reading.in_current_span());
    let writer = Arc::clone(&broker);
    let writing = async move {
        if writer.writer().drain().await.is_err() {
            let _ = pipe_ends.send(PipeEnd::Stuck).await;
        }
    };
    tracker.spawn(writing.in_current_span());
    let (end, end_seen) = watch::channel(End::default());
    let supervised = Supervised {
        end: end_seen,
        kill: CancellationToken::new(),
        closing: CancellationToken::new(),
    };
    let (kill, closing) = (supervised.kill.clone(), supervised.closing.clone());
    let supervising = async move {
        let reason = wait_for_end(&tree, &broker, pipe_ended, &kill, &closing).await;
        if reason.is_crash() {
            broker.shut_down(1011, &format!("browser crashed ({reason})"));
        } else {
            broker.shut_down(1001, "the browser was closed");
        }
        end.send_modify(|end| end.reason = Some(reason));
        tree.kill();
        tree.gone().await;
        end.send_modify(|end| end.gone = true);
    };
    tracker.spawn(supervising.in_current_span());
    supervised
}

async fn wait_for_end(
    tree: &ProcessTree,
    broker: &Broker,
    mut pipe_ended: mpsc::Receiver<PipeEnd>,
    kill: &CancellationToken,
    closing: &CancellationToken,
) -> DeathReason {
    tokio::select! {
        () = kill.cancelled() => DeathReason::Killed,
        exit = tree.exited() => exit_reason(exit, closing),
        () = broker.watch_liveness() => DeathReason::Silent,
        never = broker.watch_delays() => match never {},
        end = pipe_ended.recv() => match end {
            Some(PipeEnd::Stuck) => DeathReason::Stuck,
            Some(PipeEnd::Read(ReadEnd::InvalidMessage(what))) => {
                tracing::warn!(what, "browser killed after invalid message");
                DeathReason::InvalidMessage
            }
            Some(PipeEnd::Read(ReadEnd::Closed)) | None => {
                wait_for_exit(tree, kill, closing).await
            }
        },
    }
}

/// Waits for the exit status of a browser that has closed its pipe.
async fn wait_for_exit(
    tree: &ProcessTree,
    kill: &CancellationToken,
    closing: &CancellationToken,
) -> DeathReason {
    match tokio::time::timeout(EXIT_AFTER_PIPE, tree.exited()).await {
        Ok(exit) => exit_reason(exit, closing),
        // Full Chromium writes its profile after its pipe is closed.
        Err(_) if closing.is_cancelled() => tokio::select! {
            _ = tree.exited() => DeathReason::Closed,
            () = kill.cancelled() => DeathReason::Killed,
        },
        Err(_) => DeathReason::PipeClosed,
    }
}

fn exit_reason(exit: Exit, closing: &CancellationToken) -> DeathReason {
    if closing.is_cancelled() {
        DeathReason::Closed
    } else {
        DeathReason::Exited(exit)
    }
}
