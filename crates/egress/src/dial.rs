//! Opens outbound connections.
//!
//! A name is resolved once. The policy checks all its addresses, and the connection goes to exactly
//! the addresses that were checked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_body_util::Empty;
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::authority::{Authority, Host};
use crate::connection::ProxyState;
use crate::denied::{Denied, Reason};
use crate::headers::PROXY_AUTHORIZATION;
use crate::policy::Route;
use crate::self_ports::is_local_address;
use crate::upstream::Upstream;

/// Time limit for name resolution and connecting together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay before the next address is tried in parallel (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Maximum number of addresses of a name that are tried. All of them are checked.
const MAX_ATTEMPTS: usize = 8;

/// A connection to the target or to the upstream proxy.
#[derive(Debug)]
pub(crate) struct OutboundConnection {
    pub(crate) stream: TcpStream,
    /// Bytes that arrived together with the response head of the upstream proxy.
    pub(crate) buffered: Bytes,
    pub(crate) route: Route,
}

impl ProxyState {
    /// Connects for a plain HTTP request: to the target, or to the upstream proxy, which takes the
    /// request in absolute form.
    pub(crate) async fn dial(&self, target: &Authority) -> Result<OutboundConnection, Denied> {
        self.with_timeout(target, self.connect(target)).await
    }

    /// Connects for a CONNECT request. The returned connection carries bytes to the target.
    pub(crate) async fn dial_tunnel(
        self: &Arc<ProxyState>,
        target: &Authority,
    ) -> Result<OutboundConnection, Denied> {
        let connecting = async {
            let outbound = self.connect(target).await?;
            let policy = self.policy();
            match &policy.upstream {
                Some(upstream) if outbound.route == Route::Upstream => {
                    self.connect_through_upstream(outbound, upstream, target)
                        .await
                }
                _ => Ok(outbound),
            }
        };
        self.with_timeout(target, connecting).await
    }

    async fn with_timeout(
        &self,
        target: &Authority,
        connecting: impl Future<Output = Result<OutboundConnection, Reason>>,
    ) -> Result<OutboundConnection, Denied> {
        let connected = timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or(Err(Reason::TimedOut));
        connected.map_err(|reason| self.deny(target, reason))
    }

    async fn connect(&self, target: &Authority) -> Result<OutboundConnection, Reason> {
        let policy = self.policy();
        let route = policy.plan_route(target)?;
        if self.is_cluster_name(target) {
            return Err(Reason::Cluster);
        }
        if self.is_blocked(target) {
            return Err(Reason::Advertisement);
        }
        let check = |addresses: &[IpAddr]| {
            let denied = |socket| self.denied_socket(socket);
            policy.check_addresses(target, addresses, denied, is_local_address)
        };
        let addresses = match (route, &target.host, &policy.upstream) {
            (_, Host::Address(address), upstream) => {
                let checked = check(&[*address])?;
                match (route, upstream) {
                    (Route::Upstream, Some(upstream)) => self.addresses_of(upstream).await?,
                    _ => checked,
                }
            }
            (Route::Upstream, Host::Name(_), Some(upstream)) => self.addresses_of(upstream).await?,
            (_, Host::Name(name), _) => check(&self.resolve(name).await?)?,
        };
        let stream = connect_any(&addresses)
            .await
            .map_err(|_| Reason::Unreachable)?;
        Ok(OutboundConnection {
            stream,
            buffered: Bytes::new(),
            route,
        })
    }

    /// Returns the addresses of the upstream proxy. They are not checked, because the server's
    /// settings name it.
    async fn addresses_of(&self, upstream: &Upstream) -> Result<Vec<SocketAddr>, Reason> {
        let addresses = match upstream.host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.resolve(&upstream.host).await?,
        };
        Ok(addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, upstream.port))
            .collect())
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Reason> {
        let resolver = Arc::clone(self.resolver());
        match self.lookups().look_up(resolver, name.to_owned()).await {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            _ => Err(Reason::Unresolved),
        }
    }

    async fn connect_through_upstream(
        &self,
        outbound: OutboundConnection,
        upstream: &Upstream,
        target: &Authority,
    ) -> Result<OutboundConnection, Reason> {
        let authority = target.to_string();
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(&authority)
            .body(Empty::<Bytes>::new())
            .map_err(|_| Reason::Broken)?;
        request.headers_mut().insert(
            HOST,
            HeaderValue::try_from(authority).map_err(|_| Reason::Broken)?,
        );
        if let Some(authorization) = &upstream.authorization {
            request
                .headers_mut()
                .insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(outbound.stream))
                .await
                .map_err(|_| Reason::Broken)?;
        self.spawn(async move {
            // The code that waits for the response detects the end of the connection.
            let _ = connection.with_upgrades().await;
        });
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| Reason::Broken)?;
        if !response.status().is_success() {
            return Err(Reason::Upstream);
        }
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|_| Reason::Broken)?;
        let parts = upgraded
            .downcast::<TokioIo<TcpStream>>()
            .map_err(|_| Reason::Broken)?;
        Ok(OutboundConnection {
            stream: parts.io.into_inner(),
            buffered: parts.read_buf,
            route: outbound.route,
        })
    }
}

/// Connects to the first address that accepts.
async fn connect_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut others = addresses.iter().take(MAX_ATTEMPTS);
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match others.next() {
            Some(address) => attempts.push(connect_to(*address)),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        match timeout(ATTEMPT_DELAY, attempts.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => failure = error,
            // No attempt has finished yet.
            Ok(None) | Err(_) => {}
        }
    }
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    if stream.peer_addr()? != address {
        return Err(io::Error::other("connected to a different address"));
    }
    // Disables Nagle's algorithm: many writes are small and must not wait for more data.
    stream.set_nodelay(true)?;
    Ok(stream)
}
