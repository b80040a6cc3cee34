//! From what a request names to a connection: resolved once, judged, and connected to exactly what
//! was judged.

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
use crate::denied::{Reason, Refusal};
use crate::headers::PROXY_AUTHORIZATION;
use crate::policy::Way;
use crate::proxy::Side;
use crate::self_ports::is_of_this_machine;
use crate::upstream::Upstream;

/// How long it may take from a name to a connection.
const CONNECT_BOUND: Duration = Duration::from_secs(10);

/// How long an address is tried alone before the next one is tried beside it (RFC 8305, 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// How many addresses of a name are tried; all of them are judged.
const MAX_TRIED: usize = 8;

/// A connection to the outside.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) stream: TcpStream,
    /// What came with the answer of a proxy beyond ours.
    pub(crate) early: Bytes,
    pub(crate) way: Way,
}

impl Side {
    /// Connects for a plain request: to its destination, or to the proxy beyond ours, which takes
    /// the request whole.
    pub(crate) async fn reach(&self, target: &Authority) -> Result<Outside, Refusal> {
        self.bounded(target, self.connect(target)).await
    }

    /// Connects for a CONNECT: what comes back carries bytes to the destination.
    pub(crate) async fn reach_through(
        self: &Arc<Side>,
        target: &Authority,
    ) -> Result<Outside, Refusal> {
        let connecting = async {
            let outside = self.connect(target).await?;
            match &self.policy().upstream {
                Some(upstream) if outside.way == Way::Upstream => {
                    self.ask_upstream(outside, upstream, target).await
                }
                _ => Ok(outside),
            }
        };
        self.bounded(target, connecting).await
    }

    async fn bounded(
        &self,
        target: &Authority,
        connecting: impl Future<Output = Result<Outside, Reason>>,
    ) -> Result<Outside, Refusal> {
        let connected = timeout(CONNECT_BOUND, connecting)
            .await
            .unwrap_or(Err(Reason::TooSlow));
        connected.map_err(|reason| {
            let refusal = Refusal {
                target: target.clone(),
                reason,
            };
            self.note(&refusal);
            refusal
        })
    }

    async fn connect(&self, target: &Authority) -> Result<Outside, Reason> {
        let way = self.policy().plan_way(target)?;
        let judge = |addresses: &[IpAddr]| {
            let is_own = |socket| self.own_ports().contain(socket);
            self.policy()
                .judge_addresses(target, addresses, is_own, is_of_this_machine)
        };
        let addresses = match (way, &target.host, &self.policy().upstream) {
            (_, Host::Address(address), upstream) => {
                let judged = judge(&[*address])?;
                match (way, upstream) {
                    (Way::Upstream, Some(upstream)) => self.addresses_of(upstream).await?,
                    _ => judged,
                }
            }
            (Way::Upstream, Host::Name(_), Some(upstream)) => self.addresses_of(upstream).await?,
            (_, Host::Name(name), _) => judge(&self.resolve(name).await?)?,
        };
        let stream = connect_any(&addresses)
            .await
            .map_err(|_| Reason::Unreachable)?;
        Ok(Outside {
            stream,
            early: Bytes::new(),
            way,
        })
    }

    /// Where the proxy beyond ours is. The settings name it, so it is not judged.
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
        // the place.
        let place = Arc::clone(self.lookups())
            .acquire_owned()
            .await
            .map_err(|_| Reason::Unresolved)?;
        let (resolver, name) = (Arc::clone(self.resolver()), name.to_owned());
        let looking = spawn_blocking(move || {
            let _place = place;
            resolver.addresses(&name)
        });
        match looking.await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            _ => Err(Reason::Unresolved),
        }
    }

    async fn ask_upstream(
        &self,
        outside: Outside,
        upstream: &Upstream,
        target: &Authority,
    ) -> Result<Outside, Reason> {
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
        Ok(Outside {
            stream: parts.io.into_inner(),
            early: parts.read_buf,
            way: outside.way,
        })
    }
}

/// Connects to the first of these that answers.
async fn connect_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut others = addresses.iter().take(MAX_TRIED);
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match others.next() {
            Some(address) => attempts.push(connect_to(*address)),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        match timeout(NEXT_ADDRESS, attempts.next()).await {
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
