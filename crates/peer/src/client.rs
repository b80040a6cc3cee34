//! Sends requests to other nodes.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::dial::dial;
use crate::error::SendError;
use crate::exchange::{Attempt, attempt};
use crate::identity::Identity;
use crate::lane::{Lane, Lanes, MAX_SILENCE};
use crate::link::Link;
use crate::pool::Pool;
use crate::received::Received;
use crate::remote::Remote;
use crate::signature::Signer;

/// The maximum number of attempts to open a connection to a node that others reach.
const MAX_ATTEMPTS: usize = 3;

/// The limits of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// The maximum number of open connections, including idle ones.
    pub connections: usize,
    /// The maximum number of connections that are kept for later requests.
    pub idle: usize,
    /// The time after which an idle connection is closed. It must be shorter than that of the
    /// other end, so that the other end never closes a connection that is just being used.
    pub idle_time: Duration,
}

/// The evidence by which the other end recognizes a node.
#[derive(Debug)]
enum Trust {
    Pinned(Identity),
    Signed(Signer),
}

/// Sends requests to other nodes.
pub struct Client {
    trust: Trust,
    limits: ClientLimits,
    connections: Arc<Semaphore>,
    pool: Arc<Pool>,
    lanes: Lanes,
}

/// A way to get a connection.
enum Found<'a> {
    /// An idle one.
    Idle(Link),
    /// A turn to open one, and its permit.
    Turn(SemaphorePermit<'a>, OwnedSemaphorePermit),
}

impl Client {
    /// Creates a client that uses TLS with pinned certificates.
    pub fn pinned(identity: Identity, limits: ClientLimits) -> Client {
        Client::new(Trust::Pinned(identity), limits)
    }

    /// Creates a client that signs its requests, for a network that encrypts connections itself.
    pub fn signed(signer: Signer, limits: ClientLimits) -> Client {
        Client::new(Trust::Signed(signer), limits)
    }

    fn new(trust: Trust, limits: ClientLimits) -> Client {
        Client {
            trust,
            limits,
            connections: Arc::new(Semaphore::new(limits.connections)),
            pool: Pool::new(limits.idle, limits.idle_time),
            lanes: Lanes::default(),
        }
    }

    /// Sends a request and returns the head of the response. Dropping the future, or the body of
    /// the response before its end, closes the connection, so that the other node cancels the
    /// request.
    ///
    /// A request waits for a connection as long as the node finishes handshakes or answers others.
    /// There is no time limit for the response. The kernel ends the connection if the other machine
    /// is gone.
    pub async fn send<B>(
        &self,
        remote: Remote,
        mut request: Request<B>,
    ) -> Result<Response<Received>, SendError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Trust::Signed(signer) = &self.trust {
            signer.sign(&mut request);
        }
        let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let lane = self.lanes.to(remote);
        loop {
            let (link, is_new) = self.connection(remote, &lane).await?;
            match attempt(link, request, &self.pool).await {
                Attempt::Finished(result) => return result,
                Attempt::NotSent(_, reason) if is_new => return Err(SendError::NotSent(reason)),
                // The other end had closed the idle connection.
                Attempt::NotSent(unsent, _) => request = unsent,
            }
        }
    }

    /// Closes connections that have been idle for too long. To be called every few seconds.
    pub fn close_idle(&self) {
        self.pool.remove_expired();
    }

    /// Returns the number of open connections, including idle ones.
    pub fn open_connections(&self) -> usize {
        self.limits.connections - self.connections.available_permits()
    }

    /// Returns a connection, and true if it is a new one.
    async fn connection(
        &self,
        remote: Remote,
        lane: &Arc<Lane>,
    ) -> Result<(Link, bool), SendError> {
        if let Some(link) = self.pool.take(remote) {
            return Ok((link, false));
        }
        let began = Instant::now();
        let connecting = async {
            match self.find(remote, lane).await? {
                Found::Idle(link) => Ok((link, false)),
                // Another request has just given up.
                Found::Turn(..) if lane.is_silent(began) => Err(self.describe_silence()),
                Found::Turn(_turn, permit) => Ok((self.open(remote, lane, permit).await?, true)),
            }
        };
        let connected = tokio::select! {
            // A connection that is there counts, also if this process was too busy to notice it.
            biased;
            connected = Box::pin(connecting) => connected,
            () = lane.silence(began) => Err(self.describe_silence()),
        };
        connected.map_err(SendError::NotSent)
    }

    fn describe_silence(&self) -> String {
        if self.connections.available_permits() == 0 {
            let max = self.limits.connections;
            return format!("all {max} connections to nodes are in use");
        }
        format!("it has not answered for {} s", MAX_SILENCE.as_secs())
    }

    /// Waits until a connection is idle, or one may be opened.
    async fn find<'a>(&self, remote: Remote, lane: &'a Lane) -> Result<Found<'a>, String> {
        let turn = async {
            let turn = lane.turn().await.map_err(|error| error.to_string())?;
            Ok(Found::Turn(turn, self.permit().await?))
        };
        // Keeps its place in the order while connections become idle that others take first.
        let mut turn = pin!(turn);
        loop {
            let mut freed = pin!(lane.freed());
            // Counts from here, so that no connection is missed.
            freed.as_mut().enable();
            if let Some(link) = self.pool.take(remote) {
                return Ok(Found::Idle(link));
            }
            tokio::select! {
                biased;
                turn = turn.as_mut() => return turn,
                () = freed => {}
            }
        }
    }

    /// Returns the permit for another connection. An idle connection makes room for it.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, String> {
        let mut permit = pin!(Arc::clone(&self.connections).acquire_owned());
        loop {
            let mut freed = pin!(self.pool.freed());
            freed.as_mut().enable();
            if self.connections.available_permits() == 0 {
                self.pool.remove_oldest();
            }
            tokio::select! {
                biased;
                permit = permit.as_mut() => return permit.map_err(|error| error.to_string()),
                () = freed => {}
            }
        }
    }

    /// Opens a connection. Tries again if the node has meanwhile finished handshakes of others or
    /// answered them, because a node that has too many connections closes some.
    async fn open(
        &self,
        remote: Remote,
        lane: &Arc<Lane>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Link, String> {
        let identity = match &self.trust {
            Trust::Pinned(identity) => Some(identity),
            Trust::Signed(_) => None,
        };
        let mut attempts = 1;
        let (sender, driver) = loop {
            let began = Instant::now();
            match dial(remote, identity).await {
                Ok(connected) => break connected,
                Err(_) if attempts < MAX_ATTEMPTS && lane.was_heard_after(began) => attempts += 1,
                Err(reason) => return Err(reason),
            }
        };
        lane.hear();
        Ok(Link {
            remote,
            lane: Arc::clone(lane),
            sender,
            driver: Some(driver),
            permit,
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("trust", &self.trust)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
