//! One execute request, from its session to its answer.

use std::sync::Arc;
use std::time::Duration;

use hearth_confine::Exit;
use hearth_contract::{DestroyedReason, ExecuteRequest, ExecuteResponse, Language};
use hearth_runner::{Ended, Kernel, Outcome, Run, RunError, run_shell};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::agent::AgentUse;
use super::execution_metrics::ExecutionMetricsGuard;
use super::resources::SessionResources;
use super::session::Session;
use crate::clock;
use crate::http::error::ApiError;
use crate::metrics::{Execution as Counted, Kill};
use crate::store::ExecutionRecord;

/// How often code is handed to a kernel that turns out to have ended: once to the one that waited,
/// once to a fresh one. The code has not started in either case.
const ATTEMPTS: usize = 2;

/// One request and its limits.
struct Execution<'a> {
    request: &'a ExecuteRequest,
    deadline: Instant,
    max_output_bytes: usize,
    /// The session's current tab.
    target: String,
}

/// Why there is no outcome.
enum NotRun {
    /// The timeout passed during the preparations.
    TooLate,
    /// Something that the code needs could not be had.
    Failed(RunError),
}

impl From<RunError> for NotRun {
    fn from(error: RunError) -> NotRun {
        NotRun::Failed(error)
    }
}

impl Session {
    /// Runs code to its outcome. An error means that the code was not started.
    pub async fn execute(&self, request: ExecuteRequest) -> Result<ExecuteResponse, ApiError> {
        let mut account = ExecutionMetricsGuard::open(&self.services.metrics, request.language);
        let answered = self.run(request, &mut account).await;
        account.close(match &answered {
            Ok((_, execution)) => *execution,
            Err(ApiError::SessionBusy(_)) => Counted::Busy,
            Err(ApiError::SessionDestroyed) => Counted::Gone,
            Err(_) => Counted::NotStarted,
        });
        answered.map(|(response, _)| response)
    }

    async fn run(
        &self,
        request: ExecuteRequest,
        account: &mut ExecutionMetricsGuard,
    ) -> Result<(ExecuteResponse, Counted), ApiError> {
        let resources = self.resources()?;
        let deadline = Instant::now() + Duration::from_secs(request.timeout_seconds.into());
        let mut activity = self.activity.begin(request.language);
        let place = resources.places.of(request.language);
        let turn = place.begin_execution(request.language, deadline).await?;
        // It may have ended during the wait.
        self.resources()?;
        activity.started();
        account.begun();
        let target = current_tab(&resources, deadline).await?;
        let execution = Execution {
            request: &request,
            deadline,
            max_output_bytes: resources.max_output_bytes,
            target,
        };
        let outcome = match request.language {
            Language::Bash => execution.run_in_shell(&resources).await,
            Language::Node | Language::Python => execution.run_in_kernel(&resources, turn).await,
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(NotRun::TooLate) => killed_before_it_began(),
            Err(NotRun::Failed(error)) => return Err(self.not_started(&resources, &error)),
        };
        let (counted, kill) =
            judge_outcome(&outcome.ended, resources.interruption.borrow().is_some());
        if let Some(kill) = kill {
            account.killed(kill);
        }
        account.printed(
            outcome.stdout.len() + outcome.stderr.len(),
            outcome.dropped_bytes,
        );
        let duration = outcome.duration;
        let response = plan_response(
            outcome,
            request.timeout_seconds,
            resources.browser_is_dead(),
        );
        tracing::info!(
            session = %self.id(),
            language = request.language.as_str(),
            duration_ms = clock::milliseconds(duration),
            exit_code = response.exit_code(),
            killed = response.is_killed(),
            "code ran"
        );
        let record = ExecutionRecord {
            session: self.id(),
            language: request.language,
            ended_at: clock::now(),
            duration,
            exit_code: response.exit_code(),
            killed: response.is_killed(),
        };
        self.recent.note(record.clone());
        self.services.store.record_execution(record);
        Ok((response, counted))
    }

    fn not_started(&self, resources: &SessionResources, error: &RunError) -> ApiError {
        if self.ending().is_some() || resources.browser_is_dead() {
            return ApiError::SessionDestroyed;
        }
        ApiError::ExecutionUnavailable(error.to_string())
    }
}

/// The tab to start on; a new one if the last was closed.
async fn current_tab(resources: &SessionResources, deadline: Instant) -> Result<String, ApiError> {
    match timeout_at(deadline, resources.browser.ensure_tab()).await {
        Ok(Ok(target)) => Ok(target),
        Ok(Err(_)) if resources.browser_is_dead() => Err(ApiError::SessionDestroyed),
        Ok(Err(error)) => Err(ApiError::ExecutionUnavailable(error.to_string())),
        Err(_) => Err(ApiError::ExecutionUnavailable(
            "the browser does not answer".to_owned(),
        )),
    }
}

