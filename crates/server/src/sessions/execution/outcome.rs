//! The conversion of an execution's outcome into a metrics label and a response. All functions are
//! pure.

use std::time::Duration;

use hearth_contract::{
    DestroyedReason, EndReport, ExecuteResponse, ExecuteResult, KillReport, Language, OpenDialog,
};
use hearth_runner::{Ended, Interruption, Outcome};
use hearth_sandbox::Exit;

use crate::metrics::{ExecuteOutcome, KillReason};

/// The exit code of a process that SIGKILL ended.
const KILLED: i32 = 137;

/// The exit code of code that did not end although its process exited with code 0.
const UNFINISHED: i32 = 1;

/// Returns the metrics label of an outcome, and the reason if the code was killed.
pub(in crate::sessions) fn classify(
    ended: &Ended,
    has_session_ended: bool,
) -> (ExecuteOutcome, Option<KillReason>) {
    match ended {
        Ended::Cell {
            error: None,
            exit_code: 0,
            ..
        } => (ExecuteOutcome::Succeeded, None),
        Ended::Exited(exit) if exit.shell_code() == 0 => (ExecuteOutcome::Succeeded, None),
        Ended::Cell { .. } | Ended::Exited(_) | Ended::Unfinished => (ExecuteOutcome::Failed, None),
        Ended::Deadline { .. } => (ExecuteOutcome::TimedOut, Some(KillReason::Deadline)),
        Ended::Interrupted(_) if has_session_ended => {
            (ExecuteOutcome::Interrupted, Some(KillReason::SessionEnd))
        }
        Ended::Interrupted(_) => (ExecuteOutcome::Interrupted, Some(KillReason::Limit)),
    }
}

/// Returns the outcome of code whose timeout passed before it started.
pub(in crate::sessions) fn timed_out_before_start() -> Outcome {
    Outcome {
        stdout: String::new(),
        stderr: String::new(),
        ended: Ended::Deadline {
            started: false,
            pending: None,
        },
        truncated: false,
        dropped_bytes: 0,
        taken_bytes: [0, 0],
        duration: Duration::ZERO,
        reserved: Vec::new(),
    }
}

/// The state of the session at the end of an execution.
pub(in crate::sessions) struct Circumstances {
    pub language: Language,
    pub timeout: Duration,
    pub is_browser_dead: bool,
    pub has_session_ended: bool,
    /// The dialogs that were open when the execution timed out.
    pub dialogs: Vec<OpenDialog>,
}

impl Circumstances {
    /// Adds what is known to the reason for a kill, unless the session has ended too.
    fn explain(&self, reason: String, pending_calls: Option<&str>) -> String {
        if self.has_session_ended || self.is_browser_dead {
            return reason;
        }
        let report = KillReport {
            language: self.language,
            pending_calls,
            dialogs: &self.dialogs,
        };
        format!("{reason}{report}")
    }
}

/// Returns true if code failed because it waited too long. An open dialog may be the reason.
pub(in crate::sessions) fn is_timeout(ended: &Ended) -> bool {
    let Ended::Cell { error, .. } = ended else {
        return false;
    };
    let error = error.as_deref().unwrap_or_default();
    error.starts_with("TimeoutError")
}

/// Appends a line to a text that may end within a line.
fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
}

/// Turns an outcome into the response.
pub(in crate::sessions) fn plan_response(
    mut outcome: Outcome,
    circumstances: &Circumstances,
) -> ExecuteResponse {
    if is_timeout(&outcome.ended) {
        let dialogs = OpenDialog::describe_open(&circumstances.dialogs);
        outcome.stderr.push_str(&dialogs);
    }
    if let Ended::Exited(exit) = &outcome.ended
        && let Some(signal) = exit.signal()
    {
        let report = EndReport {
            language: circumstances.language,
            cause: &signal,
        };
        push_line(&mut outcome.stderr, &report.to_string());
    }
    let (value, exit_code, error, killed) = match outcome.ended {
        Ended::Cell {
            value,
            error: None,
            exit_code,
        } => (value, exit_code.into(), None, false),
        Ended::Cell {
            value,
            error: Some(error),
            ..
        } => {
            // Playwright's error about a lost connection does not give the reason.
            let error = if circumstances.is_browser_dead {
                format!(
                    "{}: {error}",
                    DestroyedReason::BrowserCrashed.execution_error()
                )
            } else {
                error
            };
            (value, 1, Some(error), false)
        }
        Ended::Unfinished => {
            let error = ExecuteResponse::unfinished_error();
            (None, UNFINISHED, Some(error), false)
        }
        Ended::Exited(Exit::Lost) => (
            None,
            Exit::Lost.shell_code(),
            Some(ExecuteResponse::lost_error()),
            false,
        ),
        Ended::Exited(exit) => (None, exit.shell_code(), None, false),
        Ended::Deadline {
            started: true,
            pending,
        } => {
            let reason = ExecuteResponse::timeout_error(circumstances.timeout);
            let error = circumstances.explain(reason, pending.as_deref());
            (None, KILLED, Some(error), true)
        }
        Ended::Deadline { started: false, .. } => {
            let error = ExecuteResponse::early_timeout_error(circumstances.timeout);
            (None, KILLED, Some(error), true)
        }
        Ended::Interrupted(Interruption { reason, exit_code }) => {
            let error = circumstances.explain(reason, None);
            (None, exit_code, Some(error), false)
        }
    };
    let Outcome {
        stdout,
        stderr,
        truncated,
        ..
    } = outcome;
    ExecuteResponse::from_parts(ExecuteResult {
        stdout,
        stderr,
        value,
        exit_code,
        killed,
        truncated,
        error,
    })
}
