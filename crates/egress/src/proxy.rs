//! The way out of all sessions, and the proxy of one: its listener, its connections, its end.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::authority::Authority;
use crate::denials::{DenialCounters, RecentDenials};
use crate::denied::Denied;
use crate::meter::{Meter, Metered, Totals, Traffic};
use crate::policy::Policy;
use crate::relay::MAX_LARGE_BUFFERS;
use crate::resolve::{Resolve, SystemResolver};
use crate::response::Body;
use crate::self_ports::SelfPorts;
use crate::splice::SplicedResponse;
use crate::{forward, tunnel};

/// How many connections the programs of a session may have at once; more wait for their turn. Each
/// takes two descriptors of the server's. A browser has 32 for pages and some for web sockets.
const MAX_CONNECTIONS: usize = 128;

/// How many names of a session are looked up at once; each takes a thread for as long as the system
/// waits.
const MAX_LOOKUPS: usize = 16;

/// How long a program may take to send a head, from the connection or the answer before it.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// After a failed accept, which is most often a want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The way out: what all sessions have in common. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Egress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    policy: Policy,
    self_ports: SelfPorts,
    resolver: Arc<dyn Resolve>,
    totals: Arc<Totals>,
    denials: DenialCounters,
}

impl Egress {
    /// A way out with the machine's own resolver.
    pub fn new(policy: Policy) -> Egress {
        Egress::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// A way out that asks `resolver` for the addresses of names.
    pub fn with_resolver(policy: Policy, resolver: Arc<dyn Resolve>) -> Egress {
        let (self_ports, totals, denials) =
            (SelfPorts::default(), Arc::default(), DenialCounters::new());
        Egress(Arc::new(Shared {
            policy,
            self_ports,
            resolver,
            totals,
            denials,
        }))
    }

    /// What all sessions have sent and got so far.
    pub fn traffic(&self) -> Traffic {
        self.0.totals.read()
    }

    /// What rules have refused so far, by a few words for the rule.
    pub fn denials(&self) -> Vec<(&'static str, u64)> {
        self.0.denials.read()
    }

    /// Names a port of this server, which nobody reaches from then on.
    pub fn add_self_port(&self, port: u16) {
        self.0.self_ports.add(port);
    }

    /// Opens the proxy of a session, whose tasks are all in `tracker`. `session` is what logs call
    /// it.
    pub async fn open(&self, session: &str, tracker: &TaskTracker) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        self.0.self_ports.add(port);
        let stop = CancellationToken::new();
        let state = Arc::new(ProxyState {
            shared: Arc::clone(&self.0),
            session: session.to_owned(),
            tracker: tracker.clone(),
            stop: stop.clone(),
            totals: Totals::child_of(&self.0.totals),
            recent: RecentDenials::new(),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            connection_slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            large_buffers: Semaphore::new(MAX_LARGE_BUFFERS),
        });
        tracker.spawn(accept(listener, Arc::clone(&state)));
        Ok(Proxy {
            state,
            port,
            _stop: stop.drop_guard(),
        })
    }
}

/// The proxy of one session. Dropping it ends it, with every connection.
#[derive(Debug)]
pub struct Proxy {
    state: Arc<ProxyState>,
    port: u16,
    _stop: DropGuard,
}

impl Proxy {
    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has carried so far.
    pub fn traffic(&self) -> Traffic {
        self.state.totals.read()
    }

    /// What knows why pages did not load; it outlives the proxy.
    pub fn explainer(&self) -> Explainer {
        Explainer(Arc::clone(&self.state))
    }

    /// Ends it, with every connection; the tracker is empty soon after.
    pub fn end(&self) {
        self.state.stop.cancel();
    }
}

/// Explains why a page did not load.
#[derive(Clone, Debug)]
pub struct Explainer(Arc<ProxyState>);

impl Explainer {
    /// Why the page at `url` was not reached lately, if the proxy has had to do with it: one line
    /// without a full stop.
    pub fn explain(&self, url: Option<&str>) -> Option<String> {
        let url = url.and_then(|url| url::Url::parse(url).ok());
        let target = url.and_then(|url| {
            Authority::parse(
                &format!("{}:{}", url.host_str()?, url.port_or_known_default()?),
                None,
            )
            .ok()
        });
        self.0.recent.explain(target.as_ref())
    }
}

