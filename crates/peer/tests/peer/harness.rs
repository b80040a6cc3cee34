//! A node that serves HTTP on a real socket, and clients of it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hearth_peer::{
    Acceptor, Client, ClientLimits, Fingerprint, Identity, KnownPeers, Refreshing, Remote,
    SendError,
};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONNECTION, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// The time limit of a wait.
const DEADLINE: Duration = Duration::from_secs(30);

/// Limits that no test reaches by accident.
pub const LIMITS: ClientLimits = ClientLimits {
    connections: 8,
    idle: 8,
    idle_time: Duration::from_mins(5),
};

/// The nodes that an acceptor knows.
#[derive(Default)]
pub struct Known {
    fingerprints: Mutex<HashSet<[u8; 32]>>,
    /// Become known with the next refresh.
    registered: Mutex<Vec<Fingerprint>>,
    pub refreshes: AtomicUsize,
}

impl Known {
    pub fn add(&self, fingerprint: Fingerprint) {
        let mut known = self.fingerprints.lock().expect("not poisoned");
        known.insert(*fingerprint.as_bytes());
    }

    /// Adds a node that the next refresh finds.
    pub fn register(&self, fingerprint: Fingerprint) {
        self.registered
            .lock()
            .expect("not poisoned")
            .push(fingerprint);
    }
}

impl KnownPeers for Known {
    fn knows(&self, fingerprint: &Fingerprint) -> bool {
        let known = self.fingerprints.lock().expect("not poisoned");
        known.contains(fingerprint.as_bytes())
    }

    fn refresh(&self) -> Refreshing<'_> {
        Box::pin(async {
            self.refreshes.fetch_add(1, Ordering::Relaxed);
            let registered: Vec<_> = self
                .registered
                .lock()
                .expect("not poisoned")
                .drain(..)
                .collect();
            for fingerprint in registered {
                self.add(fingerprint);
            }
        })
    }
}

/// The events on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub accepted: usize,
    pub refused: usize,
    pub requests: usize,
    /// Requests that ended before their response.
    pub cancelled: usize,
}

/// A node with the paths `/echo`, `/wait`, `/endless`, `/empty`, `/upgrade` and `/reject`.
pub struct Node {
    pub remote: Remote,
    pub known: Arc<Known>,
    seen: watch::Receiver<Seen>,
    connections: Arc<Mutex<JoinSet<()>>>,
    listener: JoinSet<()>,
}

impl Node {
    pub async fn start() -> Node {
        Node::start_at("127.0.0.1:0".parse().expect("an address")).await
    }

    pub async fn start_at(address: SocketAddr) -> Node {
        Node::start_with(address, Duration::ZERO).await
    }

    /// Starts a node with so little processor time that a handshake takes this long, and that
    /// several are not faster side by side.
    pub async fn start_slow(handshake: Duration) -> Node {
        Node::start_with("127.0.0.1:0".parse().expect("an address"), handshake).await
    }

    async fn start_with(address: SocketAddr, handshake: Duration) -> Node {
        let identity = Identity::generate("node").expect("a certificate");
        let known = Arc::new(Known::default());
        let acceptor = Acceptor::new(&identity, Arc::clone(&known) as _).expect("an acceptor");
        let listener = TcpListener::bind(address).await.expect("a free port");
        let remote = Remote {
            address: listener.local_addr().expect("bound"),
            fingerprint: identity.fingerprint(),
        };
        let (sender, seen) = watch::channel(Seen::default());
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(
            listener,
            acceptor,
            handshake,
            Arc::new(sender),
            Arc::clone(&connections),
        ));
        Node {
            remote,
            known,
            seen,
            connections,
            listener: tasks,
        }
    }

    /// Returns a client with a new identity that the node knows.
    pub fn client(&self, limits: ClientLimits) -> Client {
        let identity = Identity::generate("client").expect("a certificate");
        self.known.add(identity.fingerprint());
        Client::pinned(identity, limits)
    }

    pub fn seen(&self) -> Seen {
        *self.seen.borrow()
    }

    /// Waits until the node has seen enough.
    pub async fn wait_for(&self, is_enough: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.clone();
        let waited = timeout(DEADLINE, seen.wait_for(is_enough)).await;
        *waited.expect("in time").expect("the node runs")
    }

    /// Closes all connections.
    pub async fn close_connections(&self) {
        let mut connections = std::mem::take(&mut *self.connections.lock().expect("not poisoned"));
        connections.shutdown().await;
    }
}

