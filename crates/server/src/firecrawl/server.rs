//! Sends requests of clients to Firecrawl.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Request, Response};
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::certificate_authorities::CertificateAuthorities;
use crate::config::{FirecrawlSpec, ScrapeServer};
use crate::fair_queue::{FairQueue, TeamQueueFull};
use crate::metrics::FirecrawlCounts;
use crate::outgoing::{Connector, Exchange, OutgoingError, Received, TrustError};
use crate::team::Team;

/// The limits of a request. Clients wait at most 330 s for a scrape, so a longer one is only a
/// server that hangs.
const LIMITS: Exchange = Exchange {
    head_time: Duration::from_mins(10),
    idle_time: Duration::from_mins(10),
};

/// The time for a free connection.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of requests of one team that wait for a connection.
const MAX_WAITING: usize = 256;

/// The maximum number of connections. Every one belongs to a connection of a client.
const MAX_CONNECTIONS: u64 = 256;

/// A Firecrawl server.
#[derive(Debug)]
pub(crate) struct Firecrawl {
    connector: Connector,
    /// The header that replaces the client's.
    authorization: Option<HeaderValue>,
    scrape: ScrapeServer,
    turns: FairQueue,
    max_connections: usize,
    /// False if the last connection failed.
    answers: AtomicBool,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A reason why Firecrawl did not answer a request.
#[derive(Debug, Error)]
pub(crate) enum FirecrawlError {
    #[error("{0}")]
    Silent(#[from] OutgoingError),
    #[error("all connections to it are in use")]
    Busy,
    #[error(transparent)]
    TeamQueueFull(#[from] TeamQueueFull),
}

impl Firecrawl {
    /// Creates a client of a Firecrawl server. Connections use at most a sixteenth of the
    /// descriptors. Tasks belong to `tasks`, and end with `stop`. Blocks.
    pub fn new(
        spec: FirecrawlSpec,
        own: Option<&CertificateAuthorities>,
        max_descriptors: u64,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Firecrawl, TrustError> {
        let max_connections = (max_descriptors / 16).clamp(8, MAX_CONNECTIONS);
        let max_connections = usize::try_from(max_connections).unwrap_or(usize::MAX);
        let authorization = spec.key.and_then(|key| {
            let mut value = HeaderValue::try_from(format!("Bearer {key}")).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Ok(Firecrawl {
            connector: Connector::new(spec.server, own)?,
            authorization,
            scrape: spec.scrape,
            turns: FairQueue::new(max_connections, MAX_WAITING),
            max_connections,
            answers: AtomicBool::new(true),
            tasks,
            stop,
        })
    }

    /// Returns the server that answers scrapes.
    pub fn scrape(&self) -> ScrapeServer {
        self.scrape
    }

    /// Returns the connector to the server.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Makes new connections trust `own` besides the authorities of the machine. Blocks.
    pub fn trust(&self, own: Option<&CertificateAuthorities>) -> Result<(), TrustError> {
        self.connector.trust(own)
    }

    /// Sends a request of a team with Firecrawl's key instead of the team's. The connection ends
    /// when the body of the response is dropped.
    pub async fn send<B>(
        &self,
        team: &Team,
        mut request: Request<B>,
    ) -> Result<Response<Received>, FirecrawlError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let headers = request.headers_mut();
        headers.remove(AUTHORIZATION);
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let turn = timeout(TURN_TIMEOUT, self.turns.wait(team))
            .await
            .map_err(|_| FirecrawlError::Busy)??;
        let sent = LIMITS.send(&self.connector, request).await;
        self.record(sent.as_ref().map(drop));
        let response = sent?;
        Ok(response.map(|body| body.holding(turn)))
    }

    /// Runs a task until it is finished or the server stops.
    pub fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Records whether Firecrawl answered, and logs a change. A request that took too long says
    /// nothing about others.
    pub(super) fn record(&self, outcome: Result<(), &OutgoingError>) {
        let server = self.connector.server();
        match outcome {
            Ok(()) if !self.answers.swap(true, Ordering::Relaxed) => {
                tracing::info!(%server, "firecrawl reached");
            }
            Err(error)
                if error.is_of_connection() && self.answers.swap(false, Ordering::Relaxed) =>
            {
                tracing::warn!(%server, %error, "firecrawl not reached");
            }
            _ => {}
        }
    }

    /// Returns false if there was no connection to Firecrawl when it was last needed.
    pub fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// Returns the numbers for metrics.
    pub fn counts(&self) -> FirecrawlCounts {
        FirecrawlCounts {
            answers: self.answers(),
            connections: self.max_connections - self.turns.free(),
            max_connections: self.max_connections,
        }
    }
}
