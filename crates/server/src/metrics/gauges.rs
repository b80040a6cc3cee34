//! The values that are read when metrics are collected. Other metrics are counted.

use hearth_egress::Traffic;

/// The current state of the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges {
    pub ready: bool,
    pub creating: usize,
    pub active: usize,
    pub ending: usize,
    pub max_sessions: usize,
    pub running: usize,
    pub waiting: usize,
    pub leaked_processes: usize,
    pub sessions_memory_bytes: u64,
    pub server_memory_bytes: Option<u64>,
    pub available_memory_bytes: Option<u64>,
    pub free_disk_bytes: Option<u64>,
    pub total_disk_bytes: Option<u64>,
    pub traffic: Traffic,
    /// Denied egress connections, by rule.
    pub egress_denials: Vec<(&'static str, u64)>,
}
