//! Opens connections to other nodes.

use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::identity::Identity;
use crate::link::{Driver, Sender};
use crate::remote::Remote;
use crate::tls::{ACCEPTED, GREETING_BYTES, client_config};

/// The time limit for a connection. The kernel of the other machine accepts it, however busy the
/// node is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit for the TLS handshake and the greeting, for which the node needs processor time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of a response's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The maximum number of a response's header fields.
const MAX_FIELDS: usize = 128;

/// The milliseconds after which the kernel ends a connection whose data is not acknowledged.
const ACKNOWLEDGE_MS: u32 = 10_000;

/// The seconds of silence before the kernel checks that the other machine is still there, the
/// seconds between two checks, and their number.
const KEEP_ALIVE: (u32, u32, u32) = (5, 2, 3);

/// A stream that a request can be sent on.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a connection to a node, with TLS if this process has an identity. Returns the sender of
/// requests and the future that reads and writes the connection, or a reason.
pub(crate) async fn dial(
    remote: Remote,
    identity: Option<&Identity>,
) -> Result<(Sender, Driver), String> {
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(remote.address))
        .await
        .map_err(|_| format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()))?
        .map_err(|error| format!("cannot connect: {error}"))?;
    configure(&stream);
    let stream: Box<dyn Stream> = match identity {
        None => Box::new(stream),
        Some(identity) => timeout(HANDSHAKE_TIMEOUT, encrypt(stream, remote, identity))
            .await
            .map_err(|_| format!("no TLS handshake within {} s", HANDSHAKE_TIMEOUT.as_secs()))??,
    };
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    Ok((sender, Box::pin(connection.with_upgrades())))
}

/// Performs the TLS handshake, and waits until the node has accepted this one.
async fn encrypt(
    stream: TcpStream,
    remote: Remote,
    identity: &Identity,
) -> Result<Box<dyn Stream>, String> {
    let config = client_config(identity, remote.fingerprint)
        .map_err(|error| format!("cannot use TLS: {error}"))?;
    let name = ServerName::IpAddress(remote.address.ip().into());
    let mut stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| format!("the TLS handshake failed: {error}"))?;
    let mut greeting = [0; GREETING_BYTES];
    match stream.read_exact(&mut greeting).await {
        Ok(_) if greeting == ACCEPTED => Ok(Box::new(stream)),
        Ok(_) => Err("it does not accept this node".to_owned()),
        Err(error) => Err(format!("it closed the connection: {error}")),
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
