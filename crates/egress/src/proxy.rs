//! The proxy of one session: its listener, its accept loop and its shutdown.

use std::convert::Infallible;
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
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::allow::AllowList;
use crate::authority::Authority;
use crate::block_list::BlockList;
use crate::cluster_targets::ClusterTargets;
use crate::connection::{Connection, ProxyState, Shared};
use crate::denied::{Denied, Reason};
use crate::meter::{Metered, Traffic};
use crate::policy::Policy;
use crate::resolve::{LookupLimits, Resolve, SharedLookups, SystemResolver};
use crate::response::Body;
use crate::session_rules::SessionRules;
use crate::splice::SplicedResponse;
use crate::{forward, tunnel};

/// Time limit for a client to send a request head, measured from the start of the connection or
/// from the end of the previous response.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// Maximum size of a request head, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Pause after a failed `accept`, which usually fails because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Egress for all sessions: the policy, the resolver and the counters. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Egress(Arc<Shared>);

impl Egress {
    /// Creates egress that uses the system resolver.
    pub fn new(policy: Policy) -> Egress {
        Egress::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// Creates egress that resolves names with `resolver`.
    pub fn with_resolver(policy: Policy, resolver: Arc<dyn Resolve>) -> Egress {
        Egress(Arc::new(Shared::new(policy, resolver)))
    }

    /// Limits the concurrent connections of each session, which use two descriptors each. Further
    /// connections wait.
    #[must_use]
    pub fn with_max_connections(self, max: usize) -> Egress {
        let mut shared = self.0;
        // Nothing shares it before the first session.
        if let Some(shared) = Arc::get_mut(&mut shared) {
            shared.max_connections = max;
        }
        Egress(shared)
    }

    /// Replaces the limits of name lookups.
    #[must_use]
    pub fn with_lookup_limits(self, limits: LookupLimits) -> Egress {
        let mut shared = self.0;
        // Nothing shares it before the first session.
        if let Some(shared) = Arc::get_mut(&mut shared) {
            shared.lookups = SharedLookups::new(limits);
        }
        Egress(shared)
    }

    /// Sets the hosts of advertisements, which sessions can block.
    #[must_use]
    pub fn with_block_list(self, list: BlockList) -> Egress {
        let mut shared = self.0;
        // Nothing shares it before the first session.
        if let Some(shared) = Arc::get_mut(&mut shared) {
            shared.block_list = list;
        }
        Egress(shared)
    }

    /// Returns the bytes that all sessions have sent and received so far.
    pub fn traffic(&self) -> Traffic {
        self.0.totals.read()
    }

    /// Returns the number of denied requests for each rule, named by the rule's label.
    pub fn denials(&self) -> Vec<(&'static str, u64)> {
        self.0.denials.read()
    }

    /// Replaces the allow list of all sessions. Open connections continue.
    pub fn set_allow_list(&self, allow: AllowList) {
        self.0.set_allow_list(allow);
    }

    /// Adds a port of this server. Sessions cannot connect to it, whatever the policy allows.
    pub fn add_self_port(&self, port: u16) {
        self.0.self_ports.add(port);
    }

    /// Replaces the targets of the cluster. Sessions cannot connect to them, whatever the policy
    /// allows. Open connections continue.
    pub fn set_cluster_targets(&self, targets: ClusterTargets) {
        self.0.cluster.replace(targets);
    }

    /// Adds a port of this server for as long as the returned guard exists.
    pub fn reserve_port(&self, port: u16) -> SelfPort {
        self.0.self_ports.add(port);
        SelfPort {
            shared: Arc::clone(&self.0),
            port,
        }
    }

    /// Opens a proxy for one session and spawns its tasks on `tracker`.
    pub async fn open(&self, tracker: &TaskTracker) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        self.0.self_ports.add(port);
        let stop = CancellationToken::new();
        let state = Arc::new(ProxyState::new(&self.0, tracker, stop.clone()));
        tracker.spawn(accept_until_stopped(listener, Arc::clone(&state)));
        Ok(Proxy {
            state,
            port,
            _stop: stop.drop_guard(),
        })
    }
}

/// A port of this server that sessions cannot connect to through their proxies. Dropping it ends
/// that.
#[derive(Debug)]
pub struct SelfPort {
    shared: Arc<Shared>,
    port: u16,
}

impl Drop for SelfPort {
    fn drop(&mut self) {
        self.shared.self_ports.remove(self.port);
    }
}

/// The proxy of one session. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Proxy {
    state: Arc<ProxyState>,
    port: u16,
    _stop: DropGuard,
}

impl Proxy {
    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the rules of the session, once, before a client gets it.
    pub fn set_rules(&self, rules: SessionRules) {
        self.state.set_rules(rules);
    }

    /// Names the session in log events, which are in the current span from now on.
    pub fn name(&self, session: &str) {
        self.state.name(session);
    }

    /// Returns the bytes that the session has sent and received so far.
    pub fn traffic(&self) -> Traffic {
        self.state.traffic()
    }

    /// Returns a handle that describes failed page loads. It outlives the proxy.
    pub fn denial_lookup(&self) -> DenialLookup {
        DenialLookup(Arc::clone(&self.state))
    }

    /// Closes the listener and every connection. The tracker is empty soon after.
    pub fn end(&self) {
        self.state.stop();
    }
}

/// A handle that describes why a page did not load.
#[derive(Clone, Debug)]
pub struct DenialLookup(Arc<ProxyState>);

impl DenialLookup {
    /// Returns the reason for the latest failure to load `url`, as one line without a full stop, if
    /// the proxy denied or failed such a request recently.
    pub fn describe_for(&self, url: Option<&str>) -> Option<String> {
        let url = url.and_then(|url| url::Url::parse(url).ok());
        let target = url.and_then(|url| {
            Authority::parse(
                &format!("{}:{}", url.host_str()?, url.port_or_known_default()?),
                None,
            )
            .ok()
        });
        if let Some(target) = target.as_ref().filter(|target| self.0.is_blocked(target)) {
            let blocked = Denied {
                target: target.clone(),
                reason: Reason::Advertisement,
            };
            return Some(blocked.to_line());
        }
        self.0.recent_denials().describe_for(target.as_ref())
    }
}

async fn accept_until_stopped(listener: TcpListener, state: Arc<ProxyState>) {
    let port = listener.local_addr().map(|address| address.port());
    tokio::select! {
        () = accept(listener, &state) => {}
        () = state.stopped() => {}
    }
    if let Ok(port) = port {
        state.self_ports().remove(port);
    }
}

async fn accept(listener: TcpListener, state: &Arc<ProxyState>) {
    // Acquiring never fails because the semaphore is never closed.
    while let Ok(permit) = Arc::clone(state.connection_permits()).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (connection, spliced) = Connection::new(state, permit);
                state.spawn(serve(stream, connection, spliced));
            }
            Err(error) => {
                tracing::warn!(%error, "egress accept failed");
                let _ = timeout(ACCEPT_PAUSE, state.stopped()).await;
            }
        }
    }
}

/// Serves one client connection until it closes, goes idle or the proxy stops.
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
        async move { Ok::<_, Infallible>(handle(&connection, request).await) }
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
        let response = tokio::select! {
            // Ignores errors: clients may disconnect at any time, and hyper has already answered
            // malformed requests.
            _ = &mut served => return,
            response = spliced.recv() => response,
        };
        if let (Some(response), Some(parts)) = (response, served.into_parts()) {
            let _ = response
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

async fn handle(connection: &Connection, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::CONNECT {
        tunnel::open(connection, request).await
    } else {
        forward::forward(connection, request).await
    }
}
