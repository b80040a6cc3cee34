//! Responses for operators: liveness, readiness and the state of the server.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::response::True;

/// The response of `GET /livez`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LivenessResponse {
    /// Always true, because only a live server responds.
    pub live: True,
}

/// The reason why the server cannot create sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// The server is stopping.
    Stopping,
    /// The node creates no more sessions, and stops when those that it has are over.
    Draining,
    /// The node has lost its lease on its sessions, and ends them.
    LeaseLost,
    /// A node that registered earlier has another secret of the cluster.
    OtherSecret {
        /// The name of that node.
        node: String,
    },
    /// The disk has too little free space.
    DiskFull {
        /// Free space in MiB.
        free_mb: u64,
        /// Required minimum in MiB.
        min_mb: u64,
    },
    /// Too little memory is available.
    MemoryLow {
        /// Available memory in MiB.
        available_mb: u64,
        /// Required minimum in MiB.
        min_mb: u64,
    },
    /// A limit cannot be enforced, because its watcher cannot read what it needs.
    Unmeasured {
        /// `memory` or `disk space`.
        what: &'static str,
        /// The system's error.
        reason: String,
    },
    /// The last two browsers could not be started.
    NoBrowser {
        /// Seconds since the last failure.
        seconds: u64,
        /// The reason for the last failure.
        reason: String,
    },
}

impl NotReady {
    /// Returns the reason as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            NotReady::Stopping => "The server is stopping.".to_owned(),
            NotReady::Draining => "The node is draining.".to_owned(),
            NotReady::LeaseLost => "The node has lost its lease.".to_owned(),
            NotReady::OtherSecret { node } => format!(
                "The node {node} has another secret: set HEARTH_CLUSTER_SECRET to the same value on all nodes."
            ),
            NotReady::DiskFull { free_mb, min_mb } => {
                format!("The disk is full: {free_mb} MiB are free, the minimum is {min_mb} MiB.")
            }
            NotReady::MemoryLow {
                available_mb,
                min_mb,
            } => {
                format!(
                    "Memory is low: {available_mb} MiB are available, the minimum is {min_mb} MiB."
                )
            }
            NotReady::Unmeasured { what, reason } => {
                format!("The {what} of sessions cannot be measured: {reason}.")
            }
            NotReady::NoBrowser { seconds, reason } => {
                format!(
                    "The last browser start failed {seconds} s ago, and so did the one before: {reason}."
                )
            }
        }
    }
}

/// The response of `GET /readyz`: 200 when ready, else 503.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessResponse {
    /// Set if the server can probably create sessions.
    pub ready: bool,
    /// One sentence for each problem.
    pub reasons: Vec<String>,
    /// Set if Firecrawl was reached when it was last needed or probed. Absent without a Firecrawl
    /// server. Sessions do not need it, so it does not change `ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firecrawl: Option<bool>,
    /// Set in test mode, otherwise absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test_mode: bool,
}

impl ReadinessResponse {
    /// Creates a response that is ready if there are no reasons.
    pub fn new(reasons: &[NotReady]) -> ReadinessResponse {
        ReadinessResponse {
            ready: reasons.is_empty(),
            reasons: reasons.iter().map(NotReady::sentence).collect(),
            firecrawl: None,
            test_mode: false,
        }
    }
}

/// The response of `GET /operator/state`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorState {
    /// The version of the server.
    pub version: &'static str,
    /// The isolation level.
    pub isolation: &'static str,
    /// The start time of the server.
    pub started_at: String,
    /// The current time of the server.
    pub now: String,
    /// Readiness, as in [`ReadinessResponse`].
    pub ready: bool,
    /// Problems, as in [`ReadinessResponse`].
    pub reasons: Vec<String>,
    /// The owners whose sessions are included.
    pub scope: Scope,
    /// The resources of the server.
    pub pressure: Pressure,
    /// Processes that outlived their sessions. Must be 0.
    pub leaked_processes: usize,
    /// The nodes of a cluster, by name. Absent without one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<OperatorNode>,
    /// Active sessions of all nodes, newest first.
    pub sessions: Vec<Listed<OperatorSession>>,
    /// The last ten sessions that ended, newest first.
    pub ended: Vec<EndedSession>,
}

