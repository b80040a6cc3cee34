//! A long-lived node or python process that runs one piece of code after the other.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use hearth_confine::{Exit, Launcher, Program, Tree};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::frames::{FrameError, Reply, ReplyReader, Request};
use crate::outcome::{Ended, Outcome, Run, RunError};
use crate::output::Output;
use crate::shell::{evaluate_exit, wait_for_interruption, wait_until_gone};

/// What of a kernel's stderr is kept outside of runs, for the message when it does not come up.
const START_STDERR_BYTES: usize = 4096;

/// JSON can blow a byte up to six (`\u0000`); beside the value there is an error message.
const REPLY_BYTES_PER_OUTPUT_BYTE: usize = 12;

/// What a kernel is started with.
#[derive(Clone, Debug)]
pub struct KernelProgram {
    /// `node` or `python`, for messages.
    pub language: &'static str,
    /// The interpreter.
    pub program: PathBuf,
    /// Its arguments: the kernel script and what that needs.
    pub args: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The WebSocket address of the session's browser, with its token.
    pub endpoint: String,
}

/// A running kernel. Dropping it kills the process and everything that it started.
#[derive(Debug)]
pub struct Kernel {
    language: &'static str,
    /// To the kernel's [`KernelTask`], which takes one run at a time.
    jobs: mpsc::Sender<Job>,
    /// Cancelled by the task when nothing of the kernel is left.
    gone: CancellationToken,
}

#[derive(Debug)]
struct Job {
    run: Run,
    /// Closed when the caller has gone away; that cancels the run.
    reply: oneshot::Sender<Result<Outcome, RunError>>,
}

