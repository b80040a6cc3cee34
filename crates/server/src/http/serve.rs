//! Serves a router on a listener, with limits on connections, heads and idle time.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response};
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::client_connection::{ClientConnection, ClientStream};
use super::connections::{ConnectionLimits, Connections};
use super::forward::NodeAccess;
use super::shared_stream::SharedStream;
use crate::config::ServerLimits;
use crate::sessions::CdpListener;

/// The time limit for a connection without a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// The wait after `accept` failed, because the reason, such as a full table of descriptors, rarely
/// ends at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The time limit for open requests after the stop.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// The time after the stop for the first request of a new connection. A load balancer sends it
/// right after it has connected, and may not repeat it.
pub(crate) const FIRST_REQUEST_TIME: Duration = Duration::from_secs(1);

/// The maximum number of connections that are accepted after the stop. The kernel keeps no more
/// for a listener.
const MAX_ESTABLISHED: usize = 1024;

/// A listener with its limits.
pub(crate) struct Listener {
    pub socket: TcpListener,
    pub connections: Arc<Connections>,
    /// Notifies when new connections must wait, and when they may continue.
    pub pause: watch::Receiver<bool>,
    pub limits: ServerLimits,
    /// The time after the stop for the first request of a new connection.
    pub first_request_time: Duration,
}

impl Listener {
    /// Serves requests until `stop`, and returns when open requests are finished.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let serving = self.serving(&stop);
        self.serve_each(&stop, |stream, connection| {
            let stream = Arc::new(stream);
            connection.set_socket(&stream);
            let stream = SharedStream(stream);
            serve_connection(stream, connection, router.clone(), serving.clone())
        })
        .await;
    }

    /// Serves requests of other nodes until `stop`, and returns when open requests are finished.
    pub async fn serve_nodes(self, nodes: NodeAccess, router: Router, stop: CancellationToken) {
        let serving = self.serving(&stop);
        self.serve_each(&stop, |stream, connection| {
            let (nodes, router, serving) = (nodes.clone(), router.clone(), serving.clone());
            async move {
                let accepting = async {
                    tokio::select! {
                        accepted = nodes.accept(stream) => accepted,
                        () = connection.must_close() => None,
                        () = serving.stop.cancelled() => None,
                    }
                };
                let Some((stream, sender)) = accepting.await else {
                    return;
                };
                // The other node has checked nothing. But connections of strangers end here.
                connection.authenticate();
                let router = router.layer(Extension(sender));
                serve_connection(stream, connection, router, serving).await;
            }
        })
        .await;
    }

    fn serving(&self, stop: &CancellationToken) -> Serving {
        Serving {
            limits: self.limits,
            first_request_time: self.first_request_time,
            stop: stop.clone(),
        }
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
            if let Some(connection) = admit(&self.connections, self.limits, &stream, address) {
                tasks.spawn(serve(stream, connection));
            }
        }
        let Listener {
            socket,
            connections,
            limits,
            ..
        } = self;
        // The kernel would reset these connections, and their clients may have sent a request.
        for (stream, address) in established(socket) {
            if let Some(connection) = admit(&connections, limits, &stream, address) {
                tasks.spawn(serve(stream, connection));
            }
        }
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

/// Returns the connections that the kernel has established for a listener, and then closes it.
fn established(socket: TcpListener) -> impl Iterator<Item = (TcpStream, IpAddr)> {
    let socket = socket.into_std();
    let next = move || {
        let socket = socket.as_ref().ok()?;
        loop {
            match socket.accept() {
                Ok((stream, address)) => {
                    stream.set_nonblocking(true).ok()?;
                    let stream = TcpStream::from_std(stream).ok()?;
                    return Some((stream, address.ip().to_canonical()));
                }
                Err(error) if is_of_connection(&error) => {}
                Err(_) => return None,
            }
        }
    };
    std::iter::from_fn(next).take(MAX_ESTABLISHED)
}

/// Returns the state of a new connection, if it may stay open.
fn admit(
    connections: &Arc<Connections>,
    limits: ServerLimits,
    stream: &TcpStream,
    address: IpAddr,
) -> Option<Arc<ClientConnection>> {
    let slot = connections.admit(address)?;
    // Responses and CDP messages are small and must not wait for each other (Nagle's algorithm).
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(stream, sockopt::TcpUserTimeout, &limits.acknowledge_ms);
    Some(ClientConnection::new(slot, limits))
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

/// The rules for all connections of a listener.
#[derive(Clone, Debug)]
struct Serving {
    limits: ServerLimits,
    first_request_time: Duration,
    stop: CancellationToken,
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
            // All programs of the session have ended.
            first_request_time: Duration::ZERO,
        };
        let router = router.clone().layer(Extension(access));
        tasks.spawn(listener.serve(router, stop));
    }
}

async fn serve_connection<S>(
    stream: S,
    connection: Arc<ClientConnection>,
    router: Router,
    rules: Serving,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let answering = Arc::clone(&connection);
    let service =
        service_fn(move |request| answer(request, router.clone(), Arc::clone(&answering)));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(rules.limits.head_bytes)
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
        () = connection.left() => return,
        () = rules.stop.cancelled() => {}
    }
    let until = Instant::now() + rules.first_request_time;
    tokio::select! {
        _ = serving.as_mut() => return,
        () = connection.must_close() => return,
        () = connection.head_received() => {}
        () = sleep_until(until) => {}
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
    // Code that runs for a client ends with it.
    if request.method() == Method::POST {
        connection.watch();
    }
    request.extensions_mut().insert(Arc::clone(&connection));
    let response = router.oneshot(request.map(Body::new)).await;
    connection.request_finished();
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::http::connections::ConnectionLimits;

    async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.expect("it listens")
    }

    /// Sends a request and returns the response.
    async fn exchange(mut stream: TcpStream) -> String {
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(request).await.expect("it is open");
        let mut response = String::new();
        let read = stream.read_to_string(&mut response).await;
        read.expect("the server closes the connection in an orderly way");
        response
    }

    #[tokio::test]
    async fn connections_that_exist_at_the_stop_get_an_answer() {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("it is bound");
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(connect(address).await);
        }
        let limits = ConnectionLimits {
            total: 16,
            per_address: 16,
        };
        let listener = Listener {
            socket,
            connections: Connections::new(limits),
            pause: watch::channel(false).1,
            limits: ServerLimits::STANDARD,
            first_request_time: FIRST_REQUEST_TIME,
        };
        let stop = CancellationToken::new();
        stop.cancel();
        let router = Router::new().route("/", get(async || "here"));
        let asking = async {
            // The listener is closed by then, and the connections are not.
            assert!(TcpStream::connect(address).await.is_err());
            for client in clients {
                let response = exchange(client).await;
                assert!(response.starts_with("HTTP/1.1 200"), "{response}");
                assert!(response.ends_with("here"), "{response}");
            }
        };
        tokio::join!(listener.serve(router, stop), asking);
    }
}
