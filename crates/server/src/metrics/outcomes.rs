//! The outcomes that metrics distinguish, and their label values.

/// The outcome of a request to create a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateOutcome {
    Created,
    /// The server is full, stopping or short of disk or memory, or the profile is in use.
    Rejected,
    Failed,
    /// The client disconnected.
    Abandoned,
}

impl CreateOutcome {
    pub(super) const ALL: [CreateOutcome; 4] = [
        CreateOutcome::Created,
        CreateOutcome::Rejected,
        CreateOutcome::Failed,
        CreateOutcome::Abandoned,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            CreateOutcome::Created => "made",
            CreateOutcome::Rejected => "refused",
            CreateOutcome::Failed => "failed",
            CreateOutcome::Abandoned => "abandoned",
        }
    }
}

/// The outcome of a request to execute code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecuteOutcome {
    /// The exit code was 0.
    Succeeded,
    /// The exit code was not 0.
    Failed,
    TimedOut,
    /// The session ended, or the code exceeded a limit.
    Interrupted,
    /// The client disconnected.
    Abandoned,
    /// Another execution was still running when the timeout passed.
    Busy,
    /// The code could not be started.
    NotStarted,
    /// The session had already ended.
    Gone,
}

impl ExecuteOutcome {
    pub(super) const ALL: [ExecuteOutcome; 8] = [
        ExecuteOutcome::Succeeded,
        ExecuteOutcome::Failed,
        ExecuteOutcome::TimedOut,
        ExecuteOutcome::Interrupted,
        ExecuteOutcome::Abandoned,
        ExecuteOutcome::Busy,
        ExecuteOutcome::NotStarted,
        ExecuteOutcome::Gone,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            ExecuteOutcome::Succeeded => "succeeded",
            ExecuteOutcome::Failed => "failed",
            ExecuteOutcome::TimedOut => "timed_out",
            ExecuteOutcome::Interrupted => "interrupted",
            ExecuteOutcome::Abandoned => "abandoned",
            ExecuteOutcome::Busy => "busy",
            ExecuteOutcome::NotStarted => "not_started",
            ExecuteOutcome::Gone => "gone",
        }
    }
}

/// The limit because of which a request got a 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rejection {
    /// The sessions of the server.
    ServerSessions,
    /// The sessions of the team.
    TeamSessions,
    /// The executions that wait in a session.
    ExecutionQueue,
    /// The timeout of an execution, which passed while another one ran.
    ExecutionWait,
    /// The requests of the team that wait in a queue that teams share.
    TeamQueue,
    /// The rate of requests with the key.
    KeyRate,
}

impl Rejection {
    pub(super) const ALL: [Rejection; 6] = [
        Rejection::ServerSessions,
        Rejection::TeamSessions,
        Rejection::ExecutionQueue,
        Rejection::ExecutionWait,
        Rejection::TeamQueue,
        Rejection::KeyRate,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Rejection::ServerSessions => "server_sessions",
            Rejection::TeamSessions => "team_sessions",
            Rejection::ExecutionQueue => "execution_queue",
            Rejection::ExecutionWait => "execution_wait",
            Rejection::TeamQueue => "team_queue",
            Rejection::KeyRate => "key_rate",
        }
    }
}

/// The reason why an execution was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KillReason {
    Deadline,
    /// The session exceeded a limit.
    Limit,
    SessionEnd,
    CallerGone,
}

impl KillReason {
    pub(super) const ALL: [KillReason; 4] = [
        KillReason::Deadline,
        KillReason::Limit,
        KillReason::SessionEnd,
        KillReason::CallerGone,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            KillReason::Deadline => "deadline",
            KillReason::Limit => "limit",
            KillReason::SessionEnd => "session_end",
            KillReason::CallerGone => "caller_gone",
        }
    }
}