impl Kernel {
    /// Starts the process; a task in `tracker` owns it from then on. It comes up while this returns
    /// already.
    pub async fn start(
        launcher: &Launcher,
        tracker: &TaskTracker,
        kernel: KernelProgram,
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
        let KernelProgram {
            language,
            program,
            args,
            env,
            cwd,
            endpoint,
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
        let (jobs, queue) = mpsc::channel(1);
        let gone = CancellationToken::new();
        let task = KernelTask {
            language,
            tree,
            requests,
            replies: ReplyReader::new(replies),
            output,
            queue,
            gone: gone.clone(),
            next_id: 1,
            ready: false,
        };
        tracker.spawn(task.run(endpoint));
        Ok(Kernel {
            language,
            jobs,
            gone,
        })
    }

    /// Whether runs can still be handed over.
    pub fn is_alive(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Runs code. After an [`Outcome`] that says [`Ended::Cell`] the kernel lives on, after every
    /// other one it is gone. Dropping the future kills the kernel.
    pub async fn run(&self, run: Run) -> Result<Outcome, RunError> {
        let (reply, outcome) = oneshot::channel();
        let lost = || RunError::KernelLost {
            language: self.language,
            stderr: String::new(),
        };
        self.jobs
            .send(Job { run, reply })
            .await
            .map_err(|_| lost())?;
        outcome.await.map_err(|_| lost())?
    }

    /// Ends the kernel and waits until nothing of it is left.
    pub async fn kill(self) {
        drop(self.jobs);
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

/// The one task that owns a kernel: its process, its pipes, its runs.
struct KernelTask {
    language: &'static str,
    tree: Tree,
    requests: pipe::Sender,
    replies: ReplyReader,
    output: Output,
    /// From the [`Kernel`]; its end is the kernel's.
    queue: mpsc::Receiver<Job>,
    gone: CancellationToken,
    /// Runs are numbered from 1; code sees the number in stack traces. A reply counts only with its
    /// run's.
    next_id: u64,
    /// It has come up. One that ends before has run nothing.
    ready: bool,
}

/// What becomes of a kernel after a run.
enum After {
    LivesOn,
    Ends,
}

/// How the wait for a run's end came out.
enum Finish {
    Cell {
        value: Option<String>,
        error: Option<String>,
        truncated: bool,
    },
    NotStarted(String),
    Exited(Exit),
    Broken(FrameError),
    Deadline {
        started: bool,
    },
    Interrupted(crate::outcome::Interruption),
    CallerGone,
}

impl KernelTask {
    async fn run(mut self, endpoint: String) {
        self.output.begin(START_STDERR_BYTES);
        let attach = Request::Attach {
            endpoint: &endpoint,
        }
        .encode();
        if self.requests.write_all(&attach).await.is_ok() {
            while let Some(job) = self.idle().await {
                if let After::Ends = self.execute(job).await {
                    break;
                }
            }
        }
        self.queue.close();
        // Jobs that were handed over meanwhile were not started; dropping them says so.
        self.tree.kill();
        self.tree.gone().await;
        self.gone.cancel();
    }

    /// Waits for the next run, and drops what is printed meanwhile. None: the kernel is no longer
    /// wanted, or is no more.
    async fn idle(&mut self) -> Option<Job> {
        loop {
            tokio::select! {
                job = self.queue.recv() => return job,
                () = self.output.read() => {}
                reply = self.replies.next() => match reply {
                    Ok(reply) => self.ready |= reply == Reply::Ready,
                    Err(error) => {
                        tracing::debug!(language = self.language, %error, "an idle kernel ends");
                        return self.last_job().await;
                    }
                },
                _ = self.tree.exited() => return self.last_job().await,
            }
        }
    }

    /// A kernel that ended by itself: whoever hands over a run right now is told that it was not
    /// started.
    async fn last_job(&mut self) -> Option<Job> {
        self.queue.close();
        if let Some(job) = self.queue.recv().await {
            let (_, stderr, _) = self.output.finish();
            let _ = job.reply.send(Err(RunError::KernelLost {
                language: self.language,
                stderr,
            }));
        }
        None
    }

    async fn execute(&mut self, mut job: Job) -> After {
        let started = Instant::now();
        let id = self.next_id;
        self.next_id += 1;
        self.output.begin(job.run.max_output_bytes);
        self.replies.limit_bytes =
            (job.run.max_output_bytes * REPLY_BYTES_PER_OUTPUT_BYTE).max(1024 * 1024);
        let finish = self.wait_for_finish(id, &mut job).await;
        let (ended, kernel_cut) = match finish {
            Finish::Cell {
                value,
                error,
                truncated,
            } => (Ended::Cell { value, error }, truncated),
            Finish::NotStarted(message) => {
                let _ = job.reply.send(Err(RunError::Unable(message)));
                return After::LivesOn;
            }
            Finish::CallerGone => return After::Ends,
            Finish::Exited(_) if !self.ready && self.tree.killed_because().is_none() => {
                let (_, stderr, _) = self.output.finish();
                let _ = job.reply.send(Err(RunError::KernelLost {
                    language: self.language,
                    stderr,
                }));
                return After::Ends;
            }
            Finish::Deadline { started } => (Ended::Deadline { started }, false),
            Finish::Interrupted(reason) => (Ended::Interrupted(reason), false),
            Finish::Exited(exit) => (evaluate_exit(&self.tree, exit), false),
            Finish::Broken(error) => {
                tracing::warn!(language = self.language, %error, "a kernel is ended");
                (evaluate_exit(&self.tree, Exit::Lost), false)
            }
        };
        let lives_on = matches!(ended, Ended::Cell { .. });
        if !lives_on {
            self.tree.kill();
            wait_until_gone(&self.tree, &mut self.output).await;
        }
        let (stdout, stderr, dropped_bytes) = self.output.finish();
        let truncated = dropped_bytes > 0 || kernel_cut;
        let outcome = Outcome {
            stdout,
            stderr,
            ended,
            truncated,
            dropped_bytes,
            duration: started.elapsed(),
        };
        // A caller that is gone by now loses nothing but the answer.
        let _ = job.reply.send(Ok(outcome));
        if lives_on {
            After::LivesOn
        } else {
            After::Ends
        }
    }

    /// The one loop that decides how a run ends.
    async fn wait_for_finish(&mut self, id: u64, job: &mut Job) -> Finish {
        let Job { run, reply } = job;
        let target = run.target.as_deref();
        let frame = Request::Run {
            id,
            code: &run.source,
            target,
            limit: run.max_output_bytes,
        }
        .encode();
        let mut unsent = &frame[..];
        let mut started = false;
        loop {
            tokio::select! {
                answer = self.replies.next() => match answer {
                    Ok(Reply::Done { id: of, value, error, truncated }) if of == id => {
                        return Finish::Cell { value, error, truncated };
                    }
                    Ok(Reply::Started { id: of }) if of == id => started = true,
                    Ok(Reply::Failed { id: of, message }) if of == id => return Finish::NotStarted(message),
                    Ok(reply) => self.ready |= reply == Reply::Ready,
                    // The end of the process says more than the end of its pipe, which code can
                    // close.
                    Err(FrameError::Closed) => return self.closed(run, reply).await,
                    Err(error) => return Finish::Broken(error),
                },
                exit = self.tree.exited() => return Finish::Exited(exit),
                () = self.output.read() => {}
                () = sleep_until(run.deadline) => return Finish::Deadline { started },
                reason = wait_for_interruption(&mut run.interruption) => return Finish::Interrupted(reason),
                () = reply.closed() => return Finish::CallerGone,
                written = self.requests.write(unsent), if !unsent.is_empty() => match written {
                    Ok(length) => unsent = &unsent[length..],
                    Err(_) => unsent = &[],
                },
            }
        }
    }

    /// The control channel is closed: either the process is ending, or code closed the descriptor
    /// and runs on, and then its deadline ends it.
    async fn closed(
        &mut self,
        run: &mut Run,
        reply: &mut oneshot::Sender<Result<Outcome, RunError>>,
    ) -> Finish {
        loop {
            tokio::select! {
                exit = self.tree.exited() => return Finish::Exited(exit),
                () = self.output.read() => {}
                () = sleep_until(run.deadline) => return Finish::Deadline { started: true },
                reason = wait_for_interruption(&mut run.interruption) => return Finish::Interrupted(reason),
                () = reply.closed() => return Finish::CallerGone,
            }
        }
    }
}
