//! The errors of sessions. `http::error` maps them to status codes.

use std::fmt;

use hearth_browser::LaunchError;
use hearth_budget::Exhausted;
use hearth_contract::Language;
use thiserror::Error;

use crate::metrics::Rejection;

/// The reason why a session was not created, cannot be used, or did not run code.
///
/// Errors about executions mean that the code has not started, so a client can safely retry.
#[derive(Clone, Debug, Error)]
pub(crate) enum SessionError {
    /// The server does not accept new work.
    #[error("the server is stopping")]
    Stopping,
    /// All session slots are in use.
    #[error("the session limit is reached")]
    AtCapacity,
    /// The disk has too little free space for another session.
    #[error("the disk is full: {free_mb} MiB left, {min_mb} MiB required")]
    DiskFull { free_mb: u64, min_mb: u64 },
    /// The machine or its cgroup has too little available memory for another session.
    #[error("memory is low: {available_mb} MiB available, {min_mb} MiB required")]
    MemoryLow { available_mb: u64, min_mb: u64 },
    /// Another session saves to the profile of this name.
    #[error("the profile {0} is in use")]
    ProfileBusy(String),
    /// The saved profile cannot be read.
    #[error("cannot read the profile {name}: {reason}")]
    ProfileUnreadable { name: String, reason: String },
    /// The browser, or the sandbox and the proxy that it needs, did not start.
    #[error("cannot start the browser: {0}")]
    BrowserStart(StartFailure),
    /// The store did not record the session.
    #[error("cannot record the session: {0}")]
    NotRecorded(String),
    /// This node of a cluster has lost its lease. It ends its sessions, and then continues.
    #[error("this node has lost its lease")]
    LeaseLost,
    /// A watcher cannot read what sessions use.
    #[error("cannot measure the {what} of sessions: {reason}")]
    Unmeasured { what: &'static str, reason: String },
    /// The team has the maximum number of sessions.
    #[error("the team has {0} sessions")]
    TeamAtCapacity(usize),
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// Another execution in this language was still running when the timeout passed.
    #[error("another {} execution is running", .0.as_str())]
    ExecutionBusy(Language),
    /// Too many executions in the language wait already.
    #[error("too many {} executions wait", .0.as_str())]
    QueueFull(Language),
    /// The session's or the server's buffers are full. Nothing was done.
    #[error(transparent)]
    Overloaded(Exhausted),
    /// The code did not start. The reason can contain output of user code, so it must reach the
    /// caller only, and never the log.
    #[error("cannot start the code: {0}")]
    ExecutionNotStarted(String),
    /// The browser has no target with this id.
    #[error("no target {0}")]
    TargetNotFound(String),
    /// The browser does not accept clients.
    #[error("cannot reach the browser: {0}")]
    BrowserUnreachable(String),
    /// The browser ended unexpectedly.
    #[error("the browser crashed")]
    BrowserCrashed,
    /// A bug in the server.
    #[error("{0}")]
    Internal(String),
}

/// The reason why the browser of a session did not start.
#[derive(Clone, Debug)]
pub(crate) struct StartFailure {
    /// The reason, with the browser's last output.
    reason: String,
    /// The reason without output, because probes show it without a key.
    pub cause: String,
    /// The number of starts that failed, one after the other.
    pub starts: u32,
}

impl StartFailure {
    /// Creates the failure of a single start.
    pub fn new(reason: String) -> StartFailure {
        StartFailure {
            cause: reason.clone(),
            reason,
            starts: 1,
        }
    }
}

impl From<&LaunchError> for StartFailure {
    fn from(error: &LaunchError) -> StartFailure {
        StartFailure {
            reason: error.to_string(),
            cause: error.cause(),
            starts: error.starts(),
        }
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl SessionError {
    /// Returns the limit that was reached, if the request can be repeated later.
    pub fn rejection(&self) -> Option<Rejection> {
        match self {
            SessionError::AtCapacity => Some(Rejection::ServerSessions),
            SessionError::TeamAtCapacity(_) => Some(Rejection::TeamSessions),
            SessionError::QueueFull(_) => Some(Rejection::ExecutionQueue),
            SessionError::ExecutionBusy(_) => Some(Rejection::ExecutionWait),
            _ => None,
        }
    }

    /// Returns true if a session was not created because of a lack of memory or disk space, which
    /// the end of another session returns.
    pub(super) fn is_shortage(&self) -> bool {
        matches!(
            self,
            SessionError::DiskFull { .. } | SessionError::MemoryLow { .. }
        )
    }

    /// Returns true if a session was not created because of a shutdown or a lack of capacity, which
    /// can be temporary. Other errors are failures.
    pub fn is_rejection(&self) -> bool {
        matches!(
            self,
            SessionError::Stopping
                | SessionError::LeaseLost
                | SessionError::AtCapacity
                | SessionError::TeamAtCapacity(_)
                | SessionError::Unmeasured { .. }
                | SessionError::DiskFull { .. }
                | SessionError::MemoryLow { .. }
                | SessionError::ProfileBusy(_)
        )
    }
}
