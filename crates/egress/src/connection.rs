//! Connection state: everything that outlives a single request.
//!
//! [`Shared`] exists once per server, [`ProxyState`] once per session and [`Connection`] once per
//! client connection. The accept loop that creates connections is in `proxy`.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;

use crate::allow::AllowList;
use crate::authority::Authority;
use crate::block_list::BlockList;
use crate::cluster_targets::CurrentTargets;
use crate::denials::{DenialCounters, RecentDenials};
use crate::denied::{Denied, Reason};
use crate::meter::{Meter, Totals, Traffic};
use crate::policy::Policy;
use crate::relay::MAX_LARGE_BUFFERS;
use crate::resolve::{LookupLimits, Lookups, Resolve, SharedLookups};
use crate::self_ports::SelfPorts;
use crate::session_rules::SessionRules;
use crate::splice::SplicedResponse;

/// Default of the maximum number of concurrent connections of a session; further connections wait.
///
/// Each connection uses two of the server's file descriptors. A browser opens up to 32 connections
/// for pages, plus some WebSocket connections.
const MAX_CONNECTIONS: usize = 128;

/// State that all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Replaced as a whole, so that a decision uses one policy.
    policy: RwLock<Arc<Policy>>,
    pub(crate) self_ports: SelfPorts,
    pub(crate) cluster: CurrentTargets,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) lookups: SharedLookups,
    pub(crate) totals: Arc<Totals>,
    pub(crate) denials: DenialCounters,
    pub(crate) block_list: BlockList,
    pub(crate) max_connections: usize,
}

impl Shared {
    pub(crate) fn new(policy: Policy, resolver: Arc<dyn Resolve>) -> Shared {
        Shared {
            policy: RwLock::new(Arc::new(policy)),
            self_ports: SelfPorts::default(),
            cluster: CurrentTargets::default(),
            resolver,
            lookups: SharedLookups::new(LookupLimits::STANDARD),
            totals: Arc::default(),
            denials: DenialCounters::new(),
            block_list: BlockList::default(),
            max_connections: MAX_CONNECTIONS,
        }
    }

    fn policy(&self) -> Arc<Policy> {
        let policy = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&policy)
    }

    /// Replaces the allow list of the policy. Open connections continue.
    pub(crate) fn set_allow_list(&self, allow: AllowList) {
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        *policy = Arc::new(Policy {
            allow,
            ..Policy::clone(&policy)
        });
    }
}

/// State that all connections of one session's proxy share.
#[derive(Debug)]
pub(crate) struct ProxyState {
    shared: Arc<Shared>,
    /// The session, which is set when a client gets it.
    session: OnceLock<NamedSession>,
    /// The rules of the session, which are set before a client gets it.
    rules: OnceLock<SessionRules>,
    /// Tracks every task of the proxy. Belongs to the session.
    tracker: TaskTracker,
    stop: CancellationToken,
    totals: Arc<Totals>,
    recent: RecentDenials,
    lookups: Lookups,
    connection_permits: Arc<Semaphore>,
    large_buffers: Semaphore,
}

/// The name of a session, and the span of its log events.
#[derive(Debug)]
struct NamedSession {
    name: String,
    span: Span,
}

