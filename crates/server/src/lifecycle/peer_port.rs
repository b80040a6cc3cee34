//! The connections between this node of a cluster and the others.

use std::sync::Arc;
use std::time::Duration;

use hearth_peer::{Acceptor, Client, ClientLimits, IdentityError, Signer, Verifier};

use super::cluster_targets::Guard;
use super::join::PeerEndpoint;
use super::services::Tasks;
use crate::clock;
use crate::cluster::Cluster;
use crate::config::{ClusterSpec, PeerTls};
use crate::http::connections::{ConnectionLimits, Connections};
use crate::http::forward::{Forwarding, NodeAccess, ViewPeers, ask_peers, close_idle_connections};
use crate::http::router;
use crate::http::serve::{FIRST_REQUEST_TIME, Listener};
use crate::http::state::AppState;
use crate::metrics::Metrics;

/// The maximum number of idle connections to other nodes.
const MAX_IDLE: usize = 64;

/// The time after which an idle connection is closed. The other end closes it after 75 s.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// The port for other nodes, and the client for theirs.
pub(super) struct PeerPort {
    endpoint: PeerEndpoint,
    cluster: Arc<Cluster>,
    spec: Arc<ClusterSpec>,
    client: Arc<Client>,
    max_connections: usize,
}

impl PeerPort {
    /// Creates the client. Each connection of a client can need one to another node, so there can
    /// be as many.
    pub fn new(
        endpoint: PeerEndpoint,
        cluster: &Arc<Cluster>,
        spec: &Arc<ClusterSpec>,
        limits: ConnectionLimits,
    ) -> PeerPort {
        let client_limits = ClientLimits {
            connections: limits.total,
            idle: MAX_IDLE,
            idle_time: IDLE_TIME,
        };
        let client = match spec.peer_tls {
            PeerTls::Pinned => Client::pinned(endpoint.identity.clone(), client_limits),
            PeerTls::Off => {
                let signer = Signer::new(spec.secrets.current(), unix_seconds);
                Client::signed(signer, client_limits)
            }
        };
        PeerPort {
            endpoint,
            cluster: Arc::clone(cluster),
            spec: Arc::clone(spec),
            client: Arc::new(client),
            max_connections: limits.total,
        }
    }

    /// Returns the forwarding of requests to other nodes.
    pub fn forwarding(&self, metrics: &Arc<Metrics>, tasks: &Tasks) -> Forwarding {
        Forwarding {
            cluster: Arc::clone(&self.cluster),
            client: Arc::clone(&self.client),
            metrics: Arc::clone(metrics),
            tasks: tasks.tracker.clone(),
            stop: tasks.stop.clone(),
        }
    }

    /// Serves requests of other nodes, and asks them about the lease of this one when the store
    /// does not answer, as tasks of `tasks`. Keeps sessions away from the ports of the cluster.
    pub async fn start(self, state: &AppState, tasks: &Tasks) -> anyhow::Result<()> {
        let access = self.access()?;
        let registry = state.registry();
        let port = self.endpoint.listener.local_addr()?.port();
        registry.egress().add_self_port(port);
        let guard = Guard::start(registry, &self.cluster, &self.spec).await;
        tasks.tracker.spawn(guard.run(tasks.stop.clone()));
        let PeerPort {
            endpoint,
            cluster,
            client,
            max_connections,
            ..
        } = self;
        let (tracker, stop) = (&tasks.tracker, &tasks.stop);
        tracker.spawn(close_idle_connections(Arc::clone(&client), stop.clone()));
        tracker.spawn(ask_peers(Arc::clone(&cluster), client, stop.clone()));
        let router = router::nodes(state.clone(), access.clone(), cluster);
        let listener = Listener {
            socket: endpoint.listener,
            // The connections of one node have one address.
            connections: Connections::new(ConnectionLimits {
                total: max_connections,
                per_address: max_connections,
            }),
            pause: state.load().accept_paused.clone(),
            limits: state.limits(),
            first_request_time: FIRST_REQUEST_TIME,
        };
        let serving = listener.serve_nodes(access, router, stop.clone());
        tasks.servers.spawn(serving);
        Ok(())
    }

    fn access(&self) -> Result<NodeAccess, IdentityError> {
        Ok(match self.spec.peer_tls {
            PeerTls::Pinned => {
                let peers = Arc::new(ViewPeers::new(self.cluster.watch_view()));
                NodeAccess::Pinned(Acceptor::new(&self.endpoint.identity, peers)?)
            }
            PeerTls::Off => {
                let secrets: Vec<&[u8]> = self.spec.secrets.accepted().collect();
                NodeAccess::Signed(Verifier::new(&secrets, unix_seconds))
            }
        })
    }
}

/// Returns the seconds since 1970.
fn unix_seconds() -> u64 {
    u64::try_from(clock::now().as_second()).unwrap_or(0)
}
