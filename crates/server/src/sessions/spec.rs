//! The settings that new sessions are created with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearth_browser::{IgnoredCertificates, Viewport};
use hearth_budget::Budget;
use hearth_egress::Egress;
use jiff::SignedDuration;

use super::cdp_listener::CdpListeners;
use super::team_quota::QuotaMax;
use crate::config::{BlockMode, CountryProxies, CurrentLimits, ServerLimits, WarmSettings};
use crate::profiles::Profiles;
use crate::sandbox::isolation::Isolation;
use crate::toolchain::Runtime;

/// The settings that all sessions of a server share.
#[derive(Debug)]
pub(crate) struct RegistrySpec {
    /// The parent of all session directories.
    pub sessions_dir: PathBuf,
    /// The browser's executable.
    pub browser: PathBuf,
    pub user_agent: String,
    pub viewport: Viewport,
    /// The sites whose certificates browsers do not check.
    pub ignored_certificates: IgnoredCertificates,
    pub runtime: Runtime,
    pub isolation: Isolation,
    /// True if Chromium can set up its own sandbox.
    pub browser_sandbox: bool,
    /// Serves the loopback listeners for the sessions' own CDP clients.
    pub cdp_listeners: CdpListeners,
    /// The egress proxies of all sessions.
    pub egress: Egress,
    pub block_mode: BlockMode,
    pub country_proxies: CountryProxies,
    pub max_sessions: QuotaMax,
    pub warm: WarmSettings,
    /// The limit of each output stream of an execution.
    pub max_output_bytes: usize,
    pub limits: CurrentLimits,
    pub server_limits: ServerLimits,
    /// Counts the buffers of the server. The budgets of sessions are its children.
    pub buffers: Budget,
    /// The time for which ended sessions are kept.
    pub keep_ended: SignedDuration,
    pub profiles: Arc<Profiles>,
    /// The interval at which a session's cookies are saved to its profile. If `None`, they are
    /// saved only at the session's end.
    pub checkpoint_every: Option<Duration>,
}
