//! The task that owns a kernel: its process, its pipes and its runs.

use std::time::Duration;

use bytes::{Buf, Bytes};
use hearth_budget::Budget;
use hearth_sandbox::{Exit, ProcessTree};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::attachment::Attachment;
use crate::frames::{FrameError, Reply, ReplyReader, Request};
use crate::outcome::{Ended, Outcome, Run, RunError};
use crate::output::{Captured, LastOutput, Output};
use crate::run_end::{evaluate_exit, wait_for_interruption, wait_until_all_ended};

/// Bytes of stderr that are kept before the first run, for the error of a kernel that does not
/// become ready.
const START_STDERR_BYTES: usize = 4096;

/// Bytes of each stream that are kept between runs, for the next run.
const BETWEEN_RUNS_BYTES: usize = 64 * 1024;

/// Time limit for reading all replies of a kernel that has exited. They are in the pipe already.
const LAST_REPLIES_TIMEOUT: Duration = Duration::from_millis(100);

/// Maximum number of characters that are kept of a description of pending calls.
const MAX_PENDING_CHARS: usize = 1000;

/// Maximum size of a reply per byte of the output limit. JSON can expand a byte to six bytes
/// (`\u0000`), and a reply has an error message in addition to the value.
const REPLY_BYTES_PER_OUTPUT_BYTE: usize = 12;

/// The minimum of the reply limit, in bytes.
const MIN_REPLY_LIMIT_BYTES: usize = 1024 * 1024;

type ReplySender = oneshot::Sender<Result<Outcome, RunError>>;

/// A command for a kernel.
#[derive(Debug)]
pub(crate) enum Command {
    Attach(Attachment),
    Run(Box<Job>),
}

/// A run and the channel for its outcome.
#[derive(Debug)]
pub(crate) struct Job {
    pub run: Run,
    /// Closed when the caller drops its future, which cancels the run.
    pub reply: ReplySender,
}

/// The state of the task.
pub(crate) struct KernelTask {
    pub language: &'static str,
    pub tree: ProcessTree,
    pub requests: pipe::Sender,
    pub replies: ReplyReader,
    pub output: Output,
    /// Counts output and replies.
    pub budget: Budget,
    /// Receives commands from the `Kernel`. The kernel ends when this channel closes.
    pub queue: mpsc::Receiver<Command>,
    /// Sends the output since the last run, if the process exits between runs.
    pub farewell: Option<oneshot::Sender<LastOutput>>,
    pub gone: CancellationToken,
    /// The number of the next run. Numbers start at 1 and appear in stack traces. A reply counts
    /// only for the run with its number.
    pub next_id: u64,
    /// Set when the kernel is ready. A kernel that exits earlier has not run any code.
    pub ready: bool,
    /// True when the kernel has warmed up.
    pub warmed_up: watch::Sender<bool>,
    /// Set when the last run asked the process to exit, and its response says so.
    pub is_leaving: bool,
}

/// The state of a kernel after a run.
enum After {
    Alive,
    Gone,
}

/// The end of a run that was started.
struct RunEnd {
    ended: Ended,
    /// Set when the kernel truncated the value.
    value_truncated: bool,
}

/// The reason why a run has no outcome.
enum NoOutcome {
    /// The kernel rejected the code with this message and accepts the next run.
    Rejected(String),
    /// The kernel exited before it was ready.
    KernelLost,
    /// The caller dropped its future.
    CallerGone,
}

impl From<Ended> for RunEnd {
    fn from(ended: Ended) -> RunEnd {
        RunEnd {
            ended,
            value_truncated: false,
        }
    }
}

impl KernelTask {
    /// Runs jobs until the kernel ends, then kills every process that is left.
    pub async fn run(mut self) {
        self.output.begin(START_STDERR_BYTES, &self.budget, None);
        while let Some(job) = self.next_job().await {
            if let After::Gone = self.execute(job).await {
                break;
            }
        }
        // Drops queued jobs. Their callers then report that the code was not started.
        self.queue.close();
        self.tree.kill();
        self.tree.gone().await;
        self.gone.cancel();
    }

    /// Waits for the next run and captures output in the meantime. Returns `None` when the kernel
    /// was dropped or has exited.
    async fn next_job(&mut self) -> Option<Job> {
        loop {
            tokio::select! {
                command = self.queue.recv() => match command {
                    None => return None,
                    Some(Command::Run(job)) => return Some(*job),
                    Some(Command::Attach(to)) => self.attach(&to).await,
                },
                () = self.output.read() => {}
                reply = self.replies.next() => match reply {
                    Ok(reply) => self.observe(&reply),
                    Err(error) => {
                        tracing::debug!(language = self.language, %error, "idle kernel ended");
                        return self.reject_last_job().await;
                    }
                },
                _ = self.tree.exited() => return self.reject_last_job().await,
            }
        }
    }