impl ProxyState {
    /// Creates the state of one session's proxy, which runs until `stop` is cancelled.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> ProxyState {
        ProxyState {
            shared: Arc::clone(shared),
            session: OnceLock::new(),
            rules: OnceLock::new(),
            tracker: tracker.clone(),
            stop,
            totals: Totals::child_of(&shared.totals),
            recent: RecentDenials::new(),
            lookups: Lookups::new(&shared.lookups),
            connection_permits: Arc::new(Semaphore::new(shared.max_connections)),
            large_buffers: Semaphore::new(MAX_LARGE_BUFFERS),
        }
    }

    /// Names the session of the proxy, once, in the current span.
    pub(crate) fn name(&self, session: &str) {
        let named = NamedSession {
            name: session.to_owned(),
            span: Span::current(),
        };
        // Later names do not count.
        let _ = self.session.set(named);
    }

    /// Sets the rules of the session, once.
    pub(crate) fn set_rules(&self, rules: SessionRules) {
        // Later rules do not count.
        let _ = self.rules.set(rules);
    }

    /// Returns the current policy, with the session's proxy. Only its allow list changes.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        let policy = self.shared.policy();
        let Some(upstream) = self.rules.get().and_then(|rules| rules.upstream.clone()) else {
            return policy;
        };
        Arc::new(Policy {
            upstream: Some(upstream),
            ..Policy::clone(&policy)
        })
    }

    /// Returns true if the session blocks the target as a host of advertisements. The allow list
    /// takes precedence.
    pub(crate) fn is_blocked(&self, target: &Authority) -> bool {
        self.rules.get().is_some_and(|rules| rules.blocks_ads)
            && self.shared.block_list.contains(&target.host)
            && !self.shared.policy().allow.names(target)
    }

    pub(crate) fn self_ports(&self) -> &SelfPorts {
        &self.shared.self_ports
    }

    /// Returns the reason if a session never reaches a socket address, whatever the policy allows.
    pub(crate) fn denied_socket(&self, socket: SocketAddr) -> Option<Reason> {
        if self.shared.self_ports.contains(socket) {
            Some(Reason::SelfPort)
        } else if self.shared.cluster.contains(socket) {
            Some(Reason::Cluster)
        } else {
            None
        }
    }

    /// Returns true if a session never reaches a name, whatever the policy allows.
    pub(crate) fn is_cluster_name(&self, target: &Authority) -> bool {
        self.shared.cluster.names(target)
    }

    pub(crate) fn resolver(&self) -> &Arc<dyn Resolve> {
        &self.shared.resolver
    }

    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    pub(crate) fn connection_permits(&self) -> &Arc<Semaphore> {
        &self.connection_permits
    }

    pub(crate) fn large_buffers(&self) -> &Semaphore {
        &self.large_buffers
    }

    pub(crate) fn recent_denials(&self) -> &RecentDenials {
        &self.recent
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.totals.read()
    }

    /// Cancels every task of the proxy.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the proxy is stopped.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Creates and records the denial of a request to `target`.
    pub(crate) fn deny(&self, target: &Authority, reason: Reason) -> Denied {
        let denied = Denied {
            target: target.clone(),
            reason,
        };
        self.record(&denied);
        denied
    }

    /// Records and logs a failed request. The log contains neither path nor query.
    fn record(&self, denied: &Denied) {
        // Pages request many of these, and go on without them.
        if denied.reason == Reason::Advertisement {
            return;
        }
        if denied.reason.is_rule() {
            self.shared.denials.increment(denied.reason.label());
        }
        let Some(unlogged) = self.recent.record(denied) else {
            return;
        };
        let named = self.session.get();
        let session = named.map(|named| named.name.as_str());
        let logs_hosts = self.rules.get().is_none_or(|rules| rules.logs_hosts);
        let target = logs_hosts.then(|| tracing::field::display(&denied.target));
        let reason = denied.reason.label();
        let _entered = named.map(|named| named.span.enter());
        if denied.reason.is_rule() {
            tracing::info!(session, target, reason, unlogged, "egress denied");
        } else {
            tracing::debug!(session, target, reason, unlogged, "egress failed");
        }
    }
}

/// One connection of a client, which is the browser or a program in the session.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) state: Arc<ProxyState>,
    pub(crate) meter: Arc<Meter>,
    /// One of the session's connection permits. The last clone releases it. A tunnel has to keep it
    /// explicitly, because a task takes over only the fields that it names.
    pub(crate) permit: Arc<OwnedSemaphorePermit>,
    /// Sends to the task that owns the client's socket.
    spliced: mpsc::Sender<SplicedResponse>,
}

impl Connection {
    /// Creates a connection and the receiver for the response that it may splice.
    pub(crate) fn new(
        state: &Arc<ProxyState>,
        permit: OwnedSemaphorePermit,
    ) -> (Connection, mpsc::Receiver<SplicedResponse>) {
        let (spliced, receiver) = mpsc::channel(1);
        let connection = Connection {
            state: Arc::clone(state),
            meter: Meter::new(Arc::clone(&state.totals)),
            permit: Arc::new(permit),
            spliced,
        };
        (connection, receiver)
    }

    /// Passes a response to the task that owns the client's socket.
    ///
    /// Never returns: that task drops the calling future together with the HTTP connection.
    pub(crate) async fn splice<T>(&self, response: SplicedResponse) -> Option<T> {
        // Sending fails if the connection has already ended.
        let _ = self.spliced.send(response).await;
        pending().await
    }
}
