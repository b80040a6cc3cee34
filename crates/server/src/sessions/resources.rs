//! What a session owns while it lives, and gives back at its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use hearth_browser::Browser;
use hearth_contract::{DestroyedReason, NotSaved, ProfileWarning};
use hearth_egress::{Proxy, Traffic};
use hearth_runner::Interruption;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::agent::Agent;
use super::kernel_slots::KernelSlots;
use super::profile;
use super::session::Ending;
use crate::live_view::LiveView;
use crate::profiles::Hold;
use crate::sandbox::SessionSandbox;
use crate::sandbox::commands::SessionCommands;

/// How long running executions may take to notice that the session has ended; killing them takes
/// milliseconds.
const EXECUTIONS_BOUND: Duration = Duration::from_secs(2);

/// How long the processes may take to be gone after they were killed.
const PROCESSES_BOUND: Duration = Duration::from_secs(5);

/// How much a session may leave behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResourceLimits {
    /// Of each stream of one execution.
    pub max_output_bytes: usize,
    /// Of its browser's files, for its profile, in MiB.
    pub max_profile_mb: u64,
}

/// The belongings of a living session.
#[derive(Debug)]
pub(super) struct SessionResources {
    pub browser: Browser,
    /// Viewers and what they see; it has no processes.
    pub view: Arc<LiveView>,
    pub places: KernelSlots,
    pub agent: Agent,
    pub programs: SessionCommands,
    /// Every program of the session is started by its launchers, so that `tasks` knows them all.
    pub sandbox: SessionSandbox,
    /// The way out of the browser and of programs.
    proxy: Proxy,
    /// The owners of the session's processes. Empty means that none is left.
    pub tasks: TaskTracker,
    /// Ends running executions. Read by each of them.
    pub interruption: watch::Sender<Option<Interruption>>,
    pub max_output_bytes: usize,
    /// The profile that the browser has come with, if there is one.
    pub profile: Option<Hold>,
    /// How much of the browser's files goes back into it at the most, in MiB.
    max_profile_mb: u64,
}

impl SessionResources {
    pub fn new(
        browser: Browser,
        programs: SessionCommands,
        sandbox: SessionSandbox,
        proxy: Proxy,
        tasks: TaskTracker,
        profile: Option<Hold>,
        limits: ResourceLimits,
    ) -> SessionResources {
        SessionResources {
            view: Arc::new(LiveView::new(browser.clone())),
            browser,
            places: KernelSlots::new(),
            agent: Agent::new(sandbox.folder.agent()),
            programs,
            sandbox,
            proxy,
            tasks,
            interruption: watch::Sender::new(None),
            max_output_bytes: limits.max_output_bytes,
            profile,
            max_profile_mb: limits.max_profile_mb,
        }
    }

    /// What went through its proxy.
    pub fn traffic(&self) -> Traffic {
        self.proxy.traffic()
    }

    /// Whether the browser is gone already.
    pub fn browser_is_dead(&self) -> bool {
        self.browser.died().now_or_never().is_some()
    }

    /// Ends everything: executions first, since each of them is owed an answer, then the processes,
    /// then the files. What could not be saved of a profile is told.
    pub async fn end(&self, id: Uuid, ending: Ending) -> Option<ProfileWarning> {
        self.interruption
            .send_replace(Some(plan_interruption(ending)));
        if timeout(EXECUTIONS_BOUND, self.places.close())
            .await
            .is_err()
        {
            tracing::warn!(session = %id, "an execution outlasts its session");
        }
        self.places.kill_kernels();
        self.agent.kill();
        let profile = self.profile.as_ref().filter(|profile| profile.saves());
        let closed = match (profile, ending.reason) {
            (None, _) => None,
            (Some(_), DestroyedReason::BrowserCrashed) => Some(Err(NotSaved::BrowserCrashed)),
            (Some(_), DestroyedReason::Limit) => Some(Err(NotSaved::Limit)),
            (Some(_), _) => Some(profile::close(&self.browser).await),
        };
        self.browser.kill().await;
        self.proxy.end();
        self.tasks.close();
        if timeout(PROCESSES_BOUND, self.tasks.wait()).await.is_err() {
            tracing::error!(session = %id, "processes of an ended session do not go away");
        }
        let mut warning = None;
        if let (Some(profile), Some(closed)) = (profile, closed) {
            warning = profile::commit(profile, closed, &self.sandbox, self.max_profile_mb)
                .await
                .err();
        }
        if let Some(warning) = &warning {
            tracing::warn!(session = %id, warning = warning.sentence(), "a session has lost something of its profile");
        }
        self.sandbox.remove().await;
        if let Some(profile) = &self.profile {
            profile.release().await;
        }
        tracing::debug!(session = %id, "nothing is left of a session");
        warning
    }
}

/// What an execution that is cut off by its session's end tells its caller. A dead browser is the
/// code's failure, as if it had noticed by itself; everything else is a kill.
fn plan_interruption(ending: Ending) -> Interruption {
    let exit_code = if ending.reason == DestroyedReason::BrowserCrashed {
        1
    } else {
        137
    };
    Interruption {
        reason: ending.execution_error(),
        exit_code,
    }
}
