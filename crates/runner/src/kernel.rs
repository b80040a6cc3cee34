//! A handle for a long-lived node or python process that runs one piece of code after another.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use hearth_budget::Budget;
use hearth_sandbox::{Launcher, Program};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::attachment::Attachment;
use crate::frames::ReplyReader;
use crate::kernel_task::{Command, Job, KernelTask};
use crate::outcome::{Outcome, Run, RunError};
use crate::output::{LastOutput, Output};

/// The number of commands that wait for the kernel's task: the attachment and one run.
const COMMANDS: usize = 2;

/// The program and the environment of a kernel.
#[derive(Clone, Debug)]
pub struct KernelSpec {
    /// The language for messages: `node` or `python`.
    pub language: &'static str,
    /// The interpreter.
    pub program: PathBuf,
    /// The interpreter's arguments: the kernel script and its arguments.
    pub args: Vec<String>,
    /// The complete environment.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub cwd: PathBuf,
}

/// A running kernel. Dropping it kills the process and everything that it started.
#[derive(Debug)]
pub struct Kernel {
    language: &'static str,
    /// Sends to the [`KernelTask`], which accepts one run at a time.
    commands: mpsc::Sender<Command>,
    /// True when the kernel has warmed up.
    warm: watch::Receiver<bool>,
    /// Receives the output since the last run, if the process exits between runs.
    last_output: oneshot::Receiver<LastOutput>,
    /// Cancelled by the task when no process of the kernel is left.
    gone: CancellationToken,
}

impl Kernel {
    /// Starts the process and returns before it is ready. The kernel then loads what it needs. It
    /// connects to the browser after [`attach`](Kernel::attach). A task in `tracker` owns the
    /// process.
    pub async fn start(
        launcher: &Launcher,
        tracker: &TaskTracker,
        kernel: KernelSpec,
        budget: &Budget,
    ) -> Result<Kernel, RunError> {
        let (output, ends) = Output::new().map_err(RunError::Pipe)?;
        let (requests, requests_end, replies, replies_end) =
            control_pipes().map_err(RunError::Pipe)?;
        let fds = vec![
            (1, ends.stdout),
            (2, ends.stderr),
            (3, requests_end),
            (4, replies_end),
        ];
        let KernelSpec {
            language,
            program,
            args,
            env,
            cwd,
        } = kernel;
        let tree = launcher
            .start(Program {
                program,
                args,
                env,
                cwd,
                fds,
                deadline: None,
            })
            .await?;
        let (commands, queue) = mpsc::channel(COMMANDS);
        let (warmed_up, warm) = watch::channel(false);
        let (farewell, last_output) = oneshot::channel();
        let gone = CancellationToken::new();
        let task = KernelTask {
            language,
            tree,
            requests,
            replies: ReplyReader::new(replies, budget),
            budget: budget.clone(),
            output,
            queue,
            farewell: Some(farewell),
            gone: gone.clone(),
            next_id: 1,
            ready: false,
            warmed_up,
            is_leaving: false,
        };
        tracker.spawn(task.run().in_current_span());
        Ok(Kernel {
            language,
            commands,
            warm,
            last_output,
            gone,
        })
    }

    /// Returns whether the kernel still accepts runs.
    pub fn is_alive(&self) -> bool {
        !self.commands.is_closed()
    }

    /// Connects the kernel to its browser, without waiting. Call this once, before the first run.
    pub fn attach(&self, to: Attachment) {
        // Fails only if the kernel has exited, which the first run reports.
        let _ = self.commands.try_send(Command::Attach(to));
    }

    /// Waits until the kernel has warmed up. Returns false if it exited before.
    pub async fn warmed_up(&self) -> bool {
        self.warm.clone().wait_for(|warm| *warm).await.is_ok()
    }

    /// Runs code. The kernel stays alive after an [`Outcome`] with [`Ended::Cell`]; after every
    /// other outcome it is gone. Dropping the future kills the kernel.
    ///
    /// [`Ended::Cell`]: crate::Ended::Cell
    pub async fn run(&self, run: Run) -> Result<Outcome, RunError> {
        let (reply, outcome) = oneshot::channel();
        let lost = || RunError::KernelLost {
            language: self.language,
            output: LastOutput::default(),
        };
        self.commands
            .send(Command::Run(Box::new(Job { run, reply })))
            .await
            .map_err(|_| lost())?;
        outcome.await.map_err(|_| lost())?
    }

    /// Returns the output of a kernel that has exited since its last run.
    pub async fn into_last_output(self) -> Option<LastOutput> {
        drop(self.commands);
        self.last_output.await.ok()
    }

    /// Kills the kernel and waits until none of its processes is left.
    pub async fn kill(self) {
        drop(self.commands);
        self.gone.cancelled().await;
    }
}

type ControlPipes = (pipe::Sender, OwnedFd, pipe::Receiver, OwnedFd);

fn control_pipes() -> io::Result<ControlPipes> {
    let (kernel_reads, we_write) = io::pipe()?;
    let (we_read, kernel_writes) = io::pipe()?;
    let requests = pipe::Sender::from_owned_fd(we_write.into())?;
    let replies = pipe::Receiver::from_owned_fd(we_read.into())?;
    Ok((requests, kernel_reads.into(), replies, kernel_writes.into()))
}