    /// Sends the address of the browser. The kernel has not read anything before, so the message
    /// fits into the pipe. A failure means that the kernel is exiting.
    async fn attach(&mut self, to: &Attachment) {
        let Attachment { endpoint, warm_up } = to;
        let warm_up = *warm_up;
        let _ = self
            .requests
            .write_all(&Request::Attach { endpoint, warm_up }.encode())
            .await;
    }

    /// Takes note of a reply that belongs to no run.
    fn observe(&mut self, reply: &Reply) {
        match reply {
            Reply::Ready => self.ready = true,
            Reply::Connected => drop(self.warmed_up.send_replace(true)),
            // Code that runs in the kernel can send anything.
            _ => {}
        }
    }

    /// Rejects a run that arrived after the kernel exited, with the error that its code was not
    /// started. Without one, the next run gets the last output from the handle.
    async fn reject_last_job(&mut self) -> Option<Job> {
        let output = LastOutput {
            captured: self.output.finish(),
            had_run: self.next_id > 1,
            is_marked: false,
            is_expected: self.is_leaving,
        };
        self.queue.close();
        let mut last_job = None;
        while let Some(command) = self.queue.recv().await {
            if let Command::Run(job) = command {
                last_job = Some(*job);
            }
        }
        if let Some(job) = last_job {
            let _ = job.reply.send(Err(self.lost_error(output)));
        } else if let Some(farewell) = self.farewell.take() {
            // Sending fails if the handle was dropped, which kills the kernel.
            let _ = farewell.send(output);
        }
        None
    }

    fn lost_error(&self, output: LastOutput) -> RunError {
        RunError::KernelLost {
            language: self.language,
            output,
        }
    }

    async fn execute(&mut self, mut job: Job) -> After {
        let started = Instant::now();
        let id = self.next_id;
        self.next_id += 1;
        let earlier = self.output.finish();
        let live = job.run.live.as_ref();
        self.output
            .begin(job.run.max_output_bytes, &self.budget, live);
        if let Some(last) = job.run.last_output.take() {
            self.output.prepend_last(&last, self.language);
        }
        let had_run = id > 1;
        let is_marked = had_run && !earlier.is_empty();
        // Before the first run, only the interpreter itself writes.
        if had_run {
            self.output.prepend(&earlier);
        }
        drop(earlier);
        self.replies.limit_bytes =
            (job.run.max_output_bytes * REPLY_BYTES_PER_OUTPUT_BYTE).max(MIN_REPLY_LIMIT_BYTES);
        let RunEnd {
            ended,
            value_truncated,
        } = match self.wait_for_end(id, &mut job).await {
            Ok(end) => end,
            Err(NoOutcome::Rejected(message)) => {
                let _ = job.reply.send(Err(RunError::Unable(message)));
                return After::Alive;
            }
            Err(NoOutcome::KernelLost) => {
                let output = LastOutput {
                    captured: self.output.finish(),
                    had_run,
                    is_marked,
                    is_expected: self.is_leaving,
                };
                let _ = job.reply.send(Err(self.lost_error(output)));
                return After::Gone;
            }
            Err(NoOutcome::CallerGone) => return After::Gone,
        };
        let is_alive = matches!(ended, Ended::Cell { .. });
        if !is_alive {
            self.tree.kill();
            wait_until_all_ended(&self.tree, &mut self.output).await;
        }
        let Captured {
            stdout,
            stderr,
            dropped_bytes,
            taken_bytes,
            mut reserved,
            ..
        } = self.output.finish();
        if is_alive {
            let limit_bytes = job.run.max_output_bytes.min(BETWEEN_RUNS_BYTES);
            self.output.begin(limit_bytes, &self.budget, None);
        }
        reserved.push(self.replies.take_reserved());
        let outcome = Outcome {
            stdout,
            stderr,
            ended,
            truncated: dropped_bytes > 0 || value_truncated,
            dropped_bytes,
            taken_bytes,
            duration: started.elapsed(),
            reserved,
        };
        // Sending fails if the caller is gone. The run has ended in any case.
        let _ = job.reply.send(Ok(outcome));
        if is_alive { After::Alive } else { After::Gone }
    }

