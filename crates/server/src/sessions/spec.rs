//! The settings and resources that all sessions of a server share.

use std::path::PathBuf;
use std::sync::Arc;

use hearth_budget::Budget;
use hearth_egress::Egress;

use super::cdp_listener::CdpListeners;
use super::team_quota::QuotaMax;
use crate::config::{Config, CurrentLimits};
use crate::profiles::Profiles;
use crate::sandbox::isolation::Isolation;
use crate::toolchain::Runtime;

/// The settings of a server, and what its sessions share.
#[derive(Debug)]
pub(crate) struct RegistrySpec {
    /// The settings at startup. `limits` and `max_sessions` replace the ones that a reload changes.
    pub config: Arc<Config>,
    pub limits: CurrentLimits,
    pub max_sessions: QuotaMax,
    /// The parent of all session directories.
    pub sessions_dir: PathBuf,
    /// The setting, or the default that the self-test found.
    pub user_agent: String,
    pub runtime: Runtime,
    pub isolation: Isolation,
    /// True if Chromium can set up its own sandbox.
    pub browser_sandbox: bool,
    /// Serves the loopback listeners for the sessions' own CDP clients.
    pub cdp_listeners: CdpListeners,
    /// The egress proxies of all sessions.
    pub egress: Egress,
    /// Counts the buffers of the server. The budgets of sessions are its children.
    pub buffers: Budget,
    pub profiles: Arc<Profiles>,
}
