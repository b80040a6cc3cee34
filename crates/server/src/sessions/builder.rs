//! The creation of the parts of one session, before a client has it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hearth_browser::{Browser, LaunchSpec, Locale, NavigationErrorHint};
use hearth_budget::Budget;
use hearth_contract::{Language, ProfileWarning};
use hearth_egress::Proxy;
use hearth_runner::{Attachment, Kernel};
use hearth_sandbox::has_processes;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::cdp_listener::OpenCdpListener;
use super::error::{SessionError, StartFailure};
use super::execution::kernels::{load_kernel, not_warm, wait_until_warm};
use super::profile;
use super::program_access::ProgramAccess;
use super::resources::{OutputLimits, ResourceParts, SessionResources};
use super::session::CLEANUP_TIMEOUT;
use super::spec::RegistrySpec;
use crate::config::ExecutionHistory;
use crate::profiles::ProfileLease;
use crate::sandbox::dirs::session_dir_name;
use crate::sandbox::plan::Ports;
use crate::sandbox::programs::{Endpoint, SessionCommands};
use crate::sandbox::session::{SandboxSpec, SessionSandbox};
use crate::sandbox::uid_pool::{UidLease, UidPool};

/// The time limit for kernels to connect and prepare their first run. It takes half a second.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit for processes under user ids without a lease to exit, and the interval at which
/// they are looked for.
const EXITS_TIMEOUT: Duration = Duration::from_secs(1);
const EXITS_INTERVAL: Duration = Duration::from_millis(200);

/// A session without an id, which no client has yet.
#[derive(Debug)]
pub(super) struct PreparedSession {
    pub resources: Arc<SessionResources>,
    /// The span of the session's log lines. It gets its fields with the id.
    pub span: Span,
    /// A problem with the profile, for the creator.
    pub warning: Option<ProfileWarning>,
}

/// The state and the place that a browser starts with.
#[derive(Debug, Default)]
pub(super) struct BrowserStart {
    pub profile: Option<ProfileLease>,
    /// Unless it is the machine's.
    pub locale: Option<Locale>,
}

/// The kernels that start with the browser.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernels<'a> {
    /// These load while the browser starts. The session does not wait for them.
    Loaded(&'a [Language]),
    /// The session waits until these are connected and have prepared their first run. The creation
    /// ends with an error after `stop`.
    WarmedUp(&'a [Language], &'a CancellationToken),
}

impl Kernels<'_> {
    /// Waits until the creation has to stop.
    async fn stopped(self) {
        match self {
            Kernels::Loaded(_) => std::future::pending().await,
            Kernels::WarmedUp(_, stop) => stop.cancelled().await,
        }
    }
}

/// The parts of a session that exist so far. The builder owns them until the session is complete,
/// and ends them if a later part fails.
pub(super) struct SessionBuilder {
    spec: Arc<RegistrySpec>,
    uid_pool: UidPool,
    /// The tasks that own the session's processes.
    tasks: TaskTracker,
    start: BrowserStart,
    proxy: Option<Proxy>,
    /// The access of the session's own programs, with the listener for them.
    cdp: Option<(OpenCdpListener, Arc<ProgramAccess>)>,
    /// The sandbox, which holds the lease on the user ids.
    sandbox: Option<SessionSandbox>,
    commands: Option<SessionCommands>,
    browser: Option<Browser>,
    /// Counts the session's buffers.
    budget: Budget,
}

impl SessionBuilder {
    pub fn new(spec: Arc<RegistrySpec>, uid_pool: UidPool) -> SessionBuilder {
        let session_bytes = spec.limits.get().session_buffer_mb << 20;
        SessionBuilder {
            budget: spec.buffers.child("the session", session_bytes),
            spec,
            uid_pool,
            tasks: TaskTracker::new(),
            start: BrowserStart::default(),
            proxy: None,
            cdp: None,
            sandbox: None,
            commands: None,
            browser: None,
        }
    }

