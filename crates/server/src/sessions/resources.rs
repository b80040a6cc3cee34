//! The resources of an active session, which are released at its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use hearth_browser::Browser;
use hearth_budget::Budget;
use hearth_contract::{DestroyedReason, Language, NotSaved, ProfileWarning};
use hearth_egress::{Proxy, SessionRules, Traffic};
use hearth_runner::{Interruption, Kernel};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::agent::Agent;
use super::cdp_listener::OpenCdpListener;
use super::execution::history::History;
use super::execution::kernel_slots::KernelSlots;
use super::files::turns::FileTurns;
use super::profile;
use super::program_access::ProgramAccess;
use crate::ending::Ending;
use crate::live_view::LiveView;
use crate::profiles::ProfileLease;
use crate::sandbox::programs::SessionCommands;
use crate::sandbox::session::SessionSandbox;
use crate::store::StoreError;
use crate::store::cluster::LeaseOwner;
use crate::workbench::PageLog;

/// The time limit for running executions to stop at the end of their session. Killing them takes
/// milliseconds.
const EXECUTIONS_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit for killed processes to exit.
const PROCESSES_TIMEOUT: Duration = Duration::from_secs(5);

/// The limits on executions and on data that leaves a session or is kept of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutputLimits {
    /// The maximum size of each output stream of an execution.
    pub max_output_bytes: usize,
    /// The maximum number of executions that wait for a turn, per language.
    pub queued_executions: usize,
    /// The maximum size of the browser's files that a profile keeps, in MiB.
    pub max_profile_mb: u64,
    /// Keeps the last executions with their code and output.
    pub keeps_history: bool,
}

/// The parts of a new session's resources.
#[derive(Debug)]
pub(super) struct ResourceParts {
    pub browser: Browser,
    pub commands: SessionCommands,
    pub sandbox: SessionSandbox,
    pub proxy: Proxy,
    pub cdp: OpenCdpListener,
    pub access: Arc<ProgramAccess>,
    pub tasks: TaskTracker,
    pub profile: Option<ProfileLease>,
    pub budget: Budget,
    pub limits: OutputLimits,
}

/// The browser, kernels, files and other resources of an active session.
#[derive(Debug)]
pub(super) struct SessionResources {
    pub browser: Browser,
    /// The live view. It has no processes.
    pub view: Arc<LiveView>,
    /// The last executions, for the workbench.
    pub history: History,
    /// The console and network lines of the page, for the workbench.
    pub page_log: PageLog,
    pub kernel_slots: KernelSlots,
    pub agent: Agent,
    pub commands: SessionCommands,
    /// The sandbox. Its launchers start every program of the session, so that `tasks` tracks them
    /// all.
    pub sandbox: SessionSandbox,
    /// The egress proxy of the browser and of programs.
    proxy: Proxy,
    /// The listener for the session's own CDP clients.
    cdp: OpenCdpListener,
    /// The access of the session's own programs to the browser.
    pub access: Arc<ProgramAccess>,
    /// The tasks that own the session's processes. It is empty when no process is left.
    pub tasks: TaskTracker,
    /// Interrupts running executions, which all watch it.
    pub interruption: watch::Sender<Option<Interruption>>,
    /// The session's lease on its profile, if it has one.
    pub profile: Option<ProfileLease>,
    /// Counts messages, output and responses that are not delivered yet.
    pub budget: Budget,
    pub limits: OutputLimits,
    /// The requests for files.
    pub files: FileTurns,
}

impl SessionResources {
    pub fn new(parts: ResourceParts) -> SessionResources {
        SessionResources {
            view: Arc::new(LiveView::new(parts.browser.clone())),
            history: History::default(),
            page_log: PageLog::new(parts.browser.clone(), &parts.budget),
            browser: parts.browser,
            kernel_slots: KernelSlots::new(parts.limits.queued_executions),
            agent: Agent::new(parts.sandbox.dir.agent()),
            commands: parts.commands,
            sandbox: parts.sandbox,
            proxy: parts.proxy,
            cdp: parts.cdp,
            access: parts.access,
            tasks: parts.tasks,
            interruption: watch::Sender::new(None),
            profile: parts.profile,
            budget: parts.budget,
            limits: parts.limits,
            files: FileTurns::default(),
        }
    }

