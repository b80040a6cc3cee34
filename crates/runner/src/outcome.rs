//! What to run and what came of it.

use std::time::Duration;

use hearth_confine::{Exit, StartError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

/// One piece of code to run.
#[derive(Debug)]
pub struct Run {
    /// The code, in the language of the kernel or shell that gets it.
    pub source: String,
    /// When everything that the code started is killed.
    pub deadline: Instant,
    /// Kept of each of stdout, stderr and the value, in bytes.
    pub max_output_bytes: usize,
    /// The CDP target of the session's current tab; a kernel binds `page` to it when what it had is
    /// closed.
    pub target: Option<String>,
    /// Ends the run early once it holds something. The session holds the other end.
    pub interruption: watch::Receiver<Option<Interruption>>,
}

/// Why a run is ended from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// The sentence for the user.
    pub reason: String,
    /// The exit code that the run gets.
    pub exit_code: i32,
}

/// How a run came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A kernel's cell ended; the process lives on.
    Cell {
        /// The value of the last expression, if it has one.
        value: Option<String>,
        /// `Name: message` of what it threw.
        error: Option<String>,
    },
    /// The process ended by itself.
    Exited(Exit),
    /// The deadline passed and everything was killed.
    Deadline {
        /// The code had begun. A kernel that is still getting ready has not begun it.
        started: bool,
    },
    /// It was ended from outside.
    Interrupted(Interruption),
}

/// Everything that is known about a run that was started.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Standard output, invalid UTF-8 replaced, the middle dropped where it was too long.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// How it ended.
    pub ended: Ended,
    /// Something was dropped from stdout, stderr or the value.
    pub truncated: bool,
    /// How much of stdout and stderr was dropped, in bytes. What kernels drop of a value is not
    /// counted.
    pub dropped_bytes: usize,
    /// From the hand-over of the source to the end.
    pub duration: Duration,
}

/// Why code could not be run. It was **not** started, so it is safe to try again.
#[derive(Debug, Error)]
pub enum RunError {
    /// The process could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A pipe could not be made.
    #[error("cannot make a pipe: {0}")]
    Pipe(#[source] std::io::Error),
    /// The kernel ended before it took the source.
    #[error("the {language} kernel ended before it could run the code{}", tail(.stderr))]
    KernelLost {
        /// `node` or `python`.
        language: &'static str,
        /// The last of what it wrote to stderr.
        stderr: String,
    },
    /// What the code needs is not there, for instance a browser connection of the kernel; one
    /// sentence.
    #[error("{0}")]
    Unable(String),
}

fn tail(stderr: &str) -> String {
    let stderr = stderr.trim();
    if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    }
}
