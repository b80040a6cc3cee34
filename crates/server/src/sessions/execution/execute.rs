//! The handling of one execute request.
//!
//! The request waits for its turn in the kernel slot of its language. The code then runs in a
//! kernel or a shell (`run_code`), and its outcome becomes a response (`outcome`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearth_browser::{FinishedDownload, OpenDialog};
use hearth_budget::Reservation;
use hearth_contract::{DownloadedFile, ExecuteRequest, ExecuteResponse, Language, PastExecution};
use hearth_runner::{LiveOutput, Outcome, RunError};
use jiff::SignedDuration;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::execution_metrics::ExecutionMetricsGuard;
use super::outcome::{Circumstances, classify, is_timeout, plan_response, timed_out_before_start};
use super::run_code::{CodeRun, NotRun};
use crate::clock;
use crate::metrics::ExecuteOutcome;
use crate::sandbox::dirs::SessionDir;
use crate::sessions::error::SessionError;
use crate::sessions::files::place::client_path;
use crate::sessions::resources::SessionResources;
use crate::sessions::session::Session;
use crate::sessions::spans::record_language;
use crate::store::ExecutionRecord;

/// Time before the deadline at which the open dialogs are noted. Killing the code also closes its
/// connection to the browser, which dismisses its dialogs.
const DIALOGS_BEFORE_DEADLINE: Duration = Duration::from_millis(100);

/// The response to an execution that was started.
#[derive(Debug)]
pub(crate) struct Executed {
    pub response: ExecuteResponse,
    /// The sizes of the first parts of stdout and stderr that a reader of live output has taken.
    pub taken_bytes: [usize; 2],
    /// The memory of the response.
    pub reserved: Vec<Reservation>,
}

impl Session {
    /// Runs code to its end, and records its metrics however that ends. The code is killed at
    /// `deadline`. `live` gets its output while it runs. An error means that the code has not
    /// started.
    pub async fn execute(
        &self,
        request: ExecuteRequest,
        deadline: Instant,
        live: Option<LiveOutput>,
    ) -> Result<Executed, SessionError> {
        record_language(request.language);
        let mut metrics = ExecutionMetricsGuard::new(&self.services.metrics, request.language);
        let result = self.run(&request, deadline, live, &mut metrics).await;
        if let Some(rejection) = result.as_ref().err().and_then(SessionError::rejection) {
            let teams = self.services.metrics.teams();
            teams.request_rejected(self.team(), rejection);
        }
        metrics.finish(match &result {
            Ok((_, outcome)) => *outcome,
            Err(SessionError::ExecutionBusy(_) | SessionError::QueueFull(_)) => {
                ExecuteOutcome::Busy
            }
            Err(SessionError::Ended) => ExecuteOutcome::Gone,
            Err(_) => ExecuteOutcome::NotStarted,
        });
        result.map(|(response, _)| response)
    }

