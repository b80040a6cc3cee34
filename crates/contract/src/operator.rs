//! What the server tells the people who run it: whether it is ready, and what goes on.

use serde::Serialize;

use crate::response::True;

/// The answer of `GET /livez`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LivenessResponse {
    /// It answers.
    pub live: True,
}

/// Why no new session would be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// The server was told to stop.
    Stopping,
    /// Too little of the disk is left, in MiB.
    DiskFull {
        /// What is left.
        free_mb: u64,
        /// What has to be.
        min_mb: u64,
    },
    /// Too little memory is left, in MiB.
    MemoryLow {
        /// What programs could still get.
        available_mb: u64,
        /// What has to be.
        min_mb: u64,
    },
    /// The last browser that was wanted did not come up.
    NoBrowser {
        /// So many seconds ago.
        seconds: u64,
    },
}

impl NotReady {
    /// One sentence for people.
    pub fn sentence(&self) -> String {
        match self {
            NotReady::Stopping => "The server is stopping.".to_owned(),
            NotReady::DiskFull { free_mb, min_mb } => {
                format!("The disk is full: {free_mb} MiB are free, and {min_mb} MiB have to be.")
            }
            NotReady::MemoryLow {
                available_mb,
                min_mb,
            } => {
                format!(
                    "Memory is short: {available_mb} MiB are available, and {min_mb} MiB have to be."
                )
            }
            NotReady::NoBrowser { seconds } => {
                format!(
                    "A browser could not be started {seconds} s ago, and none was since; the log says why."
                )
            }
        }
    }
}

/// The answer of `GET /readyz`: 200 when ready, else 503.
#[derive(Clone, Debug, Serialize)]
pub struct ReadinessResponse {
    /// New sessions would be made, as far as can be told.
    pub ready: bool,
    /// A sentence for each thing that is wrong.
    pub reasons: Vec<String>,
}

impl ReadinessResponse {
    /// Ready when there is no reason not to be.
    pub fn new(reasons: &[NotReady]) -> ReadinessResponse {
        ReadinessResponse {
            ready: reasons.is_empty(),
            reasons: reasons.iter().map(NotReady::sentence).collect(),
        }
    }
}

/// The answer of `GET /operator/state`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorState {
    /// Of the server.
    pub version: &'static str,
    /// The level.
    pub isolation: &'static str,
    /// When the server started.
    pub started_at: String,
    /// The server's clock.
    pub now: String,
    /// As in [`ReadinessResponse`].
    pub ready: bool,
    /// The same.
    pub reasons: Vec<String>,
    /// Whose sessions are told of.
    pub scope: Scope,
    /// How much is left.
    pub pressure: Pressure,
    /// Processes that outlived their sessions. Must be 0.
    pub leaked_processes: usize,
    /// The ones that live, newest first.
    pub sessions: Vec<OperatorSession>,
    /// The last ten that ended, newest first.
    pub ended: Vec<EndedSession>,
}

/// The answer of `DELETE /operator/sessions/{id}`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct EndedResponse {
    /// Nothing of it is left, or soon will be.
    pub success: True,
}

/// Whose sessions somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everybody's.
    All,
    /// The caller's team's.
    Team,
}

/// How much is left, of the whole server.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub struct Pressure {
    pub sessions: usize,
    pub max_sessions: usize,
    pub executions_running: usize,
    pub executions_waiting: usize,
    pub memory: MemoryPressure,
    pub disk: DiskPressure,
}

/// Memory in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryPressure {
    /// What programs could still get.
    pub available_bytes: Option<u64>,
    /// What there is.
    pub total_bytes: Option<u64>,
    /// With less no session is made.
    #[serde(rename = "leastBytes")]
    pub min_bytes: u64,
    /// What sessions had at the last look.
    pub sessions_bytes: u64,
}

/// Disk space in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskPressure {
    /// What is free of the disk with the data folder.
    pub free_bytes: Option<u64>,
    /// What there is of it.
    pub total_bytes: Option<u64>,
    /// With less no session is made.
    #[serde(rename = "leastBytes")]
    pub min_bytes: u64,
}

/// A session that lives.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorSession {
    /// Its id.
    pub id: String,
    /// Whose it is, in words.
    pub team: String,
    /// When it began.
    pub created_at: String,
    /// When it ends at the latest.
    pub expires_at: String,
    /// When code last started.
    pub last_activity: String,
    /// Where the current tab is; none when the browser does not say in time.
    pub url: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Whether there is a picture to ask for. Not of a session that was made without a live view.
    #[serde(rename = "hasPicture")]
    pub has_thumbnail: bool,
    /// Where it can be watched; empty when it was made without a live view.
    pub live_view_url: String,
    /// The profile that it has.
    pub profile: Option<String>,
    /// What it had at the last look.
    pub memory_bytes: Option<u64>,
    /// The last five, newest first.
    pub executions: Vec<OperatorExecution>,
    /// The languages in which code runs now.
    pub running: Vec<&'static str>,
}

/// Code that has run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "as in the answer to its caller")]
pub struct OperatorExecution {
    pub language: &'static str,
    pub ended_at: String,
    pub duration_ms: u64,
    pub exit_code: i32,
    pub killed: bool,
}

/// A session that has ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedSession {
    /// Its id.
    pub id: String,
    /// Whose it was, in words.
    pub team: String,
    /// A word.
    pub reason: &'static str,
    /// When.
    pub ended_at: String,
    /// How long it lived.
    pub duration_ms: u64,
}
