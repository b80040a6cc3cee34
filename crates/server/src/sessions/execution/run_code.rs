//! The code of one execution, in a kernel (Node, Python) or a shell (bash).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hearth_contract::{ExecuteRequest, Language};
use hearth_runner::{Ended, Kernel, LiveOutput, Outcome, Run, RunError, run_shell};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{Instrument, Span};

use super::kernels::{load_kernel, replace_kernel, start_kernel};
use super::language_hint::language_hint;
use crate::sessions::agent::AgentError;
use crate::sessions::error::SessionError;
use crate::sessions::resources::SessionResources;
use crate::sessions::session::Session;

/// The maximum number of attempts to run code when a kernel turns out to have ended: one with the
/// idle kernel, and one with a new kernel. In both cases the code has not started.
const MAX_ATTEMPTS: usize = 2;

/// The time before the deadline of a running kernel at which its successor starts to load. A kernel
/// takes about a third of a second.
const SUCCESSOR_LEAD: Duration = Duration::from_millis(500);

/// The code of one request, its limits, and the session that runs it.
pub(in crate::sessions) struct CodeRun<'a> {
    pub request: &'a ExecuteRequest,
    pub deadline: Instant,
    /// Gets the output while the code runs, if there is a reader.
    pub live: Option<LiveOutput>,
    /// The tab that was the current one when the execution started.
    pub target: String,
    pub resources: &'a Arc<SessionResources>,
    /// The span of processes that outlive the execution.
    pub session_span: &'a Span,
}

/// The reason why there is no outcome.
pub(in crate::sessions) enum NotRun {
    /// The timeout passed before the code started.
    TimedOut,
    /// A process that the code needs did not start.
    Failed(RunError),
}

impl From<RunError> for NotRun {
    fn from(error: RunError) -> NotRun {
        NotRun::Failed(error)
    }
}

