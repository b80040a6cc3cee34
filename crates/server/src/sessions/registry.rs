//! Where sessions are known by their ids, and made.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hearth_browser::{Explain, LaunchSpec, Viewport};
use hearth_contract::{CreateRequest, DestroyedReason};
use hearth_egress::Egress;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use super::limits::disk::Disk;
use super::orphans::Orphans;
use super::profile;
use super::resources::{ResourceLimits, SessionResources};
use super::session::{Ending, Session, Tokens};
use super::supervisor;
use crate::clock;
use crate::config::Limits;
use crate::http::auth::Team;
use crate::http::error::ApiError;
use crate::metrics::{Creation, Metrics};
use crate::profiles::{Hold, ProfileId, Profiles};
use crate::sandbox::commands::{ProxyEnv, SessionCommands};
use crate::sandbox::{Isolation, Ports, UidPool};
use crate::sandbox::{SandboxSpec, SessionSandbox};
use crate::store::{SessionRecord, Store};
use crate::toolchain::Runtime;

/// How many ended sessions stay known at the most; a record takes less than a kilobyte.
pub(crate) const ENDED_KEPT_COUNT: usize = 10_000;

/// What new sessions are made of.
#[derive(Debug)]
pub(crate) struct RegistrySpec {
    /// The folder of all sessions.
    pub sessions_dir: PathBuf,
    pub browser: PathBuf,
    pub user_agent: String,
    pub viewport: Viewport,
    pub runtime: Runtime,
    pub isolation: Isolation,
    /// Whether Chromium can make its own sandbox.
    pub sandbox: bool,
    /// The port of the loopback listener for kernels.
    pub internal_port: u16,
    /// The way out of all sessions.
    pub egress: Egress,
    pub max_sessions: usize,
    pub max_output_bytes: usize,
    pub limits: Limits,
    /// How long an ended session stays known.
    pub keep_ended: SignedDuration,
    pub profiles: Arc<Profiles>,
    /// How often a session's cookies are written down for its profile; none: only at its end.
    pub checkpoint_every: Option<Duration>,
}

/// Where things are written down.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub store: Store,
    pub metrics: Arc<Metrics>,
    pub(super) orphans: Arc<Orphans>,
}

impl Services {
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Services {
        Services {
            store,
            metrics,
            orphans: Arc::default(),
        }
    }
}

/// A session that is known.
#[derive(Clone, Debug)]
pub(crate) enum SessionEntry {
    /// One of this server's life, living or ended.
    Own(Arc<Session>),
    /// One of an earlier life, ended.
    Past(Arc<SessionRecord>),
}

impl SessionEntry {
    /// What is known of it whoever it belongs to.
    pub fn record(&self) -> SessionRecord {
        match self {
            SessionEntry::Current(session) => session.record(),
            SessionEntry::Past(record) => SessionRecord::clone(record),
        }
    }

    pub fn team(&self) -> &Team {
        match self {
            SessionEntry::Current(session) => session.team(),
            SessionEntry::Past(record) => &record.team,
        }
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        match self {
            SessionEntry::Current(session) => session.ending(),
            SessionEntry::Past(record) => record.ending,
        }
    }

    fn is_ended_before(&self, oldest: Timestamp) -> bool {
        self.ending().is_some_and(|ending| ending.at <= oldest)
    }
}

/// All sessions of this server.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(super) spec: Arc<RegistrySpec>,
    /// The user ids of sessions, where each has its own.
    pub(super) uid_pool: UidPool,
    /// By id, which is by age: they are UUIDs of version 7.
    pub(super) sessions: RwLock<BTreeMap<Uuid, SessionEntry>>,
    pub(super) services: Services,
    /// When the last browser that was wanted did not come up, if none has since.
    pub(super) last_failure: Mutex<Option<Instant>>,
    /// The strays that were told of.
    pub(super) told_strays: Mutex<Vec<u32>>,
    /// A permit for every session that may live at once.
    pub(super) places: Arc<Semaphore>,
    /// The owners of sessions, and clients' sockets.
    tracker: TaskTracker,
    stopping: AtomicBool,
}

