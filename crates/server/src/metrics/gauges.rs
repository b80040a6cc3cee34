//! The values that are read when metrics are collected. Other metrics are counted.

use std::collections::HashMap;

use hearth_egress::Traffic;

use crate::team::Team;

/// The connections of the public listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionCounts {
    pub open: usize,
    /// The limit of open connections.
    pub max: usize,
    /// Connections that were closed to make room for others.
    pub replaced: u64,
    /// Connections that found no room.
    pub rejected: u64,
}

/// The state of the Firecrawl server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FirecrawlCounts {
    /// False if the last connection to it failed.
    pub answers: bool,
    /// Connections to it.
    pub connections: usize,
    pub max_connections: usize,
}

/// The state of a cluster, as one node sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterCounts {
    /// The state of this node: `up`, `draining` or `fenced`.
    pub state: Option<&'static str>,
    /// Nodes that create sessions.
    pub up: usize,
    /// Nodes that create no sessions, and still have some.
    pub draining: usize,
    /// The time since the last beat.
    pub beat_age_seconds: u64,
}

/// The current state of the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges {
    pub ready: bool,
    pub creating: usize,
    pub active: usize,
    pub ending: usize,
    /// Sessions of scrapes that wait for an interaction.
    pub kept: usize,
    /// Sessions that are prepared in advance.
    pub warm_ready: usize,
    pub warm_preparing: usize,
    pub max_sessions: usize,
    pub running: usize,
    pub waiting: usize,
    pub leaked_processes: usize,
    /// Ends of sessions that the store has not recorded yet.
    pub delayed_ends: usize,
    pub sessions_memory_bytes: u64,
    pub server_memory_bytes: Option<u64>,
    pub available_memory_bytes: Option<u64>,
    pub free_disk_bytes: Option<u64>,
    pub total_disk_bytes: Option<u64>,
    /// Below these, no session is created.
    pub min_available_memory_bytes: u64,
    pub min_free_disk_bytes: u64,
    pub traffic: Traffic,
    pub buffer_bytes: u64,
    /// Reservations that did not fit into the server's budget.
    pub buffers_denied: u64,
    /// Reservations that did not fit into the budget of a session.
    pub session_buffers_denied: u64,
    pub max_buffer_bytes: u64,
    pub connections: ConnectionCounts,
    pub open_descriptors: u64,
    pub max_descriptors: u64,
    pub accept_paused: bool,
    pub firecrawl: FirecrawlCounts,
    /// `None` if this server is not a node of a cluster.
    pub cluster: Option<ClusterCounts>,
    /// Denied egress connections, by rule.
    pub egress_denials: Vec<(&'static str, u64)>,
    /// Sessions that are created or active, by team.
    pub team_sessions: HashMap<Team, usize>,
}
