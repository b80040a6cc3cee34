//! Joining the cluster.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hearth_peer::Identity;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::cluster::{Cluster, JoinSpec};
use crate::config::{ClusterSpec, ConfigError};
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::cluster::ClusterSessions;

/// The time for the database to register this node. The store has reached it before.
const REGISTER_TIMEOUT: Duration = Duration::from_mins(1);

/// A node that is registered.
#[derive(Debug)]
pub(super) struct Joined {
    pub cluster: Arc<Cluster>,
    pub endpoint: PeerEndpoint,
}

/// The place where other nodes connect.
#[derive(Debug)]
pub(super) struct PeerEndpoint {
    pub identity: Identity,
    pub listener: TcpListener,
}

/// Listens for other nodes and registers this one. The server must be able to create sessions.
pub(super) async fn join(
    spec: &ClusterSpec,
    store: &Store,
    metrics: &Arc<Metrics>,
    max_sessions: usize,
    tracker: &TaskTracker,
) -> anyhow::Result<Joined> {
    let database = store.postgres().context("a cluster has a database")?;
    let listener = TcpListener::bind(spec.peer_listen).await.map_err(|error| {
        let reason = format!("cannot listen on {}: {error}", spec.peer_listen);
        ConfigError::new("HEARTH_PEER_LISTEN", reason)
            .fixed_by("set HEARTH_PEER_LISTEN to a free port of this machine")
    })?;
    let identity = Identity::generate(&spec.node_name)
        .context("cannot create the certificate of this node")?;
    let mut address = spec.peer_address;
    if address.port() == 0 {
        address = SocketAddr::new(address.ip(), listener.local_addr()?.port());
    }
    let join = JoinSpec {
        name: spec.node_name.clone(),
        address,
        fingerprint: identity.fingerprint(),
        secrets: spec.secrets.clone(),
        max_sessions,
    };
    let sessions = ClusterSessions::new(database.clone());
    let cluster = Cluster::join(join, sessions, Arc::clone(metrics), tracker)
        .context("cannot start the membership of this node")?;
    if timeout(REGISTER_TIMEOUT, cluster.registered())
        .await
        .is_err()
    {
        cluster.leave();
        anyhow::bail!("cannot register this node: the database does not answer");
    }
    let endpoint = PeerEndpoint { identity, listener };
    Ok(Joined { cluster, endpoint })
}