    /// Creates the parts of a session. On failure, nothing of them remains. The caller must not
    /// drop the future, because only [`abort`](SessionBuilder::abort) removes the files.
    pub async fn build(
        mut self,
        start: BrowserStart,
        kernels: Kernels<'_>,
        span: Span,
    ) -> Result<PreparedSession, SessionError> {
        self.start = start;
        let created = Box::pin(self.create_parts(kernels))
            .instrument(span.clone())
            .await;
        match created {
            Ok((resources, warning)) => Ok(PreparedSession {
                resources,
                span,
                warning,
            }),
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Gives a warm session another browser. Its directories and proxy stay, and its kernels unless
    /// they have another time zone. On failure, nothing of the session remains. The caller must not
    /// drop the future.
    pub async fn rebuild(
        spec: Arc<RegistrySpec>,
        uid_pool: UidPool,
        warm: PreparedSession,
        start: BrowserStart,
    ) -> Result<PreparedSession, SessionError> {
        let resources = Arc::into_inner(warm.resources).ok_or_else(incomplete)?;
        let (parts, kernels) = resources.into_parts();
        let mut builder = SessionBuilder {
            spec,
            uid_pool,
            tasks: parts.tasks,
            start,
            proxy: Some(parts.proxy),
            cdp: Some((parts.cdp, parts.access)),
            sandbox: Some(parts.sandbox),
            commands: Some(parts.commands),
            browser: Some(parts.browser),
            budget: parts.budget,
        };
        let span = warm.span;
        let replaced = Box::pin(builder.replace_browser(kernels))
            .instrument(span.clone())
            .await;
        match replaced {
            Ok((resources, warning)) => Ok(PreparedSession {
                resources,
                span,
                warning,
            }),
            Err(error) => {
                builder.abort().await;
                Err(error)
            }
        }
    }

    async fn replace_browser(
        &mut self,
        kernels: Vec<(Language, Kernel)>,
    ) -> Result<(Arc<SessionResources>, Option<ProfileWarning>), SessionError> {
        let (Some(sandbox), Some(browser)) = (&self.sandbox, self.browser.take()) else {
            return Err(incomplete());
        };
        browser.kill().await;
        let cleared = profile::clear(sandbox).await;
        cleared.map_err(|error| {
            not_prepared(format!("cannot empty a browser's directory: {error}"))
        })?;
        let (browser, warning, kernels) = if self.start.locale.is_some() {
            let languages: Vec<Language> = kernels.iter().map(|(language, _)| *language).collect();
            join_all(kernels.into_iter().map(|(_, kernel)| kernel.kill())).await;
            self.plan_commands()?;
            let loading = self.load_kernels(&languages);
            let (launched, loaded) = tokio::join!(self.launch_browser(), loading);
            let (browser, warning) = launched?;
            (browser, warning, loaded)
        } else {
            let (browser, warning) = self.launch_browser().await?;
            (browser, warning, kernels)
        };
        self.connect_programs(browser);
        self.attach(&kernels, false)?;
        Ok((self.finish(kernels)?, warning))
    }

    async fn create_parts(
        &mut self,
        kernels: Kernels<'_>,
    ) -> Result<(Arc<SessionResources>, Option<ProfileWarning>), SessionError> {
        self.open_proxy().await?;
        self.open_cdp_listener().await?;
        let waits_for_user_ids = matches!(kernels, Kernels::Loaded(_));
        self.create_sandbox(waits_for_user_ids).await?;
        self.plan_commands()?;
        let (Kernels::Loaded(languages) | Kernels::WarmedUp(languages, _)) = kernels;
        let starting = async { tokio::join!(self.launch_browser(), self.load_kernels(languages)) };
        let (launched, loaded) = tokio::select! {
            started = starting => started,
            // The programs that run by then end with the builder.
            () = kernels.stopped() => return Err(SessionError::Stopping),
        };
        let (browser, warning) = launched?;
        self.connect_programs(browser.clone());
        self.attach(&loaded, matches!(kernels, Kernels::WarmedUp(..)))?;
        if let Kernels::WarmedUp(..) = kernels {
            let warming_up = timeout(WARM_UP_TIMEOUT, wait_until_warm(&loaded, languages));
            tokio::select! {
                warm = warming_up => warm.unwrap_or_else(|_| Err(not_warm("a")))?,
                reason = browser.died() => {
                    return Err(not_prepared(format!("the browser died: {reason}")));
                }
                () = kernels.stopped() => return Err(SessionError::Stopping),
            }
        }
        Ok((self.finish(loaded)?, warning))
    }

    /// Opens the session's egress proxy. This is the first step because the sandbox and the browser
    /// need the port.
    async fn open_proxy(&mut self) -> Result<(), SessionError> {
        let opened = self.spec.egress.open(&self.tasks).await;
        let proxy = opened
            .map_err(|error| not_prepared(format!("the session's proxy cannot listen: {error}")))?;
        self.proxy = Some(proxy);
        Ok(())
    }

    /// Opens the listener for the session's own CDP clients. Programs start to use it when the
    /// browser runs.
    async fn open_cdp_listener(&mut self) -> Result<(), SessionError> {
        let access = ProgramAccess::new(self.budget.clone()).map_err(|error| {
            SessionError::Internal(format!("cannot get random numbers: {error}"))
        })?;
        let opened = OpenCdpListener::open(&self.spec.egress, &access, &self.tasks).await;
        let (open, to_serve) = opened.map_err(|error| {
            not_prepared(format!("the session's CDP listener cannot listen: {error}"))
        })?;
        self.cdp = Some((open, access));
        // The receiver lives as long as the server accepts sessions.
        let sent = self.spec.cdp_listeners.send(to_serve).await;
        sent.map_err(|_| SessionError::Stopping)
    }

    /// Leases user ids under which no process runs, if sessions have their own. If `waits`, waits
    /// for those of ended sessions (at most 10 s).
    async fn lease_user_ids(&self, waits: bool) -> Result<Option<UidLease>, SessionError> {
        let Some(ids) = self.spec.isolation.user_ids() else {
            return Ok(None);
        };
        let began = Instant::now();
        loop {
            let returned = self.uid_pool.returned();
            // The pool is as large as the session limit, but ended sessions may still hold leases.
            let limit = if self.uid_pool.leased().is_empty() {
                EXITS_TIMEOUT
            } else {
                CLEANUP_TIMEOUT
            };
            let pool = self.uid_pool.clone();
            let leasing = spawn_blocking(move || {
                // Ids whose processes cannot be listed count as used.
                pool.lease(|index| has_processes(ids, index).is_ok_and(|has_any| !has_any))
            });
            if let Some(lease) = leasing.await.ok().flatten() {
                return Ok(Some(lease));
            }
            if !waits || began.elapsed() >= limit {
                return Err(SessionError::AtCapacity);
            }
            // Ids without a lease are free when their last process has exited.
            let _ = timeout(EXITS_INTERVAL, returned).await;
        }
    }

    async fn create_sandbox(&mut self, waits_for_user_ids: bool) -> Result<(), SessionError> {
        let uid_lease = self.lease_user_ids(waits_for_user_ids).await?;
        let spec = Arc::clone(&self.spec);
        let egress = self.proxy.iter().map(Proxy::port).collect();
        let (cdp, _) = self.cdp.as_ref().ok_or_else(incomplete)?;
        let ports = Ports {
            cdp: cdp.port(),
            egress,
        };
        let tasks = self.tasks.clone();
        let creating = spawn_blocking(move || {
            let sandbox_spec = SandboxSpec {
                isolation: &spec.isolation,
                browser: &spec.config.browser.path,
                runtime: &spec.runtime,
                ports,
            };
            let name = session_dir_name()?;
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

    /// Plans the commands of the session's programs.
    fn plan_commands(&mut self) -> Result<(), SessionError> {
        let (Some(sandbox), Some(proxy), Some((cdp, access))) =
            (&self.sandbox, &self.proxy, &self.cdp)
        else {
            return Err(incomplete());
        };
        let commands = SessionCommands::new(
            self.spec.runtime.clone(),
            &sandbox.dir,
            sandbox.user_name.clone(),
            sandbox.ca_bundle.as_deref(),
            sandbox.compile_cache.as_deref(),
            Endpoint::new(cdp.port(), access.token().as_str()),
            proxy.port(),
        );
        let locale = self.start.locale.as_ref();
        let time_zone = locale.map(|locale| locale.time_zone.clone());
        self.commands = Some(commands.with_time_zone(time_zone));
        Ok(())
    }

    /// Launches the browser with the contents of the profile. Returns a warning if the profile is
    /// damaged or missing.
    async fn launch_browser(&self) -> Result<(Browser, Option<ProfileWarning>), SessionError> {
        let (Some(sandbox), Some(proxy)) = (&self.sandbox, &self.proxy) else {
            return Err(incomplete());
        };
        let denials = proxy.denial_lookup();
        let config = &self.spec.config;
        let launch = LaunchSpec {
            executable: config.browser.path.clone(),
            dir: sandbox.dir.browser(),
            session_dir: sandbox.dir.root().to_owned(),
            viewport: config.viewport,
            user_agent: self.spec.user_agent.clone(),
            locale: self.start.locale.clone(),
            sandbox: self.spec.browser_sandbox,
            proxy_port: Some(proxy.port()),
            navigation_hint: Some(NavigationErrorHint::new(move |url| {
                denials.describe_for(url)
            })),
            ignored_certificates: config.certificates.ignored(),
            limits: self.spec.limits.get().of_browser(),
            budget: self.budget.clone(),
        };
        let max_mb = self.spec.limits.get().disk_mb;
        let profile = self.start.profile.as_ref();
        profile::launch(profile, sandbox, &self.tasks, launch, max_mb).await
    }

    /// Starts kernels, which load Playwright. A kernel that does not start is left to the first
    /// execution in its language, which reports the reason.
    async fn load_kernels(&self, languages: &[Language]) -> Vec<(Language, Kernel)> {
        let mut loaded = Vec::new();
        let (Some(sandbox), Some(commands)) = (&self.sandbox, &self.commands) else {
            return loaded;
        };
        for &language in languages {
            let loading = load_kernel(sandbox, &self.tasks, commands, &self.budget, language);
            match loading.await {
                Ok(kernel) => loaded.push((language, kernel)),
                Err(error) => {
                    tracing::debug!(language = language.as_str(), %error, "kernel start failed");
                }
            }
        }
        loaded
    }

    /// Lets the session's programs reach the browser.
    fn connect_programs(&mut self, browser: Browser) {
        if let Some((_, access)) = &self.cdp {
            access.set_browser(&browser);
        }
        self.browser = Some(browser);
    }

    /// Connects kernels to the browser, without waiting.
    fn attach(&self, kernels: &[(Language, Kernel)], warm_up: bool) -> Result<(), SessionError> {
        let commands = self.commands.as_ref().ok_or_else(incomplete)?;
        for (_, kernel) in kernels {
            kernel.attach(Attachment {
                endpoint: commands.endpoint.url(),
                warm_up,
            });
        }
        Ok(())
    }

    /// Moves the parts and the kernels into the session's resources.
    fn finish(
        &mut self,
        kernels: Vec<(Language, Kernel)>,
    ) -> Result<Arc<SessionResources>, SessionError> {
        let resources = Arc::new(self.take_resources()?);
        for (language, kernel) in kernels {
            resources.kernel_slots.of(language).put_kernel(kernel);
        }
        Ok(resources)
    }

    /// Moves the parts into resources.
    fn take_resources(&mut self) -> Result<SessionResources, SessionError> {
        let (Some(browser), Some(commands), Some(sandbox), Some(proxy), Some((cdp, access))) = (
            self.browser.take(),
            self.commands.take(),
            self.sandbox.take(),
            self.proxy.take(),
            self.cdp.take(),
        ) else {
            return Err(incomplete());
        };
        Ok(SessionResources::new(ResourceParts {
            browser,
            commands,
            sandbox,
            proxy,
            cdp,
            access,
            tasks: self.tasks.clone(),
            profile: self.start.profile.take(),
            budget: self.budget.clone(),
            limits: OutputLimits {
                max_output_bytes: self.spec.config.max_output_bytes,
                queued_executions: self.spec.config.server_limits.queued_executions,
                max_profile_mb: self.spec.limits.get().disk_mb,
                keeps_history: self.spec.config.workbench.execution_history
                    != ExecutionHistory::Off,
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
        if let Some((cdp, _)) = &self.cdp {
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