/// Waits until the port is free again.
pub async fn stop(mut node: Node) {
    node.close_connections().await;
    node.listener.shutdown().await;
}

async fn accept(
    listener: TcpListener,
    acceptor: Acceptor,
    handshake: Duration,
    seen: Arc<watch::Sender<Seen>>,
    connections: Arc<Mutex<JoinSet<()>>>,
) {
    let processor = Arc::new(Semaphore::new(1));
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        let processor = Arc::clone(&processor);
        let serving = async move {
            if handshake > Duration::ZERO {
                let _turn = processor.acquire().await;
                sleep_until(Instant::now() + handshake).await;
            }
            let Ok(accepted) = acceptor.accept(stream).await else {
                seen.send_modify(|seen| seen.refused += 1);
                return;
            };
            seen.send_modify(|seen| seen.accepted += 1);
            let service = service_fn(move |request| {
                seen.send_modify(|seen| seen.requests += 1);
                answer(request, Arc::clone(&seen))
            });
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(accepted.stream), service)
                .with_upgrades()
                .await;
        };
        connections.lock().expect("not poisoned").spawn(serving);
    }
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn answer(
    request: Request<Incoming>,
    seen: Arc<watch::Sender<Seen>>,
) -> Result<Answer, Infallible> {
    let cancelled = Cancelled(seen);
    let empty = || Empty::new().map_err(|never| match never {}).boxed();
    let response = match request.uri().path() {
        "/echo" => Response::new(request.into_body().boxed()),
        "/wait" => std::future::pending().await,
        // Keeps the guard until the client leaves.
        "/endless" => return Ok(Response::new(Endless(cancelled).boxed())),
        "/upgrade" => upgrade(request),
        "/reject" => {
            let mut response = Response::new(empty());
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        }
        "/known" => Response::new(Full::from("four").map_err(|never| match never {}).boxed()),
        _ => Response::new(empty()),
    };
    std::mem::forget(cancelled);
    Ok(response)
}

/// Counts a request that ends early.
struct Cancelled(Arc<watch::Sender<Seen>>);

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.0.send_modify(|seen| seen.cancelled += 1);
    }
}

/// A body that never ends.
struct Endless(Cancelled);

impl Body for Endless {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let _ = &self.0;
        std::task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
    }
}

/// Accepts an upgrade, greets, and echoes what the client sends until it has sent everything.
fn upgrade(mut request: Request<Incoming>) -> Answer {
    let upgrading = hyper::upgrade::on(&mut request);
    // Ends with its connection.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test ends it with the connection"
    )]
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrading.await.expect("the client upgrades"));
        stream.write_all(b"hello ").await.expect("a greeting");
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.expect("the rest");
        stream.write_all(&received).await.expect("an echo");
        stream.shutdown().await.expect("an end");
    });
    let empty = Empty::new().map_err(|never| match never {}).boxed();
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "echo")
        .body(empty)
        .expect("a response")
}

/// Returns a request without a body.
pub fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::builder()
        .uri(path)
        .header("host", "node")
        .body(Empty::new())
        .expect("a request")
}

/// Returns a request with a body.
pub fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder()
        .method("POST")
        .uri(path)
        .header("host", "node")
        .body(Full::new(body.into()))
        .expect("a request")
}

/// Sends a request and returns the complete body of the response.
pub async fn fetch<B>(
    client: &Client,
    remote: Remote,
    request: Request<B>,
) -> Result<Bytes, SendError>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let response = client.send(remote, request).await?;
    let body = response.into_body().collect().await;
    Ok(body.expect("a complete body").to_bytes())
}
