//! Sends requests to other nodes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::SendError;
use crate::exchange::{Attempt, attempt};
use crate::identity::Identity;
use crate::link::Link;
use crate::pool::Pool;
use crate::received::Received;
use crate::remote::Remote;
use crate::signature::Signer;
use crate::tls::{GREETING, client_config};

/// The time limit for a connection, with its TLS handshake and the wait for one of the connections
/// that the limit allows.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum size of a response's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The maximum number of a response's header fields.
const MAX_FIELDS: usize = 128;

/// The milliseconds after which the kernel ends a connection whose data is not acknowledged.
const ACKNOWLEDGE_MS: u32 = 10_000;

/// The seconds of silence before the kernel checks that the other machine is still there, the
/// seconds between two checks, and their number.
const KEEP_ALIVE: (u32, u32, u32) = (5, 2, 3);

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
}

/// A stream that a request can be sent on.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

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
        }
    }

    /// Sends a request and returns the head of the response. Dropping the future, or the body of
    /// the response before its end, closes the connection, so that the other node cancels the
    /// request.
    ///
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
        while let Some(link) = self.pool.take(remote) {
            match attempt(link, request, &self.pool).await {
                Attempt::Finished(result) => return result,
                // The other end had closed the idle connection.
                Attempt::NotSent(unsent, _) => request = unsent,
            }
        }
        let link = self.connect(remote).await?;
        match attempt(link, request, &self.pool).await {
            Attempt::Finished(result) => result,
            Attempt::NotSent(_, reason) => Err(SendError::NotSent(reason)),
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

    /// Opens a connection.
    async fn connect(&self, remote: Remote) -> Result<Link, SendError> {
        let connecting = async {
            let permit = self.permit().await?;
            let stream = self.open(remote).await?;
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(MAX_HEAD_BYTES)
                .max_headers(MAX_FIELDS)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
            Ok(Link {
                remote,
                sender,
                driver: Some(Box::pin(connection.with_upgrades())),
                permit,
            })
        };
        timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| {
                let seconds = CONNECT_TIMEOUT.as_secs();
                Err(format!("no connection within {seconds} s"))
            })
            .map_err(SendError::NotSent)
    }

    /// Returns the permit for another connection. An idle connection makes room for it.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, String> {
        if self.connections.available_permits() == 0 {
            self.pool.remove_oldest();
        }
        let permit = Arc::clone(&self.connections).acquire_owned().await;
        permit.map_err(|error| error.to_string())
    }

    async fn open(&self, remote: Remote) -> Result<Box<dyn Stream>, String> {
        let stream = TcpStream::connect(remote.address)
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        configure(&stream);
        let Trust::Pinned(identity) = &self.trust else {
            return Ok(Box::new(stream));
        };
        let config = client_config(identity, remote.fingerprint)
            .map_err(|error| format!("cannot use TLS: {error}"))?;
        let name = ServerName::IpAddress(remote.address.ip().into());
        let mut stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| format!("the TLS handshake failed: {error}"))?;
        let mut greeting = [0; GREETING.len()];
        match stream.read_exact(&mut greeting).await {
            Ok(_) if greeting == GREETING => Ok(Box::new(stream)),
            _ => Err("it does not accept this node".to_owned()),
        }
    }
}

/// Makes small messages leave at once, and the kernel notice that the other machine is gone.
fn configure(stream: &TcpStream) {
    let (idle, interval, count) = KEEP_ALIVE;
    // A connection without one of these options still works.
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(stream, sockopt::TcpUserTimeout, &ACKNOWLEDGE_MS);
    let _ = setsockopt(stream, sockopt::KeepAlive, &true);
    let _ = setsockopt(stream, sockopt::TcpKeepIdle, &idle);
    let _ = setsockopt(stream, sockopt::TcpKeepInterval, &interval);
    let _ = setsockopt(stream, sockopt::TcpKeepCount, &count);
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("trust", &self.trust)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
