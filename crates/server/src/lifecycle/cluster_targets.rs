//! Keeps sessions away from the ports of the cluster: those between its nodes, its database and its
//! object storage.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_egress::ClusterTargets;
use tokio::net::lookup_host;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::cluster::{Cluster, View};
use crate::config::{ClusterSpec, ProfileStoreSpec};
use crate::sessions::Registry;

/// The interval at which names are resolved again.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(30);

/// The time limit for resolving one name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of addresses that are kept although their names may no longer have them.
const MAX_KEPT: usize = 256;

/// The servers with names that a cluster uses, and their addresses.
pub(super) struct Guard {
    registry: Arc<Registry>,
    cluster: Arc<Cluster>,
    servers: Vec<(String, u16)>,
    resolved: BTreeSet<SocketAddr>,
}

impl Guard {
    /// Denies the current targets, before the first session exists.
    pub async fn start(
        registry: &Arc<Registry>,
        cluster: &Arc<Cluster>,
        spec: &ClusterSpec,
    ) -> Guard {
        let mut guard = Guard {
            registry: Arc::clone(registry),
            cluster: Arc::clone(cluster),
            servers: servers(spec),
            resolved: BTreeSet::new(),
        };
        guard.resolve().await;
        guard.publish();
        guard
    }

    /// Follows the nodes and the names until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut views = self.cluster.watch_view();
        loop {
            let peers = peers_in(&views.borrow_and_update());
            let changed = async {
                // A look at the nodes usually finds the known ones.
                while views.changed().await.is_ok() {
                    if peers_in(&views.borrow_and_update()) != peers {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            let waited = tokio::select! {
                () = stop.cancelled() => return,
                waited = timeout(RESOLVE_INTERVAL, changed) => waited,
            };
            if waited.is_err() {
                self.resolve().await;
            }
            self.publish();
        }
    }

    /// Resolves the names. Keeps the addresses of a name that cannot be resolved now, because its
    /// server may still be there.
    async fn resolve(&mut self) {
        let mut resolved = BTreeSet::new();
        let mut is_complete = true;
        for (name, port) in &self.servers {
            let looking = lookup_host((name.as_str(), *port));
            match timeout(RESOLVE_TIMEOUT, looking).await {
                Ok(Ok(addresses)) => resolved.extend(addresses),
                Ok(Err(_)) | Err(_) => is_complete = false,
            }
        }
        if is_complete || self.resolved.len() > MAX_KEPT {
            self.resolved = resolved;
        } else {
            self.resolved.append(&mut resolved);
        }
    }

    fn publish(&self) {
        let mut addresses = peers_in(&self.cluster.view());
        addresses.extend(&self.resolved);
        self.registry.egress().set_cluster_targets(ClusterTargets {
            addresses,
            names: self.servers.iter().cloned().collect(),
        });
    }
}

fn peers_in(view: &View) -> BTreeSet<SocketAddr> {
    view.peers().map(|node| node.address).collect()
}

/// Returns the hosts and ports of the database and of the object storage. Storage without an own
/// endpoint is a public service, which also hosts other sites.
fn servers(spec: &ClusterSpec) -> Vec<(String, u16)> {
    let endpoint = match &spec.profile_store {
        Some(ProfileStoreSpec::S3(bucket)) => bucket.endpoint.as_deref(),
        _ => None,
    };
    let endpoint = endpoint.and_then(|endpoint| {
        let url = Url::parse(endpoint).ok()?;
        let host = match url.host()? {
            Host::Domain(name) => name.to_ascii_lowercase(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Some((host, url.port_or_known_default()?))
    });
    let database = spec.database.host();
    let database = database.map(|(host, port)| (host.to_ascii_lowercase(), port));
    database.into_iter().chain(endpoint).collect()
}
