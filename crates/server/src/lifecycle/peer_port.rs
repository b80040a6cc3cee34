//! The connections between this node of a cluster and the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hearth_peer::{Acceptor, Client, ClientLimits, Fingerprint, Identity, Signer, Verifier};
use tokio::net::TcpListener;

use super::services::Tasks;
use crate::clock;
use crate::cluster::Cluster;
use crate::config::{ClusterSpec, ConfigError, PeerTls};
use crate::http::connections::{ConnectionLimits, Connections};
use crate::http::forward::{Forwarding, NodeAccess, ViewPeers};
use crate::http::router;
use crate::http::serve::Listener;
use crate::http::state::AppState;
use crate::metrics::Metrics;

/// The maximum number of idle connections to other nodes.
const MAX_IDLE: usize = 64;

/// The time after which an idle connection is closed. The other end closes it after 75 s.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// The port for other nodes, before it is served, and the client for theirs.
pub(super) struct PeerPort {
    listener: TcpListener,
    address: SocketAddr,
    identity: Identity,
    access: PeerTls,
    spec: Arc<ClusterSpec>,
    client: Arc<Client>,
    max_connections: usize,
}

impl PeerPort {
    /// Binds the port and creates the identity of this node. Each connection of a client can need
    /// one to another node, so there can be as many.
    pub async fn open(
        spec: &Arc<ClusterSpec>,
        limits: ConnectionLimits,
    ) -> anyhow::Result<PeerPort> {
        let listener = TcpListener::bind(spec.peer_listen).await.map_err(|error| {
            ConfigError::new(
                "HEARTH_PEER_LISTEN",
                format!("cannot listen on {}: {error}", spec.peer_listen),
            )
            .fixed_by("set HEARTH_PEER_LISTEN to a free port of this machine")
        })?;
        let port = listener.local_addr()?.port();
        let mut address = spec.peer_address;
        if address.port() == 0 {
            address.set_port(port);
        }
        let identity = Identity::generate(&spec.node_name)
            .context("cannot create the certificate of this node")?;
        let client_limits = ClientLimits {
            connections: limits.total,
            idle: MAX_IDLE,
            idle_time: IDLE_TIME,
        };
        let client = match spec.peer_tls {
            PeerTls::Pinned => Client::pinned(identity.clone(), client_limits),
            PeerTls::Off => {
                let signer = Signer::new(spec.secrets.current(), unix_seconds);
                Client::signed(signer, client_limits)
            }
        };
        Ok(PeerPort {
            listener,
            address,
            identity,
            access: spec.peer_tls,
            spec: Arc::clone(spec),
            client: Arc::new(client),
            max_connections: limits.total,
        })
    }

    /// Returns the address at which other nodes reach this one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port of the listener.
    pub fn port(&self) -> anyhow::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Returns the fingerprint of this node's certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// Returns the client for other nodes.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Returns the forwarding of requests to other nodes.
    pub fn forwarding(
        &self,
        cluster: &Arc<Cluster>,
        metrics: &Arc<Metrics>,
        tasks: &Tasks,
    ) -> Forwarding {
        let closing =
            Forwarding::close_idle_connections(Arc::clone(&self.client), tasks.stop.clone());
        tasks.tracker.spawn(closing);
        Forwarding {
            cluster: Arc::clone(cluster),
            client: Arc::clone(&self.client),
            metrics: Arc::clone(metrics),
            tasks: tasks.tracker.clone(),
            stop: tasks.stop.clone(),
        }
    }

    /// Serves requests of other nodes as a task of `tasks`, until they stop.
    pub fn serve(
        self,
        state: &AppState,
        cluster: &Arc<Cluster>,
        tasks: &Tasks,
    ) -> anyhow::Result<()> {
        let access = match self.access {
            PeerTls::Pinned => {
                let peers = Arc::new(ViewPeers::new(cluster.watch_view()));
                NodeAccess::Pinned(Acceptor::new(&self.identity, peers)?)
            }
            PeerTls::Off => {
                let secrets: Vec<&[u8]> = self.spec.secrets.accepted().collect();
                NodeAccess::Signed(Verifier::new(&secrets, unix_seconds))
            }
        };
        let router = router::nodes(state.clone(), access.clone(), Arc::clone(cluster));
        let listener = Listener {
            socket: self.listener,
            // The connections of one node have one address.
            connections: Connections::new(ConnectionLimits {
                total: self.max_connections,
                per_address: self.max_connections,
            }),
            pause: state.load().accept_paused.clone(),
            limits: state.limits(),
        };
        let serving = listener.serve_nodes(access, router, tasks.stop.clone());
        tasks.servers.spawn(serving);
        Ok(())
    }
}

/// Returns the seconds since 1970.
fn unix_seconds() -> u64 {
    u64::try_from(clock::now().as_second()).unwrap_or(0)
}
