//! Serves a router on a listener, with limits on connections, heads and idle time.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::client_connection::{ClientConnection, ClientStream};
use super::connections::{ConnectionLimits, Connections};
use super::forward::NodeAccess;
use crate::config::ServerLimits;
use crate::sessions::CdpListener;

/// The time limit for a connection without a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// The wait after `accept` failed, because the reason, such as a full table of descriptors, rarely
/// ends at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The time limit for open requests after the stop.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// A listener with its limits.
pub(crate) struct Listener {
    pub socket: TcpListener,
    pub connections: Arc<Connections>,
    /// Notifies when new connections must wait, and when they may continue.
    pub pause: watch::Receiver<bool>,
    pub limits: ServerLimits,
}

impl Listener {
    /// Serves requests until `stop`, and returns when open requests are finished.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let limits = self.limits;
        self.serve_each(&stop, |stream, connection| {
            serve_connection(stream, connection, router.clone(), limits, stop.clone())
        })
        .await;
    }

    /// Serves requests of other nodes until `stop`, and returns when open requests are finished.
    pub async fn serve_nodes(self, nodes: NodeAccess, router: Router, stop: CancellationToken) {
        let limits = self.limits;
        self.serve_each(&stop, |stream, connection| {
            let (nodes, router, stop) = (nodes.clone(), router.clone(), stop.clone());
            async move {
                let accepting = async {
                    tokio::select! {
                        accepted = nodes.accept(stream) => accepted,
                        () = connection.must_close() => None,
                        () = stop.cancelled() => None,
                    }
                };
                let Some((stream, sender)) = accepting.await else {
                    return;
                };
                // The other node has checked nothing. But connections of strangers end here.
                connection.authenticate();
                let router = router.layer(Extension(sender));
                serve_connection(stream, connection, router, limits, stop).await;
            }
        })
        .await;
    }

    /// Runs `serve` for each connection until `stop`, and returns when all are finished.
    async fn serve_each<F>(
        mut self,
        stop: &CancellationToken,
        serve: impl Fn(TcpStream, Arc<ClientConnection>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = TaskTracker::new();
        while let Some((stream, address)) = self.accept(stop).await {
            let Some(slot) = self.connections.admit(address) else {
                continue;
            };
            // Responses and CDP messages are small and must not wait for each other (Nagle's
            // algorithm).
            let _ = stream.set_nodelay(true);
            let _ = setsockopt(
                &stream,
                sockopt::TcpUserTimeout,
                &self.limits.acknowledge_ms,
            );
            tasks.spawn(serve(stream, ClientConnection::new(slot, self.limits)));
        }
        drop(self.socket);
        tasks.close();
        tasks.wait().await;
    }

    /// Returns the next connection, or `None` after `stop`.
    async fn accept(&mut self, stop: &CancellationToken) -> Option<(TcpStream, IpAddr)> {
        loop {
            let accepting = async {
                // The sender lives as long as the server.
                let _ = self.pause.wait_for(|paused| !paused).await;
                self.socket.accept().await
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => return None,
                accepted = accepting => accepted,
            };
            match accepted {
                Ok((stream, address)) => return Some((stream, address.ip().to_canonical())),
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    let _ = timeout(ACCEPT_RETRY, stop.cancelled()).await;
                }
            }
        }
    }
}

/// Returns true if only one connection failed, before it was accepted.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// Serves the CDP listener of every session, until `stop`.
pub(crate) async fn serve_sessions(
    mut listeners: mpsc::Receiver<CdpListener>,
    router: Router,
    pause: watch::Receiver<bool>,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    let connections = ConnectionLimits {
        total: limits.session_connections,
        per_address: limits.session_connections,
    };
    loop {
        let new = tokio::select! {
            () = stop.cancelled() => return,
            new = listeners.recv() => new,
        };
        let Some(CdpListener {
            listener,
            access,
            stop,
            tasks,
        }) = new
        else {
            return;
        };
        let listener = Listener {
            socket: listener,
            connections: Connections::new(connections),
            pause: pause.clone(),
            limits,
        };
        let router = router.clone().layer(Extension(access));
        tasks.spawn(listener.serve(router, stop));
    }
}

async fn serve_connection<S>(
    stream: S,
    connection: Arc<ClientConnection>,
    router: Router,
    limits: ServerLimits,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let answering = Arc::clone(&connection);
    let service =
        service_fn(move |request| answer(request, router.clone(), Arc::clone(&answering)));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(limits.head_bytes)
        .serve_connection(
            TokioIo::new(ClientStream::new(stream, Arc::clone(&connection))),
            service,
        )
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // An error means that the client broke the protocol or left.
        _ = serving.as_mut() => return,
        () = connection.must_close() => return,
        () = stop.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    // A client that does not finish its request must not delay the stop.
    let _ = timeout(FINISH_TIMEOUT, serving).await;
}

async fn answer(
    mut request: Request<Incoming>,
    router: Router,
    connection: Arc<ClientConnection>,
) -> Result<Response<Body>, Infallible> {
    connection.request_started();
    request.extensions_mut().insert(Arc::clone(&connection));
    let response = router.oneshot(request.map(Body::new)).await;
    connection.request_finished();
    response
}
