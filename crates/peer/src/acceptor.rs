//! Accepts connections of other nodes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::{AcceptError, IdentityError};
use crate::fingerprint::Fingerprint;
use crate::identity::Identity;
use crate::tls::{ACCEPTED, GREETING_BYTES, REFUSED, server_config};

/// The time limit for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The minimum time between two refreshes, so that strangers cannot make this node read the nodes
/// all the time.
const REFRESH_INTERVAL: Duration = Duration::from_millis(200);

/// A future that ends when the nodes were read again, or could not be read.
pub type Refreshing<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The nodes whose connections are accepted.
pub trait KnownPeers: Send + Sync + 'static {
    /// Returns true for the fingerprint of a living node whose proof is valid.
    fn knows(&self, fingerprint: &Fingerprint) -> bool;

    /// Reads the nodes again. A node that has just registered may connect before the next regular
    /// read.
    fn refresh(&self) -> Refreshing<'_>;
}

/// Accepts connections of other nodes. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    peers: Arc<dyn KnownPeers>,
    /// When the last refresh began.
    refreshed_at: Arc<Mutex<Option<Instant>>>,
}

/// A connection of another node.
#[derive(Debug)]
pub struct Accepted {
    /// The encrypted stream.
    pub stream: TlsStream<TcpStream>,
    /// The node's certificate. It must still be known when a later request arrives.
    pub fingerprint: Fingerprint,
}

impl Acceptor {
    /// Creates an acceptor for connections of `peers`.
    pub fn new(identity: &Identity, peers: Arc<dyn KnownPeers>) -> Result<Acceptor, IdentityError> {
        Ok(Acceptor {
            tls: TlsAcceptor::from(server_config(identity)?),
            peers,
            refreshed_at: Arc::default(),
        })
    }

    /// Performs the handshake, and checks that the other end is a node.
    pub async fn accept(&self, stream: TcpStream) -> Result<Accepted, AcceptError> {
        let mut stream = timeout(HANDSHAKE_TIMEOUT, self.tls.accept(stream))
            .await
            .map_err(|_| AcceptError::TimedOut(HANDSHAKE_TIMEOUT))??;
        let (_, connection) = stream.get_ref();
        let certificate = connection
            .peer_certificates()
            .and_then(|certificates| certificates.first());
        let certificate = certificate.ok_or(AcceptError::UnknownPeer)?;
        let fingerprint = Fingerprint::of(certificate);
        if !self.peers.knows(&fingerprint) {
            self.refresh().await;
            if !self.peers.knows(&fingerprint) {
                // The refusal counts, also if the client does not learn the reason.
                let _ = greet(&mut stream, REFUSED).await;
                return Err(AcceptError::UnknownPeer);
            }
        }
        greet(&mut stream, ACCEPTED).await?;
        Ok(Accepted {
            stream,
            fingerprint,
        })
    }

    /// Returns true if the node of an accepted connection is still known.
    pub fn knows(&self, fingerprint: &Fingerprint) -> bool {
        self.peers.knows(fingerprint)
    }

    /// Waits until the nodes were read after this call began. All callers that wait share one read.
    async fn refresh(&self) {
        let began = Instant::now();
        let mut refreshed_at = self.refreshed_at.lock().await;
        if let Some(last) = *refreshed_at {
            if last > began {
                return;
            }
            sleep_until(last + REFRESH_INTERVAL).await;
        }
        *refreshed_at = Some(Instant::now());
        let _ = timeout(HANDSHAKE_TIMEOUT, self.peers.refresh()).await;
    }
}

/// Tells the client whether it was accepted. In TLS 1.3 a client cannot tell otherwise, and a
/// request that was sent too early would count as received.
async fn greet(
    stream: &mut TlsStream<TcpStream>,
    greeting: [u8; GREETING_BYTES],
) -> Result<(), AcceptError> {
    let greeting = async {
        stream.write_all(&greeting).await?;
        stream.flush().await
    };
    timeout(HANDSHAKE_TIMEOUT, greeting)
        .await
        .map_err(|_| AcceptError::TimedOut(HANDSHAKE_TIMEOUT))??;
    Ok(())
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}
