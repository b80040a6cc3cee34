//! The types for a run and its outcome.

use std::time::Duration;

use hearth_budget::Reservation;
use hearth_sandbox::{Exit, StartError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::live::LiveOutput;
use crate::output::LastOutput;

/// A piece of code to run and its limits.
#[derive(Debug)]
pub struct Run {
    /// The code, in the language of the kernel or shell that runs it.
    pub source: String,
    /// The WebSocket address of the session's browser, including its token. A kernel may have been
    /// attached to another address of the same browser.
    pub endpoint: String,
    /// The time at which the code and every process that it started are killed.
    pub deadline: Instant,
    /// Maximum size of each of stdout, stderr and the value, in bytes.
    pub max_output_bytes: usize,
    /// The CDP target of the session's current tab. A kernel binds `page` to it if its previous
    /// page is closed.
    pub target: Option<String>,
    /// The last output of the kernel that ran the previous code, if it has exited since.
    pub last_output: Option<LastOutput>,
    /// Gets the output while the code runs, if there is a reader.
    pub live: Option<LiveOutput>,
    /// Interrupts the run when it holds a value. The session owns the sender.
    pub interruption: watch::Receiver<Option<Interruption>>,
}

/// The reason why the session interrupts a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// A sentence for the user.
    pub reason: String,
    /// The exit code of the run.
    pub exit_code: i32,
}

/// The way in which a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A kernel's cell ended and the process is still alive.
    Cell {
        /// The value of the last expression, if it has one.
        value: Option<String>,
        /// `Name: message` of the exception, if the code threw one.
        error: Option<String>,
        /// The exit code that the code asked for, for example with `process.exit(7)`.
        exit_code: u8,
    },
    /// The process exited.
    Exited(Exit),
    /// A kernel's process exited with code 0 although its code had not ended.
    Unfinished,
    /// The deadline passed and all processes were killed.
    Deadline {
        /// Set if the code had started. Not set if the kernel was not ready yet.
        started: bool,
        /// The Playwright calls that had not ended, if the kernel reported any.
        pending: Option<String>,
    },
    /// The session interrupted the run.
    Interrupted(Interruption),
}

/// The outcome of a run that was started.
#[derive(Debug)]
pub struct Outcome {
    /// Standard output. Invalid UTF-8 is replaced, and the middle of long output is dropped.
    pub stdout: String,
    /// Standard error, treated like standard output.
    pub stderr: String,
    /// The way in which the run ended.
    pub ended: Ended,
    /// Set if part of stdout, stderr or the value was dropped.
    pub truncated: bool,
    /// Number of bytes that were dropped from stdout and stderr. Excludes bytes that the kernel
    /// dropped from the value.
    pub dropped_bytes: usize,
    /// The sizes of the first parts of stdout and stderr that the reader of [`Run::live`] has
    /// taken.
    pub taken_bytes: [usize; 2],
    /// The time from the start of the run to its end.
    pub duration: Duration,
    /// The reservations for the output and the value.
    pub reserved: Vec<Reservation>,
}

/// An error that prevented a run. The code was **not** started, so a retry is safe.
#[derive(Debug, Error)]
pub enum RunError {
    /// The process could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A pipe could not be created.
    #[error("cannot create a pipe: {0}")]
    Pipe(#[source] std::io::Error),
    /// The kernel exited before it accepted the source.
    #[error("the {language} kernel exited before it could run the code{}", tail(.output))]
    KernelLost {
        /// `node` or `python`.
        language: &'static str,
        /// Its output since its last run.
        output: LastOutput,
    },
    /// A requirement of the code is missing, for example the kernel's browser connection. Contains
    /// one sentence.
    #[error("{0}")]
    Unable(String),
}

fn tail(output: &LastOutput) -> String {
    let stderr = output.captured.stderr.trim();
    if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    }
}
