//! One execute request, from its session to its answer.

use std::sync::Arc;
use std::time::Duration;

use hearth_contract::{DestroyedReason, ExecuteRequest, ExecuteResponse, ExecutionParts, Language};
use hearth_runner::{Ended, Kernel, Outcome, Run, RunError, run_shell};
use hearth_sandbox::Exit;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::agent::AgentUse;
use super::execution_metrics::Account;
use super::resources::Live;
use super::session::Session;
use crate::clock;
use crate::http::error::ApiError;
use crate::metrics::{ExecuteOutcome, KillReason};
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
        let mut account = Account::open(&self.books.metrics, request.language);
        let answered = self.run(request, &mut account).await;
        account.close(match &answered {
            Ok((_, execution)) => *execution,
            Err(ApiError::SessionBusy(_)) => ExecuteOutcome::Busy,
            Err(ApiError::SessionDestroyed) => ExecuteOutcome::Gone,
            Err(_) => ExecuteOutcome::NotStarted,
        });
        answered.map(|(response, _)| response)
    }

    async fn run(
        &self,
        request: ExecuteRequest,
        account: &mut Account,
    ) -> Result<(ExecuteResponse, ExecuteOutcome), ApiError> {
        let live = self.live()?;
        let deadline = Instant::now() + Duration::from_secs(request.timeout_seconds.into());
        let mut activity = self.activity.begin(request.language);
        let place = live.places.of(request.language);
        let turn = place.begin_execution(request.language, deadline).await?;
        // It may have ended during the wait.
        self.live()?;
        activity.started();
        account.begun();
        let target = current_tab(&live, deadline).await?;
        let execution = Execution {
            request: &request,
            deadline,
            max_output_bytes: live.max_output_bytes,
            target,
        };
        let outcome = match request.language {
            Language::Bash => execution.run_in_shell(&live).await,
            Language::Node | Language::Python => execution.run_in_kernel(&live, turn).await,
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(NotRun::TooLate) => killed_before_it_began(),
            Err(NotRun::Failed(error)) => return Err(self.not_started(&live, &error)),
        };
        let (counted, kill) = judge_outcome(&outcome.ended, live.interruption.borrow().is_some());
        if let Some(kill) = kill {
            account.killed(kill);
        }
        account.printed(
            outcome.stdout.len() + outcome.stderr.len(),
            outcome.dropped_bytes,
        );
        let duration = outcome.duration;
        let response = plan_response(outcome, request.timeout_seconds, live.browser_is_dead());
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
        self.books.store.record_execution(record);
        Ok((response, counted))
    }

    fn not_started(&self, live: &Live, error: &RunError) -> ApiError {
        if self.ending().is_some() || live.browser_is_dead() {
            return ApiError::SessionDestroyed;
        }
        ApiError::ExecutionUnavailable(error.to_string())
    }
}

/// The tab to start on; a new one if the last was closed.
async fn current_tab(live: &Live, deadline: Instant) -> Result<String, ApiError> {
    match timeout_at(deadline, live.browser.ensure_tab()).await {
        Ok(Ok(target)) => Ok(target),
        Ok(Err(_)) if live.browser_is_dead() => Err(ApiError::SessionDestroyed),
        Ok(Err(error)) => Err(ApiError::ExecutionUnavailable(error.to_string())),
        Err(_) => Err(ApiError::ExecutionUnavailable(
            "the browser does not answer".to_owned(),
        )),
    }
}