    /// Takes the parts of a session that no client has got, and its idle kernels.
    pub fn into_parts(self) -> (ResourceParts, Vec<(Language, Kernel)>) {
        let kernels = self.kernel_slots.take_kernels();
        let parts = ResourceParts {
            browser: self.browser,
            commands: self.commands,
            sandbox: self.sandbox,
            proxy: self.proxy,
            cdp: self.cdp,
            access: self.access,
            tasks: self.tasks,
            profile: self.profile,
            budget: self.budget,
            limits: self.limits,
        };
        (parts, kernels)
    }

    /// Names the session in log events of the proxy, which are in the current span from now on, and
    /// in the addresses of programs.
    pub fn name(&self, id: Uuid) {
        self.proxy.name(&id.to_string());
        self.commands.endpoint.name(id);
    }

    /// Sets the rules of the session's proxy, once.
    pub fn set_rules(&self, rules: SessionRules) {
        self.proxy.set_rules(rules);
    }

    /// Returns true if the pages of the browser respond within `limit` and the kernels that have
    /// started are alive.
    pub async fn is_healthy(&self, limit: Duration) -> bool {
        !self.browser_is_dead()
            && self.kernel_slots.are_alive()
            && self.browser.tabs_respond(limit).await
    }

    /// Returns the bytes that went through the session's proxy.
    pub fn traffic(&self) -> Traffic {
        self.proxy.traffic()
    }

    /// Returns true if the end of the session saves its profile.
    pub fn saves_profile(&self) -> bool {
        self.profile.as_ref().is_some_and(ProfileLease::saves)
    }

    /// Takes the lease on the profile again. Returns false if the session cannot save any more.
    pub async fn reacquire_lease(&self, owner: LeaseOwner<'_>) -> Result<bool, StoreError> {
        match &self.profile {
            Some(profile) => profile.reacquire(owner).await,
            None => Ok(true),
        }
    }

    /// Returns true if the browser has died.
    pub fn browser_is_dead(&self) -> bool {
        self.browser.died().now_or_never().is_some()
    }

    /// Releases everything: interrupts executions first, because each must send a response, then
    /// ends the processes, saves the profile and removes the files. Returns a warning if the
    /// profile was not saved.
    pub async fn end(&self, ending: Ending) -> Option<ProfileWarning> {
        self.interruption
            .send_replace(Some(plan_interruption(ending)));
        let executions = timeout(EXECUTIONS_TIMEOUT, self.kernel_slots.close());
        if executions.await.is_err() {
            tracing::warn!("execution outlived its session");
        }
        self.kernel_slots.kill_kernels();
        self.agent.close().await;
        let profile = self.profile.as_ref().filter(|profile| profile.saves());
        let closed = match (profile, ending.reason) {
            (None, _) => None,
            (Some(_), DestroyedReason::BrowserCrashed) => Some(Err(NotSaved::BrowserCrashed)),
            (Some(_), DestroyedReason::Limit) => Some(Err(NotSaved::Limit)),
            // Another session may save to the profile by now.
            (Some(_), DestroyedReason::NodeLost) => Some(Err(NotSaved::LeaseLost)),
            (Some(_), _) => Some(profile::close(&self.browser).await),
        };
        self.end_processes().await;
        let mut warning = None;
        if let (Some(profile), Some(closed)) = (profile, closed) {
            let max_mb = self.limits.max_profile_mb;
            warning = profile::commit(profile, closed, &self.sandbox, max_mb)
                .await
                .err();
        }
        if let Some(warning) = &warning
            && *warning != ProfileWarning::NotSavedYet
        {
            tracing::warn!(
                profile = self.profile.as_ref().map(ProfileLease::name),
                warning = warning.sentence(),
                "profile data lost"
            );
        }
        self.sandbox.remove().await;
        if let Some(profile) = &self.profile {
            profile.release().await;
        }
        tracing::debug!("session cleanup finished");
        warning
    }

    /// Releases everything of a session that no client has got.
    pub async fn discard(&self) {
        self.kernel_slots.kill_kernels();
        self.end_processes().await;
        self.sandbox.remove().await;
        if let Some(profile) = &self.profile {
            profile.release().await;
        }
    }

    async fn end_processes(&self) {
        self.browser.kill().await;
        self.proxy.end();
        self.cdp.close();
        self.tasks.close();
        if timeout(PROCESSES_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::error!("processes outlived their session");
        }
    }
}

/// Returns the error and exit code of executions that the end of their session interrupts. A dead
/// browser is reported as a failure of the code, as if the code had noticed it. Every other end is
/// reported as a kill.
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
