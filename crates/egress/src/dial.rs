//! From what a request names to a connection: resolved once, checked, and connected to exactly what
//! was checked.

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
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::authority::{Authority, Host};
use crate::denied::{Denied, Reason};
use crate::headers::PROXY_AUTHORIZATION;
use crate::policy::Route;
use crate::proxy::ProxyState;
use crate::self_ports::is_local_address;
use crate::upstream::Upstream;

/// How long it may take from a name to a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an address is tried alone before the next one is tried beside it (RFC 8305, 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many addresses of a name are tried; all of them are checked.
const MAX_ATTEMPTS: usize = 8;

/// A connection to the outside.
#[derive(Debug)]
pub(crate) struct OutboundConnection {
    pub(crate) stream: TcpStream,
    /// What came with the answer of a proxy beyond ours.
    pub(crate) early: Bytes,
    pub(crate) way: Route,
}

impl ProxyState {
    /// Connects for a plain request: to its destination, or to the proxy beyond ours, which takes
    /// the request whole.
    pub(crate) async fn dial(&self, target: &Authority) -> Result<OutboundConnection, Denied> {
        self.with_timeout(target, self.connect(target)).await
    }

    /// Connects for a CONNECT: what comes back carries bytes to the destination.
    pub(crate) async fn dial_tunnel(
        self: &Arc<ProxyState>,
        target: &Authority,
    ) -> Result<OutboundConnection, Denied> {
        let connecting = async {
            let outside = self.connect(target).await?;
            match &self.policy().upstream {
                Some(upstream) if outside.way == Route::Upstream => {
                    self.connect_through_upstream(outside, upstream, target)
                        .await
                }
                _ => Ok(outside),
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
        connected.map_err(|reason| {
            let denied = Denied {
                target: target.clone(),
                reason,
            };
            self.note(&denied);
            denied
        })
    }

    async fn connect(&self, target: &Authority) -> Result<OutboundConnection, Reason> {
        let way = self.policy().plan_route(target)?;
        let check = |addresses: &[IpAddr]| {
            let is_own = |socket| self.self_ports().contains(socket);
            self.policy()
                .check_addresses(target, addresses, is_own, is_local_address)
        };
        let addresses = match (way, &target.host, &self.policy().upstream) {
            (_, Host::Address(address), upstream) => {
                let checked = check(&[*address])?;
                match (way, upstream) {
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
            early: Bytes::new(),
            way,
        })
    }

    /// Where the proxy beyond ours is. The settings name it, so it is not checked.
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
        // The look-up goes on when nobody waits for it any more, so it is the look-up that keeps
        // the slot.
        let slot = Arc::clone(self.lookups())
            .acquire_owned()
            .await
            .map_err(|_| Reason::Unresolved)?;
        let (resolver, name) = (Arc::clone(self.resolver()), name.to_owned());
        let looking = spawn_blocking(move || {
            let _place = slot;
            resolver.addresses(&name)
        });
        match looking.await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            _ => Err(Reason::Unresolved),
        }
    }

    async fn connect_through_upstream(
        &self,
        outside: OutboundConnection,
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
            hyper::client::conn::http1::handshake(TokioIo::new(outside.stream))
                .await
                .map_err(|_| Reason::Broken)?;
        self.spawn(async move {
            // Whoever waits for the answer hears of its end.
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
            early: parts.read_buf,
            way: outside.way,
        })
    }
}

/// Connects to the first of these that answers.
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
            // None of them has answered yet.
            Ok(None) | Err(_) => {}
        }
    }
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    if stream.peer_addr()? != address {
        return Err(io::Error::other("connected to something else"));
    }
    // What is carried is small as often as not, and must not wait for more (Nagle's algorithm).
    stream.set_nodelay(true)?;
    Ok(stream)
}
