//! The settings that new sessions are created with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearth_browser::Viewport;
use hearth_egress::Egress;
use jiff::SignedDuration;

use crate::config::Limits;
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
    pub runtime: Runtime,
    pub isolation: Isolation,
    /// True if Chromium can set up its own sandbox.
    pub browser_sandbox: bool,
    /// The port of the loopback listener for the sessions' own CDP clients.
    pub internal_port: u16,
    /// The egress proxies of all sessions.
    pub egress: Egress,
    pub max_sessions: usize,
    /// The limit of each output stream of an execution.
    pub max_output_bytes: usize,
    pub limits: Limits,
    /// The time for which ended sessions are kept.
    pub keep_ended: SignedDuration,
    pub profiles: Arc<Profiles>,
    /// The interval at which a session's cookies are saved to its profile. If `None`, they are
    /// saved only at the session's end.
    pub checkpoint_every: Option<Duration>,
}