impl CodeRun<'_> {
    /// Runs the code in a new shell.
    pub async fn run_in_shell(&self) -> Result<Outcome, NotRun> {
        let agent = self.resources.agent.use_in_shell();
        let agent_started = async {
            self.start_agent().await;
            Ok(())
        };
        self.in_time(agent_started).await?;
        let shell = &self.resources.sandbox.shell;
        let program = self.resources.commands.plan_shell();
        let mut outcome = run_shell(shell, program, self.to_run(), &self.resources.budget).await?;
        if let Ended::Exited(exit) = outcome.ended {
            let code = &self.request.code;
            let hint = language_hint(code, exit.shell_code(), &outcome.stderr);
            outcome.stderr.push_str(hint.unwrap_or_default());
        }
        if matches!(outcome.ended, Ended::Exited(_)) {
            agent.finish();
        }
        Ok(outcome)
    }

    /// Starts the daemon behind the agent-browser command. Bash also works without it, for example
    /// to free space on a full disk. At the isolation level `none`, the command then starts a
    /// daemon that ends with the shell.
    async fn start_agent(&self) {
        let started = start_agent(self.resources, &self.target, self.session_span).await;
        if let Err(error) = started {
            tracing::warn!(%error, "agent-browser daemon start failed");
        }
    }

    /// Runs the code in the idle kernel of its language, or in a new one.
    pub async fn run_in_kernel(&self, turn: OwnedSemaphorePermit) -> Result<Outcome, NotRun> {
        let language = self.request.language;
        let slot = self.resources.kernel_slots.of(language);
        let agent = self.resources.agent.use_in_kernel();
        let mut attempt = 1;
        let mut last_output = None;
        loop {
            let kernel = match slot.take_kernel() {
                Some(kernel) if kernel.is_alive() => kernel,
                ended => {
                    if let Some(ended) = ended {
                        let ending = async { Ok(ended.into_last_output().await) };
                        last_output = self.in_time(ending).await?;
                    }
                    self.in_time(start_kernel(self.resources, language, self.session_span))
                        .await?
                }
            };
            let mut run = self.to_run();
            run.last_output = last_output.take();
            let (outcome, successor) = self.run_before_successor(&kernel, run, language).await;
            match outcome {
                Err(RunError::KernelLost { output, .. }) if attempt < MAX_ATTEMPTS => {
                    attempt += 1;
                    last_output = Some(output);
                }
                Ok(outcome) if matches!(outcome.ended, Ended::Cell { .. }) => {
                    agent.finish();
                    slot.put_kernel(kernel);
                    return Ok(outcome);
                }
                outcome => {
                    replace_kernel(self.resources, language, self.session_span, turn, successor);
                    return Ok(outcome?);
                }
            }
        }
    }

    /// Runs code. Shortly before its deadline, starts the kernel that replaces this one if the
    /// deadline kills it. The successor does not touch the browser.
    async fn run_before_successor(
        &self,
        kernel: &Kernel,
        run: Run,
        language: Language,
    ) -> (Result<Outcome, RunError>, Option<Kernel>) {
        let mut running = pin!(kernel.run(run));
        tokio::select! {
            outcome = &mut running => return (outcome, None),
            () = sleep_until(self.deadline - SUCCESSOR_LEAD) => {}
        }
        let loading = load_kernel(
            &self.resources.sandbox,
            &self.resources.tasks,
            &self.resources.commands,
            &self.resources.budget,
            language,
        );
        tokio::select! {
            outcome = &mut running => (outcome, None),
            // The next execution reports the reason if no kernel starts.
            loaded = loading.instrument(self.session_span.clone()) => (running.await, loaded.ok()),
        }
    }

    fn to_run(&self) -> Run {
        Run {
            source: self.request.code.clone(),
            endpoint: self.resources.commands.endpoint.url(),
            deadline: self.deadline,
            max_output_bytes: self.resources.limits.max_output_bytes,
            target: Some(self.current_tab()),
            last_output: None,
            live: self.live.clone(),
            interruption: self.resources.interruption.subscribe(),
        }
    }

    /// Returns the current tab. It can differ from `target`, because the recovery of unresponsive
    /// tabs can close a tab.
    fn current_tab(&self) -> String {
        current_tab(self.resources, &self.target)
    }

    /// Waits for a preparation step until the deadline. Preparation counts against the timeout of
    /// the code.
    async fn in_time<T>(
        &self,
        preparation: impl Future<Output = Result<T, RunError>>,
    ) -> Result<T, NotRun> {
        match timeout_at(self.deadline, preparation).await {
            Ok(prepared) => Ok(prepared?),
            Err(_) => Err(NotRun::TimedOut),
        }
    }
}

/// Returns the current tab that every client sees, or `target` if there is none.
fn current_tab(resources: &SessionResources, target: &str) -> String {
    let current = resources.browser.current_shared_tab();
    current.unwrap_or_else(|| target.to_owned())
}

/// Starts the agent-browser daemon on the current tab, or on `target` if there is none, unless a
/// daemon is running.
async fn start_agent(
    resources: &SessionResources,
    target: &str,
    session_span: &Span,
) -> Result<(), AgentError> {
    if resources.agent.is_listening() {
        return Ok(());
    }
    // A new daemon connects to the browser, and a tab that does not respond would block it.
    resources.browser.recover_unresponsive_tabs().await;
    let target = current_tab(resources, target);
    let starting = resources
        .agent
        .start(&resources.sandbox.agent, &resources.commands, &target);
    starting.instrument(session_span.clone()).await
}

impl Session {
    /// Starts the agent-browser daemon for a program of a kernel, unless a daemon is running.
    pub async fn start_agent(&self) -> Result<(), SessionError> {
        let resources = self.resources()?;
        let started = start_agent(&resources, "", &self.span).await;
        started.map_err(|error| {
            tracing::debug!(%error, "agent-browser daemon start failed");
            SessionError::ExecutionNotStarted(error.to_string())
        })?;
        resources.agent.mark_used_by_kernels();
        Ok(())
    }
}