impl Registry {
    /// `past` are the sessions of earlier lives.
    pub fn new(
        spec: RegistrySpec,
        uid_pool: UidPool,
        tracker: TaskTracker,
        services: Services,
        past: Vec<SessionRecord>,
    ) -> Registry {
        let places = Arc::new(Semaphore::new(spec.max_sessions));
        Registry {
            spec: Arc::new(spec),
            uid_pool,
            sessions: RwLock::new(
                past.into_iter()
                    .map(|past| (past.id, SessionEntry::Past(Arc::new(past))))
                    .collect(),
            ),
            services,
            last_failure: Mutex::new(None),
            told_strays: Mutex::default(),
            places,
            tracker,
            stopping: AtomicBool::new(false),
        }
    }

    /// Returns the number of sessions that may exist at once.
    pub fn max_sessions(&self) -> usize {
        self.spec.max_sessions
    }

    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.services.metrics
    }

    pub fn profiles(&self) -> &Arc<Profiles> {
        &self.spec.profiles
    }

    pub fn limits(&self) -> &Limits {
        &self.spec.limits
    }

    /// The folder of all sessions.
    pub(super) fn folder(&self) -> &Path {
        &self.spec.sessions_dir
    }

    /// The sessions that live, with what they own.
    pub(super) fn living(&self) -> Vec<(Arc<Session>, Arc<SessionResources>)> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        own(&sessions)
            .filter_map(|session| Some((Arc::clone(session), session.live().ok()?)))
            .collect()
    }

    /// The session of that id, active or ended.
    pub fn find(&self, id: Uuid) -> Option<SessionEntry> {
        self.sessions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// The sessions of a team, newest first.
    pub fn list(&self, team: &Team) -> Vec<SessionEntry> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions
            .values()
            .rev()
            .filter(|known| known.team() == team)
            .cloned()
            .collect()
    }

    /// Makes a session. A caller that goes away meanwhile leaves none behind.
    pub async fn create(
        self: &Arc<Self>,
        team: Team,
        request: CreateRequest,
    ) -> Result<Arc<Session>, ApiError> {
        let mut noted = CreationNote {
            metrics: self.metrics(),
            began: Instant::now(),
            creation: Creation::Abandoned,
        };
        let made = self.create_if_there_is_room(team, request).await;
        noted.creation = match &made {
            Ok(_) => Creation::Made,
            Err(error) if error.is_want_of_room() => Creation::Refused,
            Err(_) => Creation::Failed,
        };
        made
    }

    async fn create_if_there_is_room(
        self: &Arc<Self>,
        team: Team,
        request: CreateRequest,
    ) -> Result<Arc<Session>, ApiError> {
        if self.is_stopping() {
            return Err(ApiError::Stopping);
        }
        if let Some(disk) = Disk::of(self.folder()).filter(|disk| disk.is_full(self.limits())) {
            return Err(ApiError::DiskFull {
                free_mb: disk.free_mb(),
                least_mb: self.limits().min_free_disk_mb,
            });
        }
        if let Some(available_mb) = self.too_little_memory_mb() {
            return Err(ApiError::MemoryLow {
                available_mb,
                least_mb: self.limits().min_free_memory_mb,
            });
        }
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| ApiError::LimitReached)?;
        let (answer, answered) = oneshot::channel();
        let registry = Arc::clone(self);
        let launching = async move {
            let made = registry.launch(team, &request, place).await;
            registry.note_launch(&made);
            if let Err(Ok(unwanted)) = answer.send(made) {
                unwanted.end(DestroyedReason::Deleted).await;
            }
        };
        self.tracker.spawn(launching.in_current_span());
        answered.await.unwrap_or_else(|_| {
            Err(ApiError::Internal(
                "the creation of a session was lost".to_owned(),
            ))
        })
    }

    async fn launch(
        &self,
        team: Team,
        request: &CreateRequest,
        place: OwnedSemaphorePermit,
    ) -> Result<Arc<Session>, ApiError> {
        let id = Uuid::now_v7();
        let tokens = Tokens::new(request.stream_web_view)
            .map_err(|error| ApiError::Internal(format!("no random numbers: {error}")))?;
        let hold = self.hold(&team, request)?;
        let tasks = TaskTracker::new();
        // Before the browser, which is told its port.
        let proxy = self
            .spec
            .egress
            .open(&id.to_string(), &tasks)
            .await
            .map_err(|error| {
                ApiError::BrowserUnavailable(format!("the session's proxy cannot listen: {error}"))
            })?;
        let sandbox = match self.enclose(id, &tasks, proxy.port()).await {
            Ok(sandbox) => sandbox,
            Err(error) => {
                proxy.end();
                tasks.close();
                tasks.wait().await;
                return Err(error);
            }
        };
        let folder = &sandbox.folder;
        let explainer = proxy.explainer();
        let launch = LaunchSpec {
            executable: self.spec.browser.clone(),
            folder: folder.browser(),
            session_folder: folder.root().to_owned(),
            viewport: self.spec.viewport,
            user_agent: self.spec.user_agent.clone(),
            sandbox: self.spec.sandbox,
            proxy_port: Some(proxy.port()),
            explain: Some(Explain::with(move |url| explainer.explain(url))),
            bounds: self.spec.limits.of_browser(),
        };
        let most_mb = self.spec.limits.disk_mb;
        let (browser, warning) =
            match profile::launch(hold.as_ref(), &sandbox, &tasks, launch, most_mb).await {
                Ok(launched) => launched,
                Err(error) => {
                    proxy.end();
                    tasks.close();
                    tasks.wait().await;
                    sandbox.remove().await;
                    return Err(error);
                }
            };
        if let Some(warning) = &warning {
            tracing::warn!(session = %id, warning = warning.sentence(), "a session has lost something of its profile");
        }
        let internal = format!("127.0.0.1:{}", self.spec.internal_port);
        let endpoint = format!(
            "ws://{internal}/cdp/{id}?token={}",
            tokens.internal.as_str()
        );
        let proxy_env = ProxyEnv {
            proxy_port: proxy.port(),
            direct: internal,
        };
        let programs = SessionCommands::new(
            self.spec.runtime.clone(),
            &sandbox.folder,
            endpoint,
            proxy_env,
        );
        let limits = ResourceLimits {
            max_output_bytes: self.spec.max_output_bytes,
            max_profile_mb: most_mb,
        };
        let live = Arc::new(SessionResources::new(
            browser, programs, sandbox, proxy, tasks, hold, limits,
        ));
        let session = Session::new(
            id,
            team,
            request,
            tokens,
            place,
            Arc::clone(&live),
            self.services.clone(),
        );
        let session = Arc::new(session.with_warning(warning));
        let recorded = self.services.store.begin_session(&session.record()).await;
        if recorded.is_ok() {
            self.insert(&session);
        }
        if let Some(every) = self.spec.checkpoint_every {
            self.tracker.spawn(profile::keep_checkpoints(
                Arc::clone(&session),
                Arc::clone(&live),
                every,
            ));
        }
        self.tracker
            .spawn(supervisor::supervise(Arc::clone(&session), live));
        if let Err(error) = recorded {
            session.end(DestroyedReason::Deleted).await;
            return Err(ApiError::StoreUnavailable(error.to_string()));
        }
        tracing::info!(session = %id, "a session begins");
        if self.is_stopping() {
            session.end(DestroyedReason::ServerStopped).await;
            return Err(ApiError::Stopping);
        }
        Ok(session)
    }

    /// Remembers whether browsers come up.
    fn note_launch(&self, made: &Result<Arc<Session>, ApiError>) {
        let mut last_failure = self
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(_) => *last_failure = None,
            Err(ApiError::BrowserUnavailable(_)) => *last_failure = Some(Instant::now()),
            Err(_) => {}
        }
    }

    /// The profile that the session is to have.
    fn hold(&self, team: &Team, request: &CreateRequest) -> Result<Option<Hold>, ApiError> {
        let Some(profile) = &request.profile else {
            return Ok(None);
        };
        let id = ProfileId::new(Team::clone(team), profile.name.clone());
        let hold = self.spec.profiles.hold(id, profile.save_changes);
        hold.map(Some)
            .ok_or_else(|| ApiError::ProfileBusy(profile.name.clone()))
    }

    async fn enclose(
        &self,
        id: Uuid,
        tasks: &TaskTracker,
        proxy_port: u16,
    ) -> Result<SessionSandbox, ApiError> {
        let slot = match self.spec.isolation.user_ids() {
            // There are as many as there may be sessions; ended ones may not have given theirs back
            // yet.
            Some(_) => Some(self.uid_pool.take().ok_or(ApiError::LimitReached)?),
            None => None,
        };
        let spec = Arc::clone(&self.spec);
        let tasks = tasks.clone();
        let making = spawn_blocking(move || {
            let site = SandboxSpec {
                isolation: &spec.isolation,
                browser: &spec.browser,
                runtime: &spec.runtime,
                ports: Ports {
                    cdp: spec.internal_port,
                    egress: vec![proxy_port],
                },
            };
            SessionSandbox::create(
                &spec.sessions_dir,
                &session_dir_name(id),
                site,
                slot,
                &tasks,
            )
        });
        making
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| {
                let sessions = self.spec.sessions_dir.display();
                ApiError::BrowserUnavailable(format!(
                    "no folder can be made in {sessions}: {error}"
                ))
            })
    }

    fn insert(&self, session: &Arc<Session>) {
        let mut sessions = self
            .sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut sessions, clock::now() - self.spec.keep_ended);
        sessions.insert(session.id(), SessionEntry::Current(Arc::clone(session)));
    }

    /// Whether nothing new is begun any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends every session and lets no new one in, and no new execution. Code that runs may go on
    /// for `grace`. Returns when nothing is left of them.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::SeqCst);
        let sessions: Vec<_> = {
            let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
            own(&sessions)
                .filter(|session| session.ending().is_none())
                .cloned()
                .collect()
        };
        let until = Instant::now() + grace;
        let ends = sessions.iter().map(async |session| {
            // Whichever comes first.
            let _ = timeout_at(until, session.finished()).await;
            session.end(DestroyedReason::ServerStopped).await
        });
        futures_util::future::join_all(ends).await;
    }
}