/// What the connections of a session have in common.
#[derive(Debug)]
pub(crate) struct ProxyState {
    shared: Arc<Shared>,
    session: String,
    /// Of the session: every task of the proxy is in it.
    tracker: TaskTracker,
    stop: CancellationToken,
    totals: Arc<Totals>,
    recent: RecentDenials,
    lookups: Arc<Semaphore>,
    connection_slots: Arc<Semaphore>,
    large_buffers: Semaphore,
}

impl ProxyState {
    pub(crate) fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    pub(crate) fn self_ports(&self) -> &SelfPorts {
        &self.shared.self_ports
    }

    pub(crate) fn resolver(&self) -> &Arc<dyn Resolve> {
        &self.shared.resolver
    }

    pub(crate) fn lookups(&self) -> &Arc<Semaphore> {
        &self.lookups
    }

    pub(crate) fn large_buffers(&self) -> &Semaphore {
        &self.large_buffers
    }

    /// Waits until the session wants its proxy no more.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Remembers what was not reached, and logs what a rule refused: no path, no query.
    pub(crate) fn note(&self, denied: &Denied) {
        if denied.reason.is_rule() {
            self.shared.denials.count(denied.reason.label());
        }
        let Some(unlogged) = self.recent.note(denied) else {
            return;
        };
        let (session, target, reason) = (&self.session, &denied.target, denied.reason.label());
        if denied.reason.is_rule() {
            tracing::info!(%session, %target, reason, unlogged, "the way out refuses");
        } else {
            tracing::debug!(%session, %target, reason, unlogged, "the way out reaches nobody");
        }
    }
}

/// One connection of a program.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) state: Arc<ProxyState>,
    pub(crate) meter: Arc<Meter>,
    /// Among those that the session may have; kept by a tunnel, too.
    #[expect(dead_code, reason = "it is given back when the last clone is dropped")]
    pub(crate) slot: Arc<OwnedSemaphorePermit>,
    /// To whoever holds the connection itself.
    splice: mpsc::Sender<SplicedResponse>,
}

impl Connection {
    /// Leaves an answer to the kernel. Whoever calls this is dropped before it comes back.
    pub(crate) async fn splice<T>(&self, large: SplicedResponse) -> Option<T> {
        // Nobody receives it when the connection has ended.
        let _ = self.splice.send(large).await;
        pending().await
    }
}

async fn accept(listener: TcpListener, state: Arc<ProxyState>) {
    let port = listener.local_addr().map(|address| address.port());
    tokio::select! {
        () = accept_all(listener, &state) => {}
        () = state.stopped() => {}
    }
    if let Ok(port) = port {
        state.self_ports().remove(port);
    }
}

async fn accept_all(listener: TcpListener, state: &Arc<ProxyState>) {
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&state.connection_slots).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (splice, spliced) = mpsc::channel(1);
                let connection = Connection {
                    state: Arc::clone(state),
                    meter: Meter::new(Arc::clone(&state.totals)),
                    slot: Arc::new(slot),
                    splice,
                };
                state.spawn(serve(stream, connection, spliced));
            }
            Err(error) => {
                tracing::warn!(%error, "a proxy cannot accept");
                let _ = timeout(ACCEPT_PAUSE, state.stopped()).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    connection: Connection,
    mut spliced: mpsc::Receiver<SplicedResponse>,
) {
    let _ = stream.set_nodelay(true);
    let (state, meter) = (Arc::clone(&connection.state), Arc::clone(&connection.meter));
    let io = TokioIo::new(Metered {
        stream,
        meter: Arc::clone(&meter),
    });
    let service = service_fn(move |request| {
        let connection = connection.clone();
        async move { Ok::<_, Infallible>(answer(&connection, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .preserve_header_case(true)
        .auto_date_header(false);
    let serving = async {
        let mut served = builder.serve_connection(io, service).with_upgrades();
        let large = tokio::select! {
            // A program may break off at any time, and has been answered if it has sent nonsense.
            _ = &mut served => return,
            large = spliced.recv() => large,
        };
        if let (Some(large), Some(parts)) = (large, served.into_parts()) {
            let _ = large
                .send(&parts.io.into_inner(), state.large_buffers())
                .await;
        }
    };
    tokio::select! {
        () = serving => {}
        () = state.stopped() => {}
        () = meter.idle() => {}
    }
}

async fn answer(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::CONNECT {
        tunnel::open(connection, request).await
    } else {
        forward::carry(connection, request).await
    }
}