    /// Sends the code and waits until the run ends. No other code decides how a run ends.
    async fn wait_for_end(&mut self, id: u64, job: &mut Job) -> Result<RunEnd, NoOutcome> {
        let Job { run, reply } = job;
        let mut unsent = Bytes::new();
        let mut is_encoded = false;
        let mut started = false;
        let mut pending = None;
        loop {
            // A kernel that is not ready could not tell how old the time in the message is.
            if self.ready && !is_encoded {
                unsent = encode_run(id, run);
                is_encoded = true;
            }
            tokio::select! {
                next = self.replies.next() => match next {
                    Ok(Reply::Done { id: of, value, error, exit, truncated, leaving }) if of == id => {
                        self.is_leaving = leaving;
                        return Ok(cell_end(value, error, exit, truncated));
                    }
                    Ok(Reply::Started { id: of }) if of == id => {
                        started = true;
                        if let Some(live) = &run.live {
                            live.start();
                        }
                    }
                    Ok(Reply::Pending { id: of, calls }) if of == id => {
                        let calls: String = calls.chars().take(MAX_PENDING_CHARS).collect();
                        pending = (!calls.is_empty()).then_some(calls);
                    }
                    // Code that has started could send this, and clients repeat failed requests.
                    Ok(Reply::Failed { id: of, message }) if of == id && !started => {
                        return Err(NoOutcome::Rejected(message));
                    }
                    Ok(reply) => self.observe(&reply),
                    // Code can close the pipe, so only the end of the process ends the run.
                    Err(FrameError::Closed) => {
                        return self.wait_for_exit(id, started, run, reply).await;
                    }
                    Err(error) => {
                        tracing::warn!(language = self.language, %error, "kernel killed");
                        return Ok(evaluate_exit(&self.tree, Exit::Lost).into());
                    }
                },
                exit = self.tree.exited() => return self.exited(id, started, exit).await,
                () = self.output.read() => {}
                () = sleep_until(run.deadline) => {
                    return Ok(Ended::Deadline { started, pending }.into());
                }
                reason = wait_for_interruption(&mut run.interruption) => {
                    return Ok(Ended::Interrupted(reason).into());
                }
                () = reply.closed() => return Err(NoOutcome::CallerGone),
                written = self.requests.write(&unsent), if !unsent.is_empty() => match written {
                    Ok(length) => unsent.advance(length),
                    Err(_) => unsent.clear(),
                },
            }
        }
    }

    /// Waits for the end of a run whose control channel is closed.
    ///
    /// Either the process is exiting, or code closed the descriptor and continues until the
    /// deadline.
    async fn wait_for_exit(
        &mut self,
        id: u64,
        started: bool,
        run: &mut Run,
        reply: &mut ReplySender,
    ) -> Result<RunEnd, NoOutcome> {
        loop {
            tokio::select! {
                exit = self.tree.exited() => return self.exited(id, started, exit).await,
                () = self.output.read() => {}
                () = sleep_until(run.deadline) => {
                    let (started, pending) = (true, None);
                    return Ok(Ended::Deadline { started, pending }.into());
                }
                reason = wait_for_interruption(&mut run.interruption) => {
                    return Ok(Ended::Interrupted(reason).into());
                }
                () = reply.closed() => return Err(NoOutcome::CallerGone),
            }
        }
    }

    /// Evaluates the exit of the process during a run.
    ///
    /// Code of an earlier run, such as a timer, can cause it at any time. A run that had not
    /// started can start again in another kernel, and one that had not ended did not succeed.
    async fn exited(
        &mut self,
        id: u64,
        mut started: bool,
        exit: Exit,
    ) -> Result<RunEnd, NoOutcome> {
        if self.tree.kill_reason().is_some() {
            return Ok(evaluate_exit(&self.tree, exit).into());
        }
        let deadline = Instant::now() + LAST_REPLIES_TIMEOUT;
        while let Ok(Ok(reply)) = timeout_at(deadline, self.replies.next()).await {
            match reply {
                Reply::Done {
                    id: of,
                    value,
                    error,
                    exit,
                    truncated,
                    leaving,
                } if of == id => {
                    self.is_leaving = leaving;
                    return Ok(cell_end(value, error, exit, truncated));
                }
                Reply::Started { id: of } => started |= of == id,
                reply => self.observe(&reply),
            }
        }
        if !self.ready || !started {
            return Err(NoOutcome::KernelLost);
        }
        Ok(match exit {
            Exit::Code(0) => Ended::Unfinished,
            exit => evaluate_exit(&self.tree, exit),
        }
        .into())
    }
}

fn encode_run(id: u64, run: &Run) -> Bytes {
    let left = run.deadline.saturating_duration_since(Instant::now());
    let frame = Request::Run {
        id,
        endpoint: &run.endpoint,
        code: &run.source,
        target: run.target.as_deref(),
        limit: run.max_output_bytes,
        left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
    };
    frame.encode().into()
}

fn cell_end(
    value: Option<String>,
    error: Option<String>,
    exit_code: u8,
    truncated: bool,
) -> RunEnd {
    RunEnd {
        ended: Ended::Cell {
            value,
            error,
            exit_code,
        },
        value_truncated: truncated,
    }
}