    async fn run(
        &self,
        request: &ExecuteRequest,
        deadline: Instant,
        live: Option<LiveOutput>,
        metrics: &mut ExecutionMetricsGuard,
    ) -> Result<(Executed, ExecuteOutcome), SessionError> {
        // Background work would disturb the start of code.
        let busy = self.services.load.begin();
        let resources = self.resources()?;
        let code = resources.budget.reserve(request.code.len());
        let _code = code.map_err(SessionError::Overloaded)?;
        let mut activity = self.activity.begin(request.language);
        let slot = resources.kernel_slots.of(request.language);
        let turn = slot.begin_execution(request.language, deadline).await?;
        // The session may have ended while the request waited.
        self.resources()?;
        activity.start();
        metrics.start();
        let teams = self.services.metrics.teams();
        teams.execution_started(self.team());
        drop(busy);
        let code_run = CodeRun {
            request,
            deadline,
            live,
            target: current_tab(&resources, deadline).await?,
            resources: &resources,
            session_span: &self.span,
        };
        let downloads = resources.browser.download_count();
        let running = async {
            match request.language {
                Language::Bash => code_run.run_in_shell().await,
                Language::Node | Language::Python => code_run.run_in_kernel(turn).await,
            }
        };
        let (result, dialogs) = with_dialogs(running, deadline, &resources).await;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(NotRun::TimedOut) => timed_out_before_start(),
            Err(NotRun::Failed(error)) => return Err(self.not_started(&resources, &error)),
        };
        let (executed, counted) = self.finish(request, &resources, outcome, dialogs, metrics);
        let downloaded = resources.browser.downloads_since(downloads);
        let files = downloaded_files(downloaded, &resources.sandbox.dir);
        let response = executed.response.with_files(files);
        Ok((
            Executed {
                response,
                ..executed
            },
            counted,
        ))
    }

    /// Records the outcome and turns it into a response.
    fn finish(
        &self,
        request: &ExecuteRequest,
        resources: &Arc<SessionResources>,
        mut outcome: Outcome,
        mut dialogs: Vec<OpenDialog>,
        metrics: &ExecutionMetricsGuard,
    ) -> (Executed, ExecuteOutcome) {
        let has_session_ended = resources.interruption.borrow().is_some();
        let (counted, kill) = classify(&outcome.ended, has_session_ended);
        if let Some(kill) = kill {
            metrics.record_kill(kill);
        }
        metrics.record_output(
            outcome.stdout.len() + outcome.stderr.len(),
            outcome.dropped_bytes,
        );
        let duration = outcome.duration;
        if is_timeout(&outcome.ended) {
            dialogs = resources.browser.open_dialogs();
        }
        let circumstances = Circumstances {
            language: request.language,
            timeout: request.timeout,
            is_browser_dead: resources.browser_is_dead(),
            has_session_ended,
            dialogs: dialogs.into_iter().map(to_contract).collect(),
        };
        let taken_bytes = outcome.taken_bytes;
        let reserved = std::mem::take(&mut outcome.reserved);
        let response = plan_response(outcome, &circumstances);
        tracing::info!(
            duration_ms = clock::milliseconds(duration),
            exit_code = response.exit_code(),
            killed = response.is_killed(),
            "execution finished"
        );
        let record = ExecutionRecord {
            session: self.id(),
            language: request.language,
            ended_at: clock::now(),
            duration,
            exit_code: response.exit_code(),
            killed: response.is_killed(),
        };
        if self.has_zero_data_retention() {
            self.recent.count_only();
        } else {
            if resources.limits.keeps_history {
                remember(resources, request, &response, &record);
            }
            self.recent.add(record.clone());
            self.services.store.record_execution(record);
        }
        let executed = Executed {
            response,
            taken_bytes,
            reserved,
        };
        (executed, counted)
    }

    /// Returns the error of code that could not start.
    fn not_started(&self, resources: &SessionResources, error: &RunError) -> SessionError {
        if self.ending().is_some() || resources.browser_is_dead() {
            return SessionError::Ended;
        }
        SessionError::ExecutionNotStarted(error.to_string())
    }
}

/// Adds an execution to the history of its session.
fn remember(
    resources: &SessionResources,
    request: &ExecuteRequest,
    response: &ExecuteResponse,
    record: &ExecutionRecord,
) {
    let lasted = SignedDuration::try_from(record.duration).unwrap_or(SignedDuration::ZERO);
    let started_at = record.ended_at.checked_sub(lasted);
    let started_at = clock::format(started_at.unwrap_or(record.ended_at));
    let duration_ms = clock::milliseconds(record.duration);
    resources.history.add(&resources.budget, |number| {
        PastExecution::new(number, request, response, started_at, duration_ms).to_json()
    });
}

/// Runs code to its end. Also returns the dialogs that were open when it reached its deadline.
async fn with_dialogs<T>(
    running: impl Future<Output = T>,
    deadline: Instant,
    resources: &SessionResources,
) -> (T, Vec<OpenDialog>) {
    tokio::pin!(running);
    let near = deadline.checked_sub(DIALOGS_BEFORE_DEADLINE);
    tokio::select! {
        result = &mut running => (result, Vec::new()),
        () = sleep_until(near.unwrap_or(deadline)) => {
            let dialogs = resources.browser.open_dialogs();
            (running.await, dialogs)
        }
    }
}

fn to_contract(dialog: OpenDialog) -> hearth_contract::OpenDialog {
    let OpenDialog { kind, message } = dialog;
    hearth_contract::OpenDialog { kind, message }
}

/// Returns the downloads that clients can read.
fn downloaded_files(downloads: Vec<FinishedDownload>, dirs: &SessionDir) -> Vec<DownloadedFile> {
    let files = downloads.into_iter().filter_map(|download| {
        let FinishedDownload { path, name, bytes } = download;
        Some(DownloadedFile {
            path: client_path(Path::new(&path), dirs)?.into(),
            name,
            size_bytes: bytes,
        })
    });
    files.collect()
}

/// Returns the current tab. Opens one if the last tab was closed.
async fn current_tab(
    resources: &SessionResources,
    deadline: Instant,
) -> Result<String, SessionError> {
    match timeout_at(deadline, resources.browser.ensure_tab()).await {
        Ok(Ok(target)) => Ok(target),
        Ok(Err(_)) if resources.browser_is_dead() => Err(SessionError::Ended),
        Ok(Err(error)) => Err(SessionError::ExecutionNotStarted(error.to_string())),
        Err(_) => Err(SessionError::ExecutionNotStarted(
            "the browser does not respond".to_owned(),
        )),
    }
}