/// A node of a cluster, as the node that responds sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorNode {
    /// Its name.
    pub name: String,
    /// `up` or `draining`.
    pub state: &'static str,
    /// False if it lacks memory, disk space or a working browser.
    pub ready: bool,
    /// Its sessions.
    pub sessions: usize,
    /// Its maximum number of sessions.
    pub max_sessions: usize,
    /// The version of the server.
    pub version: String,
    /// False if it did not answer, so its sessions are missing.
    pub answers: bool,
}

/// An item of this node, or of another one as that one describes it.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Listed<T> {
    /// An item of this node.
    Own(Box<T>),
    /// An item of another node.
    Other(Map<String, Value>),
}

impl Listed<OperatorSession> {
    /// Wraps a session of this node.
    pub fn own(session: OperatorSession) -> Self {
        Listed::Own(Box::new(session))
    }

    /// Sets the name of the session's node.
    pub fn set_node(&mut self, name: &str) {
        match self {
            Listed::Own(session) => session.node = Some(name.to_owned()),
            Listed::Other(session) => {
                session.insert("node".to_owned(), Value::from(name));
            }
        }
    }

    /// Returns the creation time, or an empty text if there is none.
    pub fn created_at(&self) -> &str {
        match self {
            Listed::Own(session) => &session.created_at,
            Listed::Other(session) => session
                .get("createdAt")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        }
    }
}

/// The response of `DELETE /operator/sessions/{id}`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct EndedResponse {
    /// The session has ended. Its cleanup may still be running.
    pub success: True,
}

/// The owners whose sessions a caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All teams.
    All,
    /// The caller's team.
    Team,
}

/// The resources of the whole server.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are self-explanatory")]
pub struct Pressure {
    pub sessions: usize,
    pub max_sessions: usize,
    pub warm_sessions: usize,
    pub executions_running: usize,
    pub executions_waiting: usize,
    pub memory: MemoryPressure,
    pub disk: DiskPressure,
}

/// Memory in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryPressure {
    /// Memory that programs can still allocate.
    pub available_bytes: Option<u64>,
    /// Total memory.
    pub total_bytes: Option<u64>,
    /// The minimum for creating a session.
    #[serde(rename = "leastBytes")]
    pub min_bytes: u64,
    /// Memory of all sessions in the last sample.
    pub sessions_bytes: u64,
}

/// Disk space in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskPressure {
    /// Free space on the disk of the data directory.
    pub free_bytes: Option<u64>,
    /// Size of that disk.
    pub total_bytes: Option<u64>,
    /// The minimum for creating a session.
    #[serde(rename = "leastBytes")]
    pub min_bytes: u64,
}

/// An active session.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorSession {
    /// The session id.
    pub id: String,
    /// The display name of the team.
    pub team: String,
    /// The node of a cluster that has the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Set for the session of a scrape, which only the operator sees.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_scrape: bool,
    /// The creation time.
    pub created_at: String,
    /// The latest time at which the session ends.
    pub expires_at: String,
    /// The time at which code last started.
    pub last_activity: String,
    /// The URL of the current tab, or `None` if the browser does not respond in time.
    pub url: Option<String>,
    /// The title of the current tab.
    pub title: Option<String>,
    /// Set if a thumbnail is available, which requires a live view.
    #[serde(rename = "hasPicture")]
    pub has_thumbnail: bool,
    /// The live view URL. Empty if the session has no live view.
    pub live_view_url: String,
    /// The name of the profile.
    pub profile: Option<String>,
    /// Memory in the last sample.
    pub memory_bytes: Option<u64>,
    /// The last five executions, newest first.
    pub executions: Vec<OperatorExecution>,
    /// The languages of the running executions.
    pub running: Vec<&'static str>,
    /// The time since the first of them started, in milliseconds.
    pub running_ms: Option<u64>,
    /// The kind of a dialog that waits for an answer, such as `alert`.
    pub dialog: Option<String>,
    /// Set if the current tab has crashed.
    pub crashed: bool,
}

/// A finished execution.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "same as in the response to the caller")]
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
    /// The session id.
    pub id: String,
    /// The display name of the team.
    pub team: String,
    /// The name of the reason on the wire.
    pub reason: &'static str,
    /// The time at which it ended.
    pub ended_at: String,
    /// The lifetime in milliseconds.
    pub duration_ms: u64,
}
