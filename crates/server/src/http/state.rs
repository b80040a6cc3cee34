//! The state that all handlers share.

use std::sync::{Arc, PoisonError, RwLock};

use axum::http::HeaderValue;
use hearth_budget::Budget;
use hearth_contract::NotReady;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, watch};
use uuid::Uuid;

use crate::api_keys::{ApiKeys, Principal};
use crate::clock;
use crate::cluster::{Cluster, Directory, DirectoryError, Standing};
use crate::config::{IsolationLevel, ServerLimits};
use crate::fair_queue::FairQueue;
use crate::firecrawl::Firecrawl;
use crate::http::connections::Connections;
use crate::http::error::ApiError;
use crate::http::forward::forwarding::Forwarding;
use crate::http::middleware::log_limit::LogLimits;
use crate::http::ws::cdp::LargeCalls;
use crate::metrics::{Descriptors, Gauges, Rejection};
use crate::profiles::Profiles;
use crate::scrape::Scrapes;
use crate::sessions::{Registry, SessionEntry};
use crate::store::cluster::ClusterSession;
use crate::team::Team;

/// The number of large bodies that are parsed at a time. Parsing takes a thread for up to 0.1 s.
const PARSED_LARGE_BODIES: usize = 2;

/// The number of lists of profiles that are read at a time. The store reads one at a time, so that
/// a new session waits for few of them when it is recorded. A long list takes milliseconds.
const READ_PROFILE_LISTS: usize = 2;

/// The number of lists of sessions that are read at a time, in a cluster.
const READ_SESSION_LISTS: usize = 1;

/// The number of operator pages for which the other nodes of a cluster are asked at a time.
const READ_OPERATOR_PAGES: usize = 2;

/// The maximum number of requests of one team that wait in a queue.
const MAX_WAITING: usize = 256;

/// The state that all handlers share. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Replaced as a whole, so that a request sees one set of keys.
    keys: RwLock<Arc<ApiKeys>>,
    origins: Origins,
    live_view_policy: HeaderValue,
    isolation: IsolationLevel,
    started_at: Timestamp,
    registry: Arc<Registry>,
    scrapes: Arc<Scrapes>,
    load: ServerLoad,
    log_limits: LogLimits,
    large_bodies: FairQueue,
    profile_lists: FairQueue,
    session_lists: FairQueue,
    operator_pages: FairQueue,
    large_calls: LargeCalls,
    firecrawl: Option<Arc<Firecrawl>>,
    forwarding: Option<Forwarding>,
    /// The sessions of other nodes of a cluster.
    directory: Option<Directory>,
}

/// The addresses in requests and responses.
#[derive(Debug)]
pub(crate) struct Origins {
    /// The configured origin of this server, as clients see it.
    pub public_url: Option<String>,
    /// The listen address, for requests without a `Host` header.
    pub local_host: String,
    /// The origins of other sites whose pages may call the API.
    pub allowed: Vec<String>,
}

/// The parts of the server that answer requests.
#[derive(Debug)]
pub(crate) struct Backends {
    pub registry: Arc<Registry>,
    pub scrapes: Arc<Scrapes>,
    /// The server that gets requests without a route.
    pub firecrawl: Option<Arc<Firecrawl>>,
    /// The connections to other nodes, if this server is one of a cluster.
    pub forwarding: Option<Forwarding>,
}

/// The sources of metrics on the server's own resources.
#[derive(Debug)]
pub(crate) struct ServerLoad {
    pub connections: Arc<Connections>,
    pub descriptors: Arc<Descriptors>,
    pub accept_paused: watch::Receiver<bool>,
}

impl AppState {
    pub fn new(
        keys: ApiKeys,
        origins: Origins,
        live_view_policy: HeaderValue,
        isolation: IsolationLevel,
        backends: Backends,
        load: ServerLoad,
    ) -> AppState {
        let Backends {
            registry,
            scrapes,
            firecrawl,
            forwarding,
        } = backends;
        AppState(Arc::new(Shared {
            keys: RwLock::new(Arc::new(keys)),
            origins,
            live_view_policy,
            isolation,
            started_at: clock::now(),
            log_limits: LogLimits::new(registry.server_limits()),
            large_calls: LargeCalls::new(registry.server_limits()),
            directory: registry.cluster().map(Directory::new),
            registry,
            scrapes,
            load,
            large_bodies: FairQueue::new(PARSED_LARGE_BODIES, MAX_WAITING),
            profile_lists: FairQueue::new(READ_PROFILE_LISTS, MAX_WAITING),
            session_lists: FairQueue::new(READ_SESSION_LISTS, MAX_WAITING),
            operator_pages: FairQueue::new(READ_OPERATOR_PAGES, MAX_WAITING),
            firecrawl,
            forwarding,
        }))
    }

