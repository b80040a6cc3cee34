//! Opens connections to other servers.

use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::OutgoingError;
use super::server::RemoteServer;
use super::trust::{TlsTrust, TrustError};
use crate::certificate_authorities::CertificateAuthorities;

/// The time limit for a connection, with its TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The seconds of silence before the kernel checks that the other machine is still there.
const KEEP_ALIVE_SECONDS: u32 = 60;

/// A stream that a request can be sent on.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens connections to one server.
#[derive(Debug)]
pub(crate) struct Connector {
    server: RemoteServer,
    /// `None` for a server without TLS. A reload replaces its authorities.
    tls: Option<TlsTrust>,
}

impl Connector {
    /// Creates a connector that trusts the authorities of the machine and `own`. Blocks.
    pub fn new(
        server: RemoteServer,
        own: Option<&CertificateAuthorities>,
    ) -> Result<Connector, TrustError> {
        let tls = server.is_https().then(|| TlsTrust::new(own));
        if let Some(tls) = &tls {
            tls.check()?;
        }
        Ok(Connector { server, tls })
    }

    /// Creates a connector that trusts the authorities of `trust`.
    pub fn trusting(server: RemoteServer, trust: &TlsTrust) -> Connector {
        let tls = server.is_https().then(|| trust.clone());
        Connector { server, tls }
    }

    /// Makes new connections trust the authorities of the machine and `own`. Blocks.
    pub fn trust(&self, own: Option<&CertificateAuthorities>) -> Result<(), TrustError> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.replace(own))
    }

    /// Returns the server.
    pub fn server(&self) -> &RemoteServer {
        &self.server
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, OutgoingError> {
        timeout(CONNECT_TIMEOUT, self.open())
            .await
            .unwrap_or_else(|_| {
                let seconds = CONNECT_TIMEOUT.as_secs();
                let reason = format!("no connection within {seconds} s");
                Err(OutgoingError::Connect(reason))
            })
    }

    async fn open(&self) -> Result<Box<dyn Stream>, OutgoingError> {
        let stream = TcpStream::connect(self.server.address())
            .await
            .map_err(|error| OutgoingError::Connect(error.to_string()))?;
        // Small messages of WebSockets must not wait for each other (Nagle's algorithm).
        let _ = stream.set_nodelay(true);
        let _ = setsockopt(&stream, sockopt::KeepAlive, &true);
        let _ = setsockopt(&stream, sockopt::TcpKeepIdle, &KEEP_ALIVE_SECONDS);
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let config = tls
            .config()
            .map_err(|error| OutgoingError::Tls(error.to_string()))?;
        let name = self.server.name().ok_or(OutgoingError::Invalid)?;
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| OutgoingError::Tls(error.to_string()))?;
        Ok(Box::new(stream))
    }
}