impl Execution<'_> {
    fn run(&self, resources: &SessionResources) -> Run {
        Run {
            source: self.request.code.clone(),
            deadline: self.deadline,
            max_output_bytes: self.max_output_bytes,
            // Getting ready may have closed the tab that was the current one before.
            target: live
                .browser
                .current_tab()
                .or_else(|| Some(self.target.clone())),
            interruption: resources.interruption.subscribe(),
        }
    }

    /// What comes before the code counts against its timeout, too.
    async fn in_time<T>(
        &self,
        preparation: impl Future<Output = Result<T, RunError>>,
    ) -> Result<T, NotRun> {
        match timeout_at(self.deadline, preparation).await {
            Ok(prepared) => Ok(prepared?),
            Err(_) => Err(NotRun::TooLate),
        }
    }

    async fn run_in_shell(&self, resources: &SessionResources) -> Result<Outcome, NotRun> {
        let agent = self
            .in_time(async { Ok(self.agent(resources).await) })
            .await?;
        let outcome = run_shell(
            &resources.sandbox.shell,
            resources.programs.plan_shell(),
            self.run(resources),
        )
        .await?;
        if let (Ended::Exited(_), Some(agent)) = (&outcome.ended, agent) {
            agent.finished();
        }
        Ok(outcome)
    }

    /// The daemon behind the agent-browser command. Bash works without it, for instance to make
    /// room on a full disk; the command then starts a daemon of its own that ends with the shell.
    async fn agent<'a>(&self, resources: &'a SessionResources) -> Option<AgentUse<'a>> {
        if let Some(agent) = resources.agent.take_running().await {
            return Some(agent);
        }
        resources.browser.wake_silent_tabs().await;
        let target = live
            .browser
            .current_tab()
            .unwrap_or_else(|| self.target.clone());
        let started = live
            .agent
            .start(&resources.sandbox.agent, &resources.programs, &target)
            .await;
        started
            .inspect_err(|error| tracing::warn!(%error, "a shell has no agent-browser daemon"))
            .ok()
    }

    async fn run_in_kernel(
        &self,
        resources: &Arc<SessionResources>,
        turn: OwnedSemaphorePermit,
    ) -> Result<Outcome, NotRun> {
        let place = resources.places.of(self.request.language);
        let mut attempt = 1;
        loop {
            let kernel = match place.take_kernel() {
                Some(kernel) => kernel,
                None => {
                    self.in_time(start_kernel(resources, self.request.language))
                        .await?
                }
            };
            match kernel.run(self.run(resources)).await {
                Err(RunError::KernelLost { .. }) if attempt < ATTEMPTS => attempt += 1,
                Ok(outcome) if matches!(outcome.ended, Ended::Cell { .. }) => {
                    place.put_kernel(kernel);
                    return Ok(outcome);
                }
                outcome => {
                    replace_kernel(resources, self.request.language, turn);
                    return Ok(outcome?);
                }
            }
        }
    }
}

/// What an outcome counts as, and why it was killed if it was.
fn judge_outcome(ended: &Ended, has_session_ended: bool) -> (Counted, Option<Kill>) {
    match ended {
        Ended::Cell { error: None, .. } => (Counted::Succeeded, None),
        Ended::Exited(exit) if exit.shell_code() == 0 => (Counted::Succeeded, None),
        Ended::Cell { error: Some(_), .. } | Ended::Exited(_) => (Counted::Failed, None),
        Ended::Deadline { .. } => (Counted::TimedOut, Some(Kill::Deadline)),
        Ended::Interrupted(_) if has_session_ended => {
            (Counted::Interrupted, Some(Kill::SessionEnd))
        }
        Ended::Interrupted(_) => (Counted::Interrupted, Some(Kill::Limit)),
    }
}

fn killed_before_it_began() -> Outcome {
    Outcome {
        stdout: String::new(),
        stderr: String::new(),
        ended: Ended::Deadline { started: false },
        truncated: false,
        dropped_bytes: 0,
        duration: Duration::ZERO,
    }
}

async fn start_kernel(
    resources: &SessionResources,
    language: Language,
) -> Result<Kernel, RunError> {
    // A kernel connects as soon as it is up, and a tab that does not answer would keep it waiting.
    resources.browser.wake_silent_tabs().await;
    match resources.programs.plan_kernel(language) {
        Some(program) => Kernel::start(&resources.sandbox.code, &resources.tasks, program).await,
        None => Err(RunError::Unable(format!(
            "{} has no kernel",
            language.as_str()
        ))),
    }
}

/// Starts the next kernel while the answer is on its way. The turn is kept until it is there, so
/// that the end of the session waits for it too.
fn replace_kernel(
    resources: &Arc<SessionResources>,
    language: Language,
    turn: OwnedSemaphorePermit,
) {
    let owner = Arc::clone(resources);
    resources.tasks.spawn(async move {
        // An ending session wants no more.
        if owner.interruption.borrow().is_none()
            && let Ok(kernel) = start_kernel(&owner, language).await
        {
            owner.places.of(language).put_kernel(kernel);
        }
        drop(turn);
    });
}

fn plan_response(outcome: Outcome, timeout_seconds: u32, browser_dead: bool) -> ExecuteResponse {
    let (value, exit_code, error, killed) = match outcome.ended {
        Ended::Cell { value, error: None } => (value, 0, None, false),
        Ended::Cell {
            value,
            error: Some(error),
        } => {
            // What Playwright says about a lost connection does not say why.
            let error = if browser_dead {
                format!(
                    "{}: {error}",
                    DestroyedReason::BrowserCrashed.execution_error()
                )
            } else {
                error
            };
            (value, 1, Some(error), false)
        }
        Ended::Exited(Exit::Lost) => (
            None,
            Exit::Lost.shell_code(),
            Some(ExecuteResponse::lost_error()),
            false,
        ),
        Ended::Exited(exit) => (None, exit.shell_code(), None, false),
        Ended::Deadline { started: true } => (
            None,
            137,
            Some(ExecuteResponse::timeout_error(timeout_seconds)),
            true,
        ),
        Ended::Deadline { started: false } => (
            None,
            137,
            Some(ExecuteResponse::early_timeout_error(timeout_seconds)),
            true,
        ),
        Ended::Interrupted(interruption) => (
            None,
            interruption.exit_code,
            Some(interruption.reason),
            false,
        ),
    };
    let Outcome {
        stdout,
        stderr,
        truncated,
        ..
    } = outcome;
    ExecuteResponse::from_parts(stdout, stderr, value, exit_code, killed, truncated, error)
}