    /// Returns the keys that are valid now.
    pub fn keys(&self) -> Arc<ApiKeys> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }

    /// Replaces the keys. Requests that were authenticated continue.
    pub fn set_keys(&self, keys: ApiKeys) {
        let mut current = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(keys);
    }

    /// Returns the configured origin of this server, as clients see it.
    pub fn public_url(&self) -> Option<&str> {
        self.0.origins.public_url.as_deref()
    }

    /// Returns the origins of other sites whose pages may call the API.
    pub fn allowed_origins(&self) -> &[String] {
        &self.0.origins.allowed
    }

    /// Returns the host and port that the server listens on.
    pub fn local_host(&self) -> &str {
        &self.0.origins.local_host
    }

    /// Returns the `Content-Security-Policy` of the live view page.
    pub fn live_view_policy(&self) -> &HeaderValue {
        &self.0.live_view_policy
    }

    pub fn isolation(&self) -> IsolationLevel {
        self.0.isolation
    }

    /// Returns the Firecrawl server that gets requests without a route.
    pub fn firecrawl(&self) -> Option<&Arc<Firecrawl>> {
        self.0.firecrawl.as_ref()
    }

    /// Returns the connections to other nodes, if this server is one of a cluster.
    pub fn forwarding(&self) -> Option<&Forwarding> {
        self.0.forwarding.as_ref()
    }

    pub fn started_at(&self) -> Timestamp {
        self.0.started_at
    }

    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    pub fn scrapes(&self) -> &Arc<Scrapes> {
        &self.0.scrapes
    }

    /// The sources of metrics on the server's own resources.
    pub fn load(&self) -> &ServerLoad {
        &self.0.load
    }

    /// The limits of log lines about requests.
    pub fn log_limits(&self) -> &LogLimits {
        &self.0.log_limits
    }

    /// The queue of large bodies that wait to be parsed.
    pub fn large_bodies(&self) -> &FairQueue {
        &self.0.large_bodies
    }

    /// The queue of lists of profiles that wait to be read.
    pub fn profile_lists(&self) -> &FairQueue {
        &self.0.profile_lists
    }

    /// The queue of lists of a cluster's sessions that wait to be read.
    pub fn session_lists(&self) -> &FairQueue {
        &self.0.session_lists
    }

    /// The turns of large CDP calls.
    pub fn large_calls(&self) -> &LargeCalls {
        &self.0.large_calls
    }

    /// Waits for a turn in one of these queues.
    pub async fn turn(
        &self,
        queue: &FairQueue,
        team: &Team,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        queue.wait(team).await.map_err(|full| {
            let teams = self.registry().metrics().teams();
            teams.request_rejected(team, Rejection::TeamQueue);
            ApiError::TeamQueueFull(full)
        })
    }

    /// Waits for a turn to ask the other nodes of a cluster for their part of the operator page.
    pub async fn operator_turn(
        &self,
        principal: &Principal,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        let team = match principal {
            Principal::Operator => Team::from("operator".to_owned()),
            Principal::Team(team) => Team::clone(team),
        };
        let turn = self.0.operator_pages.wait(&team).await;
        turn.map_err(ApiError::TeamQueueFull)
    }

    /// Reads the state of the server for metrics.
    pub fn read_gauges(&self) -> Gauges {
        let load = &self.0.load;
        Gauges {
            connections: load.connections.counts(),
            open_descriptors: load.descriptors.open(),
            max_descriptors: load.descriptors.max(),
            accept_paused: *load.accept_paused.borrow(),
            firecrawl: self
                .firecrawl()
                .map(|firecrawl| firecrawl.counts())
                .unwrap_or_default(),
            cluster: self.cluster().map(|cluster| cluster.counts()),
            ready: self.not_ready().is_empty(),
            ..self.registry().read_gauges()
        }
    }

    /// The limits of the server that are not settings.
    pub fn limits(&self) -> ServerLimits {
        self.registry().server_limits()
    }

    /// The budget of the server's buffers.
    pub fn buffers(&self) -> &Budget {
        self.registry().buffers()
    }

    pub fn profiles(&self) -> &Arc<Profiles> {
        self.registry().profiles()
    }

    /// Finds the session that a path names. Text that is not a UUID matches no session.
    ///
    /// In a cluster, the store knows the sessions that this node does not have. Requests about
    /// active ones are forwarded before, unless their node cannot be reached.
    pub async fn session(&self, id: &str) -> Result<SessionEntry, ApiError> {
        let Ok(id) = Uuid::parse_str(id) else {
            return Err(ApiError::SessionNotFound);
        };
        if let Some(session) = self.registry().find(id) {
            return Ok(session);
        }
        let Some(directory) = &self.0.directory else {
            return Err(ApiError::SessionNotFound);
        };
        let found = directory.find(id).await.map_err(|error| match error {
            DirectoryError::Busy => ApiError::Overloaded,
            DirectoryError::Store(error) => ApiError::StoreUnreadable(error.to_string()),
        })?;
        let ClusterSession { record, owner, .. } = found.ok_or(ApiError::SessionNotFound)?;
        if record.ending.is_none() {
            return Err(ApiError::NodeUnreachable(owner.name));
        }
        Ok(SessionEntry::Recorded(Arc::new(record)))
    }

    /// Finds a session of the team. Clients expect different errors for an unknown id and for a
    /// session of another team. An unlisted session is not the team's yet.
    pub async fn team_session(&self, id: &str, team: &Team) -> Result<SessionEntry, ApiError> {
        let session = self.session(id).await?;
        if !session.is_listed() {
            Err(ApiError::SessionNotFound)
        } else if session.team() == team {
            Ok(session)
        } else {
            Err(ApiError::Forbidden)
        }
    }

    /// Returns the reasons why a load balancer must not send new work to this server.
    ///
    /// A node of a cluster that lacks memory or disk space is not among them, because it still
    /// serves requests about sessions, and other nodes create new ones.
    pub fn not_ready(&self) -> Vec<NotReady> {
        let Some(cluster) = self.cluster() else {
            return self.registry().not_ready();
        };
        let reasons = [
            (self.registry().is_stopping(), NotReady::Stopping),
            (cluster.is_draining(), NotReady::Draining),
            (cluster.standing() == Standing::Fenced, NotReady::LeaseLost),
        ];
        let current = reasons.into_iter().filter(|(is_current, _)| *is_current);
        let stranger = cluster.view().stranger.clone();
        let other_secret = stranger.map(|node| NotReady::OtherSecret { node });
        current
            .map(|(_, reason)| reason)
            .chain(other_secret)
            .collect()
    }

    /// Returns the cluster of which this server is a node.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.registry().cluster()
    }
}
