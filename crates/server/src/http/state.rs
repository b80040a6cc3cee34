//! The state that all handlers share.

use std::sync::Arc;

use axum::http::HeaderValue;
use hearth_budget::Budget;
use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::api_keys::ApiKeys;
use crate::clock;
use crate::config::IsolationLevel;
use crate::http::connections::Connections;
use crate::http::error::ApiError;
use crate::http::middleware::log_limit::LogLimit;
use crate::metrics::{Descriptors, Gauges};
use crate::profiles::Profiles;
use crate::sessions::{Registry, SessionEntry};
use crate::team::Team;

/// The state that all handlers share. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    keys: ApiKeys,
    public_url: Option<String>,
    local_host: String,
    live_view_policy: HeaderValue,
    isolation: IsolationLevel,
    started_at: Timestamp,
    registry: Arc<Registry>,
    load: ServerLoad,
    log_limit: LogLimit,
}

/// The sources of metrics on the server's own resources.
#[derive(Debug)]
pub(crate) struct ServerLoad {
    pub connections: Arc<Connections>,
    pub descriptors: Arc<Descriptors>,
    pub accept_paused: watch::Receiver<bool>,
}

impl AppState {
    /// Creates the state. `local_host` is the listen address, for requests without a `Host` header.
    pub fn new(
        keys: ApiKeys,
        public_url: Option<String>,
        local_host: String,
        live_view_policy: HeaderValue,
        isolation: IsolationLevel,
        registry: Arc<Registry>,
        load: ServerLoad,
    ) -> AppState {
        AppState(Arc::new(Shared {
            keys,
            public_url,
            local_host,
            live_view_policy,
            isolation,
            started_at: clock::now(),
            registry,
            load,
            log_limit: LogLimit::default(),
        }))
    }

    pub fn keys(&self) -> &ApiKeys {
        &self.0.keys
    }

    /// Returns the configured origin of this server, as clients see it.
    pub fn public_url(&self) -> Option<&str> {
        self.0.public_url.as_deref()
    }

    /// Returns the host and port that the server listens on.
    pub fn local_host(&self) -> &str {
        &self.0.local_host
    }

    /// Returns the `Content-Security-Policy` of the live view page.
    pub fn live_view_policy(&self) -> &HeaderValue {
        &self.0.live_view_policy
    }

    pub fn isolation(&self) -> IsolationLevel {
        self.0.isolation
    }

    pub fn started_at(&self) -> Timestamp {
        self.0.started_at
    }

    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// The sources of metrics on the server's own resources.
    pub fn load(&self) -> &ServerLoad {
        &self.0.load
    }

    /// The limit of log lines about requests without a key.
    pub fn log_limit(&self) -> &LogLimit {
        &self.0.log_limit
    }

    /// Reads the state of the server for metrics.
    pub fn read_gauges(&self) -> Gauges {
        let load = &self.0.load;
        Gauges {
            connections: load.connections.counts(),
            open_descriptors: load.descriptors.open(),
            max_descriptors: load.descriptors.max(),
            accept_paused: *load.accept_paused.borrow(),
            ..self.registry().read_gauges()
        }
    }

    /// The budget of the server's buffers.
    pub fn buffers(&self) -> &Budget {
        self.registry().buffers()
    }

    pub fn profiles(&self) -> &Arc<Profiles> {
        self.registry().profiles()
    }

    /// Finds the session that a path names. Text that is not a UUID matches no session.
    pub fn session(&self, id: &str) -> Result<SessionEntry, ApiError> {
        Uuid::parse_str(id)
            .ok()
            .and_then(|id| self.registry().find(id))
            .ok_or(ApiError::SessionNotFound)
    }

    /// Finds a session of the team. Clients expect different errors for an unknown id and for a
    /// session of another team.
    pub fn team_session(&self, id: &str, team: &Team) -> Result<SessionEntry, ApiError> {
        let session = self.session(id)?;
        if session.team() == team {
            Ok(session)
        } else {
            Err(ApiError::Forbidden)
        }
    }
}