impl Execution<'_> {
    fn run(&self, live: &Live) -> Run {
        Run {
            source: self.request.code.clone(),
            deadline: self.deadline,
            max_output_bytes: self.max_output_bytes,
            // Getting ready may have closed the tab that was the current one before.
            target: live
                .browser
                .current_tab()
                .or_else(|| Some(self.target.clone())),
            interruption: live.interruption.subscribe(),
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

    async fn run_in_shell(&self, live: &Live) -> Result<Outcome, NotRun> {
        let agent = self.in_time(async { Ok(self.agent(live).await) }).await?;
        let outcome = run_shell(
            &live.enclosure.shell,
            live.programs.plan_shell(),
            self.run(live),
        )
        .await?;
        if let (Ended::Exited(_), Some(agent)) = (&outcome.ended, agent) {
            agent.finished();
        }
        Ok(outcome)
    }

    /// The daemon behind the agent-browser command. Bash works without it, for instance to make
    /// room on a full disk; the command then starts a daemon of its own that ends with the shell.
    async fn agent<'a>(&self, live: &'a Live) -> Option<AgentUse<'a>> {
        if let Some(agent) = live.agent.take_running().await {
            return Some(agent);
        }
        live.browser.wake_silent_tabs().await;
        let target = live
            .browser
            .current_tab()
            .unwrap_or_else(|| self.target.clone());
        let started = live
            .agent
            .start(&live.enclosure.agent, &live.programs, &target)
            .await;
        started
            .inspect_err(|error| tracing::warn!(%error, "a shell has no agent-browser daemon"))
            .ok()
    }

    async fn run_in_kernel(
        &self,
        live: &Arc<Live>,
        turn: OwnedSemaphorePermit,
    ) -> Result<Outcome, NotRun> {
        let place = live.places.of(self.request.language);
        let mut attempt = 1;
        loop {
            let kernel = match place.take_kernel() {
                Some(kernel) => kernel,
                None => {
                    self.in_time(start_kernel(live, self.request.language))
                        .await?
                }
            };
            match kernel.run(self.run(live)).await {
                Err(RunError::KernelLost { .. }) if attempt < ATTEMPTS => attempt += 1,
                Ok(outcome) if matches!(outcome.ended, Ended::Cell { .. }) => {
                    place.put_kernel(kernel);
                    return Ok(outcome);
                }
                outcome => {
                    replace_kernel(live, self.request.language, turn);
                    return Ok(outcome?);
                }
            }
        }
    }
}

/// What an outcome counts as, and why it was killed if it was.
fn judge_outcome(ended: &Ended, has_session_ended: bool) -> (ExecuteOutcome, Option<KillReason>) {
    match ended {
        Ended::Cell { error: None, .. } => (ExecuteOutcome::Succeeded, None),
        Ended::Exited(exit) if exit.shell_code() == 0 => (ExecuteOutcome::Succeeded, None),
        Ended::Cell { error: Some(_), .. } | Ended::Exited(_) => (ExecuteOutcome::Failed, None),
        Ended::Deadline { .. } => (ExecuteOutcome::TimedOut, Some(KillReason::Deadline)),
        Ended::Interrupted(_) if has_session_ended => {
            (ExecuteOutcome::Interrupted, Some(KillReason::SessionEnd))
        }
        Ended::Interrupted(_) => (ExecuteOutcome::Interrupted, Some(KillReason::Limit)),
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

async fn start_kernel(live: &Live, language: Language) -> Result<Kernel, RunError> {
    // A kernel connects as soon as it is up, and a tab that does not answer would keep it waiting.
    live.browser.wake_silent_tabs().await;
    match live.programs.plan_kernel(language) {
        Some(program) => Kernel::start(&live.enclosure.code, &live.tasks, program).await,
        None => Err(RunError::Unable(format!(
            "{} has no kernel",
            language.as_str()
        ))),
    }
}

/// Starts the next kernel while the answer is on its way. The turn is kept until it is there, so
/// that the end of the session waits for it too.
fn replace_kernel(live: &Arc<Live>, language: Language, turn: OwnedSemaphorePermit) {
    let owner = Arc::clone(live);
    live.tasks.spawn(async move {
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
    ExecuteResponse::from_parts(ExecutionParts {
        stdout,
        stderr,
        value,
        exit_code,
        killed,
        truncated,
        error,
    })
}