/// Counts a creation when it is dropped, also by a caller that goes away.
struct CreationNote<'a> {
    metrics: &'a Metrics,
    began: Instant,
    creation: Creation,
}

impl Drop for CreationNote<'_> {
    fn drop(&mut self) {
        self.metrics
            .session_created(self.creation, self.began.elapsed());
    }
}

/// The sessions of this life.
pub(super) fn own(sessions: &BTreeMap<Uuid, SessionEntry>) -> impl Iterator<Item = &Arc<Session>> {
    sessions.values().filter_map(|known| match known {
        SessionEntry::Current(session) => Some(session),
        SessionEntry::Past(_) => None,
    })
}

/// Forgets ended sessions that are too old, or too many.
fn forget_old(sessions: &mut BTreeMap<Uuid, SessionEntry>, oldest: Timestamp) {
    sessions.retain(|_, known| !known.is_ended_before(oldest));
    let ended = sessions
        .iter()
        .filter(|(_, known)| known.is_ended_before(Timestamp::MAX));
    let ended: Vec<Uuid> = ended.map(|(id, _)| *id).collect();
    let excess = ended.len().saturating_sub(ENDED_KEPT_COUNT);
    for id in &ended[..excess] {
        sessions.remove(id);
    }
}

/// The last digits of an id, which are random; the first ones are the time.
pub(crate) fn session_dir_name(id: Uuid) -> String {
    let digits = id.simple().to_string();
    digits[digits.len() - 8..].to_owned()
}
