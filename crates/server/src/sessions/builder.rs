//! The creation of one session, part by part.

use std::io;
use std::sync::Arc;

use hearth_browser::{Browser, LaunchSpec, NavigationErrorHint};
use hearth_budget::Budget;
use hearth_contract::{CreateRequest, ProfileWarning};
use hearth_egress::Proxy;
use hearth_sandbox::has_processes;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tracing::Span;
use uuid::Uuid;

use super::cdp_listener::OpenCdpListener;
use super::error::{SessionError, StartFailure};
use super::info::SessionInfo;
use super::profile;
use super::resources::{OutputLimits, ResourceParts, SessionResources};
use super::services::Services;
use super::session::{CLEANUP_TIMEOUT, Session, SessionParts};
use super::spec::RegistrySpec;
use super::team_quota::CapacityPermit;
use super::tokens::Tokens;
use crate::profiles::{ProfileId, ProfileLease};
use crate::sandbox::dirs::session_dir_name;
use crate::sandbox::plan::Ports;
use crate::sandbox::programs::{ProxyEnv, SessionCommands};
use crate::sandbox::session::{SandboxSpec, SessionSandbox};
use crate::sandbox::uid_pool::{UidLease, UidPool};
use crate::team::Team;

/// A request for a session, and the capacity reserved for it.
pub(super) struct NewSession {
    pub id: Uuid,
    pub team: Team,
    pub request: CreateRequest,
    pub capacity_permit: CapacityPermit,
    pub span: Span,
}

/// The parts of a session that exist so far. The builder owns them until the session is complete,
/// and ends them if a later part fails.
pub(super) struct SessionBuilder {
    spec: Arc<RegistrySpec>,
    uid_pool: UidPool,
    services: Services,
    /// The tasks that own the session's processes.
    tasks: TaskTracker,
    profile: Option<ProfileLease>,
    proxy: Option<Proxy>,
    cdp: Option<OpenCdpListener>,
    /// The sandbox, which holds the lease on the user ids.
    sandbox: Option<SessionSandbox>,
    browser: Option<Browser>,
    /// Counts the session's buffers.
    budget: Budget,
}

impl SessionBuilder {
    pub fn new(spec: Arc<RegistrySpec>, uid_pool: UidPool, services: Services) -> SessionBuilder {
        let session_bytes = spec.limits.get().session_buffer_mb << 20;
        SessionBuilder {
            budget: spec.buffers.child("the session", session_bytes),
            spec,
            uid_pool,
            services,
            tasks: TaskTracker::new(),
            profile: None,
            proxy: None,
            cdp: None,
            sandbox: None,
            browser: None,
        }
    }

    /// Creates and records the session. On failure, nothing of the session remains. The caller must
    /// not drop the future, because only [`abort`](SessionBuilder::abort) removes the files.
    pub async fn build(
        mut self,
        new: NewSession,
    ) -> Result<(Session, Arc<SessionResources>), SessionError> {
        match self.create_parts(new).await {
            Ok(session) => Ok(session),
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    async fn create_parts(
        &mut self,
        new: NewSession,
    ) -> Result<(Session, Arc<SessionResources>), SessionError> {
        let tokens = Tokens::new(new.request.stream_web_view).map_err(|error| {
            SessionError::Internal(format!("cannot get random numbers: {error}"))
        })?;
        self.profile = self.lease_profile(&new.team, &new.request)?;
        self.open_proxy(new.id).await?;
        self.open_cdp_listener().await?;
        self.create_sandbox(new.id).await?;
        let warning = self.launch_browser().await?;
        if let Some(warning) = &warning {
            tracing::warn!(
                profile = new
                    .request
                    .profile
                    .as_ref()
                    .map(|profile| profile.name.as_str()),
                warning = warning.sentence(),
                "profile data lost"
            );
        }
        let info = SessionInfo::new(new.id, new.team, &new.request, tokens);
        let record = info.record(info.created_at, None);
        let recorded = self.services.store.begin_session(&record).await;
        recorded.map_err(|error| SessionError::NotRecorded(error.to_string()))?;
        let resources = Arc::new(self.take_resources(&info)?);
        let session = Session::new(SessionParts {
            info,
            span: new.span,
            capacity_permit: new.capacity_permit,
            resources: Arc::clone(&resources),
            services: self.services.clone(),
            warning,
        });
        Ok((session, resources))
    }

    /// Leases the profile of the request, if it names one.
    fn lease_profile(
        &self,
        team: &Team,
        request: &CreateRequest,
    ) -> Result<Option<ProfileLease>, SessionError> {
        let Some(profile) = &request.profile else {
            return Ok(None);
        };
        let id = ProfileId::new(Team::clone(team), profile.name.clone());
        let lease = self.spec.profiles.lease(id, profile.save_changes);
        lease
            .map(Some)
            .ok_or_else(|| SessionError::ProfileBusy(profile.name.clone()))
    }

    /// Opens the session's egress proxy. This is the first step because the sandbox and the browser
    /// need the port.
    async fn open_proxy(&mut self, id: Uuid) -> Result<(), SessionError> {
        let opened = self.spec.egress.open(&id.to_string(), &self.tasks).await;
        let proxy = opened
            .map_err(|error| not_prepared(format!("the session's proxy cannot listen: {error}")))?;
        self.proxy = Some(proxy);
        Ok(())
    }

    /// Opens the listener for the session's own CDP clients. Programs start to use it when the
    /// session exists.
    async fn open_cdp_listener(&mut self) -> Result<(), SessionError> {
        let opened = OpenCdpListener::open(&self.spec.egress, &self.tasks).await;
        let (open, to_serve) = opened.map_err(|error| {
            not_prepared(format!("the session's CDP listener cannot listen: {error}"))
        })?;
        self.cdp = Some(open);
        // The receiver lives as long as the server accepts sessions.
        let sent = self.spec.cdp_listeners.send(to_serve).await;
        sent.map_err(|_| SessionError::Stopping)
    }

    /// Leases user ids under which no process runs, if sessions have their own. Waits for those of
    /// ended sessions (at most 10 s).
    async fn lease_user_ids(&self) -> Result<Option<UidLease>, SessionError> {
        let Some(ids) = self.spec.isolation.user_ids() else {
            return Ok(None);
        };
        let until = Instant::now() + CLEANUP_TIMEOUT;
        loop {
            let returned = self.uid_pool.returned();
            let may_improve = !self.uid_pool.leased().is_empty();
            let pool = self.uid_pool.clone();
            let leasing = spawn_blocking(move || {
                // Ids whose processes cannot be listed count as used.
                pool.lease(|index| has_processes(ids, index).is_ok_and(|has_any| !has_any))
            });
            if let Some(lease) = leasing.await.ok().flatten() {
                return Ok(Some(lease));
            }
            // The pool is as large as the session limit, but ended sessions may still hold leases.
            if !may_improve || timeout_at(until, returned).await.is_err() {
                return Err(SessionError::AtCapacity);
            }
        }
    }

    async fn create_sandbox(&mut self, id: Uuid) -> Result<(), SessionError> {
        let uid_lease = self.lease_user_ids().await?;
        let spec = Arc::clone(&self.spec);
        let egress = self.proxy.iter().map(Proxy::port).collect();
        let cdp = self
            .cdp
            .as_ref()
            .map(OpenCdpListener::port)
            .ok_or_else(incomplete)?;
        let tasks = self.tasks.clone();
        let creating = spawn_blocking(move || {
            let sandbox_spec = SandboxSpec {
                isolation: &spec.isolation,
                browser: &spec.browser,
                runtime: &spec.runtime,
                ports: Ports { cdp, egress },
            };
            let name = session_dir_name(id);
            SessionSandbox::create(&spec.sessions_dir, &name, sandbox_spec, uid_lease, &tasks)
        });
        let created = creating
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let sandbox = created.map_err(|error| {
            let sessions = self.spec.sessions_dir.display();
            not_prepared(format!("cannot create a directory in {sessions}: {error}"))
        })?;
        self.sandbox = Some(sandbox);
        Ok(())
    }

    /// Launches the browser with the contents of the profile. Returns a warning if the profile is
    /// damaged or missing.
    async fn launch_browser(&mut self) -> Result<Option<ProfileWarning>, SessionError> {
        let (Some(sandbox), Some(proxy)) = (&self.sandbox, &self.proxy) else {
            return Err(incomplete());
        };
        let denials = proxy.denial_lookup();
        let launch = LaunchSpec {
            executable: self.spec.browser.clone(),
            dir: sandbox.dir.browser(),
            session_dir: sandbox.dir.root().to_owned(),
            viewport: self.spec.viewport,
            user_agent: self.spec.user_agent.clone(),
            sandbox: self.spec.browser_sandbox,
            proxy_port: Some(proxy.port()),
            navigation_hint: Some(NavigationErrorHint::new(move |url| {
                denials.describe_for(url)
            })),
            ignored_certificates: self.spec.ignored_certificates.clone(),
            limits: self.spec.limits.get().of_browser(),
            budget: self.budget.clone(),
        };
        let max_mb = self.spec.limits.get().disk_mb;
        let profile = self.profile.as_ref();
        let (browser, warning) =
            profile::launch(profile, sandbox, &self.tasks, launch, max_mb).await?;
        self.browser = Some(browser);
        Ok(warning)
    }

    /// Moves the parts into the session's resources.
    fn take_resources(&mut self, info: &SessionInfo) -> Result<SessionResources, SessionError> {
        let (Some(browser), Some(sandbox), Some(proxy), Some(cdp)) = (
            self.browser.take(),
            self.sandbox.take(),
            self.proxy.take(),
            self.cdp.take(),
        ) else {
            return Err(incomplete());
        };
        let listener = format!("127.0.0.1:{}", cdp.port());
        let token = info.tokens.internal.as_str();
        let endpoint = format!("ws://{listener}/cdp/{}?token={token}", info.id);
        let proxy_env = ProxyEnv {
            proxy_port: proxy.port(),
            direct: listener,
        };
        let runtime = self.spec.runtime.clone();
        Ok(SessionResources::new(ResourceParts {
            commands: SessionCommands::new(
                runtime,
                &sandbox.dir,
                sandbox.user_name.clone(),
                sandbox.ca_bundle.as_deref(),
                sandbox.compile_cache.as_deref(),
                endpoint,
                proxy_env,
            ),
            browser,
            sandbox,
            proxy,
            cdp,
            tasks: self.tasks.clone(),
            profile: self.profile.take(),
            budget: self.budget.clone(),
            limits: OutputLimits {
                max_output_bytes: self.spec.max_output_bytes,
                queued_executions: self.spec.server_limits.queued_executions,
                max_profile_mb: self.spec.limits.get().disk_mb,
            },
        }))
    }

    /// Ends the parts that exist: first the processes, then the files. Dropping the rest returns
    /// the leases on the user ids and the profile.
    async fn abort(self) {
        if let Some(browser) = &self.browser {
            browser.kill().await;
        }
        if let Some(proxy) = &self.proxy {
            proxy.end();
        }
        if let Some(cdp) = &self.cdp {
            cdp.close();
        }
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(sandbox) = &self.sandbox {
            sandbox.remove().await;
        }
    }
}

/// Returns the error for something that the browser needs.
fn not_prepared(reason: String) -> SessionError {
    SessionError::BrowserStart(StartFailure::new(reason))
}

/// Returns the error for a part that is created too early, which would be a bug.
fn incomplete() -> SessionError {
    SessionError::Internal("the session is incomplete".to_owned())
}
